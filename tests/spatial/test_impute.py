"""The verb: what it returns, what it refuses, and that nothing leaks."""

import anndata
import numpy as np
import pytest
from tests.spatial.section_stacks import changed, section_stack

from insignia.core.errors import GeneMatchError, InputError, UnknownName
from insignia.data import Pose
from insignia.spatial.impute import impute


@pytest.fixture(scope="module")
def stack():
    return section_stack()


@pytest.fixture(scope="module")
def imputed(stack):
    return impute(stack, known=["s0"], method="kernel", genes=8)


def test_the_layout_is_the_contract(imputed, stack):
    assert imputed.shape == (162, 8)
    assert {"sd", "lower", "upper"} <= set(imputed.layers)
    assert {"section", "spot", "z_um", "support", "distance_um", "extrapolated", "reg_ok", "is_known"} <= set(
        imputed.obs
    )
    assert {"source", "mean_count", "cv_pcc", "cv_skill", "predictable"} <= set(imputed.var)
    np.testing.assert_allclose(imputed.obsm["spatial"][:81], stack["s1"].points_um)
    np.testing.assert_allclose(imputed.obsm["spatial_common"][:81], stack["s1"].common_um)
    assert list(imputed.obs["section"].cat.categories) == ["s1", "s2"]
    assert imputed.obs_names[0] == "s1:spot0"
    assert (imputed.layers["lower"] <= imputed.layers["upper"]).all()
    how = imputed.uns["imputation"]
    assert how["method"] == "kernel"
    assert list(how["known"]) == ["s0"]
    assert {"mean", "nearest", "kernel", "propagate", "ridge", "kernel, spots permuted"} <= set(how["baselines"].index)


def test_it_survives_h5ad(imputed, tmp_path):
    imputed.write_h5ad(tmp_path / "imputed.h5ad")
    back = anndata.read_h5ad(tmp_path / "imputed.h5ad")
    np.testing.assert_array_equal(back.X, imputed.X)
    assert back.uns["imputation"]["baselines"].equals(imputed.uns["imputation"]["baselines"])
    assert back.uns["imputation"]["sections"].loc["s0", "is_known"]


def test_what_is_asked_for_does_not_change_what_is_imputed(imputed, stack):
    one = impute(stack, known=["s0"], method="kernel", genes=8, sections=["s2"], baselines=False)
    np.testing.assert_array_equal(one.X, imputed[imputed.obs["section"] == "s2"].X)
    every = impute(stack, known=["s0"], method="kernel", genes=8, sections="all", baselines=False)
    np.testing.assert_array_equal(every.X[81:], imputed.X)
    assert every.obs["is_known"].sum() == 81


def test_known_spots_keep_what_was_measured(stack):
    every = impute(stack, known=["s0"], method="kernel", genes=8, sections="all", baselines=False)
    seen = every[every.obs["is_known"]]
    counts = stack["s0"].spots[:, list(every.var_names)].X + 1
    np.testing.assert_allclose(seen.X, np.log(counts / counts.sum(1, keepdims=True)), rtol=1e-5)
    assert (seen.layers["sd"] == 0).all()


def test_counts_that_are_not_known_are_never_read(imputed, stack):
    poisoned = stack
    for name in ("s1", "s2"):
        spots = stack[name].spots.copy()
        spots.X = np.random.default_rng(0).normal(-50, 20, spots.shape)
        spots.var_names = [f"other{i}" for i in range(spots.n_vars)]
        poisoned = changed(poisoned, name, spots=spots)
    leaked = impute(poisoned, known=["s0"], method="kernel", genes=8)
    np.testing.assert_array_equal(leaked.X, imputed.X)
    np.testing.assert_array_equal(leaked.layers["upper"], imputed.layers["upper"])
    assert leaked.var.equals(imputed.var)


def test_a_failed_section_has_no_support_and_wide_intervals(imputed, stack):
    failed = changed(stack, "s2", pose=Pose(stack["s2"].pose.transform, "failed"))
    got = impute(failed, known=["s0"], method="kernel", genes=8, baselines=False)
    lost, kept = got[got.obs["section"] == "s2"], got[got.obs["section"] == "s1"]
    assert (lost.obs["support"] == 0).all()
    assert not lost.obs["reg_ok"].any()
    assert lost.obs["extrapolated"].all()
    assert np.isinf(lost.obs["distance_um"]).all()
    width = [np.mean(a.layers["upper"] - a.layers["lower"]) for a in (lost, kept)]
    assert width[0] > 1.2 * width[1]


def test_an_unmeasured_section_is_imputed(stack):
    bare = stack["s1"].spots[:, :0].copy()
    got = impute(changed(stack, "s1", spots=bare), method="kernel", genes=8, baselines=False)
    assert list(got.obs["section"].unique()) == ["s1"]
    assert list(got.uns["imputation"]["known"]) == ["s0", "s2"]
    assert np.isfinite(got.X).all()


def test_refusals(stack):
    with pytest.raises(InputError, match="All 3 sections are known"):
        impute(stack, method="kernel", genes=8)
    with pytest.raises(UnknownName, match=r"There is no imputer 'kernal'.*Did you mean 'kernel'"):
        impute(stack, known=["s0"], method="kernal")
    with pytest.raises(InputError, match="There is no section 'x'"):
        impute(stack, known=["s0"], method="kernel", sections=["x"], genes=8)
    with pytest.raises(InputError, match=r"ridge needs features.*obsm\['X_uni'\]"):
        impute(stack, known=["s0"], method="ridge", features="uni", genes=8)
    with pytest.raises(GeneMatchError, match="genes of the panel are not measured"):
        impute(stack, known=["s0"], method="kernel", genes=["gene01", "nothing"])
    with pytest.raises(InputError, match="no section was measured"):
        impute(stack, known=[], method="kernel")


def test_training_stacks_stand_in_for_known_sections_and_calibrate(stack):
    target = section_stack(seed=0)
    donors = [section_stack(seed=seed, name=f"donor{seed}") for seed in (1, 2)]
    got = impute(target, known=[], method="ridge", genes=8, training=donors)
    assert list(got.uns["imputation"]["training"]) == ["donor1", "donor2"]
    assert set(got.uns["imputation"]["baselines"].index) == {"mean", "ridge"}
    assert (got.obs["support"] == 0).all()
    assert got.uns["imputation"]["calibration"]["hidden_spots"].sum() == 486
    assert any("hidden whole" in note for note in got.uns["imputation"]["notes"])
    with_known = impute(target, known=["s0"], method="kernel", genes=8, training=donors, baselines=False)
    assert with_known.uns["imputation"]["calibration"]["depth_slope"] >= 0
    assert not any("nor be calibrated" in note for note in with_known.uns["imputation"]["notes"])


def test_spots_without_a_match_are_at_least_as_unsure_as_the_mean(stack):
    failed = changed(stack, "s2", pose=Pose(stack["s2"].pose.transform, "failed"))
    got = impute(failed, known=["s0"], method="ridge", genes=8, baselines=False)
    kept = impute(stack, known=["s0"], method="ridge", genes=8, baselines=False)
    sd = [one[one.obs["section"] == "s2"].layers["sd"].mean() for one in (got, kept)]
    assert sd[0] > sd[1]
