"""Encoders that are networks: patches on a device, batch by batch, without gradients."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from insignia.core.errors import ModelFormatError
from insignia.core.files import canonical_json, sha256_text
from insignia.models.checkpoint import read_json, read_torch
from insignia.spatial.features.contract import ImageEncoder

__all__ = [
    "IMAGENET",
    "Colours",
    "NetworkEncoder",
    "check_weights",
    "count_numbered",
    "find_weights",
    "load_strictly",
    "name_of",
    "read_config",
    "read_weights",
]

_BATCH: Final = 32
_NESTED: Final = ("state_dict", "model")
_FILES: Final = ("model.safetensors", "pytorch_model.bin", "model.pth", "model.pt")


@dataclass(frozen=True)
class Colours:
    """How RGB from 0 to 1 is scaled before a network sees it: minus `mean`, over `sd`."""

    mean: tuple[float, ...]
    sd: tuple[float, ...]


IMAGENET: Final = Colours((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class NetworkEncoder(ImageEncoder):
    """An encoder that is a network.

    Parameters
    ----------
    name
        What its features are called.
    module
        From (patches, 3, side, side) float32 to (patches, features); it is put into evaluation mode, without gradients.
    patch_px
        Side of the patches.
    colours
        How they are scaled.
    identity
        What the features depend on: hashes of weights, and settings.
    device
        Where it runs.
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        *,
        patch_px: int,
        colours: Colours,
        identity: Mapping[str, Any],
        device: str = "cpu",
    ) -> None:
        self.name, self.patch_px, self.device = name, patch_px, torch.device(device)
        self.module = module.eval().requires_grad_(False).to(self.device)
        self._mean, self._sd = (
            torch.tensor(part, device=self.device)[:, None, None] for part in (colours.mean, colours.sd)
        )
        about = {**identity, "patch_px": patch_px, "mean": list(colours.mean), "sd": list(colours.sd)}
        self.fingerprint = sha256_text(canonical_json(about))
        width = self._run(np.zeros((1, patch_px, patch_px, 3), dtype=np.uint8)).shape[1]
        self.columns = tuple(str(number) for number in range(width))

    def _encode(self, patches: np.ndarray) -> np.ndarray:
        return np.concatenate([self._run(patches[start : start + _BATCH]) for start in range(0, len(patches), _BATCH)])

    def _run(self, patches: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            pixels = torch.from_numpy(patches).to(self.device).permute(0, 3, 1, 2).float() / 255
            return np.asarray(self.module((pixels - self._mean) / self._sd).float().cpu().numpy())


def find_weights(path: Path) -> Path:
    """Return the file of weights, `path` itself or the one in that folder.

    Raises
    ------
    ModelFormatError
        There is none.
    """
    if path.is_dir():
        held = [path / name for name in _FILES if (path / name).is_file()]
        if not held:
            found = sorted(item.name for item in path.iterdir())[:8]
            raise ModelFormatError(f"{path} should hold one of {', '.join(_FILES)}; it holds {found}.")
        return held[0]
    if not path.is_file():
        raise ModelFormatError(f"There are no weights at {path}. Give a file, or the folder that holds it.")
    return path


def name_of(weights: Path) -> str:
    """Return what a model is called: by its folder, where the file has one of the names that all models have."""
    weights = weights.resolve()
    return weights.parent.name if weights.name in _FILES else weights.stem


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read named tensors from safetensors, or from a torch file without running anything in it.

    Raises
    ------
    ModelFormatError
        The file is damaged, or holds other things than tensors.
    UnsafeCheckpoint
        Reading it would run code.
    """
    if path.suffix == ".safetensors":
        try:
            return dict(load_file(path))
        except (SafetensorError, OSError) as error:
            raise ModelFormatError(f"{path} is not a readable safetensors file ({error}). Copy it again.") from error
    content = read_torch(path)
    for key in _NESTED:
        if isinstance(content.get(key), dict):
            content = content[key]
    other = [key for key, value in content.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    if other or not content:
        raise ModelFormatError(f"{path} should hold named tensors; other things are {other[:5]}.")
    return content


def read_config(weights: Path) -> dict[str, Any]:
    """Read `config.json` beside the weights; empty if there is none."""
    path = weights.parent / "config.json"
    return read_json(path) if path.is_file() else {}


def check_weights(module: nn.Module, weights: Mapping[str, Tensor], source: Path) -> None:
    """Refuse weights whose names and shapes are not exactly those of a network, which may be one without memory.

    Raises
    ------
    ModelFormatError
        Names are missing or not expected, shapes differ, or values are not finite.
    """
    wanted = module.state_dict()
    missing = [name for name in wanted if name not in weights]
    unexpected = [name for name in weights if name not in wanted]
    if missing or unexpected:
        raise ModelFormatError(
            f"{source} does not hold this network: {len(missing)} names are missing, e.g. {missing[:4]}, and "
            f"{len(unexpected)} are not expected, e.g. {unexpected[:4]}."
        )
    for name, tensor in weights.items():
        if tensor.shape != wanted[name].shape:
            raise ModelFormatError(
                f"{source}: {name} should be {tuple(wanted[name].shape)}, found {tuple(tensor.shape)}."
            )
        if not torch.isfinite(tensor).all():
            raise ModelFormatError(f"{source}: {name} holds values that are not finite.")


def count_numbered(names: Iterable[str], prefix: str, source: Path) -> int:
    """Count the parts ``prefix0``, ``prefix1`` and so on of a network, which must be there without a gap.

    Raises
    ------
    ModelFormatError
        There is none, or a number is left out: one name must not stand for a million layers.
    """
    found = {name.removeprefix(prefix).partition(".")[0] for name in names if name.startswith(prefix)}
    if not found or found != {str(number) for number in range(len(found))}:
        raise ModelFormatError(f"{source} should hold parts {prefix}0, {prefix}1, ...; found {sorted(found)[:6]}.")
    return len(found)


def load_strictly(module: nn.Module, weights: Mapping[str, Tensor], source: Path) -> None:
    """Load weights whose names and shapes are exactly those of a network.

    Raises
    ------
    ModelFormatError
        As `check_weights`.
    """
    check_weights(module, weights, source)
    module.load_state_dict(dict(weights))
