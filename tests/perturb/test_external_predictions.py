"""Predictions of other programs: read whatever their labels, and scored like all others."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from insignia.core import keys
from insignia.core.errors import GeneMatchError, InputError, InputSpaceError
from insignia.data import Condition, simulate_screen, write_h5ad
from insignia.data.perturbation_splits import combo_split
from insignia.perturb import ExternalPredictions, evaluate, fit, predictors, read_predictions
from insignia.perturb.evaluation import BASELINES, benchmark


@pytest.fixture(scope="module")
def screen():
    return simulate_screen(
        n_genes=60, n_programs=6, n_perturbations=12, n_doubles=20, n_controls=120, cells_per_condition=20, rng=0
    )


@pytest.fixture(scope="module")
def split(screen):
    return combo_split(screen.data, share_genes=0.25, rng=0)


@pytest.fixture(scope="module")
def model(screen, split):
    return fit(screen.data, split, method="ridge_embedding", priors=screen.priors)


def theirs(screen, split, labels=str, *, n_cells=15, column="condition", seed=1):
    """Cells of the replicate as somebody's predictions of the test side: as good as predictions can be."""
    data = screen.replicate
    rows = [data.rows(Condition.parse(unit), "context1")[:n_cells] for unit in split.test]
    obs = {column: np.repeat([labels(Condition.parse(unit)) for unit in split.test], [len(here) for here in rows])}
    order = np.random.default_rng(seed).permutation(len(data.genes))
    values = data.expression[np.concatenate(rows)][:, order]
    var = pd.DataFrame(index=np.array(data.genes)[order])
    obs = pd.DataFrame(obs, index=[f"p{i}" for i in range(values.shape[0])])
    return anndata.AnnData(sparse.csr_matrix(values), obs=obs, var=var)


def as_gears(condition):
    return "+".join([*condition.genes, *(["ctrl"] if len(condition.genes) == 1 else [])])


@pytest.mark.parametrize("form", ["plain", "gears", "scperturb", "cell_eval", "file"])
def test_labels_of_every_kind_and_genes_in_any_order_say_the_same(form, screen, split, tmp_path):
    options = {}
    if form == "gears":
        made, options = theirs(screen, split, as_gears), {"control": "ctrl"}
    elif form == "scperturb":
        made = theirs(screen, split, lambda one: "_".join(one.genes), column="perturbation")
        made.obs["nperts"] = made.obs["perturbation"].str.count("_") + 1
    elif form == "cell_eval":
        made, options = theirs(screen, split, column="target_gene"), {"separator": "+"}
    else:
        made = theirs(screen, split)
    if form == "file":
        write_h5ad(made, tmp_path / "theirs.h5ad")
        made = tmp_path / "theirs.h5ad"
    found = read_predictions(made, screen.data, **options)
    found.fit(screen.data)
    for unit in split.test:
        condition = Condition.parse(unit)
        rows = screen.replicate.rows(condition, "context1")[:15]
        base = screen.data.mean(screen.data.controls("context1"))
        np.testing.assert_allclose(
            found.effect(condition, "context1").delta, screen.replicate.mean(rows) - base, atol=1e-6
        )


def test_they_are_one_more_row_beside_all_baselines(screen, split, model):
    found = read_predictions(theirs(screen, split), screen.data)
    board = evaluate(screen.data, split, {"theirs": found, "ours": model}, priors=screen.priors)
    assert set(board.rows.query("role == 'method'")["method"]) == {"theirs", "ours"}
    assert set(board.rows.query("role == 'baseline'")["method"]) == set(BASELINES)
    assert not (board.rows["role"] == "control").any()
    table = board.summary(["l2", "edistance"]).loc["unseen single"]
    best = table.loc["baseline", "l2"].min()
    assert table.loc[("method", "theirs"), "l2"] < 0.9 * best
    assert any("made elsewhere" in note for note in board.notes)
    assert not any("ours" in note for note in board.notes)


def test_a_fitted_model_scores_as_its_method_does_in_the_benchmark(screen, split, model):
    board = evaluate(screen.data, split, {"saved": model}, priors=screen.priors)
    plain = benchmark(
        screen.data, split, methods={"again": predictors["ridge_embedding"]()}, priors=screen.priors, seeds=(0,),
        shuffled=0,
    )  # fmt: skip
    for figure in ("l2", "pearson_delta", "edistance", "wasserstein_effect"):
        ours = board.rows.query("method == 'saved'").set_index("condition")[figure]
        expected = plain.rows.query("method == 'again'").set_index("condition")[figure]
        pd.testing.assert_series_equal(ours, expected[ours.index], rtol=1e-4, atol=1e-6)


