"""A fitted ASIGN on disk: a record and the numbers of its networks; no code."""

from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, get_type_hints

import numpy as np
import torch

from insignia.core.array_folder import read_array_folder, write_array_folder
from insignia.core.errors import ModelFormatError
from insignia.spatial.asign.fit import start_network
from insignia.spatial.asign.model import AsignModel, AsignOptions
from insignia.spatial.asign.readout import ReadOut
from insignia.spatial.features.network import check_weights, load_strictly
from insignia.spatial.programs import Programs

__all__ = ["load_asign", "save_asign"]

_FORMAT: Final = "insignia asign 1"
_RECORD: Final = "asign.json"
_ENTRIES: Final = frozenset({"genes", "n_features", "losses", "readout_length", "options"})

_PROGRAMS: Final = ("mean", "loadings", "rest")
_READOUT: Final = ("effects", "doubt", "kind", "noise", "spread")

T = TypeVar("T")


def save_asign(model: AsignModel, folder: str | Path) -> None:
    """Write a fitted model to a new folder.

    It holds weights and how gene programs hang on them, and no expression of any single spot.

    Raises
    ------
    InputError
        There is something in the folder already.
    """
    arrays = {"centre": model.centre, "length": model.length}
    if model.readout is not None:
        arrays |= {f"readout.{name}": getattr(model.readout, name) for name in _READOUT}
        arrays |= {f"programs.{name}": getattr(model.readout.programs, name) for name in _PROGRAMS}
    for number, network in enumerate(model.networks):
        arrays |= {f"network{number}.{name}": value.numpy() for name, value in network.state_dict().items()}
    record = {
        "genes": list(model.genes),
        "n_features": model.n_features,
        "losses": [list(one) for one in model.losses],
        "readout_length": model.readout.length if model.readout else None,
        "options": asdict(model.options),
    }
    write_array_folder(folder, _RECORD, record, arrays, form=_FORMAT)


def load_asign(folder: str | Path) -> AsignModel:
    """Read a fitted model.

    Raises
    ------
    ModelFormatError
        A file or an array is missing, damaged or of another format.
    """
    folder = Path(folder)
    content, arrays = read_array_folder(folder, _RECORD, form=_FORMAT, error=ModelFormatError)
    if missing := _ENTRIES - set(content):
        raise ModelFormatError(f"{folder / _RECORD} lacks {sorted(missing)}. Save the model again.")
    try:
        options = _from_json(AsignOptions, content["options"])
        return _built(folder, content, options, arrays)
    except ModelFormatError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError) as error:
        raise ModelFormatError(
            f"{folder / _RECORD} does not fit this version: {type(error).__name__} {error}. Save the model again."
        ) from error


def _built(folder: Path, content: dict[str, Any], options: AsignOptions, arrays: dict[str, np.ndarray]) -> AsignModel:

    def array(name: str) -> np.ndarray:
        if name not in arrays:
            raise ModelFormatError(f"{folder} lacks the array {name!r}. Save the model again.")
        return arrays[name]

    readout = None
    if "readout.effects" in arrays:
        readout = ReadOut(
            Programs(**{name: array(f"programs.{name}") for name in _PROGRAMS}),
            **{name: array(f"readout.{name}") for name in _READOUT},
            length=content["readout_length"],
        )
    networks = []
    for number in range(options.n_members):
        prefix = f"network{number}."
        named = {name: torch.from_numpy(value) for name, value in arrays.items() if name.startswith(prefix)}
        weights = {name[len(prefix) :]: value for name, value in named.items()}
        if options.layers > len(weights):
            raise ModelFormatError(
                f"{folder}: network {number + 1} of n_members={options.n_members:,} should have {options.layers:,} "
                f"layers, and {len(weights)} arrays are there for it. The folder is damaged: copy it again, or "
                "teach the model anew."
            )
        # first without memory: sizes in a file may be anything
        with torch.device("meta"):
            check_weights(start_network(content["n_features"], options, seed=0, number=number), weights, folder)
        network = start_network(content["n_features"], options, seed=0, number=number)
        load_strictly(network, weights, folder)
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
