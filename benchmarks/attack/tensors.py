"""Changes to safetensors and to state dicts, each with a name."""

import json
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

__all__ = ["odd_safetensors", "odd_states"]

_LENGTHS = (0, 1, 10**6, 2**40, 2**63, 2**64 - 1)


def odd_safetensors(whole: bytes, rng: np.random.Generator, amount: int) -> Iterator[tuple[str, bytes]]:
    """Change the header, and sizes, kinds and values of `amount` tensors."""
    size = struct.unpack("<Q", whole[:8])[0]
    header, body = json.loads(whole[8 : 8 + size]), whole[8 + size :]
    for length in (*_LENGTHS, size - 1, size + 1):
        yield f"header of {length}", struct.pack("<Q", length) + whole[8:]
    yield "no tensors", _safetensors({}, b"")
    yield "header is no JSON", _safetensors(b"{" * 200, body)
    yield "header is a tower", _safetensors(b'{"a":' * 50_000 + b"1" + b"}" * 50_000, body)
    yield "metadata are numbers", _safetensors({**header, "__metadata__": {"genes": 3}}, body)
    yield "metadata are half a list", _safetensors({**header, "__metadata__": {"genes": '["a"'}}, body)
    yield "more behind", whole + bytes(64)
    names = [name for name in header if name != "__metadata__"]
    for name in rng.permutation(names)[:amount].tolist():
        for what, entry in _odd_entries(header[name], header[names[0]]).items():
            changed = {key: value for key, value in header.items() if key != name}
            yield f"{name} {what}", _safetensors(changed if entry is None else changed | {name: entry}, body)
        start, end = header[name]["data_offsets"]
        if header[name]["dtype"] == "F32" and end > start:
            for value in (np.nan, np.inf, 1e38):
                filled = np.full((end - start) // 4, value, dtype="<f4").tobytes()
                yield f"{name} of {value}", _safetensors(header, body[:start] + filled + body[end:])


def _safetensors(header: dict[str, Any] | bytes, body: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def _odd_entries(entry: dict[str, Any], other: dict[str, Any]) -> dict[str, dict[str, Any] | None]:
    return {
        "gone": None,
        "of 10^12": {**entry, "shape": [10**12]},
        "of 10^18 x 10^18": {**entry, "shape": [10**18, 10**18]},
        "of no dimension": {**entry, "shape": []},
        "of negative size": {**entry, "shape": [-1]},
        "turned": {**entry, "shape": entry["shape"][::-1]},
        "of one more dimension": {**entry, "shape": [1, *entry["shape"]]},
        "of I32": {**entry, "dtype": "I32"},
        "of F8_E4M3": {**entry, "dtype": "F8_E4M3"},
        "of an unknown kind": {**entry, "dtype": "EVIL"},
        "beyond the file": {**entry, "data_offsets": [0, 10**12]},
        "backwards": {**entry, "data_offsets": entry["data_offsets"][::-1]},
        "where another is": {**entry, "data_offsets": other["data_offsets"]},
    }


def odd_states(state: dict[Any, Any], rng: np.random.Generator, amount: int) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Add odd names to a state dict, and change `amount` of its tensors."""
    yield "none", {}
    for key in (3, None, ("a", 1), b"weight", "", "\x1b[31m", "x" * 10_000):
        yield f"one more: {str(key)[:12]!a}", {**state, key: torch.zeros(2)}
        yield f"one more, a text: {str(key)[:12]!a}", {**state, key: "text"}
    names = [name for name, value in state.items() if isinstance(value, torch.Tensor)]
    for name in rng.permutation(names)[:amount].tolist():
        yield f"{name} gone", {key: value for key, value in state.items() if key != name}
        for what, value in _odd_values(state[name]).items():
            yield f"{name} {what}", {**state, name: value}


def _odd_values(tensor: torch.Tensor) -> dict[str, Any]:
    flat = tensor.reshape(1) if tensor.ndim == 0 else tensor
    return {
        "of NaN": torch.full_like(tensor.float(), torch.nan),
        "of 3e38": torch.full_like(tensor.float(), 3e38),
        "of zeros": torch.zeros_like(tensor),
        "turned": tensor.T.contiguous() if tensor.ndim == 2 else tensor[None],
        "empty": flat[:0],
        "of no dimension": torch.tensor(1.0),
        "of five dimensions": tensor.reshape(*[1] * (5 - tensor.ndim), *tensor.shape),
        "of half the length": flat[: max(1, len(flat) // 2)],
        "of integers": tensor.to(torch.int64),
        "of complex numbers": tensor.to(torch.complex64),
        "of half precision": tensor.to(torch.float16),
        "of booleans": tensor.to(torch.bool),
        "sparse": tensor.float().reshape(-1).to_sparse(),
        "without memory": torch.empty(10**6, 10**6, device="meta"),
        "expanded": torch.zeros(1, 1).expand(10**6, 10**6),
        "a list": [1.0, 2.0],
        "a text": "weights",
        "None": None,
    }
