"""The harness: what it takes away, what stands in every table, and what its figures are."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from insignia.core.errors import InputError
from insignia.data import Split, simulate_screen
from insignia.data.condition import Condition
from insignia.data.gene_priors import GeneEmbedding, GenePriors
from insignia.data.perturbation_splits import combo_split, unseen_context_split
from insignia.perturb import Effect, Predictor, fit, predictors, view_predictions
from insignia.perturb.effects import group_effects
from insignia.perturb.evaluation import BASELINES, METRICS, Scoreboard, benchmark
from insignia.perturb.evaluation.yardstick import divide_controls


@pytest.fixture(scope="module")
def screen():
    return simulate_screen(
        n_genes=60, n_programs=6, n_perturbations=12, n_doubles=20, n_controls=120, cells_per_condition=30, rng=0
    )


@pytest.fixture(scope="module")
def split(screen):
    return combo_split(screen.data, share_genes=0.25, rng=0)


class Peeking(Predictor):
    """Keeps what it was given, so that tests can look at what a predictor sees."""

    def fit(self, data, *, priors=None, seed=0, show_progress=None):
        self.data, self.effects = data, group_effects(data)
        return self

    def effect(self, condition, context):
        return Effect(np.zeros(len(self.data.genes)))


class Knowing(Peeking):
    """Is told the truth, for a best possible score."""

    def __init__(self, truth):
        self.truth = group_effects(truth)

    def effect(self, condition, context):
        return Effect(self.truth.of(condition, context))


def board(screen, split, **options):
    return benchmark(screen.data, split, priors=screen.priors, seeds=(0,), show_progress=False, **options)


def test_predictors_never_see_test_cells_or_reference_controls(screen, split):
    spy = Peeking()
    found = board(screen, split, methods={"spy": spy}, shuffled=False)
    seen = {str(condition) for condition in spy.data.conditions}
    assert not seen & set(split.test)
    assert len(spy.data.controls("context1")) == 60
    assert "half of the controls" in found.notes[0]


def test_changing_test_cells_changes_no_prediction(screen, split):
    """Stronger than looking at what is handed over: not one bit of a fitted predictor may depend on test cells."""
    poisoned = screen.data.expression.tolil(copy=True)
    test = [one for one in screen.data.conditions if str(one) in split.test]
    rows = np.concatenate([screen.data.rows(one, "context1") for one in test])
    poisoned[rows] = np.random.default_rng(0).uniform(0, 5, (len(rows), 60))
    other = replace(screen.data, expression=csr_matrix(poisoned, dtype=np.float32))
    spies = Peeking(), Peeking()
    for spy, data in zip(spies, (screen.data, other), strict=True):
        benchmark(data, split, methods={"spy": spy}, priors=screen.priors, seeds=(0,), shuffled=False)
    assert (spies[0].data.expression != spies[1].data.expression).nnz == 0
    np.testing.assert_array_equal(spies[0].effects.delta, spies[1].effects.delta)


def test_all_baselines_and_the_ceiling_stand_in_every_table(screen, split):
    found = board(screen, split, methods=())
    assert set(found.rows.query("role == 'baseline'")["method"]) == set(BASELINES)
    assert "half against half" in set(found.rows["method"])
    assert set(found.summary().index.get_level_values("stratum")) >= {"unseen single", "seen 2 of 2"}


def test_a_table_without_baselines_cannot_be_made(screen, split):
    rows = board(screen, split, methods=()).rows
    with pytest.raises(InputError, match="without a baseline"):
        Scoreboard(rows[rows["role"] != "baseline"])


def test_the_truth_wins_and_the_verdict_says_so(screen, split):
    found = board(screen, split, methods={"truth": Knowing(screen.replicate), "nothing": Peeking()}, shuffled=False)
    unseen = [line for line in found.verdicts() if line.startswith("seen 1 of 2")]
    assert any("truth is better" in line for line in unseen)
    assert any("nothing is no better" in line for line in unseen)
    table = found.summary()
    assert table.loc[("seen 2 of 2", "method", "truth"), "pds_l1"] > 0.95


def test_no_change_has_no_correlation_and_no_rank(screen, split):
    rows = board(screen, split, methods=()).rows.query("method == 'control'")
    assert rows[["pearson_delta", "direction", "pds_l1"]].isna().all(axis=None)
    assert rows["l2"].notna().all()


def test_a_predictor_without_an_answer_is_not_scored(screen, split):
    rows = board(screen, split, methods=()).rows.query("method == 'additive' and stratum == 'unseen single'")
    assert set(rows["status"]) == {"none"}
    assert rows["l2"].isna().all()


def test_an_embedding_is_shuffled_for_the_control(screen, split):
    found = board(screen, split, methods={"ridge": predictors["ridge_embedding"]()})
    table = found.summary(["l2"]).loc["unseen single"]
    assert table.loc[("control", "ridge, shuffled embedding"), "l2"] > table.loc[("method", "ridge"), "l2"]


def test_controls_are_divided_only_where_they_are_few(screen):
    rest, reference, divided = divide_controls(screen.data, rng=np.random.default_rng(0))
    assert divided == ("context1",)
    assert reference["context1"].shape[0] == 60
    kept = {tuple(row) for row in rest.expression[rest.controls("context1")].toarray()}
    assert not kept & {tuple(row) for row in reference["context1"].toarray()}


def test_shared_controls_flatter_and_divided_ones_do_not():
    """Planted: perturbations that do nothing; the shared noise of few controls looks like a right prediction."""
    screen = simulate_screen(
        n_genes=100, n_programs=6, n_perturbations=8, n_doubles=4, zero_effect=1.0, n_controls=20,
        cells_per_condition=200, rng=3,
    )  # fmt: skip
    pairs = screen.truth.doubles
    effects = group_effects(screen.data)
    flattered = [
        np.corrcoef(effects.of(pair, "context1"), sum(effects.of(one, "context1") for one in pair.singles))[0, 1]
        for pair in pairs
    ]
    found = benchmark(screen.data, Split("pairs", ("PERT001",), tuple(map(str, pairs))), methods=(), seeds=(0,))
    honest = found.rows.query("method == 'additive'")["pearson_delta"]
    assert np.mean(flattered) > 0.7
    assert honest.mean() < 0.3


def test_files_hold_what_the_table_says(screen, split, tmp_path):
    found = board(screen, split, methods=())
    names = [path.name for path in found.write(tmp_path / "out")]
    assert names == ["predictions.csv", "scoreboard.csv", "differences.csv", "scoreboard.json", "scoreboard.md"]
    assert found.record()["about"]["split_hash"] == split.fingerprint
    json.loads((tmp_path / "out" / "scoreboard.json").read_text())
    written = pd.read_csv(tmp_path / "out" / "scoreboard.csv").set_index(["stratum", "role", "method"])
    assert set(METRICS) <= set(written.columns)
    np.testing.assert_allclose(written["l2"], found.summary()["l2"].reindex(written.index))
    page = (tmp_path / "out" / "scoreboard.md").read_text()
    assert "## seen 2 of 2" in page
    assert page.rstrip().splitlines()[-1] == found.winner()


def test_the_last_line_says_who_wins_even_if_it_is_a_baseline(screen, split):
    truth = {"truth": Knowing(screen.replicate), "nothing": Peeking()}
    last = str(board(screen, split, methods=truth, shuffled=0)).splitlines()[-1]
    assert "seen 1 of 2: truth" in last
    last = str(board(screen, split, methods={"nothing": Peeking()}, shuffled=0)).splitlines()[-1]
    assert last.startswith("Who wins by l2:")
    assert "seen 2 of 2: the baseline ridge_onehot" in last
    assert "against nothing" in last


def test_a_replicate_to_learn_from_has_its_own_controls_and_is_the_ceiling(screen, split):
    spy = Peeking()
    found = board(screen, split, methods={"spy": spy}, shuffled=0, learn_from=screen.replicate)
    assert len(spy.data.controls("context1")) == 120
    mine = {tuple(row) for row in screen.replicate.expression.toarray()}
    assert all(tuple(row) in mine for row in spy.data.expression[:50].toarray())
    assert not {str(one) for one in spy.data.conditions} & set(split.test)
    table = found.summary()
    for stratum in ("unseen single", "seen 2 of 2"):
        of = table.loc[stratum]["l2"]
        # another full measurement is less noisy than half of one
        assert of["ceiling", "the other measurement"] < of["ceiling", "half against half"]
        assert of["ceiling", "the other measurement"] < of["baseline"].min()
    other = replace(screen.replicate, genes=tuple(reversed(screen.data.genes)))
    with pytest.raises(InputError, match="need the same genes in the same order"):
        board(screen, split, methods=(), learn_from=other)


def test_the_ceiling_and_the_mean_are_the_ends_of_the_dynamic_range(screen, split):
    truth = {"truth": Knowing(screen.replicate), "mean": predictors["perturbed_mean"]()}
    found = board(screen, split, methods=truth, shuffled=0, learn_from=screen.replicate)
    table = found.dynamic_range("l2")["fraction"]
    assert table["seen 2 of 2", "baseline", "perturbed_mean"] == 0
    assert table["seen 2 of 2", "method", "mean"] == pytest.approx(0, abs=1e-9)
    assert table["seen 2 of 2", "method", "truth"] == pytest.approx(1, abs=0.1)
    assert "ceiling" not in table.index.get_level_values("role")


def test_strata_are_never_mixed(screen, split):
    rows = board(screen, split, methods=()).rows
    spoilt = rows.assign(l2=rows["l2"].where(rows["stratum"] != "unseen single", 1e6))
    before, after = Scoreboard(rows).summary(["l2"]), Scoreboard(spoilt).summary(["l2"])
    for stratum in ("seen 1 of 2", "seen 2 of 2"):
        pd.testing.assert_frame_equal(before.loc[stratum], after.loc[stratum])


def test_genes_without_an_embedding_are_flagged_and_break_nothing(screen, split):
    embedding = screen.priors.embedding
    unseen = [Condition.parse(unit).genes[0] for unit in split.test if "+" not in unit]
    kept = [i for i, gene in enumerate(embedding.genes) if gene != unseen[0]]
    fewer = GeneEmbedding(tuple(embedding.genes[i] for i in kept), embedding.matrix[kept], "fewer")
    found = benchmark(
        screen.data, split, priors=GenePriors(embedding=fewer), seeds=(0,),
        methods={"strict": predictors["ridge_embedding"]()}, shuffled=0, show_progress=False,
    )  # fmt: skip
    rows = found.rows.set_index(["method", "condition"])
    assert rows.loc[("ridge_embedding", unseen[0]), "status"] == "fallback"
    assert rows.loc[("strict", unseen[0]), "status"] == "none"
    assert unseen[0] in rows.loc[("strict", unseen[0]), "note"]
    assert found.about["perturbed_genes_with_embedding"] == "11 of 12"


def test_shuffled_controls_are_as_many_as_asked_for(screen, split):
    found = board(screen, split, methods={"ridge": predictors["ridge_embedding"]()}, shuffled=3)
    control = found.rows.query("role == 'control' and stratum == 'unseen single'")
    assert control["seed"].nunique() == 3
    assert control.groupby("seed")["l2"].mean().nunique() == 3


def test_an_unseen_context_is_a_stratum_of_its_own():
    screen = simulate_screen(
        n_genes=40, n_programs=6, n_perturbations=6, n_doubles=4, n_controls=40, cells_per_condition=10, n_contexts=2,
        rng=0,
    )  # fmt: skip
    spy = Peeking()
    split = unseen_context_split(screen.data, "context2")
    found = benchmark(screen.data, split, methods={"spy": spy}, priors=screen.priors, seeds=(0,), shuffled=0)
    assert {where for one, where in spy.data.groups if not one.is_control} == {"context1"}
    assert len(spy.data.controls("context2"))
    assert set(found.rows["stratum"]) == {"unseen context, seen single", "unseen context, seen 2 of 2"}
    assert set(found.rows["context"]) == {"context2"}
    additive = found.rows.query("method == 'additive' and role == 'baseline'")
    assert set(additive["status"]) == {"ok"}
    assert additive["l2"].notna().all()


def test_a_fitted_model_is_viewed_as_its_predictor_is(screen, split):
    """What `fit` returns can be given as it is; `benchmark` leaves predictors, which can be given too."""
    model = fit(screen.data, split, method="ridge_embedding", priors=screen.priors)
    names = [name for name in split.test if "+" not in name][:2]
    whole, inner = (view_predictions(screen.data, split, {"ridge": one}, names) for one in (model, model.predictor))
    pd.testing.assert_frame_equal(whole.effects, inner.effects)
    pd.testing.assert_frame_equal(whole.cells, inner.cells)
    assert set(whole.effects["condition"]) == set(names)


def test_a_model_that_learned_from_what_is_viewed_is_refused(screen, split):
    model = fit(screen.data, method="ridge_embedding", priors=screen.priors)
    with pytest.raises(InputError, match=r"learned from .* groups of the test side"):
        view_predictions(screen.data, split, {"ridge": model}, [split.test[0]])
