"""Training on a user's own cells: it learns, it repeats, and it refuses what cannot work."""

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData

from insignia import models
from insignia.core.errors import InputError, MissingMetadata, ModelFormatError
from insignia.data import Expression, simulate_planted
from insignia.models.objectives import supervised_contrastive, triplet

SMALL = {"hidden": (32, 32), "latent": 16, "show_progress": False}


@pytest.fixture(scope="module")
def planted():
    return simulate_planted(n_cells=500, n_genes=200, rng=3).adata


def neighbour_purity(encoder, adata):
    """Share of cells whose nearest other cell is of their type."""
    embedding = encoder.embed(Expression.from_adata(adata).block(0, adata.n_obs).aligned(_alignment(encoder, adata)))
    embedding = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    similarity = embedding @ embedding.T
    np.fill_diagonal(similarity, -2)
    types = adata.obs["cell_type"].to_numpy()
    return (types[similarity.argmax(1)] == types).mean()


def _alignment(encoder, adata):
    from insignia.genes import GeneAlignment

    return GeneAlignment(Expression.from_adata(adata).genes, encoder.genes)


@pytest.mark.parametrize(
    ("how", "least"),
    [
        ({"labels": "cell_type"}, 0.9),
        ({"labels": "cell_type", "loss": "triplet"}, 0.9),
        ({}, 0.6),
        ({"labels": "cell_type", "standardise": True}, 0.9),
    ],
)
def test_it_learns_the_planted_types(planted, how, least):
    """By chance an eighth of the cells have a neighbour of their type."""
    encoder = models.train(planted[:400].copy(), **how, **SMALL, options=models.TrainOptions(epochs=15))
    assert neighbour_purity(encoder, planted[400:].copy()) > least


def test_shuffled_labels_teach_nothing(planted):
    shuffled = planted[:400].copy()
    shuffled.obs["cell_type"] = np.random.default_rng(0).permutation(shuffled.obs["cell_type"].to_numpy())
    held_out = planted[400:].copy()
    held_out.obs["cell_type"] = np.random.default_rng(1).permutation(held_out.obs["cell_type"].to_numpy())
    encoder = models.train(shuffled, labels="cell_type", **SMALL, options=models.TrainOptions(epochs=5))
    assert neighbour_purity(encoder, held_out) < 0.35


def test_equal_seeds_give_equal_models_and_leave_the_global_state_alone(planted):
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    options = models.TrainOptions(epochs=2)
    first, second, other = (
        models.train(planted, labels="cell_type", **SMALL, options=options, rng=seed) for seed in (0, 0, 1)
    )
    assert torch.equal(torch.rand(2), expected)
    assert first.fingerprint == second.fingerprint != other.fingerprint


def test_early_stopping_can_hold_out_whole_donors(planted):
    from insignia.models.train import _split

    donors = pd.DataFrame({"donor": np.repeat([f"d{i}" for i in range(10)], 50)})
    train_rows, held = _split(donors, "donor", np.random.default_rng(0))
    assert set(donors.donor[train_rows]).isdisjoint(donors.donor[held])
    assert len(held) == 50


def test_what_cannot_be_learned_from_is_refused_and_nothing_is_written(planted, tmp_path):
    def refuse(adata, error, message, **options):
        with pytest.raises(error, match=message):
            models.train(adata, output=tmp_path / "model", **SMALL, **options)
        assert list(tmp_path.iterdir()) == []

    refuse(planted, MissingMetadata, "obs has no column 'type'", labels="type")
    refuse(planted[:10].copy(), InputError, "at least 20 cells")
    one = planted[planted.obs["cell_type"] == planted.obs["cell_type"].iloc[0]].copy()
    refuse(one, InputError, "at least two cell types", labels="cell_type")
    refuse(planted, MissingMetadata, "obs has no column 'donor'", hold_out_by="donor")


def test_a_model_is_never_overwritten(planted, tmp_path):
    (tmp_path / "precious").write_text("x")
    with pytest.raises(InputError, match="never overwritten"):
        models.train(planted, output=tmp_path, **SMALL)


def test_losses_equal_slow_loops():
    generator = torch.Generator().manual_seed(0)
    embedding = torch.nn.functional.normalize(torch.randn(9, 4, generator=generator), dim=1)
    labels = torch.tensor([0, 0, 1, 1, 1, 2, 2, 3, 0])
    violations = []
    for a in range(9):
        for p in range(9):
            for n in range(9):
                if a != p and labels[a] == labels[p] != labels[n]:
                    loss = (embedding[a] @ embedding[n] - embedding[a] @ embedding[p] + 0.2).item()
                    violations += [loss] if loss > 0 else []
    assert triplet(embedding, labels, margin=0.2).item() == pytest.approx(np.mean(violations), rel=1e-5)
    per_anchor = []
    for a in range(9):
        others = [b for b in range(9) if b != a]
        total = sum(np.exp((embedding[a] @ embedding[b]).item() / 0.1) for b in others)
        positives = [b for b in others if labels[b] == labels[a]]
        if positives:
            logs = [np.log(np.exp((embedding[a] @ embedding[p]).item() / 0.1) / total) for p in positives]
            per_anchor.append(-np.mean(logs))
    found = supervised_contrastive(embedding, labels, temperature=0.1).item()
    assert found == pytest.approx(np.mean(per_anchor), rel=1e-4)


def test_pca_is_the_projection_on_the_components_and_survives_a_round_trip(planted, tmp_path):
    from sklearn.decomposition import PCA

    encoder = models.fit_pca(planted, n_components=5, output=tmp_path / "pca")
    counts = planted.X.toarray()
    logged = np.log1p(counts / counts.sum(1, keepdims=True) * 1e4)
    expected = PCA(5, svd_solver="full").fit_transform(logged)
    found = encoder.embed(Expression.from_adata(planted).block(0, planted.n_obs))
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=2e-2)
    again = models.load(tmp_path / "pca")
    assert again.fingerprint == encoder.fingerprint
    (tmp_path / "pca" / "pca.safetensors").write_bytes(b"garbage")
    with pytest.raises(ModelFormatError, match="not a readable safetensors"):
        models.load(tmp_path / "pca")
    with pytest.raises(InputError, match="n_components must lie between"):
        models.fit_pca(planted, n_components=1000)


def test_genes_that_share_a_symbol_are_learned_as_one():
    rng = np.random.default_rng(0)
    adata = AnnData(rng.poisson(2.0, size=(40, 6)).astype(np.float32))
    adata.obs_names = [f"c{i}" for i in range(40)]
    adata.var_names = [f"ENSG{i:011d}" for i in range(6)]
    adata.var["gene_name"] = ["CD3D", "CD79A", "NKG7", "LYZ", "CD3D", "GNLY"]
    encoder = models.train(adata, **SMALL, options=models.TrainOptions(epochs=1))
    assert list(encoder.genes.labels) == ["CD3D", "CD79A", "NKG7", "LYZ", "GNLY"]
