"""Priors of genes: npz, parquet, text, safetensors, GMT, the two files of STRING, and saved folders."""

import gzip
import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from benchmarks.attack.case import CANARY, Case
from benchmarks.attack.mutations import JSON_TRICKS, NAMES_THAT_TRICK, damaged_cases, json_damage
from benchmarks.attack.originals import beside, inside_cases
from insignia.core.files import canonical_json, sha256_text
from insignia.data import simulate_screen, write_screen
from insignia.perturb import save_priors

__all__ = ["cases"]


def cases(folder: Path, rng: np.random.Generator, amount: int) -> list[Case]:
    """Damaged priors of every kind, matched to a screen by `perturb check`."""
    made = simulate_screen(
        n_genes=40, n_programs=4, n_perturbations=8, n_doubles=6, n_controls=40, cells_per_condition=12, rng=0
    )
    screen = folder / "screen.h5ad"
    write_screen(made.data, screen)
    save_priors(made.priors, folder / "priors")
    files = _embeddings(folder, made.priors.embedding)
    links, info = _string(folder, made.priors.network.genes)

    def embedding(path: Path) -> Sequence[str]:
        return ["perturb", "check", screen, "--embedding", path.name, "--json"]

    def saved(path: Path) -> Sequence[str]:
        return ["perturb", "check", screen, "--priors", path.name, "--json"]

    def linked(path: Path) -> Sequence[str]:
        return ["perturb", "check", screen, "--string-links", path.name, "--string-info", info, "--json"]

    def named(path: Path) -> Sequence[str]:
        return ["perturb", "check", screen, "--string-links", links, "--string-info", path.name, "--json"]

    return [
        *(Case(f"sound {path.name}", beside(path, _nothing, embedding), must="answer") for path in files),
        Case("sound priors", beside(folder / "priors", _nothing, saved), must="answer"),
        Case("sound links", beside(links, _nothing, linked), must="answer"),
        Case("sound info", beside(info, _nothing, named), must="answer"),
        *(case for path in files for case in damaged_cases(path, embedding, rng, amount)),
        *damaged_cases(links, linked, rng, 2 * amount), *damaged_cases(info, named, rng, 2 * amount),
        *inside_cases(folder / "priors", saved, rng, 4 * amount),
        *_records(folder / "priors", saved, rng, 10 * amount),
        *_thought_of(embedding, made.priors.embedding), *_string_tricks(linked, named),
    ]  # fmt: skip


def _nothing(path: Path) -> None:
    """Leave the copy as it is."""


def _embeddings(folder: Path, embedding) -> list[Path]:
    genes, matrix = list(embedding.genes), embedding.matrix
    table = pd.DataFrame(matrix, index=pd.Index(genes, name="gene"), columns=[f"d{i}" for i in range(matrix.shape[1])])
    np.savez(folder / "vectors.npz", genes=np.array(genes), matrix=matrix)
    np.savez_compressed(folder / "packed.npz", genes=np.array(genes), matrix=matrix)
    table.reset_index().to_parquet(folder / "vectors.parquet", index=False)
    table.reset_index().to_csv(folder / "vectors.csv", index=False)
    table.reset_index().to_csv(folder / "vectors.tsv.gz", index=False, sep="\t")
    save_file({"matrix": matrix}, folder / "vectors.safetensors", metadata={"genes": json.dumps(genes)})
    names = ("vectors.npz", "packed.npz", "vectors.parquet", "vectors.csv", "vectors.tsv.gz", "vectors.safetensors")
    return [folder / name for name in names]


def _string(folder: Path, genes: Sequence[str]) -> tuple[Path, Path]:
    info = folder / "info.txt.gz"
    rows = "".join(f"9606.P{i}\t{gene}\t100\tabout\n" for i, gene in enumerate(genes))
    info.write_bytes(gzip.compress(f"#string_protein_id\tpreferred_name\tprotein_size\tannotation\n{rows}".encode()))
    pairs = "".join(f"9606.P{i} 9606.P{i + 1} {800 + i}\n" for i in range(len(genes) - 1))
    links = folder / "links.txt.gz"
    links.write_bytes(gzip.compress(f"protein1 protein2 combined_score\n{pairs}".encode()))
    return links, info


