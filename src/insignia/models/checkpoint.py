"""Weights are read without running anything from the file."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from insignia.core.errors import ModelFormatError, UnsafeCheckpoint
from insignia.core.files import parse_json
from insignia.models.restricted_pickle import check_torch_file

__all__ = ["need_tensor", "need_texts", "read_json", "read_lines", "read_state", "read_torch"]


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
    check_torch_file(path)
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
    _refuse_odd_tensors(path, content)
    return content


def _needed(error: pickle.UnpicklingError) -> str:
    """Name what would have to be run; the rest of torch's text says how to run it."""
    found = re.search(r"GLOBAL (\S+)", str(error))
    return f" ({ascii(found[1])[1:-1][:120]})" if found else ""


def read_state(path: Path) -> dict[str, Any]:
    """Read named tensors, the content of a torch file or what stands in it under ``state_dict``; see `read_torch`."""
    content = read_torch(path)
    state = content.get("state_dict", content)
    if not isinstance(state, Mapping):
        raise ModelFormatError(f"{path}: state_dict should be a dict of tensors, found {type(state).__name__}.")
    return {str(name): value for name, value in state.items()}


def _refuse_odd_tensors(path: Path, content: Mapping[Any, Any]) -> None:
    """Refuse tensors that are not the numbers of their own in memory: any use would take room that the file has not."""
    waiting: list[Any] = [content]
    seen: set[int] = set()
    while waiting:
        item = waiting.pop()
        if isinstance(item, Tensor):
            is_plain = item.layout == torch.strided and not (item.is_meta or item.is_quantized or item.is_nested)
            if not is_plain or item.numel() > item.untyped_storage().nbytes() // item.element_size():
                raise ModelFormatError(
                    f"{path} holds a tensor of shape {tuple(item.shape)} that is sparse, quantised or without numbers "
                    "of its own. Save it again as plain tensors."
                )
        elif isinstance(item, Mapping | list | tuple) and id(item) not in seen:
            seen.add(id(item))
            waiting.extend(item.values() if isinstance(item, Mapping) else item)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    _need_file(path)
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
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


def need_texts(content: Mapping[str, Any], key: str, source: Path) -> list[str]:
    """Return a list of texts that a JSON file holds, or say what is there in its place."""
    texts = content.get(key)
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise ModelFormatError(f"{source} should hold a list of texts under {key!r}, found {ascii(texts)[:60]}.")
    return texts


def need_tensor(state: dict[str, Any], key: str, source: Path) -> Tensor:
    """Return a float32 tensor of a state dict, or say which one is missing."""
    tensor = state.get(key)
    if not isinstance(tensor, Tensor):
        raise ModelFormatError(f"{source} lacks the tensor {key!r}; it holds {sorted(state)[:6]} ...")
    if tensor.is_complex() or not torch.isfinite(tensor).all():
        raise ModelFormatError(f"{source}: the tensor {key!r} holds values that are not finite real numbers.")
    return tensor.float() if tensor.is_floating_point() else tensor


def _need_file(path: Path) -> None:
    if not path.is_file():
        folder = path.parent
        found = sorted(item.name for item in folder.iterdir())[:8] if folder.is_dir() else "no such folder"
        raise ModelFormatError(f"{path.name} is missing in {folder}; found {found}.")
