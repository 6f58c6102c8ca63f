"""SSL-scTab checkpoints: the network is told from its keys, and embeds like an independent forward pass."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from tests.lookalikes.ssl_sctab import IDS, build, cells, state_dict

from insignia import models
from insignia.attribution import attribute
from insignia.core import keys
from insignia.core.errors import DuplicateNames, InputError, ModelFormatError, UnsafeCheckpoint
from insignia.data import Cells, Expression
from insignia.models.ssl_sctab import load_ssl_sctab

KINDS = ["autoencoder", "classifier", "contrastive"]


def block(space="counts"):
    found = Expression.from_adata(cells(), input_space="counts").block(0, 11)
    if space == "counts":
        return found
    matrix = found.matrix.toarray()
    logged = np.log1p(matrix / matrix.sum(1, keepdims=True) * 1e4).astype(np.float32)
    return Cells(csr_matrix(logged), "log1p", found.obs)


def selu(x):
    return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(np.minimum(x, 0)) - 1))


def relu(x):
    return np.maximum(x, 0)


def independent_embedding(matrix, state, prefix, n_layers, activation, *, activate_last):
    """The published forward pass in numpy, without dropout."""
    x = np.log1p(matrix / matrix.sum(1, keepdims=True) * 1e4)
    for i in range(n_layers):
        x = x @ state[f"{prefix}.{3 * i}.weight"].double().numpy().T + state[f"{prefix}.{3 * i}.bias"].double().numpy()
        if i < n_layers - 1 or activate_last:
            x = activation(x)
    return x


@pytest.mark.parametrize(
    ("kind", "prefix", "activation"),
    [
        ("autoencoder", "encoder", selu),
        ("classifier", "classifier", relu),
        ("contrastive", "inner_model", selu),
        ("contrastive", "byol.online_encoder.net", selu),
        ("contrastive", "barlow_twins.backbone", selu),
        ("contrastive", "backbone", selu),
    ],
)
def test_the_embedding_equals_an_independent_forward(tmp_path, kind, prefix, activation):
    """T6 and R7: SELU in the encoders, ReLU in the classifier, whose embedding is what its last layer reads."""
    state = state_dict(kind)
    if kind == "contrastive":
        named = {key: value for key, value in state.items() if key.startswith("inner_model")}
        state = {key.replace("inner_model", prefix): value for key, value in named.items()}
    model = models.load(build(tmp_path / "m", kind=kind, state=state), family="ssl_sctab")
    is_classifier = kind == "classifier"
    expected = independent_embedding(
        block().matrix.toarray().astype(np.float64), state, prefix, 5, activation, activate_last=is_classifier
    )
    np.testing.assert_allclose(model.embed(block()), expected, atol=1e-5)
    np.testing.assert_allclose(model.embed(block("log1p")), expected, atol=1e-5)
    assert model.first_layer is not None
    assert not model.is_normalised
    assert model.describe()["network"] == kind
    assert ("after its ReLU" in model.describe()["embedding"]) == is_classifier
    assert (model.embed(block()) >= 0).all() == is_classifier


def test_the_other_activation_would_give_another_embedding(tmp_path):
    state = state_dict("classifier")
    embedding = load_ssl_sctab(build(tmp_path / "m", kind="classifier")).embed(block())
    wrong = independent_embedding(block().matrix.toarray(), state, "classifier", 5, selu, activate_last=True)
    assert np.abs(embedding - wrong).max() > 0.1


def test_the_inner_model_comes_before_the_copies_of_it(tmp_path):
    state = state_dict("contrastive")
    first = load_ssl_sctab(build(tmp_path / "a", state=state))
    state |= {key: value + 1 for key, value in state.items() if key.startswith("byol")}
    assert load_ssl_sctab(build(tmp_path / "b", state=state)).fingerprint == first.fingerprint


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_attributed_completely(tmp_path, kind):
    adata = cells()
    attribute(adata, models.load(build(tmp_path / "m", kind=kind)), show_progress=False)
    assert adata.obs[keys.gap()].median() < 0.01
    assert (adata.layers[keys.ATTRIBUTION].toarray()[cells().X.toarray() == 0] == 0).all()


def test_genes_come_from_a_table_or_a_list(tmp_path):
    table = models.load(build(tmp_path / "table"))
    assert list(table.genes.ids) == IDS
    assert table.genes.symbols[7] == "GENE7"
    for name in ("genes.txt", "dataset_genes.txt"):
        listed = models.load(build(tmp_path / name, genes_in=name))
        assert list(listed.genes.ids) == IDS
        np.testing.assert_array_equal(listed.embed(block()), table.embed(block()))
    numbered = build(tmp_path / "numbered")
    pd.read_parquet(numbered / "var.parquet").reset_index().to_parquet(numbered / "var.parquet")
    assert models.load(numbered).fingerprint == table.fingerprint


def test_what_is_not_read_is_not_in_the_fingerprint(tmp_path):
    """The head of a classifier is read: targets are its logits."""
    first = load_ssl_sctab(build(tmp_path / "a", kind="classifier"))
    other = state_dict("classifier") | {"class_weights": torch.zeros(5)}
    assert load_ssl_sctab(build(tmp_path / "b", state=other)).fingerprint == first.fingerprint
    for key, size in (("classifier.12.bias", 8), ("classifier.15.bias", 5)):
        changed = state_dict("classifier") | {key: torch.ones(size)}
        assert load_ssl_sctab(build(tmp_path / key, state=changed)).fingerprint != first.fingerprint


NAMES = ["B cell", "T cell", "NK cell", "monocyte", "platelet"]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("labels.txt", "\n".join(NAMES)),
        ("labels.json", json.dumps(NAMES)),
        ("labels.json", json.dumps({str(i): name for i, name in enumerate(NAMES)})),
    ],
)
def test_labels_come_from_a_file_beside_the_checkpoint(tmp_path, file, content):
    folder = build(tmp_path / "m", kind="classifier")
    numbered = models.load(folder)
    (folder / file).write_text(content)
    named = models.load(folder)
    assert named.labels == tuple(NAMES)
    assert named.describe()["labels"] == NAMES
    assert numbered.labels == ("0", "1", "2", "3", "4")
    assert named.fingerprint == numbered.fingerprint
    adata = cells()
    results = [
        attribute(adata, model, target=f"label:{label}", n_steps=400, copy=True, show_progress=False)
        for model, label in ((named, "monocyte"), (numbered, "3"), (load_ssl_sctab(folder, labels=list("abcde")), "d"))
    ]
    for result in results:
        assert result.obs[keys.gap()].median() < 0.01
        assert (result.layers[keys.ATTRIBUTION] != results[0].layers[keys.ATTRIBUTION]).nnz == 0
    assert results[0].uns[keys.ATTRIBUTION]["target"] == "label:monocyte"


def test_logits_equal_an_independent_forward(tmp_path):
    state, model = state_dict("classifier"), models.load(build(tmp_path / "m", kind="classifier"))
    expected = independent_embedding(
        block().matrix.toarray().astype(np.float64), state, "classifier", 6, relu, activate_last=False
    )
    found = model.classify(torch.from_numpy(model.embed(block())))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("labels.txt", "a\nb", "names 2 different labels, and the classifier has 5 logits"),
        ("labels.txt", "a\na\nb\nc\nd", "names 4 different labels"),
        ("labels.json", '{"0": "a", "5": "b"}', "name each number from 0"),
        ("labels.json", "[1, 2, 3, 4, 5]", "should be a list of names"),
        ("labels.json", "[", "should be a list of names"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, file, content, message):
    folder = build(tmp_path / "m", kind="classifier")
    (folder / file).write_text(content)
    with pytest.raises(ModelFormatError, match=message):
        models.load(folder)
    with pytest.raises(InputError, match="holds no classifier, and 2 labels are given"):
        load_ssl_sctab(build(tmp_path / "n"), labels=["a", "b"])


class Malicious:
    def __reduce__(self):
        return (print, ("this code must not run",))


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path, capsys):
    folder = build(tmp_path / "m")
    checkpoint = folder / "best_checkpoint_val.ckpt"
    good = torch.load(checkpoint, weights_only=True)
    first = good["state_dict"] | {"encoder.0.weight": Malicious()}
    for bad, what in (({"state_dict": Malicious()}, "state_dict"), ({"state_dict": first}, "'encoder.0.weight'")):
        torch.save(good | bad, checkpoint)
        with pytest.raises(UnsafeCheckpoint, match=f"{what} needs .*print.* to be unpickled.*state_dict': state"):
            models.load(folder)
    checkpoint.write_bytes(pickle.dumps(Malicious()))
    with pytest.raises((UnsafeCheckpoint, ModelFormatError)):
        models.load(folder)
    torch.save(good, checkpoint)
    for name in ("var.parquet", "genes.txt"):
        other = build(tmp_path / name, genes_in=name)
        (other / name).write_bytes(pickle.dumps(Malicious()))
        with pytest.raises(ModelFormatError):
            models.load(other)
    assert capsys.readouterr().out == ""


def test_objects_beside_the_weights_are_left_alone(tmp_path, capsys):
    """Lightning keeps whatever a user's module was made with; nothing of it is made or run."""
    folder = build(tmp_path / "m", kind="classifier")
    before, checkpoint = models.load(folder), folder / "best_checkpoint_val.ckpt"
    good = torch.load(checkpoint, weights_only=True)
    for slot in ("hyper_parameters", "optimizer_states", "callbacks"):
        torch.save(good | {slot: {"made_with": Malicious(), "path": tmp_path}}, checkpoint)
        found = models.load(folder)
        assert found.fingerprint == before.fingerprint
        np.testing.assert_array_equal(found.embed(block()), before.embed(block()))
    assert capsys.readouterr().out == ""