def test_neither_seeds_nor_a_shuffled_embedding_change_what_was_made_elsewhere(screen, split):
    found = read_predictions(theirs(screen, split), screen.data)
    board = benchmark(
        screen.data, split, methods={"theirs": found}, priors=screen.priors, seeds=(0, 1), shuffled=2,
        show_progress=False,
    )  # fmt: skip
    assert not (board.rows["role"] == "control").any()
    assert set(board.rows.query("role == 'method'")["seed"]) == {0}


def test_means_alone_are_scored_too(screen, split, model):
    means = model.means(list(split.test))
    found = read_predictions(means, screen.data)
    assert found.describe()["only_means"]
    board = evaluate(screen.data, split, {"means": found}, priors=screen.priors)
    assert board.rows.query("method == 'means'")[["l2", "edistance"]].notna().all(axis=None)
    # the model keeps all controls that it saw, which are those that the benchmark starts from
    first = Condition.parse(split.test[0])
    level = model.controls["context1"].expression.toarray().mean(axis=0)
    np.testing.assert_allclose(found.effect(first, "context1").delta, means.X[0] - level, atol=1e-5)


def test_a_model_that_saw_the_reference_controls_or_the_test_side_is_found_out(screen, split):
    sees_all = fit(screen.data, method="additive")
    with pytest.raises(InputError, match="learned from"):
        evaluate(screen.data, split, {"leaky": sees_all})
    trained = screen.data.without([one for one in screen.data.conditions if str(one) in split.test])
    shares = fit(trained, method="additive")
    board = evaluate(screen.data, split, {"shares": shares})
    assert any("shares: it has seen reference control cells" in note for note in board.notes)
    kept_apart = evaluate(screen.data, split, {"apart": fit(screen.data, split, method="additive")})
    assert not any("apart" in note for note in kept_apart.notes)


def test_conditions_that_the_file_lacks_have_no_answer(screen, split):
    made = theirs(screen, split)
    lost = split.test[0]
    found = read_predictions(made[made.obs["condition"] != lost], screen.data)
    board = evaluate(screen.data, split, {"theirs": found})
    row = board.rows.query("method == 'theirs' and condition == @lost").iloc[0]
    assert row["status"] == "none"
    assert np.isnan(row["l2"])
    assert "the file has no" in row["note"]


def test_the_truth_is_not_a_prediction(screen, split):
    data = screen.data
    rows = np.concatenate([data.rows(Condition.parse(unit), "context1") for unit in split.test])
    names = [str(data.conditions[i]) for i in data.condition[rows]]
    copy = anndata.AnnData(
        data.expression[rows], obs=pd.DataFrame({"condition": names}, index=data.cells[rows]),
        var=pd.DataFrame(index=data.genes),
    )  # fmt: skip
    with pytest.raises(InputError, match="are measured cells of the screen"):
        read_predictions(copy, data)


def test_genes_that_are_missing_are_named_and_the_screen_can_be_narrowed(screen, split):
    made = theirs(screen, split)
    fewer = made[:, [name for name in made.var_names if name not in ("GENE0001", "GENE0002")]].copy()
    with pytest.raises(GeneMatchError, match="2 missing: GENE0001, GENE0002"):
        read_predictions(fewer, screen.data)
    narrowed = screen.data.with_genes(screen.data.genes[2:])
    assert narrowed.genes == screen.data.genes[2:]
    np.testing.assert_array_equal(narrowed.expression.toarray(), screen.data.expression[:, 2:].toarray())
    board = evaluate(narrowed, split, {"theirs": read_predictions(fewer, narrowed)})
    assert board.rows.query("method == 'theirs'")["l2"].notna().all()
    with pytest.raises(GeneMatchError, match="were not measured"):
        screen.data.with_genes(["GENE9999"])


def test_values_below_zero_become_zero_and_it_is_said(screen, split):
    made = theirs(screen, split)
    values = made.X.toarray()
    values[values == 0] = -0.01
    made.X = values
    found = read_predictions(made, screen.data)
    assert any("below 0 and were set to 0" in note for note in found.notes)
    assert min(cells.data.min() for cells in found.predicted.values()) > 0


