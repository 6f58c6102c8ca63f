"""Folders of sections in every layout: tables, JSON, HDF5 and manifests that are damaged, odd, or point elsewhere."""

import gzip
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tests.lookalikes import section_folders

from benchmarks.attack.case import Case
from benchmarks.attack.mutations import (
    HDF5_KINDS,
    NAMES_THAT_TRICK,
    Change,
    damaged,
    hdf5_damage,
    hdf5_parts,
    json_changes,
    written,
)
from insignia.data import Pose, Transform, read_stack, write_stack

__all__ = ["cases"]

CHECK = ("spatial", "check", "stack", "--donor", "D")
IMPUTE = (
    *("spatial", "impute", "stack", "-o", "out.h5ad", "--encoder", "none", "--method", "nearest"),
    *("--genes", "3", "--donor", "D"),
)
NUMBERS = (0, -1, 1e300, 1e-300, 1e19, "NaN", "Infinity", "-Infinity", True, "0.5", None, [0.5], {})
SECRET = "nobody outside may read this"


def cases(folder: Path, rng: np.random.Generator, amount: int) -> list[Case]:
    """Check and impute stacks of which one file was changed."""
    made = []
    for layout, donor in _layouts(folder).items():
        whole = folder / layout
        for file in sorted(item for item in whole.rglob("*") if item.is_file()):
            if file.suffix not in (".png", ".tif"):
                made += [
                    _case(f"{layout} {file.name}: {what}", whole, file, change, _typed(command, donor))
                    for what, change in _changes(file, rng, amount)
                    for command in ((CHECK, IMPUTE) if what.startswith("column") else (CHECK,))
                ]
    manifest = folder / "native" / "stack.json"
    for what, change in _manifests():
        made.append(_case(f"native manifest {what}", manifest.parent, manifest, change, IMPUTE[:-2]))
    for what, change in _tables_of_files():
        made.append(_case(f"he2020 {what}", folder / "he2020", folder / "he2020" / "metadata.csv", change, CHECK[:-2]))
    return made


def _layouts(folder: Path) -> dict[str, str]:
    """Write a stack of two sections in each layout; the donor that is read of each."""
    for layout in ("her2st", "hest", "stutility", "visium"):
        section_folders.LAYOUTS[layout](folder / layout)
    for name in ("A4", "B1"):
        (folder / "her2st" / "ST-cnts" / f"{name}.tsv.gz").unlink()
        (folder / "her2st" / "ST-spotfiles" / f"{name}_selection.tsv").unlink()
    _he2020(folder / "he2020")
    stack = read_stack(folder / "her2st")
    poses = {name: Pose(Transform.rigid(10, np.array([7.0, 3.0])), "given") for name in stack.names}
    write_stack(
        stack.with_sections({name: replace(stack[name], pose=pose) for name, pose in poses.items()}),
        folder / "native",
        images="copy",
    )
    return {"her2st": "A", "hest": "P1", "stutility": "", "visium": "", "he2020": "P", "native": ""}


def _he2020(folder: Path) -> None:
    section = section_folders.planted()
    folder.mkdir()
    names = [f"{x}x{y}" for x, y in section.places]
    pd.DataFrame(section.pixels, index=names, columns=["X", "Y"]).to_csv(folder / "spots.csv")
    pd.DataFrame(section.counts, index=names, columns=list(section_folders.GENES)).to_csv(folder / "c.tsv", sep="\t")
    _table(folder, "spots.csv", "c.tsv")


def _table(folder: Path, spots: str, counts: str, *, image: str = "none.jpg", patient: str = "P") -> None:
    row = {"patient": patient, "replicate": "1", "histology_image": image, "spot_coordinates": spots}
    pd.DataFrame([row | {"count_matrix": counts}]).to_csv(folder / "metadata.csv", index=False)


def _typed(command: Sequence[str], donor: str) -> Sequence[str]:
    return [*command[:-1], donor] if donor else command[:-2]


