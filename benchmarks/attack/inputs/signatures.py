"""Signatures: GMT and TOML files, and names and genes as they are typed."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.attack.atlas_cells import cells, make_atlas
from benchmarks.attack.case import Case
from benchmarks.attack.mutations import NAMES_THAT_TRICK, damaged_cases
from insignia.data import write_h5ad

__all__ = ["cases"]

GMT = "FIRST\thttp://first\tGENE1\tGENE2\tGENE3\nSECOND_UP\t\tGENE4\tGENE5\nSECOND_DN\tdown\tGENE6\tNOGENE\n"
TOML = 'name = "Planted"\ngenes = ["GENE1", "GENE2", "GENE3"]\nweights = [1, -0.5, 2]\norganism = "human"\n'
GMT_TRICKS = {
    "empty": "",
    "no end of line": GMT.strip(),
    "carriage returns": GMT.replace("\n", "\r\n"),
    "old Mac": GMT.replace("\n", "\r"),
    "mark of byte order": "\ufeff" + GMT,
    "blanks for tabs": GMT.replace("\t", " "),
    "a million genes": "FIRST\t\t" + "\t".join(f"GENE{i}" for i in range(10**6)) + "\n",
    "five thousand sets": "".join(f"SET{i}\t\tGENE1\tGENE2\n" for i in range(5_000)),
    "one long name": "FIRST\t\t" + "G" * 10**7 + "\n",
    "same gene twice": "FIRST\t\tGENE1\tGENE1\n",
    "other case twice": "FIRST\t\tGENE1\tgene1\n",
    "unicode blanks": "FIRST\t\t\u00a0GENE1\u2003\tGENE2\u200b\n",
    "line separators": "FIRST\t\tGENE1\u2028GENE2\tGENE3\x85GENE4\tGENE5\x1cGENE6\n",
    "NUL": "FIRST\t\tGENE1\x00\tGENE2\n",
}
TOML_TRICKS = {
    "empty": "",
    "not finite": TOML.replace("-0.5", "nan"),
    "infinite": TOML.replace("-0.5", "inf"),
    "too few weights": TOML.replace(", 2]", "]"),
    "weights are text": TOML.replace("-0.5", '"-0.5"'),
    "weights are truth": TOML.replace("-0.5", "true"),
    "weights are a date": TOML.replace("-0.5", "1979-05-27"),
    "weights are huge": TOML.replace("-0.5", "1e308").replace("2]", "1e308]"),
    "integers beyond floats": TOML.replace("-0.5", "9" * 400),
    "weights are a table": TOML.replace("[1, -0.5, 2]", "{GENE1 = 1}"),
    "genes are text": TOML.replace('["GENE1", "GENE2", "GENE3"]', '"GENE1"'),
    "genes are numbers": TOML.replace('"GENE1"', "1"),
    "genes are lists": TOML.replace('"GENE1"', '["GENE1"]'),
    "name is a number": TOML.replace('"Planted"', "7"),
    "no name": TOML.replace('name = "Planted"\n', ""),
    "more keys": TOML + 'run = "touch code-was-run"\n',
    "deep": "genes = " + "[" * 5000 + "]" * 5000,
    "deeper": "name = 'x'\ngenes = " + "[" * 100_000 + "]" * 100_000,
    "another organism": TOML.replace("human", "mouse"),
    "no organism": TOML.replace("human", "martian"),
}
TYPED = ("", ",", ",,,", ":", "x.gmt", "x.gmt:", "x.gmt:A:B", ".gmt:A", "nothing.toml", "../x.toml", "GENE1,", "-1,-2")
SCORE = ("score", "cells.h5ad", "-o", "scores.csv")


def cases(folder: Path, rng: np.random.Generator, amount: int) -> list[Case]:
    """GMT and TOML files, thought of and damaged, for scores, searches and screens; odd words."""
    small = cells("S1", 200)
    small.obs["donor"] = [f"{disease}{i % 4}" for i, disease in enumerate(small.obs["disease"])]
    write_h5ad(small, folder / "cells.h5ad")
    make_atlas(folder / "atlas", small)
    (folder / "sets.gmt").write_text(GMT)
    (folder / "set.toml").write_text(TOML)

    def gmt(path: Path) -> Sequence[str]:
        return ["score", folder / "cells.h5ad", f"{path.name}:FIRST", "-o", "scores.csv"]

    def toml(path: Path) -> Sequence[str]:
        return ["search", folder / "atlas", path.name, "--min-cells", "1", "--table", "table.csv"]

    def screen(path: Path) -> Sequence[str]:
        return [
            "screen",
            folder / "atlas",
            path.name,
            "-o",
            "scores.csv",
            "--compare",
            "normal",
            "--stratum",
            "none",
            "--min-cells",
            "1",
        ]

    return [
        *(_written(f"gmt {name}", "sets.gmt", text, command) for name, text in GMT_TRICKS.items() for command in [gmt]),
        *(_written(f"gmt screened {name}", "sets.gmt", text, screen) for name, text in GMT_TRICKS.items()),
        *(_written(f"toml {name}", "set.toml", text, toml) for name, text in TOML_TRICKS.items()),
        *(_written(f"gmt set called {n}", "sets.gmt", f"{name}\t\tGENE1\tGENE2\n", screen) for n, name in named()),
        *(_typed(f"typed {number}", folder, text) for number, text in enumerate((*TYPED, *NAMES_THAT_TRICK))),
        Case("gmt in another encoding", _bytes("sets.gmt", GMT.replace("http", "hüb").encode("latin-1"), gmt)),
        Case("gmt of sixteen bits", _bytes("sets.gmt", GMT.encode("utf-16"), gmt)),
        Case("toml in another encoding", _bytes("set.toml", TOML.replace("Pl", "Plä").encode("latin-1"), toml)),
        Case("gmt is packed", _bytes("sets.gmt.gz", gzip.compress(GMT.encode()), screen)),
        Case("gmt is packed and cut", _bytes("sets.gmt.gz", gzip.compress(GMT.encode())[:-12], screen)),
        Case("gmt is packed and is not", _bytes("sets.gmt.gz", GMT.encode(), screen)),
        Case("gmt unpacks to gigabytes", _bytes("sets.gmt.gz", _bomb(), screen), must="refuse", seconds=60),
        Case(
            "gmt is a folder", lambda place: ((place / "sets.gmt").mkdir(), gmt(place / "sets.gmt"))[1], must="refuse"
        ),
        *(_written(f"sound {i}", "sets.gmt", GMT, command, must="answer") for i, command in enumerate([gmt, screen])),
        _written("sound 2", "set.toml", TOML, toml, must="answer"),
        *damaged_cases(folder / "sets.gmt", gmt, rng, amount),
        *damaged_cases(folder / "sets.gmt", screen, rng, amount),
        *damaged_cases(folder / "set.toml", toml, rng, amount),
    ]


def named() -> list[tuple[int, str]]:
    """Names that trick, with numbers for the names of cases."""
    return list(enumerate(NAMES_THAT_TRICK))


def _written(name: str, file: str, text: str, command, **what) -> Case:
    return Case(name, _bytes(file, text.encode(), command), **what)


def _bytes(file: str, content: bytes, command):
    def prepare(place: Path) -> Sequence[str]:
        (place / file).write_bytes(content)
        return command(place / file)

    return prepare


def _typed(name: str, folder: Path, text: str) -> Case:
    return Case(name, lambda _: ["score", folder / "cells.h5ad", "-o", "scores.csv", "--", text])


def _bomb() -> bytes:
    """Return four gigabytes of one line in a few megabytes."""
    block = gzip.compress(b"FIRST\t\t" + b"GENE1\t" * (2**26 // 6), compresslevel=9)
    return block * 64
