"""Encoders with weights: against transformers' own networks with the same numbers, and what is refused."""

import json
import pickle
import re

import numpy as np
import pytest
import torch
from tests.lookalikes.image_encoders import (
    DEPTH,
    GRID,
    SIDE,
    TOKEN,
    WIDTH,
    save_timm,
    save_transformers,
    timm_vit,
    torchvision_resnet,
)
from torch.nn import functional

from insignia.core.errors import InputError, ModelFormatError, UnsafeCheckpoint
from insignia.spatial.features import find_encoder
from insignia.spatial.features.resnet import load_resnet
from insignia.spatial.features.transformers_folder import load_transformers
from insignia.spatial.features.vit import load_vit

MEAN, SD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def patches(n=3, side=SIDE, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def pixels(images, mean=MEAN, sd=SD):
    return torch.from_numpy((images / 255 - mean) / sd).permute(0, 3, 1, 2).float()


PARTS = {
    "attn.qkv": (
        "attention.q_proj attention.k_proj attention.v_proj",
        "attention.attention.query attention.attention.key attention.attention.value",
    ),
    "attn.proj": ("attention.o_proj", "attention.output.dense"),
    "norm1": ("layernorm_before", "norm1"),
    "norm2": ("layernorm_after", "norm2"),
    "mlp.fc1": ("mlp.fc1", "intermediate.dense", "mlp.gate_proj mlp.up_proj", "mlp.weights_in"),
    "mlp.fc2": ("mlp.fc2", "output.dense", "mlp.down_proj", "mlp.weights_out"),
}
"""timm's names, and what versions of transformers call the same."""


def timm_names(model, *, kind):
    """Weights of a model of transformers, under timm's names."""
    given = model.state_dict()
    state = {"cls_token": given["embeddings.cls_token"], "pos_embed": given["embeddings.position_embeddings"]}
    for part in ("weight", "bias"):
        state[f"patch_embed.proj.{part}"] = given[f"embeddings.patch_embeddings.projection.{part}"]
        state[f"norm.{part}"] = given[f"layernorm.{part}"]
    for number in range(DEPTH):
        old = re.compile(rf"(?:encoder\.)?layers?\.{number}\.(.*)")
        block = {match[1]: tensor for key, tensor in given.items() if (match := old.fullmatch(key))}
        for name, options in PARTS.items():
            for part in ("weight", "bias"):
                named = ([f"{each}.{part}" for each in option.split()] for option in options)
                (found,) = [names for names in named if all(each in block for each in names)]
                state[f"blocks.{number}.{name}.{part}"] = torch.cat([block[each] for each in found])
        if kind != "vit":
            state |= {f"blocks.{number}.ls{k}.gamma": block[f"layer_scale{k}.lambda1"] for k in (1, 2)}
    if kind == "dinov2_with_registers":
        # transformers gives positions to the class token and none to registers; where timm's layout gives none to
        # either, the class token holds its own
        state["reg_token"] = given["embeddings.register_tokens"]
        state["cls_token"] = state["cls_token"] + state["pos_embed"][:, :1]
        state["pos_embed"] = state["pos_embed"][:, 1:]
    return state


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("vit", {"layer_norm_eps": 1e-6}),
        ("dinov2", {}),
        ("dinov2", {"use_swiglu_ffn": True}),
        ("dinov2_with_registers", {}),
    ],
)
def test_a_timm_vit_computes_what_transformers_does(tmp_path, kind, config):
    pytest.importorskip("transformers")
    model = save_transformers(tmp_path / "hf", kind, **config)
    encoder = load_vit(save_timm(tmp_path / "timm", timm_names(model, kind=kind)))
    images = patches()
    with torch.no_grad():
        expected = model(pixel_values=pixels(images)).last_hidden_state
    np.testing.assert_allclose(encoder.encode(images), expected[:, 0], rtol=1e-4, atol=2e-5)
    average = load_vit(tmp_path / "timm", pooling="avg")
    n_prefix = 1 + encoder.module.shape.n_registers
    np.testing.assert_allclose(average.encode(images), expected[:, n_prefix:].mean(dim=1), rtol=1e-4, atol=2e-5)


