"""The ranked perturbations: what is drawn is what the table says, in its order."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from tests.report.perturb_tables import ranking

from insignia.core.errors import InputError
from insignia.report import ranking_figure


def marks(figure, marker):
    lines = [line for line in figure.axes[0].lines if line.get_marker() == marker]
    return {int(line.get_ydata()[0]): float(line.get_xdata()[0]) for line in lines}


def test_the_rows_are_those_of_the_table():
    found = ranking(8)
    figure = ranking_figure(found, top=5)
    rows = found.table.head(5)
    assert marks(figure, "s") == pytest.approx(dict(enumerate(rows["change"])))
    assert marks(figure, "o") == pytest.approx(dict(enumerate(rows["measured"])))
    assert marks(figure, "|") == pytest.approx(dict(enumerate(rows["knn"])))
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    for name, row in zip(names, rows.itertuples(), strict=True):
        assert name == row.condition + ("" if row.status == "ok" else " (fallback)")
    bars = [line for line in figure.axes[0].lines if line.get_marker() == "None" and len(set(line.get_ydata())) == 1]
    np.testing.assert_allclose(sorted(np.ptp(line.get_xdata()) for line in bars), 0.2)


def test_a_context_is_chosen_by_name():
    found = ranking(4, contexts=("blood", "lung"))
    drawn = marks(ranking_figure(found, context="lung"), "s")
    assert sorted(drawn.values()) == sorted(found.table[found.table["context"] == "lung"]["change"])
    with pytest.raises(InputError, match="blood, lung"):
        ranking_figure(found, context="skin")


def test_each_baseline_has_a_mark_and_a_name():
    found = ranking(4, baselines=("knn", "mean", "ridge"))
    (ax,) = ranking_figure(found).axes
    labels = {handle.get_label(): handle.get_marker() for handle in ax.get_legend().legend_handles}
    assert len({labels[name] for name in found.baselines} | {"s", "o"}) == 5
    for name in found.baselines:
        assert marks(ax.figure, labels[name]) == pytest.approx(dict(enumerate(found.table[name])))


def test_the_axis_says_what_control_genes_were_taken_from_it():
    said = [ranking_figure(ranking(3, n_controls=n)).axes[0].get_xlabel() for n in (0, 20)]
    assert said[0] == "Change of MS1, mean log expression"
    assert said[1] == said[0] + ", less that of control genes"


@pytest.mark.parametrize("baselines", [("knn",), [f"a plain predictor {k}" for k in range(6)]])
@pytest.mark.parametrize("n", [1, 3, 40])
def test_nothing_overlaps_at_any_size(n, baselines):
    found = ranking(n, name="A signature with a name that goes on and on", baselines=baselines, n_controls=20)
    figure = ranking_figure(found, top=n)
    FigureCanvasAgg(figure).draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert all(low.y1 <= high.y0 + 1 for high, low in pairwise(boxes))
    legend = figure.axes[0].get_legend().get_window_extent()
    assert legend.y1 < figure.axes[0].xaxis.label.get_window_extent().y0
    assert legend.y0 >= 0
