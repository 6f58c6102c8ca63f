"""Results of the benchmarks as JSON files, which the page in the documentation is made of."""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmarks.parts import run_parts

__all__ = ["FOLDER", "is_there", "load", "main", "spread", "table"]

FOLDER: Final = Path(__file__).parents[2] / "docs" / "science"
DIGITS: Final = 4


def main(
    name: str, parts: dict[str, Callable[[bool], dict[str, Any]]], about: str, summary: Callable[..., Any]
) -> None:
    """Run the parts of a benchmark, keep the result of a full run, and print one JSON object last.

    Parameters
    ----------
    name
        Of the benchmark and of its file of results.
    parts
        What is run, by name; each is told whether the run is quick.
    about
        Docstring of the module.
    summary
        From the record of all parts to what stands first in the JSON object.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed and the first part; nothing is written")
    quick: bool = parser.parse_args().quick
    warnings.filterwarnings("ignore", category=UserWarning)
    start = time.perf_counter()
    names = list(parts)[: 1 if quick else None]
    record = run_parts(f"science.{name}", names, lambda part: rounded(parts[part](quick)), quick=quick)
    record["summary"] = rounded(summary({part: record[part] for part in names if part in record}))
    record["seconds"] = round(time.perf_counter() - start, 1)
    if not quick and not record["skipped"]:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))


def load(name: str) -> dict[str, Any]:
    """Read the result of a full run."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def is_there(name: str) -> bool:
    """Whether there is the result of a full run."""
    return (FOLDER / f"{name}.json").exists()


def rounded(value: Any) -> Any:
    """Make numbers plain and short, and NaN `None`, all the way down."""
    if isinstance(value, dict):
        return {str(key): rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(entry) for entry in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return round(float(value), DIGITS) if np.isfinite(value) else None
    return value


def spread(rows: pd.DataFrame, by: str = "score") -> dict[str, dict[str, list[float]]]:
    """Mean and standard deviation of each measure over rows, by score in the order of their first row.

    The standard deviation of a single row is NaN.
    """
    measures = [name for name in rows.columns if pd.api.types.is_numeric_dtype(rows[name])]
    grouped = rows.groupby(by, sort=False)[measures]
    means, deviations = grouped.mean(), grouped.std()
    return {
        str(score): {name: [means.loc[score, name], deviations.loc[score, name]] for name in measures}
        for score in means.index
    }


def table(found: dict[str, dict[str, list[float]]], title: str) -> None:
    """Print means and standard deviations."""
    shown = {
        score: {name: f"{mean:.3f} ({sd:.3f})" if sd == sd else f"{mean:.3f}" for name, (mean, sd) in row.items()}
        for score, row in found.items()
    }
    print(f"\n== {title}\n{pd.DataFrame(shown).T.to_string()}", flush=True)