def test_a_folder_of_transformers_gives_what_its_model_gives(tmp_path):
    pytest.importorskip("transformers")
    processor = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4], "size": {"height": SIDE, "width": SIDE}}
    model = save_transformers(tmp_path / "phikon", processor=processor)
    encoder = find_encoder(f"hf:{tmp_path / 'phikon'}")
    assert (encoder.name, encoder.patch_px, len(encoder.columns)) == ("phikon", SIDE, WIDTH)
    images = patches()
    with torch.no_grad():
        expected = model(pixel_values=pixels(images, processor["image_mean"], processor["image_std"])).last_hidden_state
    np.testing.assert_allclose(encoder.encode(images), expected[:, 0], rtol=1e-4, atol=1e-5)
    average = load_transformers(tmp_path / "phikon", pooling="avg")
    np.testing.assert_allclose(average.encode(images), expected[:, 1:].mean(dim=1), rtol=1e-4, atol=1e-5)
    assert average.fingerprint != encoder.fingerprint


def test_a_resnet_computes_what_transformers_does(tmp_path):
    pytest.importorskip("transformers")
    model = save_transformers(tmp_path / "hf", "resnet")
    theirs = load_transformers(tmp_path / "hf")
    state = {}
    for key, tensor in model.state_dict().items():
        name = key.replace("embedder.embedder.convolution", "conv1").replace("embedder.embedder.normalization", "bn1")
        if name.startswith("encoder.stages."):
            _, _, stage, _, layer, rest = key.split(".", 5)
            rest = rest.replace("shortcut.convolution", "downsample.0").replace(
                "shortcut.normalization", "downsample.1"
            )
            for number in range(3):
                rest = rest.replace(f"layer.{number}.convolution", f"conv{number + 1}")
                rest = rest.replace(f"layer.{number}.normalization", f"bn{number + 1}")
            name = f"layer{int(stage) + 1}.{layer}.{rest}"
        state[name] = tensor
    torch.save({"state_dict": state | {"fc.weight": torch.ones(2, 256), "fc.bias": torch.ones(2)}}, tmp_path / "r.pth")
    mine = load_resnet(tmp_path / "r.pth")
    images = patches(2, side=224)
    expected = theirs.encode(images)
    assert expected.std() > 0.01
    np.testing.assert_allclose(mine.encode(images), expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(
            expected, model(pixel_values=pixels(images)).pooler_output.flatten(1), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("registers", [0, 4])
@pytest.mark.parametrize("placed_prefix", [True, False])
def test_sizes_are_read_off_the_weights(tmp_path, registers, placed_prefix):
    state = timm_vit(registers=registers, placed_prefix=placed_prefix, gated=True, scaled=True, hidden=40)
    shape = load_vit(save_timm(tmp_path, state)).module.shape
    assert (shape.width, shape.depth, shape.token_px, shape.grid) == (WIDTH, DEPTH, TOKEN, GRID)
    assert (shape.n_registers, shape.places_prefix) == (registers, placed_prefix)
    assert (shape.hidden, shape.is_gated, shape.is_scaled) == (40, True, True)


def test_gated_blocks_multiply_the_second_half_by_silu_of_the_first(tmp_path):
    state = timm_vit(gated=True)
    module = load_vit(save_timm(tmp_path, state)).module
    x = torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(1))
    gate, passed = functional.linear(x, state["blocks.0.mlp.fc1.weight"], state["blocks.0.mlp.fc1.bias"]).chunk(
        2, dim=1
    )
    hidden = gate / (1 + torch.exp(-gate)) * passed
    expected = hidden @ state["blocks.0.mlp.fc2.weight"].T + state["blocks.0.mlp.fc2.bias"]
    torch.testing.assert_close(module.blocks[0].mlp(x), expected)


def test_class_and_mean_tokens_can_stand_side_by_side(tmp_path):
    folder = save_timm(tmp_path, timm_vit())
    both, images = load_vit(folder, pooling="token+avg").encode(patches()), patches()
    parts = [load_vit(folder, pooling=pooling).encode(images) for pooling in ("token", "avg")]
    np.testing.assert_allclose(both, np.concatenate(parts, axis=1), rtol=1e-5, atol=1e-6)


def test_the_configuration_says_colours_and_pooling(tmp_path):
    state, images = timm_vit(), patches()
    plain = load_vit(save_timm(tmp_path / "plain", state)).encode(images)
    grey = {"pretrained_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}}
    assert np.abs(load_vit(save_timm(tmp_path / "grey", state, **grey)).encode(images) - plain).max() > 0.01
    average = load_vit(save_timm(tmp_path / "average", state, global_pool="avg"))
    np.testing.assert_array_equal(average.encode(images), load_vit(tmp_path / "plain", pooling="avg").encode(images))


def test_other_image_sizes_interpolate_positions(tmp_path):
    state = timm_vit()
    # positions that do not depend on place stay what they are, and those of a ramp stay a ramp
    ramp = torch.linspace(-1, 1, GRID)
    state["pos_embed"][0, 1:] = ramp[None, :, None].expand(GRID, GRID, WIDTH).reshape(-1, WIDTH)
    module = load_vit(save_timm(tmp_path, state)).module
    stretched = module._positions(2 * GRID)
    torch.testing.assert_close(stretched[:, :1], state["pos_embed"][:, :1])
    square = stretched[0, 1:].reshape(2 * GRID, 2 * GRID, WIDTH)
    assert (square[:, 1:] > square[:, :-1]).all()
    torch.testing.assert_close(square[1:], square[:1].expand(2 * GRID - 1, -1, -1))
    larger = load_vit(tmp_path, image_px=2 * SIDE)
    assert larger.patch_px == 2 * SIDE
    assert larger.encode(patches(side=2 * SIDE)).shape == (3, WIDTH)
    with pytest.raises(ModelFormatError, match="multiple of 8"):
        load_vit(tmp_path, image_px=SIDE + 3)


def test_the_same_weights_give_the_same_from_any_file(tmp_path):
    state, images = timm_vit(), patches()
    expected = load_vit(save_timm(tmp_path / "a", state)).encode(images)
    for name, content in {"b": state, "c": {"model": state}, "d": {"state_dict": state, "epoch": 3}}.items():
        torch.save(content, tmp_path / f"{name}.pth")
        encoder = load_vit(tmp_path / f"{name}.pth", n_heads=3)
        np.testing.assert_array_equal(encoder.encode(images), expected)
        assert encoder.name == name
    torch.save({key: tensor.half() for key, tensor in state.items()}, tmp_path / "half.pth")
    np.testing.assert_allclose(load_vit(tmp_path / "half.pth", n_heads=3).encode(images), expected, atol=0.02)


def test_models_are_called_after_their_file_or_folder(tmp_path, monkeypatch):
    folder = save_timm(tmp_path / "uni", timm_vit())
    monkeypatch.chdir(folder)
    for path in (folder, folder / "model.safetensors", ".", "model.safetensors"):
        assert load_vit(path).name == "uni"
    assert load_vit(path, name="mine").name == "mine"


def test_encoders_hold_no_gradients_and_no_randomness(tmp_path):
    encoder = load_vit(save_timm(tmp_path, timm_vit()))
    assert not encoder.module.training
    assert not any(parameter.requires_grad for parameter in encoder.module.parameters())
    np.testing.assert_array_equal(encoder.encode(patches()), encoder.encode(patches()))


def test_fingerprints_differ_where_features_do(tmp_path):
    first = load_vit(save_timm(tmp_path / "one", timm_vit()))
    prints = {
        first.fingerprint,
        load_vit(save_timm(tmp_path / "two", timm_vit(seed=1))).fingerprint,
        load_vit(tmp_path / "one", pooling="avg").fingerprint,
        load_vit(tmp_path / "one", n_heads=4).fingerprint,
        load_vit(tmp_path / "one", image_px=2 * SIDE).fingerprint,
        load_vit(save_timm(tmp_path / "three", timm_vit(), pretrained_cfg={"mean": [0, 0, 0]})).fingerprint,
    }
    assert len(prints) == 6
    assert load_vit(tmp_path / "one", name="other").fingerprint == first.fingerprint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("blocks.1.norm2.bias"), r"1 names are missing, e.g. \['blocks.1.norm2.bias'\]"),
        (
            lambda s: s.update({"blocks.0.attn.q_norm.weight": torch.ones(8)}),
            r"not expected, e.g. \['blocks.0.attn.q_norm",
        ),
        (lambda s: s.update({"norm.bias": torch.ones(3)}), r"norm.bias should be \(24,\), found \(3,\)"),
        (lambda s: s["norm.bias"].fill_(np.nan), "norm.bias holds values that are not finite"),
        (lambda s: s.pop("cls_token"), r"not a ViT with timm's names: it lacks \['cls_token'\]"),
        (lambda s: s.update({"pos_embed": torch.ones(1, 19, WIDTH)}), "19 position embeddings are no square"),
    ],
)
def test_weights_that_are_not_those_of_the_network_are_refused(tmp_path, change, message):
    state = timm_vit()
    change(state)
    with pytest.raises(ModelFormatError, match=message):
        load_vit(save_timm(tmp_path, state))