def _case(name: str, whole: Path, file: Path, change: Change, command: Sequence[str]) -> Case:
    def prepare(place: Path) -> Sequence[str]:
        shutil.copytree(whole, place / "stack")
        change(place / "stack" / file.relative_to(whole))
        return command

    return Case(name, prepare, holds=_tells_no_secret)


def _tells_no_secret(_folder: Path, output: str) -> None:
    assert SECRET not in output


def _changes(file: Path, rng: np.random.Generator, amount: int) -> Iterator[tuple[str, Change]]:
    yield "gone", Path.unlink
    yield "a folder", lambda path: (path.unlink(), path.mkdir())
    yield "a pipe", lambda path: (path.unlink(), os.mkfifo(path))
    yield "a link to itself", lambda path: (path.unlink(), path.symlink_to(path.name))
    yield "a device", lambda path: (path.unlink(), path.symlink_to("/dev/zero"))
    yield "empty", written(b"")
    whole = file.read_bytes()
    for _ in range(amount):
        what, content = damaged(whole, rng)
        yield what, written(content)
    if file.suffix == ".json":
        yield from _jsons(file, rng, amount)
    elif file.suffix in (".h5", ".h5ad"):
        parts = rng.permutation([part for part in hdf5_parts(file) for _ in HDF5_KINDS])[: 6 * amount].tolist()
        for part, kind in zip(parts, rng.choice(HDF5_KINDS, len(parts)).tolist(), strict=True):
            yield f"{part} {kind}", lambda path, part=part, kind=kind: hdf5_damage(path, part, kind)
    else:
        yield from _tables(file, rng, amount)


def _jsons(file: Path, rng: np.random.Generator, amount: int) -> Iterator[tuple[str, Change]]:
    text = file.read_text()
    yield from json_changes(text, rng, 3 * amount)
    content = json.loads(text)
    for key in [key for key, value in content.items() if isinstance(value, int | float)]:
        for number in NUMBERS:
            value = number if number in ("NaN", "Infinity", "-Infinity") else json.dumps(number)
            yield f"column {key} is {value}", written(json.dumps({**content, key: "@"}).replace('"@"', value).encode())


def _tables(file: Path, rng: np.random.Generator, amount: int) -> Iterator[tuple[str, Change]]:
    """Change lines and cells of a table of text, packed or not."""
    pack = gzip.compress if file.suffix == ".gz" else bytes
    text = (gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()).decode()
    cut = "\t" if "\t" in text else ","
    rows = [line.split(cut) for line in text.splitlines()]

    def table(changed: list[list[str]]) -> Change:
        return written(pack("\n".join(cut.join(row) for row in changed).encode()))

    yield "the first line only", table(rows[:1])
    yield "no first line", table(rows[1:])
    yield "a line twice", table([*rows, rows[-1]])
    yield "columns backwards", table([row[::-1] for row in rows])
    yield "a line longer", table([*rows[:-1], [*rows[-1], "1", "2"]])
    yield "semicolons", written(pack(text.replace(cut, ";").encode()))
    yield "a mark of byte order", written(pack(("\ufeff" + text).encode()))
    yield "Windows", written(pack(text.replace("\n", "\r\n").encode()))
    yield "sixteen bits", written(pack(text.encode("utf-16")))
    yield "an open quote", written(pack(text.replace("\n", '\n"', 1).encode()))
    yield "a field of megabytes", table([rows[0], ["9" * 3_000_000, *rows[1][1:]], *rows[2:]])
    yield "a hundred thousand columns", table([row + ["0"] * 100_000 for row in rows[:3]])
    for column in rng.permutation(len(rows[0]))[: max(2, amount)].tolist():
        yield f"column {column} gone", table([row[:column] + row[column + 1 :] for row in rows])
        yield f"column {column} twice", table([[*row[: column + 1], *row[column:]] for row in rows])
        for value in ("nan", "inf", "-1", "1e300", "0", "", "text", "0x10", "1,5", "9" * 30, "\x1b[2J", "../../x"):
            whole = [rows[0], *([*row[:column], value, *row[column + 1 :]] for row in rows[1:])]
            yield f"column {column} is {value[:9]!a}", table(whole)
            yield f"column {column} is once {value[:9]!a}", table([rows[0], whole[1], *rows[2:]])


