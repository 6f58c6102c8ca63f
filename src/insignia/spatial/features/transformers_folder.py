"""Encoders in a local folder of the transformers library: ViT, DINOv2 and ResNet."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from torch import Tensor, nn

from insignia.core.errors import ModelFormatError
from insignia.core.files import sha256_file
from insignia.core.optional import need
from insignia.models.checkpoint import read_json, read_torch
from insignia.spatial.features.network import IMAGENET, Colours, NetworkEncoder

__all__ = ["load_transformers"]

_WITH_CLASS_TOKEN: Final = ("vit", "deit", "dinov2", "dinov2_with_registers")
_WITHOUT: Final = ("resnet",)
_SIZES: Final = (
    *("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size"),
    *("num_channels", "embedding_size", "hidden_sizes", "depths", "num_register_tokens"),
)
_LARGEST: Final = 20_000
_MOST_LAYERS: Final = 1_000
_SAFE, _PICKLED = "model*.safetensors", "pytorch_model.bin"


class _Pooled(nn.Module):
    """A model of transformers, and which of its outputs describes the image."""

    def __init__(self, model: nn.Module, pooling: str, n_prefix: int) -> None:
        super().__init__()
        self.model, self.pooling, self.n_prefix = model, pooling, n_prefix

    def forward(self, pixels: Tensor) -> Tensor:
        output = self.model(pixel_values=pixels)
        if self.pooling == "pooled":
            pooled: Tensor = output.pooler_output.flatten(1)
            return pooled
        tokens: Tensor = output.last_hidden_state
        return tokens[:, 0] if self.pooling == "token" else tokens[:, self.n_prefix :].mean(dim=1)


def load_transformers(
    path: str | Path, *, pooling: str | None = None, device: str = "cpu", name: str | None = None
) -> NetworkEncoder:
    """Load an image model from a local folder; nothing is fetched, and no code from the folder is run.

    Parameters
    ----------
    path
        A folder with `config.json`, the weights as safetensors (or as a torch file of tensors), and, for the size and
        the colours of images, `preprocessor_config.json`; without it colours are scaled as for ImageNet.
    pooling
        ``"token"``: the class token. ``"avg"``: the mean of the image's tokens. ``"pooled"``: the model's own pooled
        output. `None` takes the class token, or what a ResNet pools.
    device
        Where it runs, e.g. ``"cuda"``.
    name
        What its features are called; `None` for the name of the folder.

    Raises
    ------
    MissingDependency
        transformers is not installed.
    ModelFormatError
        A file is missing or damaged, the model is of another kind, or weights do not fit it.
    UnsafeCheckpoint
        Reading the weights would run code.
    """
    folder = Path(path)
    config = read_json(folder / "config.json")
    kind = config.get("model_type")
    if kind not in (*_WITH_CLASS_TOKEN, *_WITHOUT):
        raise ModelFormatError(
            f"{folder} is a model of type {kind!r}; {', '.join((*_WITH_CLASS_TOKEN, *_WITHOUT))} are read. "
            "Make the features elsewhere, and give them as precomputed."
        )
    pooling = pooling or ("token" if kind in _WITH_CLASS_TOKEN else "pooled")
    if pooling not in ("token", "avg", "pooled") or (kind in _WITHOUT and pooling != "pooled"):
        raise ModelFormatError(
            f"Pooling of a {kind} is {'pooled' if kind in _WITHOUT else 'token, avg or pooled'}; found {pooling!r}."
        )
    weights = _weights(folder)
    _refuse_unbelievable(config, folder)
    model = _load(folder, weights, needs_pooler=kind in _WITH_CLASS_TOKEN and pooling == "pooled")
    preparation = folder / "preprocessor_config.json"
    prepared = read_json(preparation) if preparation.is_file() else {}
    return NetworkEncoder(
        name or folder.resolve().name,
        _Pooled(model, pooling, 1 + int(config.get("num_register_tokens", 0))),
        patch_px=_image_px(prepared, config, folder),
        colours=Colours(
            tuple(prepared.get("image_mean", IMAGENET.mean)),
            tuple(prepared.get("image_std", IMAGENET.sd)),
        ),
        identity={
            "network": "transformers",
            "config": config,
            "weights": [sha256_file(file) for file in weights],
            "pooling": pooling,
        },
        device=device,
    )


def _refuse_unbelievable(config: dict[str, Any], folder: Path) -> None:
    """Refuse sizes that no encoder of images has, before anything is built of them."""
    found = {name: config[name] for name in _SIZES if name in config}
    numbers = [number for value in found.values() for number in (value if isinstance(value, list) else [value])]
    if not all(isinstance(number, int) and 0 <= number <= _LARGEST for number in numbers):
        raise ModelFormatError(
            f"{folder / 'config.json'} should hold whole numbers up to {_LARGEST:,} for the sizes of the model, found "
            f"{ascii(found)[:200]}."
        )
    layers = config.get("num_hidden_layers", 0)
    if layers > _MOST_LAYERS:
        raise ModelFormatError(f"{folder / 'config.json'} names {layers:,} layers; {_MOST_LAYERS} are plenty.")


def _weights(folder: Path) -> list[Path]:
    """Return the files of weights: large models come in several."""
    safe = sorted(folder.glob(_SAFE))
    if safe:
        return safe
    # read once for nothing, so that what would run code is refused by the same rule as everywhere
    read_torch(folder / _PICKLED)
    return [folder / _PICKLED]


def _load(folder: Path, weights: list[Path], *, needs_pooler: bool) -> nn.Module:
    """Load the model, and refuse weights that leave a part of it as it was drawn at random."""
    with _offline():
        transformers = need("transformers", extra="encoders", purpose="Reading a folder of transformers")
        try:
            model, report = transformers.AutoModel.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=weights[0].suffix == ".safetensors",
                weights_only=True,
                output_loading_info=True,
            )
        except Exception as error:
            raise ModelFormatError(f"{folder} cannot be read by transformers: {str(error).splitlines()[0]}.") from error
    missing = [key for key in report["missing_keys"] if needs_pooler or not key.startswith("pooler.")]
    if missing or report["mismatched_keys"]:
        raise ModelFormatError(
            f"{folder} lacks {len(missing)} weights of the model, e.g. {sorted(missing)[:4]}; "
            f"of other shapes are {list(report['mismatched_keys'])[:4]}."
        )
    assert isinstance(model, nn.Module)
    return model


def _image_px(prepared: dict[str, Any], config: dict[str, Any], folder: Path) -> int:
    """Side of the images: what is cut out in preparation, what they are resized to, or what the model was made for."""
    for size in (prepared.get("crop_size"), prepared.get("size"), config.get("image_size"), 224):
        side = size.get("height", size.get("shortest_edge")) if isinstance(size, dict) else size
        if isinstance(side, int) and side > 0:
            return side
    raise ModelFormatError(f"{folder} does not say how large its images are.")


@contextmanager
def _offline() -> Iterator[None]:
    before = os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = before
