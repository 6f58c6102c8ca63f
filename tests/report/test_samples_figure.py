"""The figure of hits by sample shows what the table holds, in the order of its summary."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox
from tests.report.readable import assert_readable
from tests.report.sample_tables import overlapping, render, sample_table, texts

from insignia.core.errors import InputError
from insignia.report import forest_figure, samples_figure

RNG = np.random.default_rng(0)
SIX = {
    "septic shock": [0.5, 0.6, 0.4, 0.45],
    "normal": [0.01, 0.02, 0.03],
    "COVID-19": [0.9, 0.0, 0.3],
    "rare disease": [0.99, 0.98],
    "asthma": [0.1] * 30,
    "lupus": [0.05, 0.15, 0.07],
}


def row_labels(ax):
    """Name and note of each row, from top to bottom."""
    boxes = sorted((a for a in ax.artists if isinstance(a, AnnotationBbox)), key=lambda box: box.xy[1])
    return [tuple(area.get_text() for area in box.offsetbox.get_children()) for box in boxes]


def points(ax):
    """x and row of every point."""
    clouds = [collection for collection in ax.collections if isinstance(collection, PathCollection)]
    offsets = np.vstack([cloud.get_offsets() for cloud in clouds])
    return offsets[:, 0], np.round(offsets[:, 1]).astype(int)


def test_rows_stand_in_the_order_of_the_summary():
    table = sample_table(SIX)
    figure = render(samples_figure(table))
    assert isinstance(figure, Figure)
    (ax,) = figure.axes
    summary = table.summary()
    assert [name for name, _ in row_labels(ax)] == summary["disease"].tolist()
    assert [name for name, _ in row_labels(ax)][:2] == ["septic shock", "COVID-19"]
    assert [name for name, _ in row_labels(ax)][-1] == "rare disease"
    assert ax.yaxis_inverted()


def test_every_sample_is_a_point_in_its_row():
    table = sample_table(SIX)
    (ax,) = samples_figure(table).axes
    x, row = points(ax)
    for number, disease in enumerate(table.summary()["disease"]):
        np.testing.assert_allclose(np.sort(x[row == number]), np.sort(SIX[disease]))
    assert len(x) == len(table)


def test_boxes_are_quartiles_and_diamonds_are_means():
    table = sample_table(SIX)
    (ax,) = samples_figure(table).axes
    names = table.summary()["disease"].tolist()
    boxes = {round(bar.get_y() + bar.get_height() / 2): bar for bar in ax.patches if bar.get_height() < 0.9}
    assert sorted(boxes) == [0, 1, 2, 3, 4]
    for row, bar in boxes.items():
        low, high = np.percentile(SIX[names[row]], [25, 75])
        np.testing.assert_allclose([bar.get_x(), bar.get_x() + bar.get_width()], [low, high])
    means = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "d"]
    np.testing.assert_allclose(means, table.summary()["mean_fraction"][:5])


def test_the_dashed_line_is_the_fraction_of_all_scored_cells():
    table = sample_table({"a": [0.5, 0.7, np.nan], "b": [0.1, 0.1, 0.2]})
    (ax,) = samples_figure(table, min_samples=1).axes
    line = next(line for line in ax.lines if line.get_marker() in ("", "None", None))
    assert line.get_xdata()[0] == pytest.approx((50 + 70 + 10 + 10 + 20) / 500)


def test_labels_count_samples_donors_and_studies_and_mark_few():
    labels = dict(row_labels(samples_figure(sample_table(SIX)).axes[0]))
    assert labels["septic shock"] == "4 samples, 4 donors, 4 studies"
    assert labels["rare disease"] == "fewer than 3 samples: 2 samples, 2 donors, 2 studies"
    pooled = dict(row_labels(samples_figure(sample_table(SIX, pooled=True)).axes[0]))
    assert pooled["septic shock"] == "4 donors, 4 studies"


def test_title_names_signature_rule_and_cutoff():
    said = " ".join(texts(samples_figure(sample_table(SIX, signature="my program"), top=2)))
    for part in ("my program", "percentile (q = 90)", "above 1.5", "1,000 cells of 4 studies", "2 of 6 groups"):
        assert part in said


@pytest.mark.parametrize("n_studies", [1, 10, 11, 30])
def test_beyond_ten_studies_the_rest_is_grey_and_counted(n_studies):
    studies = [f"_study{i}" for i in range(n_studies)]
    table = sample_table({"a": RNG.random(60), "b": RNG.random(60)}, studies=studies)
    (ax,) = render(samples_figure(table)).axes
    names = [text.get_text() for text in ax.get_legend().get_texts()][4:]
    if n_studies <= 10:
        assert names == sorted(studies)
    else:
        assert names[-1] == f"{n_studies - 9} other studies"
        assert len(names) == 10
    assert len(points(ax)[0]) == 120


@pytest.mark.parametrize("n_groups", [1, 2, 25])
@pytest.mark.parametrize("long", [False, True])
def test_labels_never_overlap(n_groups, long):
    name = "B-cell acute lymphoblastic leukaemia, relapsed or refractory" if long else "disease"
    table = sample_table({f"{name} {i}": RNG.random(RNG.integers(1, 9)) / 2 for i in range(n_groups)})
    figure = render(samples_figure(table, top=None))
    (ax,) = figure.axes
    boxes = [a.get_window_extent() for a in ax.artists if isinstance(a, AnnotationBbox)]
    assert len(boxes) == n_groups
    assert not overlapping([*boxes, ax.get_legend().get_window_extent(), ax.xaxis.label.get_window_extent()])
    assert min(box.x0 for box in boxes) >= -1
    assert max(box.x1 for box in boxes) <= ax.get_window_extent().x0


def test_equal_fractions_are_spread_so_that_all_are_seen():
    (ax,) = samples_figure(sample_table({"asthma": [0.1] * 30})).axes
    clouds = [collection for collection in ax.collections if isinstance(collection, PathCollection)]
    heights = np.concatenate([cloud.get_offsets()[:, 1] for cloud in clouds])
    assert len(np.unique(heights.round(6))) == 30
    assert np.abs(heights).max() < 0.45


def test_strange_names_are_drawn_as_they_are():
    names = [r"cost $5$ \frac", r"$\frac$", "Sjögren β-thalassaemia", "_hidden", ""]
    table = sample_table(
        {name: [0.1, 0.2, 0.3] for name in names},
        studies=["$x^2$", "étude", "_", "a_b"],
        signature="$\\alpha_{",
    )
    said = texts(render(samples_figure(table)))
    assert "Sjögren β-thalassaemia" in said
    assert any("cost" in text and "5" in text for text in said)


def test_zero_hits_nan_fractions_and_frozen_cutoffs_are_drawn():
    zero = sample_table({"a": [0.0] * 4, "b": [0.0] * 3}, rule="value", params={"value": 2.0})
    (ax,) = render(samples_figure(zero)).axes
    assert ax.get_xlim()[1] < 0.02
    gaps = sample_table({"a": [0.2, np.nan, 0.4], "b": [np.nan] * 3})
    (ax,) = render(samples_figure(gaps)).axes
    assert len(points(ax)[0]) == 2
    assert [name for name, _ in row_labels(ax)] == ["a", "b"]


def test_other_groups_and_strata():
    table = sample_table({("a", "T cell"): [0.1] * 3, ("a", "B cell"): [0.3] * 3}, stratum="cell_type")
    assert [name for name, _ in row_labels(samples_figure(table).axes[0])] == ["a · B cell", "a · T cell"]
    (ax,) = samples_figure(sample_table(SIX), by="study").axes
    assert {name for name, _ in row_labels(ax)} == {"GSE0", "GSE1", "GSE2", "GSE3"}


def test_it_draws_on_the_callers_axes_or_figure():
    outer = Figure(figsize=(9, 4))
    left, right = outer.subplots(1, 2)
    assert samples_figure(sample_table(SIX), ax=right) is outer
    assert len(row_labels(right)) == 6
    assert not left.has_data()
    assert outer.get_size_inches().tolist() == [9, 4]
    inner = Figure().subfigures(1, 2)[0].add_subplot()
    assert isinstance(samples_figure(sample_table(SIX), ax=inner), Figure)


def test_refusals():
    with pytest.raises(InputError, match="no samples to draw"):
        samples_figure(sample_table({}))
    with pytest.raises(InputError, match="at least 1; found 0"):
        samples_figure(sample_table(SIX), top=0)
    with pytest.raises(InputError, match="grouped by"):
        samples_figure(sample_table(SIX), by="age")


def test_a_comparison_adds_the_band_of_the_reference_and_q():
    table = sample_table({**SIX, "normal": [0.01, 0.02, 0.03, 0.05, 0.06]}, studies=["GSE1"])
    comparison = table.compare()
    (ax,) = samples_figure(table, comparison=comparison).axes
    low, high = np.percentile([0.01, 0.02, 0.03, 0.05, 0.06], [25, 75])
    bands = [patch for patch in ax.patches if patch.get_height() == 1.0 and patch.get_width() < 1]
    assert len(bands) == 6
    assert {(round(band.get_x(), 9), round(band.get_x() + band.get_width(), 9)) for band in bands} == {(low, high)}
    notes = dict(row_labels(ax))
    q = comparison.table.set_index("group")["q"]
    assert notes["septic shock"].endswith(f"1 study, q = {q['septic shock']:.2g}")
    assert notes["normal"].endswith("reference")
    assert "quartiles of normal" in [text.get_text() for text in ax.get_legend().get_texts()]
    with pytest.raises(InputError, match="groups by 'disease', and the figure by 'study'"):
        samples_figure(table, by="study", comparison=comparison)


@pytest.mark.parametrize("n_groups", [2, 8, 30])
@pytest.mark.parametrize("long", [False, True])
def test_everything_of_a_comparison_can_be_read(n_groups, long):
    name = "B-cell acute lymphoblastic leukaemia, relapsed or refractory" if long else "disease"
    groups = {f"{name} {i}": RNG.random(RNG.integers(1, 12)) / 2 for i in range(n_groups - 1)}
    studies = [f"a study with a long name {i}" for i in range(13)]
    table = sample_table({"normal": RNG.random(20) / 4, **groups}, studies=studies)
    comparison = table.compare(n_boot=1)
    assert_readable(samples_figure(table, top=None, comparison=comparison))
    assert_readable(forest_figure(comparison, top=None))
