"""Objects taken apart into plain values and arrays, and put together again from nothing but a list of known kinds.

Known are numbers, texts, lists, tuples, dicts, arrays, conditions, registered predictors and the kinds of
`insignia.perturb.saving.parts`. A dataclass is its fields. A network is its `sizes`, the arguments that build it, and
its weights. A class with `state` and `from_state` says itself what it is. A predictor is its attributes.
"""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
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
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float | np.integer | np.floating):
        return _pack_number(value)
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        return _pack_array(value, arrays, place)
    if isinstance(value, csr_matrix):
        parts = [pack(getattr(value, name), arrays, f"{place}.{name}") for name in ("data", "indices", "indptr")]
        return {_KIND: "csr", "parts": parts, "shape": list(map(int, value.shape))}
    if isinstance(value, Condition):
        return {_KIND: "condition", "text": str(value)}
    if isinstance(value, list | tuple):
        items = [pack(item, arrays, f"{place}.{i}") for i, item in enumerate(value)]
        return items if isinstance(value, list) else {_KIND: "tuple", "items": items}
    if isinstance(value, Mapping):
        pairs = [[pack(key, arrays), pack(item, arrays, f"{place}.{i}")] for i, (key, item) in enumerate(value.items())]
        return {_KIND: "dict", "pairs": pairs}
    if isinstance(value, Predictor):
        return {_KIND: "predictor", "name": _name_of(value), "attributes": pack(vars(value), arrays, place)}
    return _pack_part(value, arrays, place)


def unpack(node: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Put together what `pack` took apart.

    Raises
    ------
    ModelFormatError
        It is not what `pack` gives, or names an unknown kind.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            return _unpack(node, arrays)
    except ModelFormatError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
        raise ModelFormatError(
            f"A saved predictor does not fit this version: {type(error).__name__} {error}. Fit and save it again."
        ) from error


def _pack_number(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return {_KIND: "float", "text": repr(value)} if isinstance(value, float) and not math.isfinite(value) else value


def _pack_array(value: np.ndarray, arrays: dict[str, np.ndarray], place: str) -> dict[str, Any]:
    if value.dtype.kind in "OUS":
        return {_KIND: "texts", "items": [str(item) for item in value.ravel()], "shape": list(value.shape)}
    # products round by the order in memory, which is therefore kept
    by_columns = value.ndim > 1 and value.flags.f_contiguous and not value.flags.c_contiguous
    arrays[place] = value.T if by_columns else value
    return {_KIND: "array", "place": place, "by_columns": by_columns}


def _pack_part(value: Any, arrays: dict[str, np.ndarray], place: str) -> dict[str, Any]:
    name = type(value).__name__
    if PARTS.get(name) is not type(value):
        raise ModelError(
            f"A predictor that holds a {type(value).__module__}.{name} cannot be saved. Keep arrays and plain values, "
            "or add the class to insignia.perturb.saving.parts."
        )
    node: dict[str, Any] = {_KIND: "part", "name": name}
    if hasattr(value, "state") and hasattr(value, "from_state"):
        tensors, about = value.state()
        return node | {"arrays": pack(tensors, arrays, place), "about": pack(about, arrays, f"{place}.about")}
    if isinstance(value, nn.Module):
        sizes, inner = _sizes(value)
        own = {key: item for key, item in value.state_dict().items() if not key.startswith(inner)}
        return node | {
            "sizes": pack(sizes, arrays, f"{place}.sizes"),
            "weights": pack(own, arrays, f"{place}.weights"),
        }
    assert is_dataclass(value)
    content = {field.name: getattr(value, field.name) for field in fields(value)}
    return node | {"fields": pack(content, arrays, place)}


def _sizes(network: nn.Module) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the arguments that build a network, and how the names of weights begin that belong to one of them."""
    sizes: dict[str, Any] = network.sizes  # type: ignore[assignment]
    return sizes, tuple(f"{key}." for key, item in sizes.items() if isinstance(item, nn.Module))


def _unpack(node: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(node, list):
        return [_unpack(item, arrays) for item in node]
    if not isinstance(node, dict):
        return node
    kind = node[_KIND]
    if kind == "float":
        return float(node["text"])
    if kind == "array":
        return arrays[node["place"]].T if node["by_columns"] else arrays[node["place"]]
    if kind == "texts":
        return np.array(node["items"], dtype=object).reshape(node["shape"])
    if kind == "csr":
        return csr_matrix(tuple(_unpack(part, arrays) for part in node["parts"]), shape=tuple(node["shape"]))
    if kind == "condition":
        return Condition.parse(node["text"])
    if kind == "tuple":
        return tuple(_unpack(item, arrays) for item in node["items"])
    if kind == "dict":
        return {_unpack(key, arrays): _unpack(item, arrays) for key, item in node["pairs"]}
    if kind == "predictor":
        return _unpack_predictor(node, arrays)
    if kind == "part" and node["name"] in PARTS:
        return _unpack_part(PARTS[node["name"]], node, arrays)
    raise ModelFormatError(f"A saved predictor holds a {node.get('name', kind)!r}, which this version does not know.")


def _unpack_part(part: type[Any], node: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Any:
    if "about" in node:
        return part.from_state(_unpack(node["arrays"], arrays), _unpack(node["about"], arrays))
    if "sizes" in node:
        network = part(**_unpack(node["sizes"], arrays))
        own = {key: torch.from_numpy(np.array(item)) for key, item in _unpack(node["weights"], arrays).items()}
        absent, extra = network.load_state_dict(own, strict=False)
        _, inner = _sizes(network)
        if extra or [key for key in absent if not key.startswith(inner)]:
            raise ModelFormatError(f"The weights of a saved {node['name']} lack {absent[:3]} or have {extra[:3]} more.")
        return network.requires_grad_(False).eval()
    return part(**_unpack(node["fields"], arrays))


def _unpack_predictor(node: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Predictor:
    if node["name"] not in predictors:
        raise ModelFormatError(f"A saved predictor is a {node['name']!r}, which is not registered here.")
    kind: Any = predictors[node["name"]]
    made: Predictor = kind.__new__(kind)
    for name, value in _unpack(node["attributes"], arrays).items():
        if name.startswith("__") or callable(getattr(kind, name, None)):
            raise ModelFormatError(f"A saved {node['name']} sets {name!r}, which is no attribute that fitting sets.")
        setattr(made, name, value)
    return made


def _name_of(predictor: Predictor) -> str:
    names = [name for name in predictors if predictors[name] is type(predictor)]
    if not names:
        raise ModelError(f"Only registered predictors can be saved, and {type(predictor).__name__} is not registered.")
    return names[0]
