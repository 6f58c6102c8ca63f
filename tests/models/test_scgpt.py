"""scGPT directories: read like an independent forward pass, one cell at a time and without padding."""

import json
import pickle
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from tests.lookalikes import scgpt

import insignia.models.scgpt  # noqa: F401 - registers the family
from insignia import models, tl
from insignia.attribution import PathOptions, attribute, find_target, methods
from insignia.core import keys
from insignia.core.errors import CoverageWarning, ModelFormatError, UnsafeCheckpoint
from insignia.data import Cells, Expression, read
from insignia.genes import GeneAlignment, GeneVocabulary
from insignia.models import align, transformer
from insignia.models.scgpt import bin_values
from insignia.models.token_files import gene_tokens, read_tokens
from insignia.pp import check


def aligned(encoder, adata, space="counts"):
    expression = Expression.from_adata(adata, input_space=space)
    return expression.block(0, adata.n_obs).aligned(GeneAlignment(expression.genes, encoder.genes))


def explain(encoder, adata, *, n_steps=50, baseline=None, max_values=2**22):
    return methods["integrated_gradients"].explain(
        encoder,
        encoder.prepare(aligned(encoder, adata)),
        baseline,
        target=find_target("self"),
        options=PathOptions(n_steps, max_values=max_values),
    )


def published_bins(values, n_bins=51):
    """Mean of the bin that the release draws at random: linear quantiles as edges, counted from both sides.

    In fractions: in floating point, rounding decides whether an edge lies on a value or beside it.
    """
    order = sorted(map(Fraction, values.tolist()))
    edges = []
    for j in range(n_bins - 1):
        below, part = divmod(Fraction(j, n_bins - 2) * (len(order) - 1), 1)
        above = min(below + 1, len(order) - 1)
        edges.append(order[below] + part * (order[above] - order[below]))
    left = np.array([sum(edge <= value for edge in edges) for value in map(Fraction, values.tolist())])
    right = np.array([sum(edge < value for edge in edges) for value in map(Fraction, values.tolist())])
    return np.where(right < left, (right + 1 + left) / 2, left)


def published_forward(state, tokens, values, *, heads=4, scheme="post", layers=2):
    """The published forward pass in numpy, (width,) at <cls>; tokens and values begin with it."""
    s = {key.replace("Wqkv.", "in_proj_"): value.double().numpy() for key, value in state.items()}

    def linear(x, key, joint="."):
        return x @ s[f"{key}{joint}weight"].T + s[f"{key}{joint}bias"]

    def norm(x, key):
        x = x - x.mean(1, keepdims=True)
        return x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-5) * s[f"{key}.weight"] + s[f"{key}.bias"]

    def attend(x, key):
        q, k, v = np.split(linear(x, f"{key}.self_attn.in_proj", "_"), 3, axis=1)
        size, seen = x.shape[1] // heads, []
        for h in range(heads):
            here = slice(h * size, (h + 1) * size)
            scores = np.exp(q[:, here] @ k[:, here].T / np.sqrt(size))
            seen.append(scores / scores.sum(1, keepdims=True) @ v[:, here])
        return linear(np.concatenate(seen, axis=1), f"{key}.self_attn.out_proj")

    def feed(x, key):
        return linear(np.maximum(linear(x, f"{key}.linear1"), 0), f"{key}.linear2")

    v = np.minimum(np.asarray(values, dtype=np.float64), 512)[:, None]
    v = linear(np.maximum(linear(v, "value_encoder.linear1"), 0), "value_encoder.linear2")
    x = norm(s["encoder.embedding.weight"][tokens], "encoder.enc_norm") + norm(v, "value_encoder.norm")
    for i in range(layers):
        key = f"transformer_encoder.layers.{i}"
        if scheme == "post":
            x = norm(x + attend(x, key), f"{key}.norm1")
            x = norm(x + feed(x, key), f"{key}.norm2")
        else:
            x = norm(x, f"{key}.norm1")
            x = norm(x + attend(x, key), f"{key}.norm2")
            x = x + feed(x, key)
    return x[0]


