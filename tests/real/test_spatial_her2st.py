"""Real HER2ST sections: plain baselines as they were measured elsewhere, and what the blend reaches beside them."""

from dataclasses import replace

import numpy as np
import pytest

from insignia.data import read_stack, read_stacks
from insignia.spatial.evaluation import compare_imputers, predict_hidden
from insignia.spatial.features import features
from insignia.spatial.panel import choose_panel
from insignia.spatial.registration import register
from insignia.stats import column_correlation

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def by_spots(real_data):
    """Every patient, the first section known, aligned by the area of the spots alone; genes of all 25 sections."""
    stacks = read_stacks(real_data("her2st"), kind="her2st")
    bare = [stack.with_sections({s.name: replace(s, image=None) for s in stack}) for stack in stacks]
    panel = choose_panel([section.spots for stack in bare for section in stack], 250)
    placed = [register(stack, reference=stack.names[0], show_progress=False) for stack in bare]
    return [
        predict_hidden(
            stack, known=[stack.names[0]], methods=["propagate"], genes=panel.genes, features=None, seeds=[0]
        )
        for stack in placed
    ]


@pytest.fixture(scope="module")
def patient_c(real_data):
    stack = read_stack(real_data("her2st"), kind="her2st", name="C")
    return features(stack, show_progress=False)


def test_the_mean_profile_is_as_measured_elsewhere(by_spots):
    rows = [comparison.evaluate().sections for comparison in by_spots]
    mean = [row.query("role == 'baseline' and method == 'mean'") for row in rows]
    assert sum(map(len, mean)) == 19
    figures = {name: np.concatenate([row[name] for row in mean]).mean() for name in ("mse", "mae", "per_spot_pcc")}
    assert figures == pytest.approx({"mse": 0.317, "mae": 0.441, "per_spot_pcc": 0.731}, abs=0.003)


def test_oracles_are_as_measured_elsewhere(by_spots):
    rows = [comparison.evaluate().sections.query("role == 'oracle'") for comparison in by_spots]
    near = np.concatenate([row.loc[row["method"] == "8 true neighbours", ["mse", "pcc_mean"]] for row in rows])
    np.testing.assert_allclose(near.mean(axis=0), [0.237, 0.310], atol=0.003)
    own = np.concatenate([row.loc[row["method"] == "own mean", "mse"] for row in rows])
    assert own.mean() == pytest.approx(0.272, abs=0.003)


def test_propagation_with_the_spots_of_a_patient_pooled(by_spots):
    """Only here are spots pooled, to compare with figures that were."""
    figures = []
    for comparison in by_spots:
        said = next(one for one in comparison.predicted if (one.role, one.label) == ("baseline", "propagate"))
        measured = np.concatenate([section.expression for section in comparison.job.hidden])
        predicted = np.concatenate([prediction.mean for prediction in said.sections])
        figures.append((((predicted - measured) ** 2).mean(), column_correlation(predicted, measured).mean()))
    mse, per_gene = np.mean(figures, axis=0)
    assert mse <= 0.296
    assert per_gene >= 0.21


@pytest.mark.parametrize("known", ["C2", "C3", "C4"])
def test_the_blend_is_better_than_its_parts_on_patient_c(patient_c, known):
    pictured = replace(patient_c, sections=tuple(s for s in patient_c if s.name != "C1"))
    placed = register(pictured, reference=known, show_progress=False)
    evaluation = compare_imputers(placed, known=[known], methods=["blend"], controls=[])
    summary = evaluation.summary(["pcc_mean", "mse"])
    assert summary.loc[("imputer", "blend"), "pcc_mean"] >= 0.34
    assert summary.loc[("imputer", "blend"), "mse"] <= 0.265
    for part in ("propagate", "ridge", "kernel"):
        assert summary.loc[("imputer", "blend"), "pcc_mean"] > summary.loc[("baseline", part), "pcc_mean"]
    # C3 and C4 were scanned lying much alike, so that for them no alignment is not wholly wrong
    identity = summary.loc[("control", "kernel, identity alignment"), "pcc_mean"]
    assert identity <= (0.08 if known == "C2" else summary.loc[("baseline", "kernel"), "pcc_mean"] - 0.1)
    # the mean of three permutations of 180 spots; genes act together, so that one alone deviates by 0.04
    assert abs(summary.loc[("control", "kernel, spots permuted"), "pcc_mean"]) <= 0.07


def test_a_section_without_image_is_imputed_from_its_place(patient_c):
    placed = register(patient_c, reference="C2", show_progress=False)
    assert placed["C1"].image is None
    evaluation = compare_imputers(placed, known=["C2"], methods=["blend"], seeds=[0], controls=[])
    rows = evaluation.sections.query("role == 'imputer'").set_index("section")
    assert rows.loc["C1", "pcc_mean"] >= 0.2
    assert rows.loc["C1", "skill"] > 0
