"""Figures of predicted perturbations: what stands where, and that every word can be read."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.report.perturb_tables import METHODS, cell_table, effect_table, program_effects, programs, summary
from tests.report.readable import assert_readable
from tests.report.sample_tables import render, texts

from insignia.core.errors import InputError, MissingMetadata
from insignia.report import cells_figure, effects_figure, prediction_scores_figure, program_map_figure
from insignia.report.label_places import name_points
from insignia.report.style import new_figure


def test_effects_stand_at_measured_and_predicted():
    table = effect_table()
    figure = render(effects_figure(table))
    panels = [ax for ax in figure.axes if ax.collections]
    assert len(panels) == 2
    first = table.query("condition == 'KLF1' and method == 'flow'")
    np.testing.assert_allclose(panels[0].collections[0].get_offsets(), first[["measured", "predicted"]])
    r = np.corrcoef(first["measured"], first["predicted"])[0, 1]
    assert any(f"flow r = {r:.2f}" in text for text in texts(figure))
    largest = first.loc[(first["score"].abs() * first["measured"].abs()).idxmax(), "gene"]
    assert largest in texts(figure)
    # both axes are equal, so that the diagonal is right
    assert panels[0].get_xlim() == panels[0].get_ylim()


@pytest.mark.parametrize("n", [1, 3, 7])
@pytest.mark.parametrize("n_genes", [0, 6, 15])
def test_effects_are_readable(n, n_genes):
    conditions = [f"KLF1+A$LONG{i}" for i in range(n)]
    assert_readable(effects_figure(effect_table(conditions), n_genes=n_genes))


def test_a_method_without_an_answer_or_an_effect_says_so():
    table = effect_table()
    silent = table["method"].eq("ridge")
    fewer = table[~silent | table["condition"].eq("KLF1")]
    assert any("ridge no answer" in text for text in texts(effects_figure(fewer, methods=["flow", "ridge"])))
    table.loc[silent, "predicted"] = 0.0
    assert any("ridge no change" in text for text in texts(effects_figure(table)))


def test_refusals_of_effects():
    table = effect_table()
    with pytest.raises(MissingMetadata, match="no column 'gene'"):
        effects_figure(table.drop(columns="gene"))
    with pytest.raises(InputError, match="There is no condition 'GATA1' with effects; there are KLF1"):
        effects_figure(table, conditions=["GATA1"])
    with pytest.raises(InputError, match="One or two methods"):
        effects_figure(effect_table(methods=("a", "b", "c")), methods=("a", "b", "c"))
    with pytest.raises(InputError, match="no predicted effect"):
        effects_figure(table.assign(predicted=np.nan))


def test_densities_are_those_of_the_cells():
    figure = render(cells_figure(cell_table()))
    density = figure.axes[1]
    peaks = [line.get_xdata()[np.argmax(line.get_ydata())] for line in density.lines]
    np.testing.assert_allclose(peaks, [0, 3, 6, 9], atol=0.5)
    areas = [np.trapezoid(line.get_ydata(), line.get_xdata()) for line in density.lines]
    np.testing.assert_allclose(areas, 1, atol=0.03)
    # points and densities share their axis, and not all of 300 cells are drawn
    assert figure.axes[0].get_xlim() == density.get_xlim()
    assert [len(part.get_offsets()) for part in figure.axes[0].collections] == [150] * 4


@pytest.mark.parametrize(
    "conditions", [("KLF1",), ("KLF1", "a $ name of a condition that is far too long to show", "B")]
)
def test_cells_are_readable(conditions):
    assert_readable(cells_figure(cell_table(conditions)))
    assert_readable(cells_figure(cell_table(conditions, kinds=("control", "measured")), figure=Figure()))


def test_cells_of_equal_value_and_refusals():
    table = cell_table()
    assert_readable(cells_figure(table.assign(effect=1.0)))
    with pytest.raises(MissingMetadata, match="no column 'across'"):
        cells_figure(table.drop(columns="across"))
    with pytest.raises(InputError, match="There is no method 'gears' with cells; there are flow, ridge"):
        cells_figure(table, methods=["gears"])
    with pytest.raises(InputError, match="no cells to draw"):
        cells_figure(table.head(0))


def test_the_map_shows_which_program_each_condition_moves():
    figure = render(program_map_figure(programs().to_frame(), program_effects()))
    mesh = figure.axes[0].collections[0].get_array()
    names = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    values = np.asarray(mesh)
    assert values.shape == (4, 5)
    for column, name in enumerate(names):
        assert values[:, column].argmax() == int(name[-1]) % 4
        assert values[:, column].sum() == 1
    # 0 is the middle of the colours
    low, high = figure.axes[0].collections[0].get_clim()
    assert low == -high == -1


@pytest.mark.parametrize(("n_programs", "n_conditions"), [(4, 2), (4, 30), (32, 24)])
def test_program_maps_are_readable(n_programs, n_conditions):
    table, effects = programs(640, n_programs), program_effects(640, n_programs, n_conditions)
    correlation = np.corrcoef(np.random.default_rng(0).normal(size=(640, 20)))
    assert_readable(program_map_figure(table.to_frame(), effects))
    assert_readable(program_map_figure(table.to_frame(), effects, correlation=correlation))


def test_correlations_stand_in_the_order_of_programs():
    frame = programs().to_frame()
    label = frame["program"].astype(object).fillna("none").to_numpy()
    planted = (label[:, None] == label[None, :]) * 0.9 + 0.05
    mesh = render(program_map_figure(frame, program_effects(), correlation=planted)).axes[0].collections[0]
    values = np.asarray(mesh.get_array(), dtype=float)
    # 39 genes have a program; the one without is not drawn
    assert values.shape == (39, 39)
    sizes = frame["program"].value_counts().sort_index().to_numpy()
    block = np.repeat(np.arange(4), sizes)
    inside = block[:, None] == block[None, :]
    assert np.nanmin(values[inside]) > np.nanmax(values[~inside])


def test_refusals_of_the_map():
    frame, effects = programs().to_frame(), program_effects()
    with pytest.raises(MissingMetadata, match="no column 'program'"):
        program_map_figure(frame.drop(columns="program"), effects)
    with pytest.raises(MissingMetadata, match="same gene names"):
        program_map_figure(frame, effects.rename(columns=str.lower))
    with pytest.raises(InputError, match="40 genes need as many correlations"):
        program_map_figure(frame, effects, correlation=np.eye(3))
    with pytest.raises(InputError, match="no condition 'GATA1'"):
        program_map_figure(frame, effects, conditions=["GATA1"])


def test_scores_are_ranked_within_roles_and_those_without_an_answer_share_a_row():
    figure = render(prediction_scores_figure(summary()))
    names = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert names == [
        "flow", "easy", "ridge embedding", "control", "additive, ridge onehot", "flow, shuffled embedding",
        "half against half",
    ]  # fmt: skip
    ax = figure.axes[0]
    found = [part.get_offsets()[0][0] for part in ax.collections if len(part.get_offsets()) == 1]
    np.testing.assert_allclose(found, [1.5, 0.9, 2.0, 3.0, 2.5, 0.7])
    spans = [line.get_xdata() for line in ax.lines if len(set(line.get_xdata())) == 2]
    np.testing.assert_allclose(spans[0], [1.3, 1.8])
    assert {"seen 2 of 2, 8 conditions", "unseen single, 8 conditions"} <= set(texts(figure))


def test_the_dashed_baseline_answers_all_and_is_best_by_what_is_better():
    figure = render(prediction_scores_figure(summary()))
    dashed = [next(line for line in ax.lines if line.is_dashed()).get_xdata()[0] for ax in figure.axes[:2]]
    # "easy" is better but answers 3 of 8 conditions
    assert dashed == pytest.approx([2.0, 0.5])


@pytest.mark.parametrize("metrics", [("l2",), ("l2", "pearson_from_mean", "edistance"), ("wasserstein_effect", "mmd")])
@pytest.mark.parametrize("strata", [("unseen single",), ("seen 0 of 2", "seen 1 of 2", "seen 2 of 2", "unseen single")])
def test_scores_are_readable(metrics, strata):
    long = {("method", f"a method with $ a very long name that does not fit one line {i}"): 1.0 + i for i in range(3)}
    assert_readable(prediction_scores_figure(summary(strata, metrics, METHODS | long), metrics=metrics))


def test_scores_of_a_real_board_and_refusals():
    with pytest.raises(MissingMetadata, match="no column 'mse'"):
        prediction_scores_figure(summary(), metrics=("mse",))
    with pytest.raises(InputError, match="no stratum 'seen single'"):
        prediction_scores_figure(summary(), strata=["seen single"])
    other = summary().rename(index={"method": "imputer"}, level="role")
    with pytest.raises(InputError, match="A role is one of method, baseline"):
        prediction_scores_figure(other)
    with pytest.raises(InputError, match="no rows to draw"):
        prediction_scores_figure(summary().head(0))


def test_names_never_cover_each_other_and_what_has_no_room_is_left_out():
    figure = new_figure(2.2, 2.2)
    ax = figure.add_subplot()
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    figure.draw_without_rendering()
    points = np.random.default_rng(0).uniform(0.4, 0.6, (40, 2))
    written = name_points(ax, points, [f"GENE{i:03d}" for i in range(40)])
    assert 5 <= len(written) < 40
    assert written[0] == "GENE000"
    assert_readable(figure)
