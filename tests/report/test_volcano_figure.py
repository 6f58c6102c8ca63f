"""Volcano plots: every point where it belongs, the leading ones named, and no name over another."""

import numpy as np
import pytest
from matplotlib.text import Text
from tests.report.sample_tables import overlapping, render, texts
from tests.report.screen_tables import screen_comparison

from insignia.core.errors import InputError
from insignia.report import volcano_figure

LONG = ["REACTOME_NEUTROPHIL_DEGRANULATION_OF_SUCH_A_LENGTH_THAT_NOTHING_FITS", "cost in $"]


def points(ax):
    return np.concatenate([part.get_offsets() for part in ax.collections])


def names(ax):
    return [text for text in ax.texts if text.get_text() and "q" not in text.get_text()]


def test_points_are_effects_against_q():
    comparison = screen_comparison(80)
    figure = render(volcano_figure(comparison))
    tested = comparison.table[comparison.table["testable"]]
    expected = np.column_stack([tested["effect"], -np.log10(tested["q"])])
    drawn = points(figure.axes[0])
    np.testing.assert_allclose(drawn[np.lexsort(drawn.T)], expected[np.lexsort(expected.T)])
    called = int((tested["q"] <= 0.05).sum())
    assert len(figure.axes[0].collections[1].get_offsets()) == called
    assert f"{called} of 80 comparisons at q ≤ 0.05, donors as units; 1 not testable" in texts(figure)
    shifts = points(volcano_figure(comparison, effect="shift").axes[0])
    np.testing.assert_allclose(np.sort(shifts[:, 0]), np.sort(tested["shift"]))


@pytest.mark.parametrize(("n", "groups", "hits"), [(20, 1, 4), (300, 3, 20), (1500, 8, 40)])
def test_names_do_not_cover_each_other_and_stay_inside(n, groups, hits):
    group_names = tuple(f"disease {k}" for k in range(groups))
    own = [*LONG, *(f"SET_OF_GENES_{k}" for k in range(n - 2))]
    figure = volcano_figure(screen_comparison(n, groups=group_names, hits=hits, names=own), n_labels=15)
    render(figure)
    (ax,) = figure.axes
    # of the letters alone, without the lines back to the points
    boxes = [Text.get_window_extent(text) for text in names(ax)]
    assert len(boxes) >= 3
    assert not overlapping(boxes)
    area = ax.get_window_extent()
    assert all(area.x0 <= box.x0 and box.x1 <= area.x1 for box in boxes)


def test_the_surest_are_named_first():
    comparison = screen_comparison(40, hits=6)
    first = comparison.table.sort_values("q").iloc[0]["signature"]
    (ax,) = volcano_figure(comparison, n_labels=1).axes
    assert [text.get_text() for text in names(ax)] == [first]
    assert not names(volcano_figure(comparison, n_labels=0).axes[0])
    assert not names(volcano_figure(screen_comparison(5, hits=0)).axes[0])


def test_highlights_are_ringed_and_named_called_or_not():
    comparison = screen_comparison(30, hits=0)
    chosen = comparison.table["signature"].iloc[[3, 20]].tolist()
    figure = render(volcano_figure(comparison, highlight=chosen))
    (ring,) = [part for part in figure.axes[0].collections if not len(part.get_facecolor())]
    rows = comparison.table[comparison.table["signature"].isin(chosen) & comparison.table["testable"]]
    np.testing.assert_allclose(np.sort(ring.get_offsets()[:, 0]), np.sort(rows["effect"]))
    said = {text.get_text() for text in names(figure.axes[0])}
    assert said
    assert said <= set(chosen)
    assert any(f"; {len(rows)} ringed" in text for text in texts(figure))
    assert not any("ringed" in text for text in texts(render(volcano_figure(comparison))))


def test_groups_have_a_colour_and_a_shape_of_their_own():
    comparison = screen_comparison(60, groups=("flu", "sepsis"), strata=("B cell", "T cell"))
    figure = volcano_figure(comparison)
    (ax,) = figure.axes
    assert sorted(text.get_text() for text in ax.get_legend().get_texts()) == ["flu", "sepsis"]
    shapes = {tuple(part.get_paths()[0].vertices.ravel()) for part in ax.collections[1:]}
    assert len(shapes) == 2
    assert any(" · " in text.get_text() for text in names(ax))
    one = volcano_figure(comparison, group="flu", stratum="T cell")
    assert len(points(one.axes[0])) == 60
    assert not any(" · " in text.get_text() for text in names(one.axes[0]))
    many = volcano_figure(screen_comparison(40, groups=tuple("abcdefghi"))).axes[0]
    assert many.get_legend().get_texts()[-1].get_text() == "4 other groups"


def test_refusals():
    comparison = screen_comparison(5)
    with pytest.raises(InputError, match="effect is one of effect, shift, cliffs_delta; found 'fold'"):
        volcano_figure(comparison, effect="fold")
    with pytest.raises(InputError, match=r"no group 'mumps' in the comparison; there are sepsis\."):
        volcano_figure(comparison, group="mumps")
    with pytest.raises(InputError, match="NOPE cannot be highlighted: not in the comparison"):
        volcano_figure(comparison, highlight=["NOPE"])
    comparison.table["q"] = np.nan
    with pytest.raises(InputError, match="nothing to draw"):
        volcano_figure(comparison)
