"""Ways to damage a file, for any family: its bytes, the parts of an HDF5 file, the values of a JSON text."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.attack.case import Case

__all__ = [
    "HDF5_KINDS",
    "JSON_TRICKS",
    "NAMES_THAT_TRICK",
    "Change",
    "damaged",
    "damaged_cases",
    "hdf5_damage",
    "hdf5_parts",
    "json_changes",
    "json_damage",
    "written",
]

Change = Callable[[Path], object]

#: Names that try to leave their place, to end a text early, or to be more than a name.
NAMES_THAT_TRICK = (
    "../../outside",
    "/etc/passwd",
    "a\x00b",
    "line\nbreak",
    "tab\tstop",
    "x" * 5000,
    "<script>alert(1)</script>",
    "'; DROP TABLE obs; --",
    '"quoted", and, commas',
    "=cmd|' /C calc'!A0",
    "ne\u0308e \u202eevil \U0001f9ec",
    " ",
    "",
    ".",
    "..",
    "CON",
    "%00%2e%2e",
    "{0.__class__}",
    "$(touch code-was-run)",
)

#: Texts where a JSON value is expected that parsers disagree about, or choke on.
JSON_TRICKS = {
    "infinite": "1e400",
    "nan": "NaN",
    "deep": "[" * 100_000 + "]" * 100_000,
    "deep-tables": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "long-number": "9" * 10_000,
    "null": "null",
    "text": '"text"',
    "list": "[]",
    "table": "{}",
    "lone-surrogate": '"\\ud800"',
    "negative": "-1",
    "fraction": "0.5",
    "true": "true",
    "huge": "1000000000000",
}


def damaged(data: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Give the bytes of a file another content, and say how."""
    kind = rng.choice(["cut", "flip", "flips", "zeros", "ones", "repeat", "drop", "noise"])
    size = len(data)
    start = int(rng.integers(0, max(1, size)))
    length = int(min(size - start, 2 ** rng.integers(0, 12)))
    new = bytearray(data)
    if kind == "cut":
        new = new[:start]
    elif kind in ("flip", "flips"):
        for place in rng.integers(0, max(1, size), 1 if kind == "flip" else 16).tolist():
            new[place] ^= int(rng.integers(1, 256))
    elif kind in ("zeros", "ones", "noise"):
        fill = {"zeros": bytes(length), "ones": b"\xff" * length, "noise": rng.bytes(length)}[str(kind)]
        new[start : start + length] = fill
    elif kind == "repeat":
        new[start:start] = new[start : start + length]
    else:
        del new[start : start + length]
    return f"{kind} at {start}", bytes(new)


def damaged_cases(
    original: Path,
    command: Callable[[Path], Sequence[str]],
    rng: np.random.Generator,
    amount: int,
    **what: Any,
) -> Iterator[Case]:
    """Cases that type `command` on copies of a file with damaged bytes; `what` goes on to `Case`."""
    data = original.read_bytes()
    for number in range(amount):
        name, content = damaged(data, rng)

        def prepare(folder: Path, content: bytes = content) -> Sequence[str]:
            path = folder / original.name
            path.write_bytes(content)
            return command(path)

        yield Case(f"{original.name} bytes {number}: {name}", prepare, **what)


def hdf5_parts(path: Path) -> list[str]:
    """Names of all groups and datasets of an HDF5 file."""
    names: list[str] = []
    with h5py.File(path, "r") as file:
        file.visit(names.append)
    return names


def hdf5_damage(path: Path, part: str, kind: str) -> None:
    """Damage one part of an HDF5 file in place, in a way that HDF5 itself does not mind."""
    with h5py.File(path, "r+") as file:
        found = file[part]
        attributes = dict(found.attrs)
        if kind == "attribute types":
            for name in attributes:
                found.attrs[name] = np.array([[1.5, np.nan]])
            return
        if kind == "attribute names":
            for name in attributes:
                found.attrs[name] = "../../x\n"
            return
        if kind == "no attributes":
            for name in attributes:
                del found.attrs[name]
            return
        value = found[()] if isinstance(found, h5py.Dataset) else None
        del file[part]
        _put(file, part, kind, value)
        if part in file and kind not in ("loop", "outside"):
            for name, content in attributes.items():
                file[part].attrs[name] = content


