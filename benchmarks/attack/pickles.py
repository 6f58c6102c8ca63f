"""Pickles that leave a mark if anything in them runs, or exhaust whoever reads them, and torch files around them."""

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.attack.case import CANARY

__all__ = ["archive", "bombs", "codes", "odd_archives"]

_MARK = f"open({CANARY!r}, 'w').close()"


class Calls:
    """Reduces to a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> Any:
        return self.reduced

    def __call__(self) -> None:
        """Picklers want what is called to be callable."""


class Holds:
    """Reduces to a dict with an item that is made by a call."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> Any:
        return OrderedDict, (), None, None, iter([(1, self.value)])


def codes() -> dict[str, Any]:
    """Objects whose pickles make `CANARY` in the current folder if anything that they name is run."""
    run, touch = Calls(exec, _MARK), f"touch {CANARY}"
    rebuild, parameter = torch._utils._rebuild_tensor_v2, torch._utils._rebuild_parameter
    return {
        "exec": run,
        "eval": Calls(eval, _MARK),
        "system": Calls(os.system, touch),
        "open": Calls(open, CANARY, "w"),
        "nested": [{"a": (run,)}],
        "item": Holds(run),
        "array of objects": np.array([run], dtype=object),
        "map": Calls(list, Calls(map, exec, [_MARK])),
        "attribute": Calls(Calls(getattr, Calls(__import__, "os"), "system"), touch),
        "torch load": Calls(torch.load, Calls(io.BytesIO, pickle.dumps(run))),
        "tensor": Calls(rebuild, run, 0, (1,), (1,), False, OrderedDict()),
        "parameter": Calls(parameter, run, True, OrderedDict()),
        "scalar": Calls(np._core.multiarray.scalar, np.dtype(object), pickle.dumps(run)),
    }


def bombs() -> dict[str, bytes]:
    """Short streams that would take all memory, all time or the interpreter itself, or that are broken."""
    laugh = b"".join(b"]q" + bytes([i]) + b"(" + (b"h" + bytes([i - 1])) * 9 + b"e" for i in range(1, 60))
    laughs = b"]q\x00(" + b"K\x01" * 9 + b"e" + laugh
    return {
        "laughs": b"\x80\x02" + laughs + b".",
        "laughs in a dict": b"\x80\x02}X\x01\x00\x00\x00a" + laughs + b"s.",
        "tower of tuples": b"\x80\x02})" + b"\x85" * 300_000 + b"K\x01s.",
        "tower of lists": b"\x80\x02" + b"](" * 200_000 + b"K\x01" + b"e" * 200_000 + b".",
        "tower of dicts": b"\x80\x02" + b"}X\x01\x00\x00\x00a" * 100_000 + b"K\x01" + b"s" * 100_000 + b".",
        "memo of gigabytes": b"\x80\x02K\x01r\xff\xff\xff\x7f.",
        "text of gigabytes": b"\x80\x02X\xff\xff\xff\x7fa.",
        "bytes of exabytes": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fa.",
        "number of megabytes": b"\x80\x02\x8b" + struct.pack("<i", 3_000_000) + b"\x7f" * 3_000_000 + b".",
        "extension registry": b"\x80\x02\x82\x01.",
        "extension of four bytes": b"\x80\x02\x84\x01\x00\x00\x00.",
        "text opcodes": f"cos\nsystem\n(S'touch {CANARY}'\ntR.".encode(),
        "instance": f"(S'touch {CANARY}'\nios\nsystem\n.".encode(),
        "build of a class": b"\x80\x04cbuiltins\nlist\n}(X\x08\x00\x00\x00__dict__K\x01ub.",
        "persistent number": b"\x80\x02K\x07Q.",
        "text persistent": b"\x80\x02Pabc\n.",
        "unhashable key": b"\x80\x02}(]K\x01u.",
        "dict that holds itself": b"\x80\x02}q\x00X\x0a\x00\x00\x00state_dicth\x00s.",
        "list that holds itself": b"\x80\x02}X\x0a\x00\x00\x00state_dict]q\x00h\x00as.",
        "buffers elsewhere": b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f.",
        "protocol 9": b"\x80\x09}.",
        "no end": b"\x80\x02}",
        "two pops": b"\x80\x0200.",
        "nothing": b"",
    }


