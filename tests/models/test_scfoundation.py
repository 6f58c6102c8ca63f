"""scFoundation: all expressed genes of a cell are seen, S and T are there, and padding is not."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from scipy.sparse import csr_matrix
from tests.lookalikes.scfoundation import GENE_FILE, build, cells, network
from torch import nn

from insignia import models
from insignia.attribution import attribute
from insignia.core import keys
from insignia.core.errors import DuplicateNames, InputError, InputSpaceError, ModelFormatError, UnsafeCheckpoint
from insignia.data import Cells, Expression
from insignia.models.scfoundation import load_scfoundation
from insignia.models.transformer import attention_mask


def block(matrix=None):
    if matrix is None:
        return Expression.from_adata(cells(), input_space="counts").block(0, 12)
    matrix = csr_matrix(np.asarray(matrix, dtype=np.float32))
    return Cells(matrix, "counts", pd.DataFrame(index=[str(i) for i in range(matrix.shape[0])]))


def norm(x, weight, bias):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * weight + bias


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def tokens_of(counts, target):
    """Amounts and positions of one cell as published: expressed genes in order, T and S last, no padding."""
    logged = np.log1p(counts / counts.sum() * 1e4)
    measured = np.log10(counts.sum())
    values = np.concatenate([logged, [target(measured), measured]])
    positions = np.flatnonzero(values > 0)
    return values[positions], positions


def independent_outputs(values, positions, part, heads):
    """The published forward pass of one cell in numpy."""
    s = {key.removeprefix("model."): value.double().numpy() for key, value in part["state_dict"].items()}
    hidden = values[:, None] @ s["token_emb.mlp.weight"].T + s["token_emb.mlp.bias"]
    hidden = np.where(hidden > 0, hidden, 0.1 * hidden)
    alpha = part["config"]["model_config"]["mae_autobin"]["bin_alpha"]
    bins = softmax(alpha * hidden + hidden @ s["token_emb.mlp2.weight"].T + s["token_emb.mlp2.bias"])
    x = bins @ s["token_emb.emb.weight"] + s["pos_emb.weight"][positions]
    size = x.shape[1] // heads
    for i in range(part["config"]["model_config"]["mae_autobin"]["encoder"]["depth"]):
        p = {key.split(f"encoder.{i}.")[1]: value for key, value in s.items() if f"transformer_encoder.{i}." in key}
        q, k, v = np.split(x @ p["self_attn.in_proj_weight"].T + p["self_attn.in_proj_bias"], 3, axis=1)
        heard = []
        for head in range(heads):
            h = slice(head * size, (head + 1) * size)
            heard.append(softmax(q[:, h] @ k[:, h].T / np.sqrt(size)) @ v[:, h])
        attended = np.hstack(heard) @ p["self_attn.out_proj.weight"].T + p["self_attn.out_proj.bias"]
        x = norm(x + attended, p["norm1.weight"], p["norm1.bias"])
        wide = np.maximum(x @ p["linear1.weight"].T + p["linear1.bias"], 0)
        x = norm(x + wide @ p["linear2.weight"].T + p["linear2.bias"], p["norm2.weight"], p["norm2.bias"])
    return norm(x, s["encoder.norm.weight"], s["encoder.norm.bias"])


def independent_embedding(matrix, part, *, heads=2, pool="all", target=lambda measured: 4.0):
    rows = []
    for counts in np.asarray(matrix, dtype=np.float64):
        out = independent_outputs(*tokens_of(counts, target), part, heads)
        parts = [out[-1], out[-2], out[:-2].max(0), out[:-2].mean(0)]
        rows.append(np.concatenate(parts) if pool == "all" else out.max(0))
    return np.array(rows)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, {}),
        ({"pool": "max"}, {"pool": "max"}),
        ({"tgthighres": "t3.5"}, {"target": lambda measured: 3.5}),
        ({"tgthighres": "f1.5"}, {"target": lambda measured: np.log10(10**measured * 1.5)}),
        ({"tgthighres": "a5"}, {"target": lambda measured: measured + 5}),
    ],
)
def test_the_embedding_equals_an_independent_forward(tmp_path, how, expected):
    """S first, then T, maximum and mean over genes; cells of other lengths in the block change nothing."""
    model = load_scfoundation(build(tmp_path / "m"), **how)
    matrix = block().matrix.toarray()[:11]
    matrix[10] = 3.0 * (np.arange(60) == 59)
    found = model.embed(block(matrix))
    np.testing.assert_allclose(found, independent_embedding(matrix, network(), **expected), atol=2e-5)
    assert model.describe()["pool"] == how.get("pool", "all")


def test_each_network_of_the_file_can_be_asked_for(tmp_path):
    folder = build(tmp_path / "m")
    matrix = block().matrix.toarray()[:11]
    found = load_scfoundation(folder, key="rde")
    np.testing.assert_allclose(found.embed(block())[:11], independent_embedding(matrix, network(seed=2)), atol=2e-5)
    prints = {load_scfoundation(folder, key=key).fingerprint for key in ("cell", "gene", "rde")}
    others = {load_scfoundation(folder, pool="max").fingerprint, load_scfoundation(folder, tgthighres="a5").fingerprint}
    assert len(prints | others) == 5
    assert models.load(folder).fingerprint == load_scfoundation(folder, key="cell").fingerprint


def test_the_transformer_equals_that_of_torch(tmp_path):
    model = models.load(build(tmp_path / "m"))
    reference = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 2, 64, batch_first=True, dropout=0.0), 2, enable_nested_tensor=False
    )
    prefix = "model.encoder.transformer_encoder."
    state = {key.removeprefix(prefix): value for key, value in network()["state_dict"].items() if prefix in key}
    reference.layers.load_state_dict(state)
    x = torch.randn(3, 7, 16, generator=torch.Generator().manual_seed(0))
    present = torch.arange(7) < torch.tensor([7, 4, 2])[:, None]
    expected = reference.train()(x, src_key_padding_mask=~present)
    found = x
    for block in model.module.blocks:
        found = block(found, attention_mask(present, x.dtype))
    torch.testing.assert_close(found[present], expected[present], rtol=0, atol=1e-5)


def test_padding_and_the_order_of_cells_change_nothing(tmp_path):
    """T5: embeddings and attributions, below 1e-5 of their size."""
    model = models.load(build(tmp_path / "m"))
    adata = cells(20)
    attribute(adata, model, show_progress=False)
    order = np.random.default_rng(0).permutation(20)
    for chosen in (order, [3], [19, 3], list(range(5))):
        some = cells(20)[chosen].copy()
        attribute(some, model, show_progress=False, input_space="counts")
        whole = adata.layers[keys.ATTRIBUTION].toarray()[chosen]
        np.testing.assert_allclose(some.layers[keys.ATTRIBUTION].toarray(), whole, atol=1e-5 * 1000)
    path = model.path(model.prepare(block()), None)
    wider = {**path.context, "tokens": nn.functional.pad(path.context["tokens"], (0, 9), value=-1)}
    padded = model.forward(nn.functional.pad(path.end, (0, 9), value=7.0), wider)
    torch.testing.assert_close(padded, model.forward(path.end, path.context), rtol=0, atol=1e-5)


def test_gradients_equal_finite_differences(tmp_path):
    model = models.load(build(tmp_path / "m"))
    model.module.double()
    path = model.path(model.prepare(block()), None)
    context = {**path.context, "depth": path.context["depth"].double()}
    point = path.end.double().requires_grad_()
    weights = torch.randn(12, 64, generator=torch.Generator().manual_seed(0)).double()
    (gradient,) = torch.autograd.grad((model.forward(point, context) * weights).sum(), point)
    step = torch.zeros_like(point)
    step[4, 2] = 1e-5
    with torch.no_grad():
        change = (model.forward(point + step, context) - model.forward(point - step, context)) * weights
    assert gradient[4, 2].item() == pytest.approx(change.sum().item() / 2e-5, rel=1e-5)
    assert (gradient[path.context["tokens"] < 0] == 0).all()


def test_the_whole_alphabet_is_seen(tmp_path):
    """T5 and R4: 1,500 genes of a cell, the last of 19,264 among them, all get their attribution, on the CPU."""
    names = [f"GENE{i}" for i in range(19_264)]
    model = models.load(build(tmp_path / "m", names=names, hidden=8, depth=1))
    rng = np.random.default_rng(0)
    counts = np.zeros((2, 19_264), dtype=np.float32)
    for row, n in enumerate((1500, 50)):
        counts[row, rng.choice(19_263, n, replace=False)] = rng.integers(1, 9, n)
    counts[:, 19_263] = 3
    adata = AnnData(csr_matrix(counts), var=pd.DataFrame(index=names))
    attribute(adata, model, n_steps=20, show_progress=False)
    found = adata.layers[keys.ATTRIBUTION].toarray()
    assert (found[:, 19_263] > 0).all()
    assert ((found > 0).sum(1) > 0.99 * (counts > 0).sum(1)).all()
    assert (found[counts == 0] == 0).all()
    path = model.path(model.prepare(block(counts)), None)
    assert path.end.shape == (2, 1501)
    assert not path.end.is_cuda
    np.testing.assert_allclose(model.embed(block(counts[1:])), model.embed(block(counts))[1:], atol=1e-5)


def test_s_and_t_have_their_tokens(tmp_path):
    """The depth of a cell enters by S alone: ten times the counts are the same amounts."""
    model = models.load(build(tmp_path / "m"))
    matrix = block().matrix.toarray()[:11]
    inputs = [model.prepare(block(times * matrix)) for times in (1, 10)]
    np.testing.assert_allclose(inputs[0].values.toarray(), inputs[1].values.toarray(), rtol=1e-6)
    total = matrix.sum(1)
    expected = np.column_stack([np.full(11, 4.0), np.log10(total)])
    np.testing.assert_allclose(inputs[0].context["depth"].numpy(), expected, rtol=1e-6)
    assert np.abs(model.embed(block(10 * matrix)) - model.embed(block(matrix))).max(1).min() > 1e-3


def test_a_cell_without_counts_has_s_and_t_only(tmp_path):
    """And one with a single count keeps S, although it is 0."""
    model = models.load(build(tmp_path / "m"))
    found = model.embed(block(np.zeros((2, 60))))
    out = independent_outputs(np.array([4.0, 0.0]), np.array([60, 61]), network(), 2)
    expected = np.concatenate([out[1], out[0], np.zeros(32)])
    np.testing.assert_allclose(found, np.tile(expected, (2, 1)), atol=2e-5)
    one = np.eye(1, 60)
    values, positions = np.array([np.log1p(1e4), 4.0, 0.0]), np.array([0, 60, 61])
    out = independent_outputs(values, positions, network(), 2)
    expected = np.concatenate([out[2], out[1], out[0], out[0]])
    np.testing.assert_allclose(model.embed(block(one))[0], expected, atol=2e-5)
    adata = AnnData(csr_matrix((2, 60), dtype=np.float32), var=pd.DataFrame(index=[f"GENE{i}" for i in range(60)]))
    attribute(adata, model, input_space="counts", show_progress=False)
    assert adata.layers[keys.ATTRIBUTION].nnz == 0


def test_amounts_are_never_taken_for_mask_or_padding(tmp_path):
    model = models.load(build(tmp_path / "m"))
    path = model.path(model.prepare(block()), None)
    for special in (102.0, 103.0):
        at, near = (model.forward(torch.full_like(path.end, special + d), path.context) for d in (0.0, 1e-3))
        assert (at - near).abs().max() < 1e-2
        values, positions = tokens_of(block().matrix.toarray()[0].astype(float), lambda measured: 4.0)
        values[:-2] = special
        out = independent_outputs(values, positions, network(), 2)
        np.testing.assert_allclose(at[0, :16], out[-1], atol=1e-4)


@pytest.mark.filterwarnings("ignore::insignia.core.errors.CompletenessWarning")
def test_another_baseline_moves_the_genes_of_the_cell(tmp_path):
    model = models.load(build(tmp_path / "m"))
    baseline = np.random.default_rng(1).poisson(2.0, 60).astype(np.float32)
    path = model.path(model.prepare(block()), model.prepare(block(baseline[None])))
    logged = np.log1p(baseline / baseline.sum() * 1e4)
    tokens = path.context["tokens"].numpy()
    np.testing.assert_allclose(path.start, np.where(tokens >= 0, logged[tokens], 0), rtol=1e-5)
    adata = cells()
    attribute(adata, model, baseline=baseline, n_steps=300, show_progress=False)
    # some cells score as the baseline does, and any error is large beside no change
    assert adata.obs[keys.gap()].median() < 0.03


def test_preparing_leaves_the_cells_as_they_are(tmp_path):
    model = models.load(build(tmp_path / "m"))
    matrix = csr_matrix(np.array([[1, 0, 2] + [0] * 57], dtype=np.float32))
    matrix.data[0] = 0
    cell = Cells(matrix, "counts", pd.DataFrame(index=["a"]))
    assert model.prepare(cell).values.nnz == 1
    assert (matrix.nnz, matrix.indices.tolist()) == (2, [0, 2])


def test_log_normalised_cells_are_refused(tmp_path):
    model = models.load(build(tmp_path / "m"))
    with pytest.raises(InputSpaceError, match="needs counts"):
        model.embed(Cells(block().matrix, "log1p", block().obs))


class Malicious:
    def __reduce__(self):
        return (print, ("this code must not run",))


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path, capsys):
    folder = build(tmp_path / "m")
    part = network()
    first = next(iter(part["state_dict"]))
    hidden = [
        {"cell": Malicious()},
        {"cell": part, "gene": Malicious()},
        {"cell": part | {"config": Malicious()}},
        {"cell": part | {"state_dict": part["state_dict"] | {first: Malicious()}}},
    ]
    for content in hidden:
        torch.save(content, folder / "models.ckpt")
        with pytest.raises(UnsafeCheckpoint, match="runs no code from checkpoints"):
            models.load(folder)
    for name in ("models.ckpt", GENE_FILE):
        build(folder)
        (folder / name).write_bytes(pickle.dumps(Malicious()))
        with pytest.raises((UnsafeCheckpoint, ModelFormatError)):
            models.load(folder)
    assert capsys.readouterr().out == ""


def changed(part=None, *, encoder=None, **state):
    part = network() if part is None else part
    if encoder is not None:
        part["config"]["model_config"]["mae_autobin"]["encoder"].update(encoder)
    for name, value in state.items():
        part["state_dict"]["model." + name.replace("__", ".")] = value
    return {"cell": {**part, "state_dict": {k: v for k, v in part["state_dict"].items() if v is not None}}}


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ({"gene": network()}, "should hold a network 'cell'"),
        ({"cell": {"config": {}, "state_dict": {}}}, "config should hold model"),
        ({"cell": {"config": network()["config"], "state_dict": {}}}, "lacks the tensor 'token_emb.emb.weight'"),
        (changed(encoder={"module_type": "performer"}), "transformer encoder, found"),
        (changed(encoder={"heads": 3}), "the config names"),
        (changed(encoder={"depth": 3}), "the config names"),
        (changed(network(genes=59)), "knows 59 genes, and OS_scRNA_gene_index.19264.tsv lists 60"),
        (changed(encoder__norm__weight=None), "lacks the tensor 'encoder.norm.weight'"),
        (changed(encoder__norm__weight=torch.ones(15)), r"of shape \(16\), found torch.float32 \(15,\)"),
        (changed(encoder__norm__weight=torch.ones(16, dtype=torch.int64)), "found torch.int64"),
        (changed(encoder__norm__weight=torch.full((16,), torch.inf)), "not finite"),
        (changed(pos_emb__weight=torch.ones(63)), r"\'pos_emb.weight\' should be floats of shape \(any, 16\)"),
    ],
)
def test_a_damaged_checkpoint_is_refused_with_its_fault(tmp_path, networks, message):
    with pytest.raises(ModelFormatError, match=message):
        models.load(build(tmp_path / "m", networks=networks))


def test_a_damaged_gene_index_is_refused_with_its_fault(tmp_path):
    folder = build(tmp_path / "m")
    lines = (folder / GENE_FILE).read_text().splitlines()
    expected = models.load(folder)
    (folder / GENE_FILE).write_text("\n".join([lines[0], *reversed(lines[1:])]))
    assert models.load(folder).fingerprint == expected.fingerprint
    for content, message in (
        (lines[1:], "columns gene_name and index"),
        ([*lines[:-1], "GENE59\t58"], "number its 60 genes"),
        ([*lines[:-1], "GENE59\tx"], "number its 60 genes"),
        ([*lines[:-1], "GENE59"], "columns gene_name and index"),
    ):
        (folder / GENE_FILE).write_text("\n".join(content))
        with pytest.raises(ModelFormatError, match=message):
            models.load(folder)
    (folder / GENE_FILE).write_text("\n".join([*lines[:-1], "GENE0\t59"]))
    with pytest.raises(DuplicateNames, match="lists 1 genes more than once"):
        models.load(folder)
    (folder / GENE_FILE).unlink()
    with pytest.raises(ModelFormatError, match="is missing"):
        models.load(folder)


@pytest.mark.parametrize("how", [{"pool": "mean"}, {"tgthighres": "4"}, {"tgthighres": "f0"}, {"tgthighres": "t"}])
def test_unknown_options_are_refused(tmp_path, how):
    with pytest.raises(InputError, match=f"{next(iter(how))} should be"):
        load_scfoundation(build(tmp_path / "m"), **how)


def test_the_published_gene_index_is_read(tmp_path, real_data):
    source = real_data("fm_formats/scfoundation/OS_scRNA_gene_index.19264.tsv")
    folder = build(tmp_path / "m", names=[""] * 19_264, hidden=8, depth=1)
    (folder / GENE_FILE).write_bytes(source.read_bytes())
    genes = models.load(folder).genes
    assert (len(genes), genes.labels[0], genes.labels[-1], genes.organism) == (19_264, "A1BG", "ZZZ3", "human")