def test_a_bare_state_dict_is_read_as_well(tmp_path):
    folder = build(tmp_path / "m")
    before = models.load(folder).fingerprint
    torch.save(state_dict(), folder / "best_checkpoint_val.ckpt")
    assert models.load(folder).fingerprint == before


def without(state, key):
    return {name: value for name, value in state.items() if name != key}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {"decoder.0.0.weight": torch.ones(2, 2)}, "should hold one network"),
        (lambda s: s | state_dict("classifier"), "found \\['autoencoder', 'classifier'\\]"),
        (lambda s: without(s, "encoder.3.bias"), "lacks the tensor 'encoder.3.bias'"),
        (lambda s: without(without(s, "encoder.3.bias"), "encoder.3.weight"), "numbered 0, 3, 6"),
        (lambda s: s | {"encoder.1.weight": torch.ones(24)}, "normalisation layers"),
        (lambda s: s | {"encoder.3.weight": torch.ones(24, 9)}, "the next reads 9"),
        (lambda s: s | {"encoder.3.weight": torch.ones(24)}, "a matrix of floats"),
        (lambda s: s | {"encoder.3.bias": torch.full((24,), torch.nan)}, "not finite"),
        (lambda s: state_dict(genes=59), "reads 59 genes, and var.parquet lists 60"),
    ],
)
def test_a_damaged_checkpoint_is_refused_with_its_fault(tmp_path, change, message):
    folder = build(tmp_path / "m", state=change(state_dict()))
    with pytest.raises(ModelFormatError, match=message):
        models.load(folder)


def test_a_directory_that_is_not_one_model_is_refused(tmp_path):
    folder = build(tmp_path / "m")
    torch.save({}, folder / "last.ckpt")
    with pytest.raises(ModelFormatError, match=r"\['best_checkpoint_val.ckpt', 'last.ckpt'\]"):
        models.load(folder)
    (folder / "last.ckpt").unlink()
    (folder / "var.parquet").unlink()
    with pytest.raises(ModelFormatError, match="genes in one of"):
        load_ssl_sctab(folder)
    with pytest.raises(ModelFormatError, match="No model recognised"):
        models.load(folder)
    (folder / "genes.txt").write_text("\n".join(IDS[:59] + IDS[:1]))
    with pytest.raises(DuplicateNames, match="lists 1 genes twice"):
        models.load(folder)
