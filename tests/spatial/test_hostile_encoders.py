"""Image encoders and ASIGN whose names and numbers promise more than their weights hold are refused unbuilt."""

import json

import pytest
import torch
from tests.lookalikes.image_encoders import save_timm, timm_vit, torchvision_resnet

from insignia.core.errors import ModelFormatError
from insignia.spatial.features.network import count_numbered
from insignia.spatial.features.resnet import load_resnet
from insignia.spatial.features.transformers_folder import load_transformers
from insignia.spatial.features.vit import load_vit


@pytest.mark.parametrize("number", ["999999999999", "9" * 5000, "x", "5", "01", "-1"])
def test_one_name_does_not_stand_for_many_layers(tmp_path, number):
    more = {f"blocks.{number}.attn.qkv.bias": torch.zeros(3)}
    folder = save_timm(tmp_path / "vit", timm_vit() | more)
    with pytest.raises(ModelFormatError, match="should hold parts"):
        load_vit(folder)
    torch.save(torchvision_resnet() | {f"layer1.{number}.conv1.weight": torch.zeros(3)}, tmp_path / "resnet.pt")
    with pytest.raises(ModelFormatError, match="should hold parts"):
        load_resnet(tmp_path / "resnet.pt")


@pytest.mark.parametrize("more", [{b"weight": torch.zeros(2)}, {"conv1.weight": torch.tensor(1.0)}])
def test_names_and_shapes_that_no_network_has_are_refused(tmp_path, more):
    torch.save(torchvision_resnet() | more, tmp_path / "resnet.pt")
    with pytest.raises(ModelFormatError, match=r"named tensors|4 dimensions"):
        load_resnet(tmp_path / "resnet.pt")


def test_parts_are_counted(tmp_path):
    assert count_numbered(["a.0.x", "a.1.x", "a.0.y", "b.7"], "a.", tmp_path) == 2


@pytest.mark.parametrize(
    "size",
    [
        {"num_hidden_layers": 10**12},
        {"num_hidden_layers": 5_000},
        {"hidden_size": 10**9},
        {"depths": [3, 10**9]},
        {"image_size": "large"},
        {"hidden_size": -1},
    ],
)
def test_sizes_that_no_encoder_has_are_refused_before_transformers_is_asked(tmp_path, size):
    torch.save({"a": torch.zeros(2)}, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit", **size}))
    with pytest.raises(ModelFormatError, match=r"whole numbers up to|are plenty"):
        load_transformers(tmp_path)
