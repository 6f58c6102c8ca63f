"""Attribution on another device: the same numbers, no tensor left behind, and every choice refused that is none."""

from importlib import import_module

import numpy as np
import pytest
import torch
from tests.attribution.conftest import ENCODERS, make_cells, scimilarity_look_alike
from tests.contracts.cases import CASES, REFUSED
from tests.lookalikes import scvi
from tests.simulated_device import SIMULATED, simulated_device
from torch import nn

from insignia import models, tl
from insignia.attribution import Centroid, attribute
from insignia.core import device as devices
from insignia.core import keys
from insignia.core.device import find_device, room, widened
from insignia.core.errors import InputError
from insignia.data import Expression
from insignia.models import MLPEncoder
from insignia.models.first_layer import AffineLayer

pytestmark = pytest.mark.filterwarnings("ignore::insignia.core.errors.CompletenessWarning")
TAKEN = [case for case in CASES if (case.family, case.method) not in REFUSED]


# whoever asks where to compute
PLACES = ("attribution.runner", "models.embed", "models.train")


def on_the_cpu(patch):
    for place in PLACES:
        patch.setattr(import_module(f"insignia.{place}"), "find_device", lambda _: torch.device("cpu"))


@pytest.fixture
def elsewhere(monkeypatch):
    """Let every verb run on the simulated device, and see that it does."""
    asked = []

    def simulated(name="auto"):
        asked.append(name)
        return SIMULATED

    for place in PLACES:
        monkeypatch.setattr(import_module(f"insignia.{place}"), "find_device", simulated)
    with simulated_device():
        yield asked


def attributed(adata, encoder, **options):
    result = attribute(adata, encoder, signed=True, show_progress=False, copy=True, **options)
    return result.layers[keys.ATTRIBUTION].toarray(), result


