"""What the flow owes on simulated screens whose truth is known, over three screens with a training each."""

import numpy as np
import pandas as pd
import pytest

from insignia.data import Condition, GeneEmbedding, GenePriors, simulate_screen
from insignia.data.perturbation_splits import combo_split
from insignia.perturb import predictors
from insignia.perturb.evaluation.job import prepare

pytestmark = pytest.mark.full

SIZE = {"n_genes": 128, "n_programs": 10, "n_perturbations": 32, "n_doubles": 40, "cells_per_condition": 60}
FLOW = {"n_latent": 24, "width": 128, "epochs": 8, "n_folds": 3}
PLAIN = ("perturbed_mean", "additive", "ridge_onehot", "ridge_embedding")


def shuffled(embedding, seed):
    order = np.random.default_rng(seed).permutation(len(embedding.genes))
    return GeneEmbedding(embedding.genes, embedding.matrix[order])


def scored(seed):
    """Figures of the flow, of the flow with a shuffled embedding and of plain predictors; and both flows."""
    screen = simulate_screen(rng=seed, n_controls=500, **SIZE)
    split = combo_split(screen.data, rng=seed)
    job = prepare(screen.data, split, learn_from=screen.replicate, seed=seed)
    made = {name: predictors[name]() for name in PLAIN}
    flows = {name: predictors["flow"](**FLOW) for name in ("flow", "shuffled")}
    rows = []
    for name, predictor in (made | flows).items():
        priors = GenePriors(shuffled(screen.priors.embedding, seed)) if name == "shuffled" else screen.priors
        predictor.fit(job.train, priors=priors, seed=seed, show_progress=False)
        rows += job.score(predictor, role="method", label=name, seed=seed)
    return pd.DataFrame(rows), flows


@pytest.fixture(scope="module")
def runs():
    return [scored(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def table(runs):
    """Mean over the conditions of all three screens, by stratum and method."""
    rows = pd.concat([rows for rows, _ in runs])
    return rows.groupby(["stratum", "method"]).mean(numeric_only=True)


def test_unseen_genes_are_nearer_than_the_mean_of_all_perturbations(table):
    """Ridge regression needs the default training to be beaten, which `benchmarks.perturb` measures."""
    of = table.loc["unseen single", "l2"]
    assert of["flow"] < 0.92 * of["perturbed_mean"]


def test_pairs_of_seen_genes_are_nearer_than_their_sum_in_mean_and_in_shape(table):
    of = table.loc["seen 2 of 2"]
    assert of.loc["flow", "pearson_delta"] > 0.93
    assert of.loc["flow", "l2"] < 0.9 * of.loc["additive", "l2"]
    assert of.loc["flow", "edistance"] < 0.9 * of.loc["additive", "edistance"]
    assert of.loc["flow", "wasserstein_effect"] < 1.05 * of.loc["ridge_onehot", "wasserstein_effect"]


def test_a_useless_embedding_leaves_the_mean_and_a_useful_one_is_used(table, runs):
    of = table.loc["unseen single", "l2"]
    assert of["shuffled"] == pytest.approx(of["perturbed_mean"], rel=0.05)
    weights = {name: np.mean([flows[name].trust.flow_unseen for _, flows in runs]) for name in ("flow", "shuffled")}
    assert weights["shuffled"] < 0.15
    assert weights["flow"] > 0.25


def test_cells_keep_their_spread(table):
    assert 0.65 < table.loc[("seen 2 of 2", "flow"), "variance_ratio"] < 1.3


def test_perturbations_that_do_nothing_are_predicted_to_do_little():
    """Nothing was planted in a third of the genes; a second draw of the same cells says how large noise alone is."""
    screen = simulate_screen(rng=0, n_controls=500, zero_effect=0.34, **SIZE)
    still = ~np.abs(screen.truth.single).any(axis=1)
    idle = [Condition.of([name]) for name, is_still in zip(screen.truth.targets, still, strict=True) if is_still]
    assert len(idle) >= 8
    flow = predictors["flow"](**FLOW).fit(screen.data, priors=screen.priors, show_progress=False)
    data = screen.replicate
    noise = [data.mean(data.rows(one, "context1")) - data.mean(data.controls("context1")) for one in idle]
    found = [flow.effect(one, "context1").delta for one in idle]
    assert np.mean(np.linalg.norm(found, axis=1)) < 2 * np.mean(np.linalg.norm(noise, axis=1))
