"""Atlases whose files fit their hashes and are hostile all the same, and bytes that do not fit."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.attack.atlas_cells import GENES, RECORD, cells
from benchmarks.attack.case import Case as AnyCase
from benchmarks.attack.mutations import JSON_TRICKS, NAMES_THAT_TRICK, damaged, json_damage
from benchmarks.attack.originals import beside
from insignia.atlas import Atlas
from insignia.core.files import canonical_json, sha256_file, sha256_text

__all__ = ["cases"]

# a change keeps the manifests that readers may still use, and first clears away what no manifest names
Case = partial(AnyCase, leaves=("versions", "segments"))

COMMANDS: dict[str, Sequence[str]] = {
    "info": ("atlas", "info", "atlas", "--json"),
    "verify": ("atlas", "verify", "atlas", "--json"),
    "search": ("search", "atlas", "GENE1,GENE2", "--min-cells", "1", "-o", "report.html", "--table", "table.csv"),
    "export": ("atlas", "export", "atlas", "-o", "exported", "--json"),
    "screen": ("screen", "atlas", "MS1,CYT", "-o", "scores.csv", "--json"),
    "compact": ("atlas", "compact", "atlas", "--json"),
    "remove": ("atlas", "remove", "atlas", "S1", "--json"),
    "cutoffs": ("atlas", "cutoffs", "atlas", "--json"),
}


def cases(folder: Path, rng: np.random.Generator, amount: int) -> list[AnyCase]:
    """Manifests, headers, gene tables, metadata and arrays, resealed or not, under every command that reads them."""
    originals = []
    for encoding in ("fast", "compact"):
        atlas = Atlas.create(folder / encoding / "atlas", genes=GENES, record=RECORD, encoding=encoding)
        atlas.add([cells("S1", 30), cells("S2", 20, genes=[30, 3, 5, 8])])
        atlas.add(cells("S3", 10))
        atlas.save_cutoff("usual", atlas.search({"GENE1": 1.0}).call("percentile", q=90))
        originals.append(atlas.path)
    fast, compact = originals
    return [
        *(Case(f"sound {path.parent.name} {name}", beside(path, _nothing, _command(name)), must="answer")
          for path in originals for name in COMMANDS if name != "screen"),
        *_manifests(fast, rng, 20 * amount), *_headers(compact, rng, 10 * amount), *_headers(fast, rng, 10 * amount),
        *_ids(fast), *_tables(fast), *_arrays(fast), *_arrays(compact),
        *_bytes(fast, rng, 6 * amount), *_bytes(compact, rng, 6 * amount),
    ]  # fmt: skip


def _nothing(path: Path) -> None:
    """Leave the atlas as it is."""


def _command(name: str) -> Callable[[Path], Sequence[str]]:
    return lambda _: COMMANDS[name]


def _any_command(rng: np.random.Generator) -> str:
    return str(rng.choice(list(COMMANDS)))


def _seal(path: Path, text: str) -> None:
    """Write a manifest with the hash that fits it, where it has one at all."""
    try:
        content = json.loads(text)
        content.pop("sha256", None)
        content["sha256"] = sha256_text(canonical_json(content))
        text = json.dumps(content, ensure_ascii=False)
    except (ValueError, AttributeError, TypeError, RecursionError):
        pass
    (path / "atlas.json").write_text(text, errors="surrogatepass")


def _manifests(original: Path, rng: np.random.Generator, amount: int) -> Iterator[AnyCase]:
    text = (original / "atlas.json").read_text()
    for number in range(amount):
        how, new = json_damage(text, rng)

        def change(path: Path, new: str = new) -> None:
            _seal(path, new)

        command = _any_command(rng)
        yield Case(f"{command}: manifest {number}: {how}", beside(original, change, _command(command)))
    for name, trick in JSON_TRICKS.items():

        def replace(path: Path, trick: str = trick) -> None:
            (path / "atlas.json").write_text(trick)

        yield Case(f"info: manifest is {name}", beside(original, replace, _command("info")), must="refuse")


def _headers(original: Path, rng: np.random.Generator, amount: int) -> Iterator[AnyCase]:
    """Headers of segments, with the manifest that names their hash."""
    for number in range(amount):
        place = int(rng.integers(2))
        name = json.loads((original / "atlas.json").read_text())["segments"][place]["id"]
        how, new = json_damage((original / "segments" / name / "segment.json").read_text(), rng)

        def change(path: Path, place: int = place, name: str = name, new: str = new) -> None:
            (path / "segments" / name / "segment.json").write_text(new)
            _name_hash(path, place, sha256_text(new))

        command = _any_command(rng)
        yield Case(f"{command}: header {number}: {how}", beside(original, change, _command(command)))


def _name_hash(path: Path, place: int, digest: str) -> None:
    content = json.loads((path / "atlas.json").read_text())
    content["segments"][place]["sha256"] = digest
    _seal(path, json.dumps(content))


def _ids(original: Path) -> Iterator[AnyCase]:
    """Names in the manifest that would lead out of the atlas."""
    for number, trick in enumerate(NAMES_THAT_TRICK):
        for command in ("search", "compact", "remove", "verify"):

            def segment(path: Path, trick: str = trick) -> None:
                content = json.loads((path / "atlas.json").read_text())
                old = content["segments"][0]["id"]
                _seal(path, json.dumps(content).replace(json.dumps(old), json.dumps(trick)))

            def study(path: Path, trick: str = trick) -> None:
                content = json.loads((path / "atlas.json").read_text())
                _seal(path, json.dumps(content).replace('"S2"', json.dumps(trick)))

            yield Case(f"{command}: segment is trick {number}", beside(original, segment, _command(command)))
            yield Case(f"{command}: study is trick {number}", beside(original, study, _command(command)))


def _tables(original: Path) -> Iterator[AnyCase]:
    """Tables of other columns, types and lengths under hashes that fit."""
    changes: dict[str, Callable[[pa.Table], pa.Table]] = {
        "no columns": lambda table: table.select([]),
        "no rows": lambda table: table.slice(0, 0),
        "twice": lambda table: pa.concat_tables([table, table]),
        "numbers": lambda table: pa.table({name: pa.array(range(table.num_rows)) for name in table.column_names}),
        "nulls": lambda table: pa.table({name: pa.nulls(table.num_rows) for name in table.column_names}),
        "lists": lambda table: pa.table({name: [[1]] * table.num_rows for name in table.column_names}),
        "a column twice": lambda table: table.append_column(table.column_names[0], table.column(0)),
        "tricks": lambda table: pa.table(
            {name: [NAMES_THAT_TRICK[i % 19] for i in range(table.num_rows)] for name in table.column_names}
        ),
        "hostile column": lambda table: table.append_column('a"; DROP TABLE obs; --', table.column(0)),
    }
    for what, make in changes.items():
        for command in COMMANDS:

            def obs(path: Path, make=make) -> None:
                _rewrite(path, "obs.parquet", lambda file: pq.write_table(make(pq.read_table(file)), file))

            def genes(path: Path, make=make) -> None:
                file = path / "genes.parquet"
                pq.write_table(make(pq.read_table(file)), file)
                content = json.loads((path / "atlas.json").read_text())
                content["genes"]["sha256"] = sha256_file(file)
                _seal(path, json.dumps(content))

            yield Case(f"{command}: metadata with {what}", beside(original, obs, _command(command)))
            yield Case(f"{command}: genes with {what}", beside(original, genes, _command(command)))


def _rewrite(path: Path, name: str, write: Callable[[Path], object]) -> None:
    """Rewrite a file of the first segment, and the hashes above it."""
    entry = json.loads((path / "atlas.json").read_text())["segments"][0]
    folder = path / "segments" / entry["id"]
    write(folder / name)
    header = json.loads((folder / "segment.json").read_text())
    header["files"][name] |= {"bytes": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)}
    text = json.dumps(header, indent=1, ensure_ascii=False)
    (folder / "segment.json").write_text(text)
    _name_hash(path, 0, sha256_text(text))


def _arrays(original: Path) -> Iterator[AnyCase]:
    """Arrays of other types, sizes and values under hashes that fit: positions that point outside of other arrays."""
    names = [path.name for path in next((original / "segments").iterdir()).glob("*.npy")]
    changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "most": lambda a: np.full_like(a, np.iinfo(a.dtype).max if a.dtype.kind in "iu" else 1),
        "least": lambda a: np.full_like(a, np.iinfo(a.dtype).min if a.dtype.kind in "iu" else 0),
        "zeros": np.zeros_like,
        "shuffled": lambda a: a.ravel()[::-1].reshape(a.shape),
        "beyond": lambda a: a + a.dtype.type(1),
        "doubles": lambda a: a.astype(np.float64),
        "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
        "by columns": lambda a: np.asfortranarray(a),
        "shorter": lambda a: a[:-1],
    }
    for name in names:
        for what, make in changes.items():
            for command in ("verify", "search", "export", "compact"):

                def change(path: Path, name: str = name, make=make) -> None:
                    def write(file: Path) -> None:
                        np.save(file, make(np.load(file)))

                    _rewrite(path, name, write)

                yield Case(
                    f"{command}: {original.parent.name} {name} {what}", beside(original, change, _command(command))
                )

        def huge(path: Path, name: str = name) -> None:
            def write(file: Path) -> None:
                with file.open("wb") as out:
                    np.lib.format.write_array_header_1_0(
                        out, {"descr": "<i8", "fortran_order": False, "shape": (10**12, 10**3)}
                    )

            _rewrite(path, name, write)

        def objects(path: Path, name: str = name) -> None:
            _rewrite(path, name, lambda file: np.save(file, np.array([_Runs()], dtype=object), allow_pickle=True))

        for command in ("verify", "search"):
            yield Case(f"{command}: {original.parent.name} {name} is huge", beside(original, huge, _command(command)))
            yield Case(f"{command}: {original.parent.name} {name} runs", beside(original, objects, _command(command)))


class _Runs:
    """What would make the canary if it were ever unpickled."""

    def __reduce__(self):
        return (open, ("code-was-run", "w"))


def _bytes(original: Path, rng: np.random.Generator, amount: int) -> Iterator[AnyCase]:
    """Damage that no hash covers up, under every command; `verify` must find it."""
    files = sorted(path for path in original.rglob("*") if path.is_file() and path.name != "writer.lock")
    for number in range(amount):
        file = files[int(rng.integers(len(files)))]
        how, content = damaged(file.read_bytes(), rng)
        if content == file.read_bytes():
            continue
        command = _any_command(rng)
        where = file.relative_to(original)

        def change(path: Path, where: Path = where, content: bytes = content) -> None:
            (path / where).write_bytes(content)

        yield Case(
            f"{command}: {original.parent.name} {where} {number}: {how}",
            beside(original, change, _command(command)),
            must="refuse" if command == "verify" else "either",
        )