#: What `hdf5_damage` can do to a part.
HDF5_KINDS = (
    "attribute types",
    "attribute names",
    "no attributes",
    "gone",
    "group",
    "scalar",
    "empty",
    "text",
    "floats",
    "bytes",
    "shorter",
    "two-dimensional",
    "negative",
    "not finite",
    "loop",
    "outside",
    "huge",
    "huge-packed",
    "reference",
)


def _put(file: h5py.File, part: str, kind: str, value: Any) -> None:
    size = np.size(value) if value is not None else 3
    if kind == "group":
        file.create_group(part)
    elif kind == "scalar":
        file[part] = 7
    elif kind == "empty":
        file[part] = h5py.Empty("f4")
    elif kind == "text":
        file[part] = np.array(["text"] * size, dtype=object)
    elif kind == "floats":
        file[part] = np.linspace(0.25, 9.75, size)
    elif kind == "bytes":
        file[part] = np.array([b"\xff\xfe\x00"] * size, dtype="S3")
    elif kind == "shorter":
        file[part] = np.asarray(value).ravel()[: max(1, size // 2)] if value is not None else [1]
    elif kind == "two-dimensional":
        file[part] = np.zeros((size, 2), dtype="i4")
    elif kind == "negative":
        file[part] = np.full(size, -5, dtype="i8")
    elif kind == "not finite":
        file[part] = np.where(np.arange(size) % 2, np.nan, np.inf)
    elif kind == "loop":
        file[part] = h5py.SoftLink(f"/{part}")
    elif kind == "outside":
        file[part] = h5py.ExternalLink("/etc/passwd", "/")
    elif kind == "huge":
        file.create_dataset(part, shape=(10**12,), dtype="f4", chunks=(10**6,))
    elif kind == "huge-packed":
        # a hundred gigabytes of zeros that were never written
        file.create_dataset(part, shape=(25 * 10**9,), dtype="f4", chunks=(10**6,), compression="gzip")
    elif kind == "reference":
        file.create_dataset(part, data=np.array([file.ref] * size, dtype=h5py.ref_dtype))
    elif kind != "gone":
        raise ValueError(kind)


def json_damage(text: str, rng: np.random.Generator) -> tuple[str, str]:
    """Replace one value of a JSON text by a trick, drop it, or say it twice; and say which."""
    content = json.loads(text)
    path = _random_path(content, rng)
    name = "/".join(map(str, path))
    kind = str(rng.choice([*JSON_TRICKS, "gone", "twice"]))
    mark = "@@here@@"
    holder = content
    for step in path[:-1]:
        holder = holder[step]
    if kind == "gone":
        del holder[path[-1]]
        return f"{name} gone", json.dumps(content)
    if kind == "twice" and isinstance(holder, dict):
        holder[mark] = "other"
        return f"{name} twice", json.dumps(content).replace(json.dumps(mark), json.dumps(str(path[-1])))
    holder[path[-1]] = mark
    return f"{name} {kind}", json.dumps(content).replace(json.dumps(mark), JSON_TRICKS.get(kind, "null"))


def _random_path(content: Any, rng: np.random.Generator) -> list[Any]:
    path: list[Any] = []
    while isinstance(content, dict | list) and content:
        steps = list(content) if isinstance(content, dict) else list(range(len(content)))
        path.append(steps[int(rng.integers(len(steps)))])
        content = content[path[-1]]
        if rng.random() < 0.3:
            break
    return path


def written(content: bytes) -> Change:
    """Write other bytes in place of a file."""
    return lambda path: path.write_bytes(content)


def json_changes(text: str, rng: np.random.Generator, number: int) -> Iterator[tuple[str, Change]]:
    """Put tricks in place of a JSON text, and damage so many values of it."""
    for what, trick in JSON_TRICKS.items():
        yield f"all is {what}", written(trick.encode())
    for _ in range(number):
        what, changed = json_damage(text, rng)
        yield what, written(changed.encode())