def test_counts_are_logged_like_the_screen_and_other_values_refused(screen, split):
    made = theirs(screen, split)
    logs = made.X.toarray()
    counts = np.rint(np.expm1(logs) * 10)
    made.X = counts
    found = read_predictions(made, screen.data)
    assert "the predictions hold counts" in found.notes
    first = Condition.parse(split.test[0])
    assert np.expm1(found.predicted[first, "context1"].toarray()).sum(axis=1) == pytest.approx(300, rel=1e-3)
    unknown = type(screen.data)(
        **{name: getattr(screen.data, name) for name in screen.data.__dataclass_fields__} | {"scale": float("nan")}
    )
    with pytest.raises(InputSpaceError, match="not known to what the logs"):
        read_predictions(made, unknown)
    made.X = np.full_like(logs, np.nan)
    with pytest.raises(InputSpaceError, match="NaN or infinite"):
        read_predictions(made, screen.data)
    made.X = 100.5 + logs
    with pytest.raises(InputSpaceError, match="neither counts nor log1p"):
        read_predictions(made, screen.data)
    # a prediction may pass what counts of a cell could reach
    made.X = logs * (9.9 / logs.max())
    read_predictions(made, screen.data)
    made.X = logs + 2
    assert any("are both logs of counts that are scaled alike" in n for n in read_predictions(made, screen.data).notes)


def test_effects_against_their_own_controls(screen, split):
    made = theirs(screen, split)
    rows = screen.replicate.controls("context1")
    controls = anndata.AnnData(
        screen.replicate.expression[rows], obs=pd.DataFrame({"condition": "none"}, index=[f"k{i}" for i in rows]),
        var=pd.DataFrame(index=screen.replicate.genes),
    )  # fmt: skip
    both = anndata.concat([made, controls[:, made.var_names]])
    both.X = both.X + 0.5 * (both.X > 0)
    found = read_predictions(both, screen.data, control="none", against="own").fit(screen.data)
    condition = Condition.parse(split.test[0])
    own = np.asarray(found.predicted[Condition(), "context1"].mean(axis=0)).ravel()
    there = np.asarray(found.predicted[condition, "context1"].mean(axis=0)).ravel()
    np.testing.assert_allclose(found.effect(condition, "context1").delta, there - own, atol=1e-5)
    with pytest.raises(InputError, match="needs control cells in the file"):
        read_predictions(made, screen.data, against="own")
    with pytest.raises(InputError, match="'screen' or 'own'"):
        ExternalPredictions({}, against="theirs")


def test_contexts_must_be_those_of_the_screen(split):
    two = simulate_screen(
        n_genes=20, n_programs=4, n_perturbations=4, n_doubles=2, n_controls=8, cells_per_condition=4, n_contexts=2,
        rng=0,
    )  # fmt: skip
    single = Condition.of(["PERT001"])
    rows = two.replicate.rows(single, "context2")
    made = anndata.AnnData(
        two.replicate.expression[rows], obs=pd.DataFrame({"condition": ["PERT001"] * 4}, index=list("abcd")),
        var=pd.DataFrame(index=two.data.genes),
    )  # fmt: skip
    with pytest.raises(InputError, match="of the contexts '', the screen has 'context1', 'context2'"):
        read_predictions(made, two.data)
    made.obs["where"] = "context2"
    found = read_predictions(made, two.data, context="where").fit(two.data)
    assert found.effect(single, "context1").status == "none"
    assert found.effect(single, "context2").status == "ok"


def test_what_is_not_of_this_screen_is_refused(screen, split, model):
    made = theirs(screen, split, lambda one: "+".join(f"X{gene}" for gene in one.genes))
    with pytest.raises(InputError, match=r"None of the .* predicted conditions"):
        read_predictions(made, screen.data)
    with pytest.raises(InputError, match="looks like a control"):
        read_predictions(theirs(screen, split, as_gears), screen.data)
    with pytest.raises(InputError, match="found none"):
        evaluate(screen.data, split, {})
    with pytest.raises(InputError, match="additive is a baseline"):
        evaluate(screen.data, split, {"additive": model})


def test_our_own_predicted_cells_are_read_as_anyones(screen, split, model, tmp_path):
    cells = model.predict(list(split.test), n_cells=60)
    write_h5ad(cells, tmp_path / "cells.h5ad")
    found = read_predictions(tmp_path / "cells.h5ad", screen.data)
    found.fit(screen.data)
    condition = Condition.parse(split.test[0])
    drawn = found.cells(condition, "context1", np.zeros((40, 60), np.float32), rng=np.random.default_rng(0))
    assert drawn.shape == (40, 60)
    mine = {row.tobytes() for row in cells[cells.obs[keys.CONDITION] == str(condition)].X}
    assert all(row.tobytes() in mine for row in drawn)