@pytest.mark.parametrize(
    ("args", "options"),
    [
        ({}, {}),
        ({"max_seq_len": 10}, {}),
        ({"norm_scheme": "pre", "n_bins": 11}, {"flash": False}),
        ({"pre_norm": True, "pad_value": 0}, {}),
    ],
)
def test_the_embedding_equals_an_independent_forward(tmp_path, args, options):
    """<cls> first with the pad value, all expressed genes or the highest of them, output at <cls>, length 1."""
    encoder = models.load(scgpt.build(tmp_path / "m", args=args, **options))
    adata, state, vocabulary = scgpt.cells(), scgpt.state_dict(**options), scgpt.vocabulary()
    args = scgpt.ARGS | args
    found = encoder.embed(aligned(encoder, adata))
    path = encoder.path(encoder.prepare(aligned(encoder, adata)), None)
    raw = encoder.forward(path.end, path.context).numpy()
    numbers = np.array([vocabulary[name] for name in adata.var_names])
    for row, counts in enumerate(adata.X.toarray()):
        here = np.flatnonzero(counts)
        bins = published_bins(counts[here], args["n_bins"]) if len(here) else np.zeros(0)
        kept = np.lexsort((numbers[here], -counts[here]))[: args["max_seq_len"] - 1]
        expected = published_forward(
            state,
            [vocabulary["<cls>"], *numbers[here][kept]],
            [args["pad_value"], *bins[kept]],
            scheme="pre" if args.get("pre_norm") else args.get("norm_scheme", "post"),
        )
        np.testing.assert_allclose(raw[row], expected, atol=1e-5)
        np.testing.assert_allclose(found[row], expected / np.linalg.norm(expected), atol=5e-6)
    assert encoder.is_normalised


@pytest.mark.parametrize("n_bins", [3, 11, 51])
@pytest.mark.parametrize("size", [1, 2, 3, 49, 50, 51, 120])
def test_bins_are_the_mean_of_the_published_draw_whatever_the_scale(size, n_bins):
    rng = np.random.default_rng(0)
    for values in (rng.gamma(1, 1, size), rng.poisson(1.0, size) + 1.0, np.full(size, 3.0)):
        found = bin_values(csr_matrix(values[None]), n_bins).data
        np.testing.assert_array_equal(found, published_bins(values, n_bins))
        assert found.min() >= 1
        assert found.max() <= n_bins - 1
        for change in (np.log1p, np.sqrt, lambda x: 3 * x):
            np.testing.assert_array_equal(bin_values(csr_matrix(change(values)[None]), n_bins).data, found)


def test_bins_are_those_of_numpy_up_to_the_rounding_of_its_edges():
    for values in (np.random.default_rng(0).gamma(1, 1, 300), np.random.default_rng(1).poisson(2.0, 300) + 1.0):
        edges = np.quantile(values, np.linspace(0, 1, 50))
        left, right = np.digitize(values, edges), np.digitize(values, edges, right=True)
        found = bin_values(csr_matrix(values[None]), 51).data
        assert np.abs(found - np.where(right < left, (right + 1 + left) / 2, left)).max() <= 0.5


def test_log_normalised_cells_embed_as_their_counts_do(tmp_path):
    encoder, adata = models.load(scgpt.build(tmp_path / "m")), scgpt.cells()
    logged = adata.copy()
    totals = np.asarray(adata.X.sum(1)).clip(1)
    logged.X = csr_matrix(np.log1p(adata.X.toarray() / totals * 1e4).astype(np.float32))
    np.testing.assert_array_equal(
        encoder.embed(aligned(encoder, logged, "log1p")), encoder.embed(aligned(encoder, adata))
    )


def test_flash_keys_are_the_plain_ones_under_another_name(tmp_path):
    flash = models.load(scgpt.build(tmp_path / "a"))
    plain = models.load(scgpt.build(tmp_path / "b", flash=False))
    assert flash.fingerprint == plain.fingerprint
    assert flash.fingerprint != models.load(scgpt.build(tmp_path / "c", args={"n_bins": 21})).fingerprint


