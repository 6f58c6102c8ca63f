"""The heat map of groups and strata."""

import numpy as np
import pytest
from tests.report.sample_tables import overlapping, render, sample_table, texts

from insignia.core.errors import InputError
from insignia.report import strata_figure

FIELDS = {
    ("septic shock", "monocyte"): [0.5, 0.6, 0.7],
    ("septic shock", "T cell"): [0.1, 0.1, 0.1],
    ("normal", "monocyte"): [0.02, 0.02, 0.05],
    ("asthma", "T cell"): [0.9, 0.9],
}


def test_fields_hold_mean_and_number_of_samples():
    figure = render(strata_figure(sample_table(FIELDS, stratum="cell_type")))
    ax = figure.axes[0]
    fields = {text.get_position(): text.get_text().replace("\u00a0", " ") for text in ax.texts}
    assert fields == {(1, 0): "60 %\n3", (0, 0): "10 %\n3", (1, 1): "3.0 %\n3", (0, 2): "90 %\n2"}
    assert [label.get_text() for label in ax.get_yticklabels()] == ["septic shock", "normal", "asthma"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["T cell", "monocyte"]
    hatched = [patch.get_hatch() for patch in ax.patches]
    assert sorted(hatched, key=str) == ["////", None, None, None]
    assert "cell type" in " ".join(texts(figure))


@pytest.mark.parametrize("n_groups", [1, 25])
def test_labels_do_not_overlap(n_groups):
    rng = np.random.default_rng(1)
    types = ["CD8-positive, alpha-beta T cell", "monocyte", "plasmacytoid dendritic cell", "B", "natural killer cell"]
    name = "thrombocytopenia with a long name that fills the label, type"
    fields = {(f"{name} {i}", cell_type): rng.random(4) for i in range(n_groups) for cell_type in types}
    table = sample_table(fields, stratum="cell_type")
    ax = render(strata_figure(table, top=None)).axes[0]
    assert len(ax.texts) == 5 * n_groups
    assert not overlapping([label.get_window_extent() for label in [*ax.get_yticklabels(), *ax.texts]])


def test_refusals_and_empty_fields():
    with pytest.raises(InputError, match="has no strata"):
        strata_figure(sample_table({"a": [0.1]}))
    with pytest.raises(InputError, match="no samples"):
        strata_figure(sample_table({}, stratum="cell_type"))
    table = sample_table({("a", "T"): [np.nan] * 3, ("b", "T"): [0.0] * 3}, stratum="cell_type")
    assert "no value\n3" in texts(render(strata_figure(table)))
