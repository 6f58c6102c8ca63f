"""The harness on real screens: what shared controls flatter, what an embedding tells, and that no change may win."""

import numpy as np
import pytest

from insignia.data import Split, read_screen
from insignia.data.gene_priors import GenePriors
from insignia.data.perturbation_splits import single_folds
from insignia.perturb import Scoreboard, benchmark, from_gene_sets, predictors, read_gene_sets
from insignia.perturb.effects import group_effects

STRONG = ("IFNGR1", "IFNGR2", "JAK2", "IRF1", "STAT2")
PAIRS = ("KLF1+MAP2K6", "MAP2K3+SLC38A2", "MAPK1+TGFBR2")


@pytest.fixture(scope="module")
def norman(real_data):
    path = real_data("perturb/norman19_mcfaline23_perturbench_dev.h5ad")
    return read_screen(path, control="control", where={"dataset": "norman19"})


@pytest.fixture(scope="module")
def priors(real_data):
    names = ("c2.cp.reactome.v7.5.1.symbols", "enrichr.GO_Biological_Process_2021", "h.all.v7.0.symbols")
    return GenePriors(from_gene_sets(read_gene_sets(*(real_data(f"genesets/{name}.gmt") for name in names))))


def test_shared_controls_flatter_the_additive_answer_and_the_default_shares_none(norman):
    effects = group_effects(norman)
    by_text = {str(condition): condition for condition in norman.conditions}
    shared = {}
    for pair in PAIRS:
        sums = sum(effects.of(one, "k562") for one in by_text[pair].singles)
        shared[pair] = np.corrcoef(sums, effects.of(by_text[pair], "k562"))[0, 1]
    np.testing.assert_allclose(list(shared.values()), [0.98, 0.71, 0.95], atol=0.01)
    train = tuple(str(one) for one in norman.conditions if len(one.genes) == 1)
    split = Split("pairs", train, PAIRS)
    boards = [benchmark(norman, split, methods=(), seeds=(seed,), show_progress=False) for seed in range(8)]
    rows = boards[0].join(boards).rows.query("method == 'additive'").groupby("condition")["pearson_delta"].mean()
    assert shared["MAP2K3+SLC38A2"] - rows["MAP2K3+SLC38A2"] >= 0.3
    assert rows["KLF1+MAP2K6"] > 0.85
    none = boards[0].rows.query("method == 'control' and role == 'baseline'")
    assert none["pearson_delta"].isna().all()


def test_papalexi_from_one_replicate_to_the_other(real_data, priors):
    """An embedding of gene sets tells of strong targets beyond its shuffles; over all of them no change is best."""
    path = real_data("perturb/papalexi2021_dev.h5ad")
    data = read_screen(path, control="non-targeting", perturbation="target", batch="bio_rep", scale="median")
    first, second = (data.take(np.flatnonzero(data.replicate == place)) for place in (0, 1))
    ridge = {"ridge": predictors["ridge_embedding"]()}
    boards = [
        benchmark(
            second, fold, methods=ridge, priors=priors, seeds=(0,), shuffled=20, learn_from=first, show_progress=False
        )
        for fold in single_folds(data, 10, rng=0)
    ]
    board = Scoreboard.join(boards)
    rows = board.rows.assign(is_strong=board.rows["condition"].isin(STRONG))
    strong = rows[rows["is_strong"]]
    of = strong.groupby(["role", "method"])["pearson_delta"].mean()
    assert of["ceiling", "the other measurement"] > 0.75
    shuffled = strong[strong["role"] == "control"].groupby("seed")["pearson_delta"].mean()
    assert len(shuffled) == 20
    assert of["method", "ridge"] > np.quantile(shuffled, 0.95)
    # most knock-outs do nothing that can be measured, and the last line says so
    assert "the baseline control" in str(board).splitlines()[-1]
