"""Mapping files of metadata, in TOML and CSV, and what is typed beside them."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.attack.atlas_cells import cells, make_atlas
from benchmarks.attack.case import Case
from benchmarks.attack.mutations import NAMES_THAT_TRICK, damaged_cases
from benchmarks.attack.originals import written

__all__ = ["cases"]

TOML = """name = "clinic"
[columns]
patient = "donor"
organ = ["tissue"]
[constants]
study = "S2"
[values.disease]
healthy = "normal"
[extra]
age = "age_years"
"""
CSV = (
    "part,theirs,ours\ncolumns,patient,donor\nconstants,study,S2\nvalues.disease,healthy,normal\nextra,age,age_years\n"
)
TOML_TRICKS = {
    "empty": "",
    "unknown part": "[run]\ncommand = 'touch code-was-run'\n",
    "columns are text": "columns = 'donor'\n",
    "columns are deep": "[columns]\npatient = [['donor']]\n",
    "column of numbers": "[columns]\n1 = 2\n",
    "two of one": "[columns]\na = 'donor'\nb = 'donor'\n",
    "one twice": "[columns]\na = ['donor', 'donor']\n",
    "no such column": "[columns]\na = 'donors'\n",
    "values are text": "[values]\ndisease = 'normal'\n",
    "values are dates": "[values.disease]\nhealthy = 1979-05-27\n",
    "extra hides ours": "[extra]\nage = 'donor'\n",
    "extra is a trick": "[extra]\nage = '../../x'\n",
    "deep": "columns = " + "[" * 20_000 + "]" * 20_000,
    "deep tables": "[" + ".".join("a" for _ in range(5_000)) + "]\n",
    "said twice": "[columns]\na = 'donor'\na = 'tissue'\n",
    "infinite": "[constants]\nstudy = inf\n",
    "name is a list": "name = [1]\n",
}
CSV_TRICKS = {
    "empty": "",
    "only a header": "part,theirs,ours\n",
    "a million columns": ",".join(f"c{i}" for i in range(10**6)) + "\n",
    "another header": "a,b,c\n1,2,3\n",
    "short row": "part,theirs,ours\ncolumns,patient\n",
    "long row": "part,theirs,ours\ncolumns,patient,donor,x\n",
    "open quote": 'part,theirs,ours\ncolumns,"patient,donor\n',
    "long field": "part,theirs,ours\ncolumns," + "x" * 200_000 + ",donor\n",
    "NUL": "part,theirs,ours\ncolumns,pa\x00tient,donor\n",
    "unknown part": "part,theirs,ours\nrun,a,b\n",
    "values of nothing": "part,theirs,ours\nvalues,healthy,normal\n",
    "constants twice": "part,theirs,ours\nconstants,study,A\nconstants,study,B\n",
}


def cases(folder: Path, rng: np.random.Generator, amount: int) -> list[Case]:
    """Give mapping files, and tricks on the command line, for adding cells to an atlas."""
    made = cells("S2", 20)
    made.obs = made.obs.rename(columns={"donor": "patient", "tissue": "organ"}).drop(columns="study")
    made.obs["age"] = range(20)
    source = written(made, folder / "cells.h5ad")
    atlas = make_atlas(folder / "atlas", cells("S1", 20)).path

    def add(path: Path) -> Sequence[str]:
        shutil.copytree(atlas, path.parent / "atlas")
        return ["atlas", "add", "atlas", source, "--mapping", path.name, "--json"]

    def text(name: str, content: bytes, **what) -> Case:
        def prepare(place: Path) -> Sequence[str]:
            path = place / name.split()[0]
            path.write_bytes(content)
            return add(path)

        return Case(name, prepare, **what)

    def typed(number: int, option: str, value: str) -> Case:
        def prepare(place: Path) -> Sequence[str]:
            shutil.copytree(atlas, place / "atlas")
            usual = ["--column", "patient=donor", "--column", "organ=tissue", "--constant", "study=S2"]
            return ["atlas", "add", "atlas", source, *usual, option, value, "--json"]

        return Case(f"typed {option} {number}", prepare)

    for name, content in (("map.toml", TOML), ("map.csv", CSV)):
        (folder / name).write_text(content)
    return [
        text("map.toml sound", TOML.encode(), must="answer"),
        text("map.csv sound", CSV.replace("constants", "columns,organ,tissue\nconstants").encode(), must="answer"),
        *(text(f"map.toml {what}", content.encode()) for what, content in TOML_TRICKS.items()),
        *(text(f"map.csv {what}", content.encode()) for what, content in CSV_TRICKS.items()),
        text("map.toml in sixteen bits", TOML.encode("utf-16"), must="refuse"),
        text("map.csv in sixteen bits", CSV.encode("utf-16"), must="refuse"),
        *(typed(i, option, f"{key}={name.replace(chr(0), '')}" if key else name.replace(chr(0), ""))
          for i, name in enumerate(NAMES_THAT_TRICK)
          for option, key in (("--constant", "disease"), ("--column", "disease"), ("--extra", ""), ("--mapping", ""))),
        *damaged_cases(folder / "map.toml", add, rng, 2 * amount),
        *damaged_cases(folder / "map.csv", add, rng, 2 * amount),
    ]  # fmt: skip
