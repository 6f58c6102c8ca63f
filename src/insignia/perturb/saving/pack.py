"""Objects taken apart into plain values and arrays, and put together again from nothing but a list of known kinds.

Known are numbers, texts, lists, tuples, dicts, arrays, conditions, registered predictors and the kinds of
`insignia.perturb.saving.parts`. A dataclass is its fields. A network is its `sizes`, the arguments that build it, and
its weights. A class with `state` and `from_state` says itself what it is. A predictor is its attributes. A part that
stands in several places is written once, and is one object again afterwards.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import nn

from insignia.core.errors import ModelError, ModelFormatError
from insignia.data.condition import Condition
from insignia.perturb.contract import Predictor, predictors
from insignia.perturb.saving.parts import PARTS

__all__ = ["pack", "unpack"]

_KIND: Final = "kind"


def pack(value: Any, arrays: dict[str, np.ndarray], place: str = "") -> Any:
    """Take an object apart.

    Parameters
    ----------
    value
        The object.
    arrays
        Where its arrays are put, by place.
    place
        Where it stands in what holds it.

    Returns
    -------
    Plain values, fit for JSON.

    Raises
    ------
    ModelError
        It holds something of an unknown kind.
    """
    return _Packing(arrays, {}).pack(value, place)


def unpack(node: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Put together what `pack` took apart.

    Raises
    ------
    ModelFormatError
        It is not what `pack` gives, or names an unknown kind.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            return _Unpacking(arrays, {}).unpack(node)
    except ModelFormatError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError, OverflowError) as error:
        raise ModelFormatError(
            f"A saved predictor does not fit this version: {type(error).__name__} {error}. Fit and save it again."
        ) from error


@dataclass(frozen=True, eq=False)
class _Packing:
    """Arrays by place, and the place of each part that was taken apart before."""

    arrays: dict[str, np.ndarray]
    places: dict[int, str]

    def pack(self, value: Any, place: str) -> Any:
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, int | float | np.integer | np.floating):
            return _pack_number(value)
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu().numpy()
        if isinstance(value, np.ndarray):
            return self._pack_array(value, place)
        if isinstance(value, csr_matrix):
            parts = [self.pack(getattr(value, name), f"{place}.{name}") for name in ("data", "indices", "indptr")]
            return {_KIND: "csr", "parts": parts, "shape": list(map(int, value.shape))}
        if isinstance(value, Condition):
            return {_KIND: "condition", "text": str(value)}
        if isinstance(value, list | tuple):
            items = [self.pack(item, f"{place}.{i}") for i, item in enumerate(value)]
            return items if isinstance(value, list) else {_KIND: "tuple", "items": items}
        if isinstance(value, Mapping):
            pairs = [
                [self.pack(key, ""), self.pack(item, f"{place}.{i}")] for i, (key, item) in enumerate(value.items())
            ]
            return {_KIND: "dict", "pairs": pairs}
        if isinstance(value, Predictor):
            return {_KIND: "predictor", "name": _name_of(value), "attributes": self.pack(vars(value), place)}
        if id(value) in self.places:
            return {_KIND: "same", "place": self.places[id(value)]}
        self.places[id(value)] = place
        return self._pack_part(value, place) | {"place": place}

    def _pack_array(self, value: np.ndarray, place: str) -> dict[str, Any]:
        if value.dtype.kind in "OUS":
            return {_KIND: "texts", "items": [str(item) for item in value.ravel()], "shape": list(value.shape)}
        # products round by the order in memory, which is therefore kept
        by_columns = value.ndim > 1 and value.flags.f_contiguous and not value.flags.c_contiguous
        self.arrays[place] = value.T if by_columns else value
        return {_KIND: "array", "place": place, "by_columns": by_columns}

    def _pack_part(self, value: Any, place: str) -> dict[str, Any]:
        name = type(value).__name__
        if PARTS.get(name) is not type(value):
            raise ModelError(
                f"A predictor that holds a {type(value).__module__}.{name} cannot be saved. Keep arrays and plain "
                "values, or add the class to insignia.perturb.saving.parts."
            )
        node: dict[str, Any] = {_KIND: "part", "name": name}
        if hasattr(value, "state") and hasattr(value, "from_state"):
            tensors, about = value.state()
            return node | {"arrays": self.pack(tensors, place), "about": self.pack(about, f"{place}.about")}
        if isinstance(value, nn.Module):
            sizes, inner = _sizes(value)
            own = {key: item for key, item in value.state_dict().items() if not key.startswith(inner)}
            return node | {
                "sizes": self.pack(sizes, f"{place}.sizes"),
                "weights": self.pack(own, f"{place}.weights"),
            }
        assert is_dataclass(value)
        content = {field.name: getattr(value, field.name) for field in fields(value)}
        return node | {"fields": self.pack(content, place)}


def _pack_number(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return {_KIND: "float", "text": repr(value)} if isinstance(value, float) and not math.isfinite(value) else value


def _refuse_other_sizes(part: type[nn.Module], sizes: dict[str, Any], weights: Mapping[str, torch.Tensor]) -> None:
    """Compare sizes in a file with the weights beside them before they are believed, and take memory."""
    if sizes.get("depth", 0) > len(weights):
        raise ModelFormatError(
            f"A saved {part.__name__} should have {sizes['depth']:,} layers in {len(weights)} arrays."
        )
    with torch.device("meta"):
        wanted = {key: value.shape for key, value in part(**sizes).state_dict().items()}
    other = [key for key, value in weights.items() if wanted.get(key, value.shape) != value.shape]
    if other:
        raise ModelFormatError(f"Weights of a saved {part.__name__} are of other sizes than it says, e.g. {other[:3]}.")


def _sizes(network: nn.Module) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the arguments that build a network, and how the names of weights begin that belong to one of them."""
    sizes: dict[str, Any] = network.sizes  # type: ignore[assignment]
    return sizes, tuple(f"{key}." for key, item in sizes.items() if isinstance(item, nn.Module))