def _put(name: str, content: bytes, command: Callable[[Path], Sequence[str]]):
    def prepare(place: Path) -> Sequence[str]:
        (place / name).write_bytes(content)
        return command(place / name)

    return prepare


class _Runs:
    """What would make the canary if it were ever unpickled."""

    def __reduce__(self):
        return (open, (CANARY, "w"))


def _npz(**entries: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries.items():
            file.writestr(name.replace("__", "../../"), content)
    return out.getvalue()


def _npy(array: np.ndarray, *, pickles: bool = False) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=pickles)
    return out.getvalue()


def _header(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": dtype, "fortran_order": False, "shape": shape})
    return out.getvalue()


def _declares_gigabytes(head: bytes) -> bytes:
    """Return a zip whose directory declares an entry of four gigabytes, most of which are not there."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("matrix.npy", head + bytes(2**20))
        file.writestr("genes.npy", _npy(np.array(["GENE0001"])))
    content = bytearray(out.getvalue())
    place = content.index(b"PK\x01\x02") + 24
    content[place : place + 4] = struct.pack("<I", 2**32 - 16)
    return bytes(content)


def _safetensors(header: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + body


def _thought_of(command: Callable[[Path], Sequence[str]], embedding) -> Iterator[Case]:
    genes, matrix = np.array(embedding.genes), embedding.matrix
    names, values = _npy(genes), _npy(matrix)
    csv = "gene,a,b\n" + "".join(f"{gene},1,{i}\n" for i, gene in enumerate(genes))
    tensor = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    parquet = io.BytesIO()
    pd.DataFrame({"gene": genes, "vector": [[1.0] * (1 + i % 2) for i in range(len(genes))]}).to_parquet(parquet)
    ones = io.BytesIO()
    pd.DataFrame({"gene": ["GENE0001"] * 10**7, "a": 1.0}).to_parquet(ones)
    tricks = {
        "runs.npz": _npz(**{"genes.npy": names, "matrix.npy": _npy(np.array([_Runs()], dtype=object), pickles=True)}),
        "names-run.npz": _npz(**{"genes.npy": _npy(np.array([_Runs()], dtype=object), pickles=True), "m.npy": values}),
        "slips.npz": _npz(**{"__outside.npy": names, "matrix.npy": values, "genes.npy": names}),
        "no-arrays.npz": _npz(**{"readme.txt": b"hello"}),
        "nothing.npz": _npz(),
        "declares.npz": _npz(**{"genes.npy": names, "matrix.npy": _header((10**6, 10**6))}),
        "negative.npz": _npz(**{"genes.npy": names, "matrix.npy": _header((-1, 5))}),
        "dates.npz": _npz(**{"genes.npy": names, "matrix.npy": _header((8, 2), "<M8[ns]") + bytes(128)}),
        "records.npz": _npz(**{"genes.npy": names, "matrix.npy": _npy(np.zeros(8, dtype=[("a", "f4")]))}),
        "complex.npz": _npz(**{"genes.npy": names, "matrix.npy": _npy(matrix.astype(np.complex64))}),
        "is-npy.npz": values,
        "zeros.npz": _declares_gigabytes(_header((2**22, 2**8))),
        "open-quote.csv": csv.replace("gene,a", '"gene,a').encode(),
        "million-columns.csv": (",".join(["gene", *(f"c{i}" for i in range(10**6))]) + "\n").encode(),
        "one-line.csv": b"x" * 10**7,
        "huge-numbers.csv": csv.replace(",1,", ",1e400,").encode(),
        "nan.csv": csv.replace(",1,", ",nan,").encode(),
        "words.csv": csv.replace(",1,", ",one,").encode(),
        "tricks.csv": ("gene,a\n" + "".join(f"{json.dumps(n)},1\n" for n in NAMES_THAT_TRICK)).encode(),
        "latin.csv": csv.replace("GENE0001", "GÉNE").encode("latin-1"),
        "sixteen-bits.csv": csv.encode("utf-16"),
        "unpacks.csv.gz": gzip.compress(b"GENE1,1\n" * 2**23) * 64,
        "cut.csv.gz": gzip.compress(csv.encode())[:-9],
        "empty.csv": b"",
        "ragged.parquet": parquet.getvalue(),
        "many-rows.parquet": ones.getvalue(),
        "long-header.safetensors": struct.pack("<Q", 2**60),
        "deep.safetensors": _safetensors(b'{"a":' * 5000 + b"1" + b"}" * 5000),
        "overlap.safetensors": _safetensors(json.dumps({"a": tensor, "b": tensor}).encode(), bytes(16)),
        "outside.safetensors": _safetensors(json.dumps({"a": tensor | {"data_offsets": [0, 2**40]}}).encode(), b""),
        "huge.safetensors": _safetensors(json.dumps({"a": tensor | {"shape": [2**40, 2**40]}}).encode(), bytes(16)),
        "bfloat.safetensors": _safetensors(
            json.dumps({"a": tensor | {"dtype": "BF16", "shape": [2, 4]}}).encode(), bytes(16)
        ),
        **{
            f"names-{name}.safetensors": _safetensors(
                json.dumps({"__metadata__": {"genes": trick}, "matrix": tensor}).encode(), bytes(16)
            )
            for name, trick in JSON_TRICKS.items()
        },
    }  # fmt: skip
    for name, content in tricks.items():
        yield Case(f"embedding {name}", _put(name, content, command))


def _records(original: Path, command, rng: np.random.Generator, amount: int) -> Iterator[Case]:
    """Give records of saved priors that fit their hash."""
    text = (original / "priors.json").read_text()
    for number in range(amount):
        how, new = json_damage(text, rng)

        def change(path: Path, new: str = new) -> None:
            try:
                content = json.loads(new)
                content.pop("sha256", None)
                content["sha256"] = sha256_text(canonical_json(content))
                (path / "priors.json").write_text(json.dumps(content))
            except (ValueError, AttributeError, TypeError, RecursionError):
                (path / "priors.json").write_text(new)

        yield Case(f"priors record {number}: {how}", beside(original, change, command))


def _string_tricks(linked, named) -> Iterator[Case]:
    head = "protein1 protein2 combined_score\n"
    links = {
        "empty": b"",
        "only a header": gzip.compress(head.encode()),
        "words for scores": gzip.compress(f"{head}9606.P0 9606.P1 high\n".encode()),
        "huge scores": gzip.compress(f"{head}9606.P0 9606.P1 {'9' * 40}\n".encode()),
        "missing scores": gzip.compress(f"{head}9606.P0 9606.P1 \n".encode()),
        "short rows": gzip.compress(f"{head}9606.P0\n".encode()),
        "one long line": gzip.compress(head.encode() + b"x" * 2**26),
        "strangers": gzip.compress(f"{head}10090.P0 10090.P1 900\n".encode()),
        "scores beyond 1000": gzip.compress(f"{head}9606.P0 9606.P1 5000\n".encode()),
        "many": gzip.compress(head.encode()) + gzip.compress(b"9606.P0 9606.P1 900\n" * 2**20) * 8,
        "cut": gzip.compress((head + "9606.P0 9606.P1 900\n" * 99).encode())[:-9],
        "not text": gzip.compress(head.encode() + b"\xff\xfe \xff 900\n"),
    }
    for name, content in links.items():
        yield Case(f"links {name}", _put("links.txt.gz", content, linked), seconds=90)
    about = "#string_protein_id\tpreferred_name\tprotein_size\tannotation\n"
    infos = {
        "empty": b"",
        "only a header": gzip.compress(about.encode()),
        "short rows": gzip.compress(f"{about}9606.P0\n".encode()),
        "quotes": gzip.compress(f'{about}9606.P0\t"GENE1\t1\tx\n'.encode()),
        "same protein twice": gzip.compress(f"{about}9606.P0\tA\t1\tx\n9606.P0\tB\t1\tx\n".encode()),
        "many": gzip.compress(about.encode()) + gzip.compress(b"9606.P0\tA\t1\tx\n" * 2**20) * 8,
        "not text": gzip.compress(about.encode() + b"\xff\xfe\t\xff\n"),
    }
    for name, content in infos.items():
        yield Case(f"info {name}", _put("info.txt.gz", content, named), seconds=60)