def test_neither_padding_nor_batch_nor_pieces_matter(tmp_path, monkeypatch):
    encoder, adata = models.load(scgpt.build(tmp_path / "m")), scgpt.cells()
    whole, attributed = encoder.embed(aligned(encoder, adata)), explain(encoder, adata).attribution.toarray()
    path = encoder.path(encoder.prepare(aligned(encoder, adata)), None)
    wide = torch.nn.functional.pad(path.end, (0, 7)), torch.nn.functional.pad(path.context["tokens"], (0, 7), value=-1)
    np.testing.assert_allclose(encoder.embedding(encoder.module(*wide)).numpy(), whole, rtol=1e-5, atol=1e-6)
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
    encoder, adata = models.load(scgpt.build(tmp_path / "m")), scgpt.cells()
    path = encoder.path(encoder.prepare(aligned(encoder, adata[[0, -1]].copy())), None)
    encoder.module.double()
    point = path.end.double().requires_grad_()
    held = torch.randn(16, generator=torch.Generator().manual_seed(0)).double()
    (found,) = torch.autograd.grad((encoder.forward(point, path.context) @ held).sum(), point)
    assert (found[1] == 0).all()
    for token in (0, 4, 11):
        step = torch.zeros_like(point)
        step[0, token] = 1e-6
        with torch.no_grad():
            both = [encoder.forward(point + sign * step, path.context)[0] @ held for sign in (1, -1)]
        assert found[0, token].item() == pytest.approx((both[0] - both[1]).item() / 2e-6, rel=1e-4, abs=1e-8)


def test_attributions_are_complete_and_zero_where_genes_are_not_seen(tmp_path):
    """T1 and T3; genes beyond the longest sequence are not seen and get zero."""
    encoder, adata = models.load(scgpt.build(tmp_path / "m", args={"max_seq_len": 16})), scgpt.cells()
    coarse, fine = (explain(encoder, adata, n_steps=n) for n in (50, 200))
    gaps = [np.abs(e.attribution.toarray()[:-1].sum(1) - e.change[:-1]) / np.abs(e.change[:-1]) for e in (coarse, fine)]
    assert np.median(gaps[0]) < 0.01
    assert np.median(gaps[1]) < 0.5 * np.median(gaps[0])
    matrix = coarse.attribution.toarray()
    seen = encoder.prepare(aligned(encoder, adata)).context["tokens"].numpy()
    assert seen.shape[1] == 15
    for row, tokens in enumerate(seen):
        assert set(np.flatnonzero(matrix[row])) == set(tokens[tokens >= 0])
    assert (matrix[-1] == 0).all()
    assert coarse.change[-1] == 0


def test_a_block_of_empty_cells_has_the_embedding_of_cls_and_no_attribution(tmp_path):
    encoder = models.load(scgpt.build(tmp_path / "m"))
    empty = scgpt.cells(1)
    assert np.linalg.norm(encoder.embed(aligned(encoder, empty))) == pytest.approx(1)
    assert explain(encoder, empty).attribution.nnz == 0


def test_a_baseline_profile_sets_the_bins_that_the_path_starts_from(tmp_path):
    encoder, adata = models.load(scgpt.build(tmp_path / "m")), scgpt.cells()
    mean = np.asarray(adata.X.mean(0)).ravel().round()
    profile = csr_matrix(mean[None].astype(np.float32))
    start = Cells(profile, "counts", pd.DataFrame(index=["mean"]))
    baseline = encoder.prepare(start.aligned(GeneAlignment(GeneVocabulary.from_names(adata.var_names), encoder.genes)))
    path = encoder.path(encoder.prepare(aligned(encoder, adata)), baseline)
    assert (path.start > 0).any()
    assert (path.start[-1] == 0).all()
    explained = explain(encoder, adata, baseline=baseline, n_steps=200)
    sums = explained.attribution.toarray().sum(1)
    assert np.median(np.abs(sums - explained.change)[:-1] / np.abs(explained.change[:-1])) < 0.02
    attribute(adata, encoder, baseline=mean, n_steps=200, show_progress=False)
    assert (adata.layers[keys.ATTRIBUTION].toarray()[adata.X.toarray() == 0] == 0).all()


def test_what_stands_at_padding_reaches_no_gene():
    genes = transformer.tokens_to_genes(torch.tensor([[1.0, 2.0], [4.0, 8.0]]), torch.tensor([[2, 0], [1, -1]]), 3)
    assert genes.tolist() == [[2, 0, 1], [0, 4, 0]]


def test_special_tokens_that_the_vocabulary_lacks_come_last(tmp_path):
    bare = {name: number for name, number in scgpt.vocabulary().items() if not name.startswith("<")}
    assert (
        models.load(scgpt.build(tmp_path / "a", vocab=bare)).fingerprint
        == models.load(scgpt.build(tmp_path / "b")).fingerprint
    )


