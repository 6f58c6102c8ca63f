"""Weights are read without running anything from the file."""

import pickle
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from insignia.core.errors import ModelFormatError, UnsafeCheckpoint

__all__ = ["need_tensor", "read_json", "read_lines", "read_torch"]


def read_torch(path: Path) -> dict[str, Any]:
    """Read a torch file of tensors and plain containers.

    Raises
    ------
    ModelFormatError
        The file is absent or damaged.
    UnsafeCheckpoint
        The file names objects that could run code.
    """
    _need_file(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnsafeCheckpoint(
            f"{path} holds more than tensors and plain containers{_needed(error)}, and insignia runs no code from "
            "checkpoints. Save it again with only its state_dict, where you trust the file."
        ) from error
    except Exception as error:
        raise ModelFormatError(f"{path} is not a readable torch file ({error}). Copy or download it again.") from error
    if not isinstance(content, dict):
        raise ModelFormatError(f"{path} should hold a dict, found {type(content).__name__}.")
    return content


def _needed(error: pickle.UnpicklingError) -> str:
    """Name what would have to be run; the rest of torch's text says how to run it."""
    found = re.search(r"GLOBAL (\S+)", str(error))
    return f" ({ascii(found[1])[1:-1][:120]})" if found else ""


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    import json

    _need_file(path)
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise ModelFormatError(f"{path} is not valid JSON ({error}).") from error
    if not isinstance(content, dict):
        raise ModelFormatError(f"{path} should hold a JSON object, found {type(content).__name__}.")
    return content


def read_lines(path: Path) -> list[str]:
    """Read the non-empty lines of a text file."""
    _need_file(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ModelFormatError(f"{path} is not a text file ({error}). Copy or download it again.") from error
    return [line for line in (raw.strip() for raw in text.splitlines()) if line]


def need_tensor(state: dict[str, Any], key: str, source: Path) -> Tensor:
    """Return a float32 tensor of a state dict, or say which one is missing."""
    tensor = state.get(key)
    if not isinstance(tensor, Tensor):
        raise ModelFormatError(f"{source} lacks the tensor {key!r}; it holds {sorted(state)[:6]} ...")
    if not torch.isfinite(tensor).all():
        raise ModelFormatError(f"{source}: the tensor {key!r} holds values that are not finite.")
    return tensor.float() if tensor.is_floating_point() else tensor


def _need_file(path: Path) -> None:
    if not path.is_file():
        folder = path.parent
        found = sorted(item.name for item in folder.iterdir())[:8] if folder.is_dir() else "no such folder"
        raise ModelFormatError(f"{path.name} is missing in {folder}; found {found}.")
