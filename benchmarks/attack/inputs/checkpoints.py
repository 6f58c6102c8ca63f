"""Checkpoints of single cells: every family and every file, damaged, changed and hostile."""

import json
import pickle
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.lookalikes import geneformer, pca, scfoundation, scgpt, scimilarity, scvi, ssl_sctab

from benchmarks.attack.case import Case
from benchmarks.attack.mutations import Change, damaged, json_changes, written
from benchmarks.attack.pickles import archive, bombs, codes, odd_archives
from benchmarks.attack.tensors import odd_safetensors, odd_states
from insignia.models.scvi_converted import convert_scvi

__all__ = ["cases"]

FAMILIES: dict[str, Callable[[Path], object]] = {
    "geneformer": geneformer.build,
    "geneformer-bin": lambda folder: geneformer.build(folder, weights="pytorch_model.bin"),
    "pca": pca.build,
    "scfoundation": scfoundation.build,
    "scgpt": scgpt.build,
    "scimilarity": scimilarity.build,
    "scvi": scvi.build,
    "scvi-legacy": lambda folder: scvi.build(folder, legacy=True),
    "scvi-converted": lambda folder: convert_scvi(scvi.build(folder.with_name("scvi-source")), folder),
    "scanvi": lambda folder: scvi.build(folder, state=scvi.state_dict(labels=2, first=6)),
    "ssl_sctab": ssl_sctab.build,
    "ssl_sctab-classifier": lambda folder: ssl_sctab.build(folder, kind="classifier", genes_in="genes.txt"),
}
_TORCH = (".pt", ".ckpt", ".bin")


def cases(folder: Path, rng: np.random.Generator, amount: int) -> list[Case]:
    """Change copies of a model's folder, loaded by `model inspect`; some are used to attribute cells."""
    scgpt.cells(6).write_h5ad(folder / "cells.h5ad")
    made = []
    for family, build in FAMILIES.items():
        whole = folder / family
        build(whole)
        for file in sorted(item for item in whole.iterdir() if item.is_file()):
            for what, change in changes(file, rng, amount):
                made.append(_case(f"{family} {file.name}: {what}", file, change, ["model", "inspect", "model"]))
            if file.suffix in (*_TORCH, ".safetensors"):
                used = ["attribute", str(folder / "cells.h5ad"), "-m", "model", "-o", "out.h5ad", "--overwrite"]
                made += [_case(f"{family} used {what}", file, change, used) for what, change in values(file, rng)]
    return made


