"""Scorers: each of our formulas against plain numpy, each package against a direct call, UCell against its formula."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy.sparse import csr_matrix
from scipy.stats import rankdata

from insignia.core.errors import GeneMatchError, InputError, MissingDependency, UnknownName
from insignia.genes.scorers import GeneSet, score_sets, scorers

CELLS, GENES = 40, 300
PACKAGES = {"ucell": "pyucell", "aucell": "decoupler", "ulm": "decoupler"}


def available(name):
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name], reason=f"{name} needs {PACKAGES[name]}: pip install 'insignia[scorers]'")
    return name


@pytest.fixture(scope="module")
def values():
    """log1p CP10k with an empty cell, an empty gene and a constant gene."""
    rng = np.random.default_rng(7)
    counts = rng.poisson(rng.gamma(0.5, 2.0, GENES), (CELLS, GENES)).astype(float)
    counts[3], counts[:, 5] = 0, 0
    logged = np.log1p(counts / np.maximum(counts.sum(1, keepdims=True), 1) * 1e4)
    return logged.astype(np.float32)


@pytest.fixture(scope="module")
def sets():
    signed = GeneSet("signed", np.array([2, 5, 9, 30, 101]), np.array([1.0, 0.5, 2.0, -1.0, -3.0]))
    plain = GeneSet("plain", np.arange(40, 60), np.ones(20))
    return [signed, plain]


def weighted(matrix, made, divisor):
    return sum(w * matrix[:, j] for j, w in zip(made.positions, made.weights, strict=True)) / divisor(made.weights)


def absolute(weights):
    return np.abs(weights).sum()


@pytest.mark.parametrize("name", ["attribution", "log_expression"])
def test_means_are_weighted_sums_over_absolute_weights(name, values, sets):
    expected = np.column_stack([weighted(values.astype(float), made, absolute) for made in sets])
    np.testing.assert_allclose(score_sets(name, values, sets), expected, rtol=1e-6, atol=1e-9)


def test_z_scores_combine_standardised_genes(values, sets):
    dense = values.astype(float)
    deviation = dense.std(axis=0, ddof=1)
    z = np.where(deviation > 0, (dense - dense.mean(0)) / np.where(deviation > 0, deviation, 1), 0)
    expected = np.column_stack([weighted(z, made, lambda w: np.sqrt((w**2).sum())) for made in sets])
    np.testing.assert_allclose(score_sets("z_score", csr_matrix(values), sets), expected, rtol=1e-5, atol=1e-6)


def test_constant_genes_do_not_count_in_z_scores():
    matrix = np.tile([3.0, 0.0, 0.1], (6, 1))
    matrix[:, 1] = np.arange(6)
    with_constant = score_sets("z_score", matrix, [GeneSet("s", np.array([0, 1, 2]), np.ones(3))])
    alone = score_sets("z_score", matrix, [GeneSet("s", np.array([1]), np.ones(1))])
    np.testing.assert_allclose(with_constant * np.sqrt(3), alone, rtol=1e-6, atol=1e-6)


def test_tf_idf_weighs_genes_by_how_few_cells_express_them(values, sets):
    dense = values.astype(float)
    present = (dense > 0).sum(0)
    rarity = np.log(1 + CELLS / np.where(present > 0, present, np.inf))
    expected = np.column_stack([weighted(dense * rarity, made, absolute) for made in sets])
    np.testing.assert_allclose(score_sets("tf_idf", values, sets), expected, rtol=1e-6, atol=1e-9)


def test_a_gene_that_marks_few_cells_outweighs_one_in_all():
    matrix = np.zeros((20, 2))
    matrix[:, 0], matrix[:2, 1] = 2.0, 2.0
    common, rare = (score_sets("tf_idf", matrix, [GeneSet("s", np.array([j]), np.ones(1))])[0, 0] for j in (0, 1))
    assert rare / common == pytest.approx(np.log(11) / np.log(2))


def nameless(values):
    names = pd.DataFrame(index=[f"g{j}" for j in range(values.shape[1])])
    return AnnData(csr_matrix(values), obs=pd.DataFrame(index=[f"c{i}" for i in range(len(values))]), var=names)


def test_score_genes_is_scanpys(values, sets):
    import scanpy as sc

    adata = nameless(values)
    sc.tl.score_genes(adata, ["g2", "g5", "g9"], score_name="up")
    sc.tl.score_genes(adata, ["g30", "g101"], score_name="down")
    sc.tl.score_genes(adata, [f"g{j}" for j in range(40, 60)], score_name="plain")
    expected = np.column_stack([adata.obs["up"] - adata.obs["down"], adata.obs["plain"]])
    np.testing.assert_allclose(score_sets("score_genes", values, sets), expected, rtol=1e-5, atol=1e-6)


def ucell_formula(row, up, down, max_rank):
    """U of Andreatta and Carmona 2021: 1 - (sum of ranks - n (n + 1) / 2) / (n max_rank), ranks cut at max_rank."""
    ranks = np.minimum(rankdata(-row, method="average"), max_rank)
    ranks[row == 0] = max_rank

    def side(genes):
        n = len(genes)
        least = n * (n + 1) / 2
        return 1 - (ranks[genes].sum() - least) / (n * max_rank - least) if n else 0.0

    return max(side(up) - side(down), 0.0)


def test_ucell_follows_its_published_formula(values, sets):
    available("ucell")
    found = score_sets("ucell", values, sets)
    expected = [[ucell_formula(row, made.up, made.down, GENES) for made in sets] for row in values]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_ucell_is_pyucells(values, sets):
    pyucell = pytest.importorskip("pyucell")
    adata = nameless(values)
    genes = {"signed": ["g2+", "g5+", "g9+", "g30-", "g101-"], "plain": [f"g{j}" for j in range(40, 60)]}
    pyucell.compute_ucell_scores(adata, genes, max_rank=GENES, n_jobs=1)
    expected = adata.obs[["signed_UCell", "plain_UCell"]]
    np.testing.assert_allclose(score_sets("ucell", values, sets), expected, rtol=1e-6)


def test_ulm_is_the_t_of_a_regression_on_the_weights(values, sets):
    available("ulm")
    found = score_sets("ulm", values, sets)
    for column, made in enumerate(sets):
        weights = np.zeros(GENES)
        weights[made.positions] = made.weights
        r = np.array([np.corrcoef(weights, row)[0, 1] if row.any() else 0.0 for row in values.astype(float)])
        expected = r * np.sqrt((GENES - 2) / (1 - r**2))
        np.testing.assert_allclose(found[:, column], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", ["aucell", "ulm"])
def test_decouplers_scores_are_its_own(method, values, sets):
    decoupler = pytest.importorskip("decoupler")
    adata = nameless(np.delete(values, 3, axis=0))
    net = pd.DataFrame({"source": "plain", "target": [f"g{j}" for j in range(40, 60)], "weight": 1.0})
    getattr(decoupler.mt, method)(adata, net, tmin=1, empty=False)
    found = score_sets(method, values, sets)
    np.testing.assert_allclose(np.delete(found[:, 1], 3), adata.obsm[f"score_{method}"]["plain"], rtol=1e-6)
    assert found[3, 1] == 0


@pytest.mark.parametrize("name", sorted(scorers))
def test_every_scorer_finds_the_cells_in_which_a_set_is_high(name):
    """Contract: one score a cell and set, finite, order kept, high where the set is up; a down gene turns it."""
    available(name)
    rng = np.random.default_rng(1)
    counts = rng.poisson(0.6, (60, GENES)).astype(float)
    counts[:30, :12] += rng.poisson(3.0, (30, 12))
    counts[0] = 0
    logged = np.log1p(counts / np.maximum(counts.sum(1, keepdims=True), 1) * 1e4)
    high = GeneSet("high", np.arange(12), np.ones(12))
    against = GeneSet("against", np.arange(24), np.repeat([-1.0, 1.0], 12))
    found = score_sets(name, csr_matrix(logged), [high, against])
    assert found.shape == (60, 2)
    assert np.isfinite(found).all()
    assert found[1:30, 0].min() > np.median(found[30:, 0])
    assert np.median(found[1:30, 1]) <= np.median(found[30:, 1])
    order = rng.permutation(60)
    shuffled = score_sets(name, csr_matrix(logged[order]), [high, against])
    if name not in {"score_genes"}:
        np.testing.assert_allclose(shuffled, found[order], rtol=1e-4, atol=1e-5)


def test_sets_and_matrices_that_cannot_be_scored_are_refused(values):
    with pytest.raises(UnknownName, match="Did you mean 'z_score'"):
        score_sets("zscore", values, [GeneSet("s", np.array([1]), np.ones(1))])
    with pytest.raises(InputError, match="outside the 300 genes"):
        score_sets("z_score", values, [GeneSet("s", np.array([300]), np.ones(1))])
    with pytest.raises(InputError, match="more than once"):
        GeneSet("s", np.array([1, 1]), np.ones(2))
    with pytest.raises(GeneMatchError, match="no gene with a finite weight"):
        GeneSet("s", np.array([1, 2]), np.zeros(2))
    with pytest.raises(InputError, match="one weight a gene"):
        GeneSet("s", np.array([1, 2]), np.ones(3))
    broken = values.copy()
    broken[0, 0] = np.nan
    with pytest.raises(InputError, match="1 values to score are not finite"):
        score_sets("z_score", broken, [GeneSet("s", np.array([1]), np.ones(1))])


def test_a_missing_package_is_named_with_its_extra(monkeypatch, values):
    import builtins
    import sys

    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "pyucell":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setitem(sys.modules, "pyucell", None)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependency, match=r"UCell needs the package 'pyucell'.*insignia\[scorers\]"):
        score_sets("ucell", values, [GeneSet("s", np.array([1]), np.ones(1))])