class Malicious:
    def __reduce__(self):
        return (print, ("this code must not run",))


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path, capsys):
    path = scgpt.build(tmp_path / "m")
    torch.save(scgpt.state_dict() | {"decoder.fc.2": Malicious()}, path / "best_model.pt")
    with pytest.raises(UnsafeCheckpoint, match="runs no code from checkpoints"):
        models.load(path)
    for name in ("best_model.pt", "vocab.json", "args.json"):
        path = scgpt.build(tmp_path / name)
        (path / name).write_bytes(pickle.dumps(Malicious()))
        with pytest.raises((UnsafeCheckpoint, ModelFormatError)):
            models.load(path)
    assert capsys.readouterr().out == ""


def change(path, **changes):
    (path / "args.json").write_text(json.dumps(scgpt.ARGS | changes))


def save(path, **changes):
    torch.save(scgpt.state_dict() | {key.replace("__", "."): value for key, value in changes.items()}, path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: change(p, nheads=None), "nheads should be a whole number"),
        (lambda p: change(p, nheads=3), "3 heads do not divide the width 16"),
        (lambda p: change(p, n_bins=2), "n_bins should be a whole number, at least 3, found 2"),
        (lambda p: change(p, norm_scheme="odd"), "norm_scheme should be 'pre' or 'post'"),
        (lambda p: change(p, input_emb_style="category"), "input_emb_style should be 'continuous', found 'category'"),
        (lambda p: (p / "vocab.json").write_text('{"A": 0, "B": 999}'), "has 63 gene embeddings.* up to 1,002"),
        (lambda p: (p / "vocab.json").write_text('{"A": 0, "B": "1"}'), "a whole number of its own"),
        (lambda p: (p / "vocab.json").write_text('{"A": 0, "B": 0}'), "a whole number of its own"),
        (lambda p: (p / "vocab.json").write_text('{"<pad>": 0}'), "a whole number of its own"),
        (lambda p: save(p / "best_model.pt", dsbn__weight=torch.ones(16)), "batch norms on its input"),
        (
            lambda p: save(p / "best_model.pt", encoder__enc_norm__bias=torch.full((16,), torch.nan)),
            "not finite",
        ),
        (lambda p: save(p / "best_model.pt", value_encoder__linear1__weight=torch.ones(16, 2)), r"shape \(16, 1\)"),
        (lambda p: torch.save({"model": {}}, p / "best_model.pt"), "lacks the tensor 'encoder.embedding.weight'"),
    ],
)
def test_a_damaged_directory_is_refused_with_its_fault(tmp_path, damage, message):
    path = scgpt.build(tmp_path / "m")
    damage(path)
    with pytest.raises(ModelFormatError, match=message):
        models.load(path)


@pytest.mark.parametrize(
    ("name", "n_genes"), [("default_gene_vocab.json", 48_292), ("default_census_vocab.json", 60_694)]
)
def test_the_published_vocabularies_are_read_and_match_symbols(real_data, name, n_genes):
    names = gene_tokens(read_tokens(real_data(f"fm_formats/scgpt/{name}")))
    assert len(names) == n_genes
    genes = GeneVocabulary.from_names(names, organism="human")
    symbols = ["CD14", "LYZ", "S100A8", "CD3E", "MS4A1", "NKG7"]
    with pytest.warns(CoverageWarning):
        alignment = GeneAlignment(GeneVocabulary.from_names(symbols), genes, min_overlap=0)
    assert [genes.labels[i] for i in alignment.index] == symbols


def test_the_published_vocabulary_makes_a_model(real_data, tmp_path):
    """60,694 genes and three special tokens appended, as in the released human model."""
    vocabulary = json.loads(real_data("fm_formats/scgpt/default_census_vocab.json").read_text())
    encoder = models.load(scgpt.build(tmp_path / "m", vocab=vocabulary, words=60_697))
    assert len(encoder.genes) == 60_694


def test_ordinary_cells_are_no_few_genes_for_a_large_vocabulary(real_data, tmp_path):
    """Counts of a PBMC study: nearly all expressed genes are known, so there is no warning, which would be an error."""
    vocabulary = json.loads(real_data("fm_formats/scgpt/default_census_vocab.json").read_text())
    encoder = models.load(scgpt.build(tmp_path / "m", vocab=vocabulary, words=60_697))
    adata = read(real_data("scrna/pbmc_5k_protein_v3.h5ad"))[:20].copy()
    expression = Expression.from_adata(adata)
    alignment = align(expression, encoder)
    assert alignment.match.coverage < 0.5
    known = alignment.index[expression.expressed()] >= 0
    assert known.mean() > 0.9
    check(adata, encoder)
    tl.embed(adata, encoder, key_added="X")