@dataclass(frozen=True, eq=False)
class _Unpacking:
    """Arrays by place, and the parts that were put together so far, by place."""

    arrays: Mapping[str, np.ndarray]
    parts: dict[str, Any]

    def unpack(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.unpack(item) for item in node]
        if not isinstance(node, dict):
            return node
        kind = node[_KIND]
        if kind == "float":
            return float(node["text"])
        if kind == "array":
            return self.arrays[node["place"]].T if node["by_columns"] else self.arrays[node["place"]]
        if kind == "texts":
            return np.array(node["items"], dtype=object).reshape(node["shape"])
        if kind == "csr":
            return csr_matrix(tuple(self.unpack(part) for part in node["parts"]), shape=tuple(node["shape"]))
        if kind == "condition":
            return Condition.parse(node["text"])
        if kind == "tuple":
            return tuple(self.unpack(item) for item in node["items"])
        if kind == "dict":
            return {self.unpack(key): self.unpack(item) for key, item in node["pairs"]}
        if kind == "predictor":
            return self._unpack_predictor(node)
        if kind == "same":
            return self.parts[node["place"]]
        if kind == "part" and node["name"] in PARTS:
            part = self.parts[node["place"]] = self._unpack_part(PARTS[node["name"]], node)
            return part
        raise ModelFormatError(
            f"A saved predictor holds a {node.get('name', kind)!r}, which this version does not know."
        )

    def _unpack_part(self, part: type[Any], node: dict[str, Any]) -> Any:
        if "about" in node:
            return part.from_state(self.unpack(node["arrays"]), self.unpack(node["about"]))
        if "sizes" in node:
            sizes = self.unpack(node["sizes"])
            own = {key: torch.from_numpy(np.array(item)) for key, item in self.unpack(node["weights"]).items()}
            _refuse_other_sizes(part, sizes, own)
            network = part(**sizes)
            absent, extra = network.load_state_dict(own, strict=False)
            _, inner = _sizes(network)
            if extra or [key for key in absent if not key.startswith(inner)]:
                raise ModelFormatError(
                    f"The weights of a saved {node['name']} lack {absent[:3]} or have {extra[:3]} more."
                )
            return network.requires_grad_(False).eval()
        return part(**self.unpack(node["fields"]))

    def _unpack_predictor(self, node: dict[str, Any]) -> Predictor:
        if node["name"] not in predictors:
            raise ModelFormatError(f"A saved predictor is a {node['name']!r}, which is not registered here.")
        kind: Any = predictors[node["name"]]
        made: Predictor = kind.__new__(kind)
        for name, value in self.unpack(node["attributes"]).items():
            if name.startswith("__") or callable(getattr(kind, name, None)):
                raise ModelFormatError(
                    f"A saved {node['name']} sets {name!r}, which is no attribute that fitting sets."
                )
            setattr(made, name, value)
        return made


def _name_of(predictor: Predictor) -> str:
    names = [name for name in predictors if predictors[name] is type(predictor)]
    if not names:
        raise ModelError(f"Only registered predictors can be saved, and {type(predictor).__name__} is not registered.")
    return names[0]
