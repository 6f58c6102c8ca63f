"""What every registered image encoder must do."""

import numpy as np
import pytest
import torch
from tests.lookalikes.image_encoders import save_timm, save_transformers, timm_vit, torchvision_resnet
from tests.spatial.patches import textured

from insignia.core.errors import InputError, ModelError
from insignia.spatial.features import find_encoder, image_encoders
from insignia.spatial.features.contract import ImageEncoder


def make(name, folder):
    if name == "handcrafted":
        pytest.importorskip("cv2")
        return find_encoder(name)
    if name == "vit":
        save_timm(folder, timm_vit(registers=4, gated=True, scaled=True, placed_prefix=False))
    elif name == "resnet":
        torch.save(torchvision_resnet(), folder / "model.pth")
    elif name == "hf":
        pytest.importorskip("transformers")
        save_transformers(folder, "dinov2")
    return find_encoder(f"{name}:{folder}")


@pytest.fixture(params=sorted(image_encoders))
def encoder(request, tmp_path):
    return make(request.param, tmp_path)


def test_an_encoder_keeps_its_contract(encoder):
    assert isinstance(encoder, ImageEncoder)
    assert len(set(encoder.columns)) == len(encoder.columns) > 0
    assert len(encoder.fingerprint) == 64
    patches = textured(5, side=encoder.patch_px)
    before, features = patches.copy(), encoder.encode(patches)
    np.testing.assert_array_equal(patches, before)
    assert (features.shape, features.dtype) == ((5, len(encoder.columns)), np.float32)
    assert (features.std(axis=0) > 0).mean() > 0.8, "patches that differ are described differently"
    np.testing.assert_array_equal(encoder.encode(patches), features)
    assert encoder.encode(patches[:0]).shape == (0, len(encoder.columns))


def test_a_patch_is_described_on_its_own(encoder):
    patches = textured(5, side=encoder.patch_px)
    features = encoder.encode(patches)
    alone = np.concatenate([encoder.encode(patches[number : number + 1]) for number in range(5)])
    np.testing.assert_allclose(alone, features, rtol=1e-4, atol=1e-5 * np.abs(features).max())
    np.testing.assert_allclose(
        encoder.encode(patches[::-1])[::-1], features, rtol=1e-4, atol=1e-5 * np.abs(features).max()
    )


def test_patches_of_another_size_or_type_are_refused(encoder):
    side = encoder.patch_px
    for wrong in (
        np.zeros((2, side, side - 1, 3), dtype=np.uint8),
        np.zeros((2, side, side, 4), dtype=np.uint8),
        np.zeros((2, side, side, 3), dtype=np.float32),
        np.zeros((side, side, 3), dtype=np.uint8),
    ):
        with pytest.raises(InputError, match=rf"takes patches of \(any number, {side}, {side}, 3\) uint8, found"):
            encoder.encode(wrong)


def test_values_that_are_not_finite_are_refused():
    class Broken(ImageEncoder):
        name, fingerprint, patch_px, columns = "broken", "0", 2, ("a",)

        def _encode(self, patches):
            return np.where(patches[:, :1, 0, 0] > 0, np.nan, 1.0)

    patches = np.zeros((3, 2, 2, 3), dtype=np.uint8)
    patches[1] = 9
    with pytest.raises(ModelError, match="not finite for 1 of 3 patches"):
        Broken().encode(patches)