def archive(stream: bytes, **entries: bytes) -> bytes:
    """Return a torch file around a pickle."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as file:
        file.writestr("archive/data.pkl", stream)
        file.writestr("archive/byteorder", b"little")
        for entry, content in entries.items():
            file.writestr(f"archive/{entry.replace('_', '/')}", content)
        file.writestr("archive/version", b"3\n")
    return made.getvalue()


def odd_archives(key: str) -> dict[str, Callable[[], bytes]]:
    """Torch files with one odd tensor called `key`, in a state dict and flat, and zip archives that are odd."""
    named = b"X" + struct.pack("<I", len(key)) + key.encode()
    numbers = np.arange(4, dtype=np.float32).tobytes()
    made: dict[str, Callable[[], bytes]] = {}
    for what, tensor in _odd_tensors().items():
        flat = b"}" + named + tensor + b"s"
        for where, stream in (("", b"}X\x0a\x00\x00\x00state_dict" + flat + b"s"), ("flat ", flat)):
            made[f"{where}tensor {what}"] = lambda stream=stream: archive(b"\x80\x02" + stream + b".", data_0=numbers)
    return made | _odd_zips()


def _odd_tensors() -> dict[str, bytes]:
    big = _long(10**12)
    one, two, four = b"(K\x01t", b"(K\x02t", b"(K\x04t"
    return {
        "of stride 0": _tensor(b"(" + big + b"t", b"(K\x00t"),
        "of strides 0": _tensor(b"(" + _long(10**6) + _long(10**6) + b"t", b"(K\x00K\x00t"),
        "beyond its storage": _tensor(two, one, offset=_long(10**15)),
        "of negative offset": _tensor(two, one, offset=_long(-4)),
        "of negative size": _tensor(b"(" + _long(-3) + b"t", one),
        "of negative stride": _tensor(two, b"(" + _long(-1) + b"t"),
        "that overflows": _tensor(b"(" + _long(2**62) + _long(8) + b"t", b"(K\x00K\x00t"),
        "of a storage too long": _tensor(four, one, length=big),
        "of a storage too short": _tensor(four, one, length=b"K\x02"),
        "of a fraction": _tensor(b"(G\x3f\xf0\x00\x00\x00\x00\x00\x00t", one),
        "of 64 dimensions": _tensor(b"(" + b"K\x01" * 64 + b"t", b"(" + b"K\x01" * 64 + b"t"),
        "of complex numbers": _tensor(two, one, kind=b"ComplexFloat", length=b"K\x02"),
        "quantised": _tensor(four, one, kind=b"QInt32"),
        "of no kind": _tensor(four, one, kind=b"Evil"),
    }


def _tensor(
    size: bytes, stride: bytes, *, offset: bytes = b"K\x00", length: bytes = b"K\x04", kind: bytes = b"Float"
) -> bytes:
    """Opcodes of a tensor over the storage 0."""
    storage = b"(X\x07\x00\x00\x00storagectorch\n" + kind + b"Storage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    given = storage + length + b"tQ" + offset + size + stride + b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + given + b"tR"


def _long(number: int) -> bytes:
    return pickle.dumps(number, protocol=2)[2:-1]


def _odd_zips() -> dict[str, Callable[[], bytes]]:
    plain = pickle.dumps({"a": 1}, protocol=2)
    saved = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, saved)
    names = ("../data.pkl", "/tmp/data.pkl", "a/../../data.pkl", "..\\data.pkl", "data.pkl")
    script = {"archive/data.pkl": b"\x80\x02}.", "archive/constants.pkl": b"\x80\x02).", "archive/code/x.py": b"1"}
    return {
        **{f"zip with {name}": lambda name=name: _zip({name: plain}) for name in names},
        "zip of two pickles": lambda: _zip({"a/data.pkl": plain, "b/data.pkl": plain}),
        "zip in a zip": lambda: _zip({"archive/nested.pt": saved.getvalue()}),
        "zip of gigabytes": _packed,
        "empty zip": lambda: b"PK\x05\x06" + bytes(18),
        "zip without a directory": lambda: saved.getvalue()[:-30],
        "zip of a program": lambda: _zip(script),
    }


def _zip(entries: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name, content in {**entries, "archive/version": b"3\n"}.items():
            file.writestr(name, content)
    return made.getvalue()


def _packed() -> bytes:
    """Return a pickle that unpacks to four gigabytes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        with file.open("archive/data.pkl", "w", force_zip64=True) as entry:
            block = b"}0" * 2**22
            entry.write(b"\x80\x02")
            for _ in range(512):
                entry.write(block)
        file.writestr("archive/version", b"3\n")
    return made.getvalue()
