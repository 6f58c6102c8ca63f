"""Predictions for cell-eval: its conventions, its own door where it is installed, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from insignia.core import keys
from insignia.core.errors import GeneMatchError, InputError, MissingMetadata
from insignia.data import Condition, read, read_screen, simulate_screen, write_h5ad
from insignia.data.perturbation_splits import combo_split
from insignia.perturb import fit, read_predictions, write_cell_eval


@pytest.fixture(scope="module")
def screen():
    return simulate_screen(
        n_genes=60, n_programs=6, n_perturbations=10, n_doubles=12, n_controls=80, cells_per_condition=25,
        n_contexts=2, rng=0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def split(screen):
    return combo_split(screen.data, share_genes=0.3, rng=0)


@pytest.fixture(scope="module")
def model(screen, split):
    return fit(screen.data, split, method="ridge_embedding", priors=screen.priors)


@pytest.fixture(scope="module")
def predicted(model, split):
    return model.predict(split, n_cells=20)


@pytest.fixture(scope="module")
def pair(predicted, screen, tmp_path_factory):
    return write_cell_eval(predicted, screen.data, tmp_path_factory.mktemp("pair") / "files")


def test_both_files_hold_the_same_conditions_genes_and_control(pair, screen, split):
    ours, real = (read(path) for path in pair)
    assert tuple(ours.var_names) == tuple(real.var_names) == screen.data.genes
    for context in screen.data.contexts:
        labels = [set(one.obs.loc[one.obs["celltype"] == context, "target_gene"]) for one in (ours, real)]
        assert labels[0] == labels[1] == {*split.test, "non-targeting"}
    for one in (ours, real):
        assert one.X.dtype == np.float32
        assert one.X.min() >= 0
        assert one.X.max() < 15
        assert (one.X.data % 1 > 1e-3).any()


def test_the_cells_are_those_that_were_predicted_and_measured(pair, predicted, screen, split):
    ours, real = (read(path) for path in pair)
    unit = split.test[0]
    here = (ours.obs["target_gene"] == unit) & (ours.obs["celltype"] == "context2")
    asked = (predicted.obs[keys.CONDITION] == unit) & (predicted.obs[keys.CONTEXT] == "context2")
    np.testing.assert_allclose(ours[here.to_numpy()].X.toarray(), predicted[asked.to_numpy()].X, atol=1e-6)
    here = (real.obs["target_gene"] == unit) & (real.obs["celltype"] == "context2")
    rows = screen.data.rows(Condition.parse(unit), "context2")
    np.testing.assert_array_equal(real[here.to_numpy()].X.toarray(), screen.data.expression[rows].toarray())


def test_few_controls_are_divided_as_for_the_model(pair, model):
    """The halves share no cell, and the one beside the predictions is that which the model learned from."""
    ours, real = (read(path) for path in pair)
    sides = []
    for one in (ours, real):
        here = ((one.obs["target_gene"] == "non-targeting") & (one.obs["celltype"] == "context1")).to_numpy()
        sides.append({row.tobytes() for row in one[here].X.toarray()})
    assert [len(side) for side in sides] == [40, 40]
    assert not sides[0] & sides[1]
    assert sides[0] == {row.tobytes() for row in model.controls["context1"].expression.toarray()}


def test_our_own_readers_take_them(pair, screen, split):
    ours, real = pair
    options = {"control": "non-targeting", "context": "celltype", "separator": "+"}
    again = read_screen(real, scale=300, **options)
    assert {str(one) for one in again.conditions} == {*split.test, "control"}
    external = read_predictions(ours, screen.data, **options)
    assert external.describe()["conditions"] == 2 * len(split.test)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of polars, in its own code
def test_cell_eval_takes_them_as_they_are(pair, split, tmp_path):
    cell_eval = pytest.importorskip("cell_eval", reason="cell-eval is an optional oracle")
    ours, real = (read(path) for path in pair)
    ours, real = (one[(one.obs["celltype"] == "context1").to_numpy()].copy() for one in (ours, real))
    evaluator = cell_eval.MetricsEvaluator(
        adata_pred=ours, adata_real=real, pert_col="target_gene", control_pert="non-targeting", num_threads=1,
        outdir=str(tmp_path), skip_de=True,
    )  # fmt: skip
    results, _ = evaluator.compute(profile="pds", write_csv=False, break_on_error=True)
    assert len(results) == len(split.test)
    assert results["discrimination_score_l1"].mean() > 0.6


def test_what_does_not_fit_is_refused(predicted, model, screen, pair, tmp_path):
    with pytest.raises(InputError, match="1 of 1 predicted ones have no cells"):
        write_cell_eval(model.predict("PERT001+PERT002+PERT003", contexts="context1"), screen.data, tmp_path / "x")
    with pytest.raises(InputError, match="something at"):
        write_cell_eval(predicted, screen.data, pair[0].parent)
    other = predicted.copy()
    other.uns[keys.PERTURB] = dict(other.uns[keys.PERTURB]) | {"scale": 1e4}
    with pytest.raises(InputError, match="scaled to 10,000, and the screen to 300"):
        write_cell_eval(other, screen.data, tmp_path / "x")
    with pytest.raises(GeneMatchError, match="lack 1 of 60 genes"):
        write_cell_eval(predicted[:, 1:].copy(), screen.data, tmp_path / "x")
    plain = AnnData(np.ones((2, 60), dtype=np.float32), obs=pd.DataFrame({"condition": ["a", "b"]}, index=["1", "2"]))
    with pytest.raises(MissingMetadata, match="no context"):
        write_cell_eval(plain, screen.data, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_file_of_predicted_cells_serves_as_well(predicted, screen, pair, tmp_path):
    write_h5ad(predicted, tmp_path / "cells.h5ad")
    again = write_cell_eval(tmp_path / "cells.h5ad", screen.data, tmp_path / "files", control="ctrl")
    assert "ctrl" in set(read(again[0]).obs["target_gene"])
    assert (read(again[0]).X != read(pair[0]).X).nnz == 0