def test_heads_are_not_guessed(tmp_path):
    torch.save(timm_vit(), tmp_path / "vit.pth")
    with pytest.raises(ModelFormatError, match="do not say how many heads a network of width 24 has"):
        load_vit(tmp_path / "vit.pth")
    with pytest.raises(ModelFormatError, match="width of 24 cannot be shared by 7 heads"):
        load_vit(tmp_path / "vit.pth", n_heads=7)
    torch.save(timm_vit(width=192), tmp_path / "tiny.pth")
    assert load_vit(tmp_path / "tiny.pth").module.shape.n_heads == 3


class _Evil:
    def __reduce__(self):
        return (print, ("this ran code",))


@pytest.mark.parametrize("load", [load_vit, load_resnet, load_transformers])
def test_weights_that_would_run_code_are_refused(tmp_path, load, capsys):
    torch.save({"state_dict": _Evil()}, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(UnsafeCheckpoint, match="runs no code from checkpoints"):
        load(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(_Evil(), protocol=2))
    with pytest.raises((UnsafeCheckpoint, ModelFormatError)):
        load(tmp_path)
    assert "this ran code" not in capsys.readouterr().out


def test_files_that_are_absent_or_damaged_are_refused(tmp_path):
    with pytest.raises(ModelFormatError, match="There are no weights at"):
        load_vit(tmp_path / "nothing")
    with pytest.raises(ModelFormatError, match=r"should hold one of model.safetensors.*it holds \[\]"):
        load_vit(tmp_path)
    folder = save_timm(tmp_path / "cut", timm_vit())
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:1000])
    with pytest.raises(ModelFormatError, match="not a readable safetensors file"):
        load_vit(folder)
    torch.save({"a": torch.ones(1), "b": "text"}, tmp_path / "odd.pth")
    with pytest.raises(ModelFormatError, match=r"should hold named tensors; other things are \['b'\]"):
        load_vit(tmp_path / "odd.pth")
    with pytest.raises(ModelFormatError, match="not a ResNet of bottlenecks"):
        load_resnet(save_timm(tmp_path / "vit", timm_vit()))
    with pytest.raises(InputError, match="needs weights: vit:PATH"):
        find_encoder("vit:")


