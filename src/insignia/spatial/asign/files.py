"""A fitted ASIGN on disk: one JSON file for what it is, one safetensors file for its numbers; no code."""

import json
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, get_type_hints

import numpy as np
import torch
from safetensors.torch import save_file

from insignia.core.errors import ModelFormatError
from insignia.core.files import atomic_folder, sha256_file
from insignia.models.checkpoint import need_tensor, read_json
from insignia.spatial.asign.fit import start_network
from insignia.spatial.asign.model import AsignModel, AsignOptions
from insignia.spatial.asign.readout import ReadOut
from insignia.spatial.features.network import load_strictly, read_weights
from insignia.spatial.programs import Programs

__all__ = ["load_asign", "save_asign"]

_FORMAT: Final = "insignia asign 1"
_JSON, _TENSORS = "asign.json", "model.safetensors"

_PROGRAMS: Final = ("mean", "loadings", "rest")
_READOUT: Final = ("effects", "doubt", "kind", "noise", "spread")

T = TypeVar("T")


def save_asign(model: AsignModel, folder: str | Path) -> None:
    """Write a fitted model to a new folder.

    It holds weights and how gene programs hang on them, and no expression of any single spot.
    """
    arrays = {"centre": model.centre, "length": model.length}
    if model.readout is not None:
        arrays |= {f"readout.{name}": getattr(model.readout, name) for name in _READOUT}
        arrays |= {f"programs.{name}": getattr(model.readout.programs, name) for name in _PROGRAMS}
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    for number, network in enumerate(model.networks):
        tensors |= {f"network{number}.{name}": value.contiguous() for name, value in network.state_dict().items()}
    content = {
        "format": _FORMAT,
        "genes": list(model.genes),
        "n_features": model.n_features,
        "losses": [list(one) for one in model.losses],
        "readout_length": model.readout.length if model.readout else None,
        "options": asdict(model.options),
    }
    with atomic_folder(folder) as temporary:
        save_file(tensors, temporary / _TENSORS)
        content["sha256"] = sha256_file(temporary / _TENSORS)
        (temporary / _JSON).write_text(json.dumps(content, indent=1))


def load_asign(folder: str | Path) -> AsignModel:
    """Read a fitted model.

    Raises
    ------
    ModelFormatError
        A file or a tensor is missing, damaged or of another format.
    """
    folder = Path(folder)
    content, path = read_json(folder / _JSON), folder / _TENSORS
    if content.get("format") != _FORMAT:
        raise ModelFormatError(f"{folder / _JSON} is of format {content.get('format')!r}; expected {_FORMAT!r}.")
    if missing := {"genes", "n_features", "losses", "options", "readout_length", "sha256"} - set(content):
        raise ModelFormatError(f"{folder / _JSON} lacks {sorted(missing)}. Copy the whole folder again.")
    tensors = read_weights(path)
    if sha256_file(path) != content["sha256"]:
        raise ModelFormatError(f"{path} is not the file that {_JSON} describes. Copy the whole folder again.")

    def array(name: str) -> np.ndarray:
        return np.asarray(need_tensor(tensors, name, path).numpy())

    options = _from_json(AsignOptions, content["options"])
    readout = None
    if "readout.effects" in tensors:
        programs = Programs(array("programs.mean"), array("programs.loadings"), array("programs.rest"))
        readout = ReadOut(
            programs,
            effects=array("readout.effects"),
            doubt=array("readout.doubt"),
            kind=array("readout.kind"),
            noise=array("readout.noise"),
            spread=array("readout.spread"),
            length=content["readout_length"],
        )
    networks = []
    for number in range(options.n_members):
        prefix = f"network{number}."
        network = start_network(content["n_features"], options, seed=0, number=number)
        weights = {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
        load_strictly(network, weights, path)
        networks.append(network)
    return AsignModel(
        options,
        tuple(content["genes"]),
        content["n_features"],
        tuple(networks),
        array("centre"),
        array("length"),
        readout,
        tuple(tuple(one) for one in content["losses"]),
    )


def _from_json(kind: type[T], content: dict[str, Any]) -> T:
    """Build a dataclass of dataclasses and tuples from plain values; unknown names are refused."""
    hints = get_type_hints(kind)
    if unknown := set(content) - {one.name for one in fields(kind)}:  # type: ignore[arg-type]
        raise ModelFormatError(f"The options hold {sorted(unknown)}, which {kind.__name__} does not have.")
    made = {}
    for name, value in content.items():
        if is_dataclass(hints[name]):
            value = _from_json(hints[name], value)
        made[name] = tuple(value) if isinstance(value, list) else value
    return kind(**made)