@pytest.mark.parametrize("case", TAKEN, ids=str)
def test_every_family_and_method_gives_the_same_on_another_device(case, elsewhere, monkeypatch):
    """With the numbers of the compiled CPU path beside it, and nothing that meets across devices."""
    found, block, runner = case.run(n_steps=8)
    assert runner.facts["device"] == "meta"
    with monkeypatch.context() as patch:
        on_the_cpu(patch)
        expected, on_cpu, _ = case.run(n_steps=8)
    np.testing.assert_allclose(found, expected, atol=0.01)
    np.testing.assert_allclose(block.total, on_cpu.total, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("target", ["self", "self_abs", "self_raw", "dim:2", "centroid"])
@pytest.mark.parametrize("baseline", [None, "one", "matched"])
def test_targets_baselines_and_precisions_do_as_well(cells, elsewhere, monkeypatch, target, baseline, precision):
    encoder = scimilarity_look_alike()
    target = Centroid(np.arange(12.0)) if target == "centroid" else target
    profiles = {None: None, "one": np.asarray(cells.X.mean(0)).ravel(), "matched": make_cells(seed=8).X}[baseline]
    options = {"target": target, "baseline": profiles}
    found, _ = attributed(cells, encoder, precision=precision, **options)
    with monkeypatch.context() as patch:
        on_the_cpu(patch)
        expected, _ = attributed(cells, encoder, **options)
    np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_other_encoders_and_moved_amounts_do_as_well(cells, elsewhere, monkeypatch, name):
    encoder = ENCODERS[name]()
    ways = ["values", "amounts"] if encoder.transform else ["values"]
    for interpolate in ways:
        found, _ = attributed(cells, encoder, interpolate=interpolate)
        with monkeypatch.context() as patch:
            on_the_cpu(patch)
            expected, _ = attributed(cells, encoder, interpolate=interpolate)
        np.testing.assert_allclose(found, expected, atol=0.02)


def test_covariates_and_a_classifier_go_along(tmp_path, elsewhere, monkeypatch):
    state = scvi.state_dict(first=6, deep=5, labels=2)
    folder = scvi.build(tmp_path / "m", state=state, attrs=scvi.attributes(model="SCANVI"))
    encoder, adata = models.load(folder), scvi.cells()
    adata.obs["batch"], adata.obs["site"], adata.obs["age"] = "b2", "1", np.arange(12.0)
    found, _ = attributed(adata, encoder, target="label:B")
    embedded = tl.embed(adata, encoder, copy=True).obsm["X_m"]
    with monkeypatch.context() as patch:
        on_the_cpu(patch)
        expected, _ = attributed(adata, encoder, target="label:B")
        on_cpu = tl.embed(adata, encoder, copy=True).obsm["X_m"]
    np.testing.assert_allclose(found, expected, atol=0.01)
    np.testing.assert_allclose(embedded, on_cpu, atol=1e-5)


def test_cells_are_embedded_and_annotated_there(cells, elsewhere):
    encoder = scimilarity_look_alike()
    expected = encoder.embed(Expression.from_adata(cells).block(0, cells.n_obs))
    tl.embed(cells, encoder, device="cuda")
    np.testing.assert_allclose(cells.obsm["X_scimilarity"], expected, atol=1e-5)
    cells.obs["cell_type"] = ["a", "b"] * 6
    others = make_cells(seed=3)
    tl.annotate(others, encoder, cells, device="cuda:1")
    assert set(others.obs["cell_type_predicted"]) <= {"a", "b"}
    assert elsewhere == ["cuda", "cuda:1"]


@pytest.mark.parametrize("labels", ["cell_type", None])
def test_training_runs_there_and_gives_the_same_encoder(elsewhere, monkeypatch, labels):
    adata = make_cells(60, seed=2)
    adata.obs["cell_type"] = np.where(np.arange(60) % 2, "a", "b")
    options = {"labels": labels, "hidden": (8, 8), "latent": 4, "dropout": 0.0, "show_progress": False}
    options |= {"options": models.TrainOptions(epochs=2), "input_dropout": 0.0 if labels else 0.3}
    found = models.train(adata, **options)
    assert {tensor.device.type for tensor in found.module.parameters()} == {"cpu"}
    with monkeypatch.context() as patch:
        on_the_cpu(patch)
        expected = models.train(adata, **options)
    for mine, theirs in zip(found.module.parameters(), expected.module.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)


def test_a_tensor_that_is_left_behind_is_found(cells, elsewhere):
    """The simulation itself: without it the tests above could not fail."""
    encoder = scimilarity_look_alike()
    forgotten = torch.ones(32)

    class Forgetful(MLPEncoder):
        def tail(self, hidden, context):
            return super().tail(hidden * forgotten, context)

    encoder.__class__ = Forgetful
    with pytest.raises(RuntimeError, match="met tensors of two devices"):
        attributed(cells, encoder)
    with pytest.raises(RuntimeError, match="numpy"):
        torch.ones(2).to(SIMULATED).numpy()


def test_the_caller_keeps_the_encoder_where_it_was(cells, elsewhere):
    encoder = scimilarity_look_alike()
    weights = {name: tensor.clone() for name, tensor in encoder.module.state_dict().items()}
    moved = encoder.to(SIMULATED, "float64")
    assert moved.first_layer.weight is moved.module[0].weight
    assert moved.tail_layers[0] is moved.module[1]
    assert {tensor.dtype for tensor in moved.module.parameters()} == {torch.float64}
    attributed(cells, encoder)
    assert encoder.device.type == "cpu"
    for name, tensor in encoder.module.state_dict().items():
        assert tensor.device.type == "cpu"
        torch.testing.assert_close(tensor, weights[name], rtol=0, atol=0)
    same = encoder.to(torch.device("cpu"))
    assert same.module[0].weight.data_ptr() == encoder.module[0].weight.data_ptr()


def test_dense_blocks_of_any_size_give_the_products_of_compiled_loops(monkeypatch):
    torch.manual_seed(0)
    layer = nn.Linear(60, 7).requires_grad_(False)
    affine, values = AffineLayer(layer.weight, layer.bias), make_cells().X
    compiled = affine.rows(values)
    gradient = torch.randn(12, 7)
    monkeypatch.setattr("insignia.models.first_layer.runs_compiled", lambda _: False)
    for bound in (2 * 60 * 5, 1, 10**9):
        monkeypatch.setattr("insignia.models.first_layer.room", lambda *_, bound=bound: bound)
        dense = affine.rows(values)
        assert type(dense) is not type(compiled)
        torch.testing.assert_close(dense.project(), compiled.project(), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(dense.project(), torch.from_numpy(values.toarray()) @ layer.weight.T)
        other = torch.rand(values.nnz)
        torch.testing.assert_close(dense.project(other), compiled.project(other), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(dense.back(gradient), compiled.back(gradient), rtol=1e-5, atol=1e-5)


def test_devices_that_are_not_there_are_refused_with_what_is(monkeypatch):
    assert find_device("cpu") == torch.device("cpu")
    for name in ("gpu", "meta", "cuda:x", ""):
        with pytest.raises(InputError, match=f"'mps'; found '{name}'"):
            find_device(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(devices, "_mps_works", lambda: False)
    assert find_device() == torch.device("cpu")
    for name in ("cuda", "cuda:1", "mps"):
        with pytest.raises(InputError, match=rf"no device '{name}' here .* sees 0 CUDA devices\)\. Use device='auto'"):
            find_device(name)
    with pytest.raises(InputError, match="no device 'cuda' here"):
        attribute(make_cells(), scimilarity_look_alike(), device="cuda", show_progress=False)


def test_the_first_device_that_works_is_taken(monkeypatch):
    monkeypatch.setattr(devices, "_mps_works", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device() == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert find_device() == torch.device("cuda")
    assert find_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(InputError, match="sees 2 CUDA devices and MPS"):
        find_device("cuda:2")


def test_mps_is_taken_only_where_it_computes(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert not devices._mps_works() or torch.ones(1, device="mps").item() == 1
    with pytest.raises(InputError, match="MPS devices have no float64"):
        scimilarity_look_alike().to(torch.device("mps"), "float64")


def test_room_is_a_share_of_free_memory(monkeypatch):
    gib = 2**30
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (10 * gib, 80 * gib))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 6 * gib)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 2 * gib)
    numbers = room(torch.device("cuda"))
    assert numbers == int(0.3 * 14 * gib) // 4
    assert room(torch.device("cuda"), torch.float64) == int(0.3 * 14 * gib) // 8
    assert room(torch.device("cpu")) < numbers / 100
    assert widened(torch.ones(1)).dtype == torch.float64


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_every_family_and_method_gives_the_same_on_a_gpu():
    for case in TAKEN:
        found, _, runner = case.run(device="cuda")
        assert runner.facts["device"] == "cuda"
        np.testing.assert_allclose(found, case.run(device="cpu")[0], atol=1.0, err_msg=str(case))
        exact, _, _ = case.run(device="cuda", precision="float64")
        np.testing.assert_allclose(exact, case.run(device="cpu", precision="float64")[0], atol=1e-4, err_msg=str(case))
        if case.method != "deeplift":
            facts = case.run(device="cuda", precision="bf16")[2].facts
            assert facts["precision_error"] < 0.1, case


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_training_on_a_gpu_is_repeatable_and_leaves_its_random_state_alone():
    adata = make_cells(60, seed=2)
    before = torch.cuda.get_rng_state()
    options = {"hidden": (8, 8), "latent": 4, "show_progress": False, "device": "cuda"}
    first, second = (models.train(adata, options=models.TrainOptions(epochs=2), **options) for _ in range(2))
    assert torch.equal(before, torch.cuda.get_rng_state())
    assert first.fingerprint == second.fingerprint