def changes(file: Path, rng: np.random.Generator, amount: int) -> Iterator[tuple[str, Change]]:
    """Say what can be done to one file of a checkpoint: each change is given the path of a copy."""
    whole = file.read_bytes()
    yield "gone", Path.unlink
    yield "a folder", lambda path: (path.unlink(), path.mkdir())
    yield "a link to nothing", lambda path: (path.unlink(), path.symlink_to("nowhere"))
    yield "a page", written(b"<html><body>404 not found</body></html>\n")
    for _ in range(amount):
        what, content = damaged(whole, rng)
        yield what, written(content)
    pickles = list(hostile())
    is_pickle = file.suffix in (*_TORCH, ".pkl")
    yield from pickles if is_pickle else [pickles[at] for at in rng.choice(len(pickles), amount, replace=False)]
    if file.suffix == ".json":
        yield from _jsons(file, rng, amount)
    elif file.suffix == ".safetensors":
        for what, content in odd_safetensors(whole, rng, max(1, amount // 3)):
            yield what, written(content)
    elif file.suffix in _TORCH:
        yield from torch_changes(file, rng, amount)
    elif file.suffix in (".tsv", ".txt", ".csv"):
        yield from _texts(file)


def hostile() -> Iterator[tuple[str, Change]]:
    """Pickles in place of a file, whatever it should be: bare, and in a torch file."""
    for what, value in codes().items():
        for protocol in (2, 4):
            stream = pickle.dumps(value, protocol=protocol)
            yield f"pickle {what}, protocol {protocol}", written(stream)
            yield f"torch file {what}, protocol {protocol}", written(archive(stream))
    for what, stream in bombs().items():
        yield f"pickle {what}", written(stream)
        yield f"torch file {what}", written(archive(stream))


def torch_changes(file: Path, rng: np.random.Generator, amount: int) -> Iterator[tuple[str, Change]]:
    """Change what a torch file holds, and the file around it."""
    content = torch.load(file, weights_only=False)
    place, name = next(_states(content))
    for what, state in odd_states(_at(content, place), rng, max(1, amount // 3)):
        yield what, _saved(_replaced(content, place, state))
    for value in (None, [], 3, "text", torch.zeros(2), {"a": {"b": 1}}):
        yield f"weights are {type(value).__name__}", _saved(_replaced(content, place, value))
        yield f"all is {type(value).__name__}", _saved(value)
    for what, value in codes().items():
        for key in list(content)[:3]:
            yield f"{key} is {what}", _saved({**content, key: value})
        yield f"one more is {what}", _saved({**content, "more": value})
        yield f"old file, one more is {what}", _saved({**content, "more": value}, _use_new_zipfile_serialization=False)
    yield "old file", _saved(content, _use_new_zipfile_serialization=False)
    for what, make in odd_archives(name).items():
        yield what, lambda path, make=make: path.write_bytes(make())


def values(file: Path, rng: np.random.Generator) -> Iterator[tuple[str, Change]]:
    """Numbers that are none, or too large, in one tensor or all."""
    if file.suffix == ".safetensors":
        for what, content in odd_safetensors(file.read_bytes(), rng, 1):
            if what.endswith((" of nan", " of inf", " of 1e+38")):
                yield what, written(content)
        return
    content = torch.load(file, weights_only=False)
    place, _ = next(_states(content))
    state = _at(content, place)
    floats = [key for key, value in state.items() if isinstance(value, torch.Tensor) and value.is_floating_point()]
    for value in (np.nan, 3e38, 0.0, 1e-45):
        for keys in (floats, [str(rng.choice(floats))]):
            filled = {key: torch.full_like(state[key], value) for key in keys}
            yield f"{len(keys)} tensors of {value}", _saved(_replaced(content, place, {**state, **filled}))


def _case(name: str, file: Path, change: Change, command: Sequence[str]) -> Case:
    def prepare(folder: Path) -> Sequence[str]:
        shutil.copytree(file.parent, folder / "model")
        change(folder / "model" / file.name)
        return command

    return Case(name, prepare)


def _saved(content: Any, **options: Any) -> Change:
    return lambda path: torch.save(content, path, **options)


def _jsons(file: Path, rng: np.random.Generator, amount: int) -> Iterator[tuple[str, Change]]:
    text = file.read_text()
    yield from json_changes(text, rng, 4 * amount)
    yield "in UTF-16", written(text.encode("utf-16"))
    yield "in latin-1", written(json.dumps({**json.loads(text), "é": 1}, ensure_ascii=False).encode("latin-1"))
    yield "with a byte order mark", written(b"\xef\xbb\xbf" + text.encode())


def _texts(file: Path) -> Iterator[tuple[str, Change]]:
    lines = file.read_text().splitlines()
    for what, changed in {
        "a line twice": [*lines, lines[-1]],
        "a line less": lines[:-1],
        "a line more": [*lines, "NEWGENE"],
        "a blank name": [*lines[:-1], " "],
        "control characters": [*lines[:-1], "\x1b[2J\x07GENE"],
        "one long line": ["G" * 2_000_000],
        "all the same": ["GENE"] * len(lines),
        "tabs": [line + "\t" for line in lines],
        "backwards": lines[::-1],
        "Windows": [line + "\r" for line in lines],
        "byte order mark": ["\ufeff" + lines[0], *lines[1:]],
    }.items():
        yield what, written("\n".join(changed).encode())
    yield "in UTF-16", written("\n".join(lines).encode("utf-16"))


def _states(content: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Where dicts of tensors are, and the first name in each."""
    if isinstance(content, dict):
        named = [key for key, value in content.items() if isinstance(value, torch.Tensor)]
        if named:
            yield place, named[0]
        for key, value in content.items():
            yield from _states(value, (*place, key))


def _at(content: Any, place: Sequence[Any]) -> Any:
    for key in place:
        content = content[key]
    return content


def _replaced(content: Any, place: Sequence[Any], value: Any) -> Any:
    if not place:
        return value
    return {**content, place[0]: _replaced(content[place[0]], place[1:], value)}