def test_a_resnet_lacking_a_weight_is_refused(tmp_path):
    state = torchvision_resnet()
    del state["layer2.1.bn3.running_var"]
    torch.save(state, tmp_path / "resnet.pth")
    with pytest.raises(ModelFormatError, match=r"missing, e.g. \['layer2.1.bn3.running_var'\]"):
        load_resnet(tmp_path / "resnet.pth")


def test_a_folder_of_transformers_that_does_not_hold_its_model_is_refused(tmp_path):
    pytest.importorskip("transformers")
    from safetensors.torch import load_file, save_file

    save_transformers(tmp_path / "vit")
    weights = load_file(tmp_path / "vit" / "model.safetensors")
    dropped = next(name for name in weights if "layernorm" in name or "norm" in name)
    kept = {name: tensor for name, tensor in weights.items() if name != dropped}
    save_file(kept, tmp_path / "vit" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelFormatError, match="lacks 1 weights of the model"):
        load_transformers(tmp_path / "vit")
    config = json.loads((tmp_path / "vit" / "config.json").read_text())
    (tmp_path / "vit" / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))
    with pytest.raises(ModelFormatError, match="model of type 'bert'; vit, deit"):
        load_transformers(tmp_path / "vit")
    (tmp_path / "vit" / "config.json").unlink()
    with pytest.raises(ModelFormatError, match=r"config.json is missing"):
        load_transformers(tmp_path / "vit")
