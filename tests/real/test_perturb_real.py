"""Screens as they were measured: what shared controls do, and what a replicate and gene sets tell of unseen genes."""

import numpy as np
import pytest

from insignia.data import Condition, GeneEmbedding, GenePriors, Split, read_screen
from insignia.data.perturbation_splits import single_folds
from insignia.perturb import Scoreboard, benchmark, match_priors, predictors, read_priors
from insignia.perturb.effects import group_effects
from insignia.perturb.evaluation import BASELINES

PAIRS = [Condition.of(pair) for pair in (("KLF1", "MAP2K6"), ("MAP2K3", "SLC38A2"), ("MAPK1", "TGFBR2"))]
STRONG = [Condition.of([gene]) for gene in ("IFNGR1", "IFNGR2", "JAK2", "IRF1", "STAT2")]
EVERYWHERE = "all cells"


@pytest.fixture(scope="module")
def norman(real_data):
    path = real_data("perturb/norman19_mcfaline23_perturbench_dev.h5ad")
    return read_screen(path, control="control", where={"dataset": "norman19"})


@pytest.fixture(scope="module")
def replicates(real_data):
    whole = read_screen(real_data("perturb/papalexi2021_dev.h5ad"), control="non-targeting", batch="bio_rep", scale=180)
    return [whole.take(np.flatnonzero(whole.replicate == number)) for number in (0, 1)]


@pytest.fixture(scope="module")
def priors(real_data, replicates):
    names = ("c2.cp.reactome.v7.5.1.symbols", "enrichr.GO_Biological_Process_2021", "h.all.v7.0.symbols")
    read = read_priors(gene_sets=[real_data(f"genesets/{name}.gmt") for name in names])
    return match_priors(read, replicates[0]).priors


def correlation(first, second):
    return np.corrcoef(first, second)[0, 1]


def test_with_shared_controls_the_sum_of_singles_looks_right(norman):
    effects = group_effects(norman)
    found = [
        correlation(effects.of(pair, "k562"), sum(effects.of(one, "k562") for one in pair.singles)) for pair in PAIRS
    ]
    np.testing.assert_allclose(found, [0.981, 0.708, 0.946], atol=0.01)


def test_with_controls_of_their_own_the_weak_pair_falls_and_that_is_the_default(norman):
    split = Split("pairs", ("KLF1",), tuple(map(str, PAIRS)))
    found = []
    for seed in range(8):
        board = benchmark(norman, split, methods=(), seeds=(seed,), shuffled=0, show_progress=False)
        assert any("half of the controls are kept aside" in note for note in board.notes)
        rows = board.rows.query("method == 'additive' and role == 'baseline'").set_index("condition")
        found.append(rows["pearson_delta"])
    weak = np.mean([one["MAP2K3+SLC38A2"] for one in found])
    assert weak < 0.708 - 0.3
    assert np.mean([one["KLF1+MAP2K6"] for one in found]) > 0.8
    assert set(board.rows.query("role == 'baseline' and status != 'none'")["method"]) == {
        name for name in BASELINES if not predictors[name].needs_embedding
    }
    assert {"half against half", "half, shrunk to the mean"} == set(board.rows.query("role == 'ceiling'")["method"])
    no_change = board.rows.query("method == 'control' and role == 'baseline'")
    assert no_change["pearson_delta"].isna().all()
    assert no_change["l2"].notna().all()


def test_a_second_replicate_agrees_on_strong_targets(replicates):
    first, second = (group_effects(one) for one in replicates)
    agreement = [correlation(first.of(one, EVERYWHERE), second.of(one, EVERYWHERE)) for one in STRONG]
    assert np.mean(agreement) > 0.75
    assert min(agreement) > 0.5


def test_gene_sets_tell_of_strong_targets_that_were_left_out(replicates, priors):
    train, second = replicates[0], group_effects(replicates[1])
    genes = sorted({gene for one in train.conditions for gene in one.genes})
    vectors, known = priors.embedding.rows(genes)
    assert known.all()

    def agreement(matrix):
        given = GenePriors(embedding=GeneEmbedding(tuple(genes), matrix))
        fitted = [predictors["ridge_embedding"]().fit(train.without([one]), priors=given) for one in STRONG]
        return np.mean(
            [
                correlation(model.effect(one, EVERYWHERE).delta, second.of(one, EVERYWHERE))
                for model, one in zip(fitted, STRONG, strict=True)
            ]
        )

    rng = np.random.default_rng(0)
    shuffled = [agreement(vectors[rng.permutation(len(genes))]) for _ in range(50)]
    assert agreement(vectors) > np.percentile(shuffled, 95)


def test_over_all_targets_no_change_is_the_nearest_answer(replicates, priors):
    whole, ridge = replicates[1], {"ridge": predictors["ridge_embedding"]()}
    boards = [
        benchmark(
            whole, fold, methods=ridge, priors=priors, learn_from=replicates[0], seeds=(0,), shuffled=0,
            show_progress=False,
        )
        for fold in single_folds(whole, 20, rng=0)
    ]  # fmt: skip
    board = Scoreboard.join(boards)
    assert "the baseline control" in str(board).splitlines()[-1]
    table = board.summary(["l2"]).loc["unseen single"].loc["baseline"]["l2"]
    answered = table.dropna()
    assert answered.idxmin() == "control", answered.round(3).to_dict()
    assert answered["control"] == pytest.approx(0.908, abs=0.02)
    assert answered["perturbed_mean"] == pytest.approx(0.952, abs=0.03)