def _manifests() -> Iterator[tuple[str, Change]]:
    """Change what the manifest of a stack of ours says; the hashes of its files stay right."""

    def changed(change: Callable[[dict[str, Any]], object]) -> Change:
        def write(path: Path) -> None:
            record = json.loads(path.read_text())
            change(record)
            path.write_text(json.dumps(record))

        return write

    for name in NAMES_THAT_TRICK:
        yield f"section is {name[:12]!a}", changed(lambda record, name=name: record["sections"][0].update(name=name))
        yield f"stack is {name[:12]!a}", changed(lambda record, name=name: record.update(name=name))
    for where in ("../../secret", "/etc/passwd", "sections/../../../secret", "/dev/zero", "/dev/stdin", "", "."):
        yield (
            f"spots are at {where!r}",
            changed(lambda record, at=where: record["sections"][0]["spots"].update(file=at)),
        )
        for key in ("file", "path"):
            entry = {"um_per_px": 2.0, key: where, "sha256": "0" * 64}
            yield f"image {key} is {where!r}", changed(lambda record, e=entry: record["sections"][0].update(image=e))
    yield "section twice", changed(lambda record: record["sections"].append(record["sections"][0]))
    yield "no section", changed(lambda record: record.update(sections=[]))
    for matrix in (
        [[0, 0, 0]] * 2,
        [[1, 1, 0]] * 2,
        [[1e300, 0, 0], [0, 1e300, 0]],
        [[1, 0], [0, 1]],
        [[1, 0, "x"]] * 2,
    ):
        yield f"pose {matrix[0]}", changed(lambda record, m=matrix: record["sections"][1]["pose"].update(matrix=m))
    for number in (0, -1, 1e300, 1e-300, True, "0.5", None, float("nan"), float("inf")):
        yield f"pitch is {number}", changed(lambda record, n=number: record.update(pitch_um=n))
        yield f"depth is {number}", changed(lambda record, n=number: record["sections"][0].update(z_um=n))
        yield f"scale is {number}", changed(lambda record, n=number: record["sections"][0]["image"].update(um_per_px=n))
    yield "a file outside, with its hash", _outside


def _outside(path: Path) -> None:
    """Name a sound file outside the folder, with the right hash."""
    record = json.loads(path.read_text())
    spots = path.parent / record["sections"][0]["spots"]["file"]
    shutil.move(spots, path.parent.parent / "outside.h5ad")
    record["sections"][0]["spots"]["file"] = "../outside.h5ad"
    path.write_text(json.dumps(record))


def _tables_of_files() -> Iterator[tuple[str, Change]]:
    """Let the table of files name other files than those in the folder."""
    for at in ("../secret", "/etc/passwd", "/dev/zero", "/dev/stdin", "", ".", "x" * 5000, "a\0b", "metadata.csv"):
        yield f"counts are at {at[:12]!r}", lambda path, at=at: (_secret(path), _table(path.parent, "spots.csv", at))
        yield f"spots are at {at[:12]!r}", lambda path, at=at: (_secret(path), _table(path.parent, at, "c.tsv"))
        yield f"image at {at[:12]!r}", lambda path, at=at: _table(path.parent, "spots.csv", "c.tsv", image=at)
    for name in NAMES_THAT_TRICK:
        yield f"patient {name[:12]!a}", lambda path, n=name: _table(path.parent, "spots.csv", "c.tsv", patient=n)


def _secret(path: Path) -> None:
    (path.parents[1] / "secret").write_text(f"{SECRET}\n")
