"""scVI models as safetensors and JSON, for those that cannot be read without running code from them."""

import json
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from insignia.core.errors import ModelFormatError
from insignia.core.files import atomic_folder
from insignia.models.checkpoint import read_json
from insignia.models.scvi_checkpoint import SCVICheckpoint, read_checkpoint
from insignia.models.scvi_registry import Categories, is_text

__all__ = ["WEIGHTS", "convert_scvi", "read_converted"]

WEIGHTS = "scvi.safetensors"
_CONTENT = "model.json"


def convert_scvi(path: str | Path, output: str | Path, *, trust: bool = False) -> None:
    """Rewrite an scvi-tools directory as safetensors and JSON, which `load_scvi` reads.

    Parameters
    ----------
    path
        The directory of an SCVI or SCANVI model.
    output
        A folder that does not exist yet, or is empty.
    trust
        Read it as scvi-tools does, which RUNS CODE from the file. Only for files from a source that you trust, where
        the packages that it names are installed. Otherwise it is read without running anything, which fails for files
        that need more.

    Raises
    ------
    ModelFormatError
        It is not such a directory.
    UnsafeCheckpoint
        It needs `trust`.
    """
    path = Path(path)
    checkpoint = read_checkpoint(path, load_torch=_load, load_pickle=_load) if trust else read_checkpoint(path)
    content = {"family": "scvi", **asdict(checkpoint)}
    weights = content.pop("weights")
    del content["source"]
    with atomic_folder(output) as folder:
        save_file(weights, folder / WEIGHTS)
        (folder / _CONTENT).write_text(json.dumps(content, indent=1))


def read_converted(path: Path) -> SCVICheckpoint:
    """Read a directory that `convert_scvi` wrote; `ModelFormatError` says what is wrong with another."""
    source = path / WEIGHTS
    try:
        weights = load_file(source)
    except (OSError, SafetensorError) as error:
        raise ModelFormatError(f"{source} is not a readable safetensors file ({error}). Convert it again.") from error
    content = read_json(path / _CONTENT)
    try:
        return SCVICheckpoint(
            source,
            {key: tensor.float() for key, tensor in weights.items()},
            _texts(content["genes"]),
            takes_log=bool(content["takes_log"]),
            has_layer_norm=bool(content["has_layer_norm"]),
            embeds_batch=bool(content["embeds_batch"]),
            batch=None if content["batch"] is None else _categories(content["batch"]),
            categories=tuple(_categories(item) for item in content["categories"]),
            continuous=_texts(content["continuous"]),
            labels=_texts(content["labels"]),
        )
    except (KeyError, TypeError) as error:
        raise ModelFormatError(f"{path / _CONTENT} lacks or misstates {error}. Convert it again.") from error


def _categories(item: dict[str, Any]) -> Categories:
    return Categories(_texts([item["column"]])[0], _texts(item["names"]))


def _texts(items: Any) -> tuple[str, ...]:
    if not isinstance(items, list) or not all(isinstance(item, str) and is_text(item) for item in items):
        raise TypeError(f"a list of texts, found {ascii(items)[:60]}")
    return tuple(items)


def _load(path: Path) -> Any:
    """Read a file by running what it names: only behind `trust`."""
    try:
        if path.suffix == ".pkl":
            with path.open("rb") as file:
                return pickle.load(file)  # noqa: S301 - the caller trusts the file
        return torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:
        raise ModelFormatError(f"It could not be read with what is installed here ({error}).") from error
