"""SCimilarity directories: read like an independent forward pass, written so that they read back."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from scipy.sparse import csr_matrix

from insignia import models
from insignia.core.errors import DuplicateNames, ModelFormatError, UnsafeCheckpoint
from insignia.data import Cells


def counts(n_cells=5, n_genes=40, seed=0):
    matrix = np.random.default_rng(seed).poisson(1.0, size=(n_cells, n_genes)).astype(np.float32)
    return Cells(csr_matrix(matrix), "counts", pd.DataFrame(index=[str(i) for i in range(n_cells)]))


def independent_embedding(matrix, state, n_hidden):
    """The published forward pass in numpy, with unfolded batch norms."""
    x = np.log1p(matrix / matrix.sum(1, keepdims=True) * 1e4)
    s = {key: value.double().numpy() for key, value in state.items()}
    for i in range(n_hidden):
        x = x @ s[f"network.{i}.1.weight"].T + s[f"network.{i}.1.bias"]
        x = (x - s[f"network.{i}.2.running_mean"]) / np.sqrt(s[f"network.{i}.2.running_var"] + 1e-5)
        x = x * s[f"network.{i}.2.weight"] + s[f"network.{i}.2.bias"]
        x = np.where(x > 0, x, s[f"network.{i}.3.weight"] * x)
    x = x @ s[f"network.{n_hidden}.weight"].T + s[f"network.{n_hidden}.bias"]
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("n_hidden", [1, 2, 12])
def test_the_embedding_equals_an_independent_forward(scimilarity_directory, n_hidden):
    """R14: twelve layers sort by number, not by text."""
    path, state = scimilarity_directory(hidden=[16 - i for i in range(n_hidden)])
    model = models.load(path)
    cells = counts()
    expected = independent_embedding(cells.matrix.toarray().astype(np.float64), state, n_hidden)
    np.testing.assert_allclose(model.embed(cells), expected, atol=2e-6)
    assert model.is_normalised
    assert model.genes.organism == "human"


def test_log_normalised_cells_embed_as_their_counts_do(scimilarity_directory):
    path, _ = scimilarity_directory()
    model = models.load(path)
    cells = counts()
    matrix = cells.matrix.toarray()
    logged = csr_matrix(np.log1p(matrix / matrix.sum(1, keepdims=True) * 1e4).astype(np.float32))
    np.testing.assert_allclose(model.embed(Cells(logged, "log1p", cells.obs)), model.embed(cells), atol=2e-6)


def test_an_empty_cell_embeds_without_nan(scimilarity_directory):
    path, _ = scimilarity_directory()
    embedding = models.load(path).embed(
        Cells(csr_matrix((1, 40), dtype=np.float32), "counts", pd.DataFrame(index=["a"]))
    )
    assert np.isfinite(embedding).all()
    assert np.linalg.norm(embedding) == pytest.approx(1)


def test_the_fingerprint_follows_weights_and_genes_and_nothing_else(scimilarity_directory):
    first, _ = scimilarity_directory(folder="a")
    same, _ = scimilarity_directory(folder="b")
    other, _ = scimilarity_directory(folder="c", seed=1)
    genes, _ = scimilarity_directory(folder="d")
    (genes / "gene_order.tsv").write_text("\n".join(f"OTHER{i}" for i in range(40)))
    prints = [models.load(path).fingerprint for path in (first, same, other, genes)]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_what_is_trained_reads_back_as_it_was(tmp_path):
    rng = np.random.default_rng(0)
    adata = AnnData(csr_matrix(rng.poisson(1.0, size=(60, 30)).astype(np.float32)))
    adata.var_names = [f"GENE{i}" for i in range(30)]
    adata.obs_names = [f"c{i}" for i in range(60)]
    adata.obs["type"] = pd.Categorical(rng.choice(["B", "T"], 60))
    trained = models.train(
        adata,
        labels="type",
        output=tmp_path / "model",
        hidden=(8, 8),
        latent=4,
        options=models.TrainOptions(epochs=2),
        show_progress=False,
    )
    read = models.load(tmp_path / "model")
    assert read.fingerprint == trained.fingerprint
    cells = counts(n_genes=30)
    np.testing.assert_array_equal(read.embed(cells), trained.embed(cells))
    assert {item.name for item in (tmp_path / "model").iterdir()} >= {
        "encoder.ckpt",
        "decoder.ckpt",
        "layer_sizes.json",
        "gene_order.tsv",
        "label_ints.csv",
        "hyperparameters.json",
        "metadata.json",
    }
    labels = pd.read_csv(tmp_path / "model" / "label_ints.csv", index_col=0)["0"].to_dict()
    assert labels == {0: "B", 1: "T"}
    decoder = torch.load(tmp_path / "model" / "decoder.ckpt", weights_only=True)["state_dict"]
    assert decoder["network.0.0.weight"].shape == (8, 4)


def save(path, state):
    torch.save({"state_dict": state}, path / "encoder.ckpt")


class Malicious:
    def __reduce__(self):
        return (print, ("this code must not run",))


def test_a_checkpoint_that_would_run_code_is_refused(scimilarity_directory, capsys):
    path, _ = scimilarity_directory()
    torch.save({"state_dict": Malicious()}, path / "encoder.ckpt")
    with pytest.raises(UnsafeCheckpoint, match=r"\(print\), and insignia runs no code") as refused:
        models.load(path)
    assert "weights_only" not in str(refused.value), "torch tells how to run it; we do not"
    assert "\x1b" not in str(refused.value)
    (path / "encoder.ckpt").write_bytes(pickle.dumps(Malicious()))
    with pytest.raises((UnsafeCheckpoint, ModelFormatError)):
        models.load(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p, s: (p / "encoder.ckpt").write_bytes(b"PK\x03\x04 not a zip"), "not a readable torch file"),
        (lambda p, s: save(p, {}), "should hold layers"),
        (
            lambda p, s: save(p, {k: v for k, v in s.items() if k != "network.1.2.weight"}),
            "lacks the tensor",
        ),
        (
            lambda p, s: save(p, s | {"network.1.1.bias": torch.full((12,), torch.nan)}),
            "not finite",
        ),
        (
            lambda p, s: save(p, s | {"network.1.1.weight": torch.zeros(12, 9)}),
            "the next reads 9",
        ),
        (lambda p, s: (p / "gene_order.tsv").write_text("A\nB"), "gene_order.tsv lists 2"),
    ],
)
def test_a_damaged_directory_is_refused_with_its_fault(scimilarity_directory, damage, message):
    path, state = scimilarity_directory()
    damage(path, state)
    with pytest.raises(ModelFormatError, match=message):
        models.load(path)


def test_genes_listed_twice_are_refused(scimilarity_directory):
    path, _ = scimilarity_directory()
    (path / "gene_order.tsv").write_text("\n".join(["GENE0"] * 40))
    with pytest.raises(DuplicateNames, match="lists 39 genes twice"):
        models.load(path)


def test_what_is_not_a_model_is_refused(tmp_path):
    with pytest.raises(ModelFormatError, match="found nothing at"):
        models.load(tmp_path / "absent")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelFormatError, match="Known layouts are"):
        models.load(tmp_path)
