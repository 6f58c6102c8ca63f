"""The small planted data set has the measured shares of its set-up, so that comparisons on it mean something."""

import numpy as np
import pytest

from insignia.core.errors import InputError
from insignia.data import detect_space, simulate_planted


def shares(planted):
    """Mean share of a cell's log1p CP10k on its own type's markers, on another type's, and on housekeeping genes."""
    dense = planted.adata.X.toarray()
    logged = np.log1p(dense / dense.sum(axis=1, keepdims=True) * 1e4)
    logged /= logged.sum(axis=1, keepdims=True)
    names = planted.adata.var_names
    types = planted.adata.obs["cell_type"].to_numpy().astype(str)
    of_type = {label: logged[:, names.get_indexer(genes)].sum(axis=1) for label, genes in planted.markers.items()}
    own = np.array([of_type[label][cell] for cell, label in enumerate(types)])
    labels = sorted(of_type)
    other = np.array([of_type[labels[labels.index(label) - 1]][cell] for cell, label in enumerate(types)])
    return own.mean(), other.mean(), logged[:, names.get_indexer(planted.housekeeping)].sum(axis=1).mean()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shares_of_markers_and_housekeeping(seed):
    own, other, housekeeping = shares(simulate_planted(n_cells=1500, rng=seed))
    assert own == pytest.approx(0.066, abs=0.006)
    assert housekeeping == pytest.approx(0.184, abs=0.012)
    assert other < 0.01


def test_set_up():
    planted = simulate_planted()
    adata = planted.adata
    assert adata.shape == (4000, 600)
    assert adata.X.format == "csr"
    assert adata.X.dtype == np.float32
    assert detect_space(adata.X) == "counts"
    assert len(planted.markers) == adata.obs["cell_type"].nunique() == 8
    assert {len(genes) for genes in planted.markers.values()} == {10}
    assert len(planted.housekeeping) == 20
    planned = [gene for genes in planted.markers.values() for gene in genes] + list(planted.housekeeping)
    assert len(set(planned)) == len(planned) == len(adata.var_names.intersection(planned))
    assert adata.obs_names.is_unique
    depth = np.log(np.asarray(adata.X.sum(axis=1)).ravel())
    assert np.median(depth) == pytest.approx(7.2, abs=0.05)
    assert depth.std() == pytest.approx(0.4, abs=0.04)


def test_seed_decides():
    first, again, other = (simulate_planted(n_cells=100, rng=seed).adata.X for seed in (3, 3, 4))
    assert (first != again).nnz == 0
    assert (first != other).nnz > 0
    generator = simulate_planted(n_cells=100, rng=np.random.default_rng(3)).adata.X
    assert (first != generator).nnz == 0


def test_counts_are_overdispersed_as_said():
    planted = simulate_planted(n_cells=4000, n_types=1, rng=0)
    gene = planted.adata[:, planted.housekeeping[0]].X.toarray().ravel()
    depth = np.asarray(planted.adata.X.sum(axis=1)).ravel()
    share = gene / depth
    expected = 1 / 5 + np.mean(1 / (share.mean() * depth))
    assert share.var() / share.mean() ** 2 == pytest.approx(expected, rel=0.2)


def test_too_few_genes():
    with pytest.raises(InputError, match="80 markers and 20 housekeeping genes need more than n_genes=50"):
        simulate_planted(n_genes=50)
