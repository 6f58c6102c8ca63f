"""Bars of what genes add to a score, and dots of attribution beside expression."""

import numpy as np
import pytest
from tests.report.contribution_tables import VALUES, contributions
from tests.report.sample_tables import attributed_cells, overlapping, render, texts

from insignia.core.errors import GeneMatchError, InputError, MissingMetadata
from insignia.genes import Signature
from insignia.report import attribution_dots_figure, contributions_figure


def labels(ticks):
    return [tick.get_text() for tick in ticks]


def widths(ax):
    return [round(bar.get_width(), 6) for bar in ax.patches]


def test_bars_are_the_contributions_by_difference_from_the_reference():
    figure = render(contributions_figure(contributions(), "sepsis", reference="normal"))
    (ax,) = figure.axes
    assert labels(ax.get_yticklabels()) == ["GENE0", "GENE2", "GENE1", "GENE4", "GENE3"]
    np.testing.assert_allclose(widths(ax), [*VALUES[0][[0, 2, 1, 4, 3]], *VALUES[1][[0, 2, 1, 4, 3]]])
    assert sum(widths(ax)[:5]) == pytest.approx(1.25)
    assert {"mean score of sepsis: 1.25", "mean score of normal: 1"} <= set(texts(figure))


def test_what_is_not_shown_is_added_up():
    figure = render(contributions_figure(contributions(), "sepsis", reference="normal", top=2))
    assert len(widths(figure.axes[0])) == 4
    assert "and 3 other genes, together 0.55 against 0.7" in texts(figure)
    # one gene left over is shown, not noted
    assert not any("other genes" in text for text in texts(contributions_figure(contributions(), top=4)))


def test_without_a_reference_the_largest_come_first_in_the_highest_group():
    figure = contributions_figure(contributions())
    assert labels(figure.axes[0].get_yticklabels()) == ["GENE0", "GENE3", "GENE2", "GENE1", "GENE4"]
    assert "mean score of sepsis: 1.25" in texts(figure)


def test_long_names_and_many_genes_do_not_collide():
    rng = np.random.default_rng(0)
    long = [f"a very long name of a disease, stage {k}, of which there is no end" for k in range(2)]
    figure = render(contributions_figure(contributions(rng.random((2, 90)), groups=long), long[0], reference=long[1]))
    (ax,) = figure.axes
    boxes = [text.get_window_extent() for text in [*ax.get_yticklabels(), *ax.get_legend().get_texts(), ax.title]]
    assert not overlapping(boxes)
    area = figure.bbox
    assert all(box.x0 >= area.x0 - 1 and box.x1 <= area.x1 + 1 for box in boxes)


def test_dots_show_attribution_beside_expression():
    adata = attributed_cells()
    figure = render(attribution_dots_figure(adata, ["G1-0", "G0-1", "G0-0", "NOT THERE"]))
    attribution, expression = figure.axes[:2]
    assert labels(attribution.get_yticklabels()) == ["G0-0", "G0-1", "G1-0"]
    assert (attribution.get_title(), expression.get_title()) == ("Attribution", "Expression")
    means = adata.layers["attribution"].toarray()[(adata.obs["cell_type"] == "B cell").to_numpy()].mean(axis=0)
    assert figure.axes[2].get_xlim()[1] == pytest.approx(means[adata.var_names.get_loc("G0-0")], rel=1e-5)
    signature = Signature("mine", ("G0-0", "G2-3"))
    assert labels(attribution_dots_figure(adata, signature, top=1).axes[0].get_yticklabels()) == ["G0-0"]


def test_dots_of_an_atlas_cross_out_what_was_not_measured():
    figure = render(attribution_dots_figure(contributions()))
    dots, crosses = figure.axes[0].collections[:2]
    assert len(dots.get_offsets()) == 14
    # the gene with the highest attribution stands first; the last group did not measure it
    np.testing.assert_array_equal(crosses.get_offsets(), [[2, 0]])
    assert "not measured" in texts(figure)
    assert "not measured" not in texts(attribution_dots_figure(attributed_cells(), ["G0-0"]))


def test_refusals():
    with pytest.raises(InputError, match="no group 'mumps'"):
        contributions_figure(contributions(), "mumps")
    with pytest.raises(InputError, match="at least 1; found 0"):
        contributions_figure(contributions(), top=0)
    with pytest.raises(InputError, match="at least 1; found 0"):
        attribution_dots_figure(contributions(), top=0)
    with pytest.raises(InputError, match="Name the genes to draw"):
        attribution_dots_figure(attributed_cells())
    with pytest.raises(GeneMatchError, match="None of the 1 genes is there"):
        attribution_dots_figure(attributed_cells(), ["NOT THERE"])
    with pytest.raises(MissingMetadata, match="no column 'type'"):
        attribution_dots_figure(attributed_cells(), ["G0-0"], "type")
    with pytest.raises(MissingMetadata, match=r"Run ins\.tl\.attribute first"):
        attribution_dots_figure(attributed_cells(), ["G0-0"], key="none")
