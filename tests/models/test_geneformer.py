"""Geneformer directories: read like an independent forward pass, one cell at a time and without padding."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from scipy.sparse import csr_matrix
from scipy.special import erf
from tests.lookalikes import geneformer

import insignia.models.geneformer  # noqa: F401 - registers the family
from insignia import models
from insignia.attribution import AttributeOptions, PathOptions, Runner, find_target, methods
from insignia.core.errors import CoverageWarning, InputError, InputSpaceError, ModelFormatError, UnsafeCheckpoint
from insignia.data import Cells, Expression
from insignia.genes import GeneAlignment, GeneVocabulary
from insignia.models.geneformer import load_geneformer
from insignia.models.token_files import GeneformerFiles


def aligned(encoder, adata):
    expression = Expression.from_adata(adata, input_space="counts")
    return expression.block(0, adata.n_obs).aligned(GeneAlignment(expression.genes, encoder.genes))


def explain(encoder, adata, *, n_steps=50, max_values=None):
    inputs = encoder.prepare(aligned(encoder, adata))
    options = PathOptions(n_steps, max_values=max_values)
    return methods["integrated_gradients"].explain(encoder, inputs, None, target=find_target("self"), options=options)


def published_tokens(counts, *, special, longest):
    """Rank values as published: CP10k over the median, in descending order; ties by token."""
    numbers, medians = geneformer.tokens(special=special), geneformer.medians()
    scaled = counts / counts.sum() * 1e4 / np.array([medians[name] for name in geneformer.IDS])
    found = [(-scaled[i].round(6), numbers[name]) for i, name in enumerate(geneformer.IDS) if counts[i] > 0]
    ranked = [number for _, number in sorted(found)]
    return [2, *ranked[: longest - 2], 3] if special else ranked[:longest]


def published_forward(state, tokens, *, heads=4, activation="relu", layers=2):
    """BERT in numpy: (tokens, width), the hidden layer after so many blocks."""
    s = {key: value.double().numpy() for key, value in state.items()}

    def linear(x, key):
        return x @ s[f"{key}.weight"].T + s[f"{key}.bias"]

    def norm(x, key):
        x = x - x.mean(1, keepdims=True)
        return x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-12) * s[f"{key}.weight"] + s[f"{key}.bias"]

    act = {"relu": lambda x: np.maximum(x, 0), "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2}[activation]
    emb = "bert.embeddings"
    x = s[f"{emb}.word_embeddings.weight"][tokens] + s[f"{emb}.position_embeddings.weight"][: len(tokens)]
    x = norm(x + s[f"{emb}.token_type_embeddings.weight"][0], f"{emb}.LayerNorm")
    for i in range(layers):
        key = f"bert.encoder.layer.{i}"
        q, k, v = (linear(x, f"{key}.attention.self.{part}") for part in ("query", "key", "value"))
        size = x.shape[1] // heads
        seen = []
        for h in range(heads):
            here = slice(h * size, (h + 1) * size)
            scores = np.exp(q[:, here] @ k[:, here].T / np.sqrt(size))
            seen.append(scores / scores.sum(1, keepdims=True) @ v[:, here])
        mixed = linear(np.concatenate(seen, axis=1), f"{key}.attention.output.dense")
        x = norm(x + mixed, f"{key}.attention.output.LayerNorm")
        fed = linear(act(linear(x, f"{key}.intermediate.dense")), f"{key}.output.dense")
        x = norm(x + fed, f"{key}.output.LayerNorm")
    return x


@pytest.mark.parametrize("special", [True, False], ids=["V2", "V1"])
@pytest.mark.parametrize(("activation", "longest"), [("relu", 64), ("gelu", 64), ("relu", 12)])
def test_the_embedding_equals_an_independent_forward(tmp_path, special, activation, longest):
    """Special tokens as the dictionary has them, the mean over gene tokens only, truncation at the longest sequence."""
    path = geneformer.build(tmp_path / "m", special=special, activation=activation, positions=longest)
    encoder, adata = models.load(path), geneformer.cells()
    state = geneformer.state_dict(words=60 + (4 if special else 2), positions=longest)
    found = encoder.embed(aligned(encoder, adata))
    for row, counts in enumerate(adata.X.toarray()[:-1].astype(np.float64)):
        tokens = published_tokens(counts, special=special, longest=longest)
        hidden = published_forward(state, tokens, activation=activation)
        expected = hidden[1:-1].mean(0) if special else hidden.mean(0)
        np.testing.assert_allclose(found[row], expected, atol=5e-6)
    assert (found[-1] == 0).all()


def test_v2_has_special_tokens_and_v1_has_not(tmp_path):
    first = models.load(geneformer.build(tmp_path / "1", special=False, weights="pytorch_model.bin"))
    second = models.load(geneformer.build(tmp_path / "2"))
    assert (first.max_genes, second.max_genes) == (64, 62)
    assert len(first.genes) == len(second.genes) == 60
    assert not first.is_normalised
    assert first.accepts == {"counts"}


def test_prefix_and_file_format_change_nothing(tmp_path):
    whole = models.load(geneformer.build(tmp_path / "a"))
    path = geneformer.build(tmp_path / "b")
    state = {
        key.removeprefix("bert."): value
        for key, value in geneformer.state_dict(words=64).items()
        if not key.startswith("cls.")
    }
    (path / "model.safetensors").unlink()
    torch.save(state, path / "pytorch_model.bin")
    assert models.load(path).fingerprint == whole.fingerprint


def test_another_layer_is_read_on_request(tmp_path):
    path = geneformer.build(tmp_path / "m", layers=3)
    last = load_geneformer(path, layer=-1)
    adata = geneformer.cells()
    assert len(last.module.blocks) == 3
    assert len(models.load(path).module.blocks) == 2
    state = geneformer.state_dict(words=64, layers=3)
    tokens = published_tokens(adata.X.toarray()[0].astype(np.float64), special=True, longest=64)
    expected = published_forward(state, tokens, layers=3)[1:-1].mean(0)
    np.testing.assert_allclose(last.embed(aligned(last, adata))[0], expected, atol=5e-6)
    assert last.fingerprint != models.load(path).fingerprint
    with pytest.raises(InputError, match="between -3 and -1, found 0"):
        load_geneformer(path, layer=0)


@pytest.mark.parametrize("special", [True, False])
def test_neither_padding_nor_batch_nor_pieces_matter(tmp_path, special, monkeypatch):
    encoder, adata = models.load(geneformer.build(tmp_path / "m", special=special)), geneformer.cells()
    whole, attributed = encoder.embed(aligned(encoder, adata)), explain(encoder, adata).attribution.toarray()
    path = encoder.path(encoder.prepare(aligned(encoder, adata)), None)
    wider = (
        torch.nn.functional.pad(path.end, (0, 0, 0, 7)),
        torch.nn.functional.pad(path.context["tokens"], (0, 7), value=-1),
    )
    np.testing.assert_allclose(encoder.module(*wider).numpy(), whole, rtol=1e-5, atol=1e-6)
    for row in range(adata.n_obs):
        alone = adata[[row]].copy()
        np.testing.assert_allclose(encoder.embed(aligned(encoder, alone)), whole[[row]], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            explain(encoder, alone).attribution.toarray(), attributed[[row]], rtol=1e-4, atol=1e-5
        )
    pieces = explain(encoder, adata, max_values=2000).attribution.toarray()
    np.testing.assert_allclose(pieces, attributed, rtol=1e-4, atol=1e-5)
    monkeypatch.setattr("insignia.models.memory.room", lambda *_: 2000)
    np.testing.assert_allclose(encoder.embed(aligned(encoder, adata)), whole, rtol=1e-5, atol=1e-6)


def test_gradients_are_those_of_finite_differences(tmp_path):
    encoder, adata = models.load(geneformer.build(tmp_path / "m", activation="gelu")), geneformer.cells()
    path = encoder.path(encoder.prepare(aligned(encoder, adata[[0, -1]].copy())), None)
    encoder.module.double()
    point = path.end.double().requires_grad_()
    held = torch.randn(encoder.module.words.shape[1], generator=torch.Generator().manual_seed(0)).double()
    (found,) = torch.autograd.grad((encoder.forward(point, path.context) @ held).sum(), point)
    assert torch.isfinite(found).all()
    assert (found[1] == 0).all()
    for token, channel in [(0, 0), (3, 7), (10, 15)]:
        step = torch.zeros_like(point)
        step[0, token, channel] = 1e-5
        with torch.no_grad():
            both = [encoder.forward(point + sign * step, path.context)[0] @ held for sign in (1, -1)]
        assert found[0, token, channel].item() == pytest.approx((both[0] - both[1]).item() / 2e-5, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("special", [True, False])
def test_attributions_are_complete_and_zero_where_genes_are_not_seen(tmp_path, special):
    """T1 and T3; genes beyond the longest sequence are not seen and get zero."""
    encoder = models.load(geneformer.build(tmp_path / "m", special=special, positions=16))
    adata = geneformer.cells()
    coarse, fine = (explain(encoder, adata, n_steps=n) for n in (50, 200))
    gaps = [np.abs(e.attribution.toarray()[:-1].sum(1) - e.change[:-1]) / np.abs(e.change[:-1]) for e in (coarse, fine)]
    assert np.median(gaps[0]) < 0.01
    assert np.median(gaps[1]) < 0.5 * np.median(gaps[0])
    matrix = coarse.attribution.toarray()
    seen = encoder.prepare(aligned(encoder, adata)).context["tokens"].numpy()
    for row, tokens in enumerate(seen):
        assert set(np.flatnonzero(matrix[row])) == set(tokens[tokens >= 0])
    assert (matrix[-1] == 0).all()
    assert coarse.change[-1] == 0


def test_the_path_may_start_at_a_special_token(tmp_path):
    path, adata = geneformer.build(tmp_path / "m"), geneformer.cells()
    encoder = load_geneformer(path, baseline_token="<pad>")
    moved = encoder.path(encoder.prepare(aligned(encoder, adata)), None)
    pad = geneformer.state_dict(words=64)["bert.embeddings.word_embeddings.weight"][0]
    present = moved.context["tokens"] >= 0
    assert (moved.start[present] == pad).all()
    assert (moved.start[~present] == 0).all()
    explained = explain(encoder, adata)
    gap = np.abs(explained.attribution.toarray().sum(1) - explained.change)[:-1] / np.abs(explained.change[:-1])
    assert np.median(gap) < 0.01
    assert (explained.attribution.toarray()[-1] == 0).all()
    assert encoder.fingerprint != models.load(path).fingerprint
    with pytest.raises(InputError, match=r"no token '<none>'.*'<pad>', '<mask>'"):
        load_geneformer(path, baseline_token="<none>")


def test_a_block_of_empty_cells_is_nothing(tmp_path):
    for special in (True, False):
        encoder = models.load(geneformer.build(tmp_path / f"{special}", special=special))
        empty = geneformer.cells(1)
        assert (encoder.embed(aligned(encoder, empty)) == 0).all()
        assert explain(encoder, empty).attribution.nnz == 0


def test_log_normalised_cells_and_given_baselines_are_refused(tmp_path):
    encoder, adata = models.load(geneformer.build(tmp_path / "m")), geneformer.cells()
    logged = adata.copy()
    logged.X = logged.X.log1p()
    with pytest.raises(InputSpaceError, match="needs counts"):
        encoder.embed(Cells(csr_matrix((1, 60), dtype=np.float32), "log1p", pd.DataFrame(index=["a"])))
    with pytest.raises(InputSpaceError, match="needs counts"):
        Runner(encoder, Expression.from_adata(logged), AttributeOptions())
    inputs = encoder.prepare(aligned(encoder, adata))
    with pytest.raises(InputError, match="Leave the baseline out"):
        encoder.path(inputs, inputs)


def test_symbols_come_from_the_name_dictionary_and_are_not_needed(tmp_path):
    path = geneformer.build(tmp_path / "m")
    genes = models.load(path).genes
    assert sorted(genes.ids) == geneformer.IDS
    assert genes.symbols[list(genes.ids).index(geneformer.IDS[7])] == "SYMBOL7"
    assert genes.organism == "human"
    (path / "gene_name_id_dict.json").unlink()
    assert sorted(models.load(path).genes.labels) == geneformer.IDS


class Malicious:
    def __reduce__(self):
        return (print, ("this code must not run",))


def test_weights_and_dictionaries_that_would_run_code_are_refused(tmp_path, capsys):
    path = geneformer.build(tmp_path / "a", weights="pytorch_model.bin")
    torch.save({"bert.embeddings.LayerNorm.weight": Malicious()}, path / "pytorch_model.bin")
    with pytest.raises(UnsafeCheckpoint, match="runs no code from checkpoints"):
        models.load(path)
    path = geneformer.build(tmp_path / "b")
    (path / "model.safetensors").write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(ModelFormatError, match="not a readable safetensors file"):
        models.load(path)
    for stem in ("token_dictionary", "gene_median_dictionary", "gene_name_id_dict"):
        path = geneformer.build(tmp_path / stem)
        (path / f"{stem}.json").unlink()
        (path / f"{stem}_gc104M.pkl").write_bytes(pickle.dumps(Malicious()))
        with pytest.raises(UnsafeCheckpoint, match=rf"is a pickle.*{stem}_gc104M.json"):
            models.load(path)
    assert capsys.readouterr().out == ""


def test_the_recipe_in_the_message_converts_a_pickle(tmp_path):
    """What a user is told to type gives the JSON that the loader reads."""
    import shlex
    import subprocess
    import sys

    path = geneformer.build(tmp_path / "m")
    before = models.load(path).fingerprint
    medians = {key: np.float32(value) for key, value in geneformer.medians().items()}
    (path / "gene_median_dictionary.json").unlink()
    (path / "gene_median_dictionary.pkl").write_bytes(pickle.dumps(medians))
    with pytest.raises(UnsafeCheckpoint) as refused:
        models.load(path)
    command = shlex.split(str(refused.value).split("the file: ")[1])
    subprocess.run([sys.executable, *command[1:]], check=True, cwd=path)
    assert models.load(path).fingerprint != before
    assert models.load(path).medians == pytest.approx([medians[name] for name in models.load(path).genes.ids])


def change(path, name, **changes):
    content = json.loads((path / name).read_text())
    content.update(changes)
    (path / name).write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def without(path, key):
    state = geneformer.state_dict(words=64)
    del state[key]
    save_file(state, path / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: change(p, "config.json", hidden_act="mish"), "hidden_act should be one of .*'mish'"),
        (lambda p: change(p, "config.json", num_attention_heads=5), "should divide the width 16, found 5"),
        (lambda p: change(p, "config.json", max_position_embeddings=2048), "has 64 positions"),
        (lambda p: change(p, "config.json", model_type="gpt2"), "should describe a BERT"),
        (lambda p: change(p, "config.json", layer_norm_eps="x"), "layer_norm_eps should be"),
        (lambda p: change(p, "token_dictionary.json", ENSG00000000003=99), r"has 64 word embeddings.* up to 99"),
        (lambda p: change(p, "token_dictionary.json", ENSG00000000003=5.5), "a whole number of its own"),
        (lambda p: change(p, "token_dictionary.json", **{"<eos>": None}), "holds <cls> alone"),
        (lambda p: change(p, "gene_median_dictionary.json", ENSG00000000003=0), "1 have none, e.g. .*003"),
        (lambda p: (p / "gene_median_dictionary.json").unlink(), "gene_median_dictionary.json is missing"),
        (lambda p: (p / "token_dictionary_2.json").write_text("{}"), "Leave the one"),
        (lambda p: without(p, "bert.encoder.layer.1.output.dense.bias"), "lacks the tensor 'encoder.layer.1.output"),
        (
            lambda p: save_file(geneformer.state_dict(words=64, layers=0), p / "model.safetensors"),
            "should hold layers",
        ),
        (
            lambda p: save_file(
                geneformer.state_dict(words=64)
                | {"bert.encoder.layer.0.attention.output.dense.weight": torch.zeros(8, 16)},
                p / "model.safetensors",
            ),
            r"should be floats of shape \(16, 16\), found .* \(8, 16\)",
        ),
    ],
)
def test_a_damaged_directory_is_refused_with_its_fault(tmp_path, damage, message):
    path = geneformer.build(tmp_path / "m")
    damage(path)
    with pytest.raises(ModelFormatError, match=message):
        models.load(path)


def test_the_published_dictionaries_are_read_and_match_symbols(real_data):
    """25,426 tokens of which 2 are special; a data set with symbols meets them through the name dictionary."""
    files = GeneformerFiles.read(real_data("fm_formats/geneformer"))
    assert len(files.tokens) == 25_426
    assert len(files.genes) == len(files.medians) == 25_424
    assert files.special == []
    assert files.tokens["ENSG00000000003"] == 2
    assert files.names[0] == "ENSG00000000003"
    assert files.genes.organism == "human"
    symbols = ["CD14", "LYZ", "S100A8", "CD3E", "MS4A1", "NKG7"]
    with pytest.warns(CoverageWarning):
        alignment = GeneAlignment(GeneVocabulary.from_names(symbols), files.genes, min_overlap=0)
    assert (alignment.index >= 0).all()
    assert files.genes.ids[alignment.index[0]] == "ENSG00000170458"
