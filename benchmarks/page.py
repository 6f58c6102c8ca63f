"""Fill the tables of the docs from kept results in docs/benchmarks, one file a run.

python -m benchmarks.page
python -m benchmarks.search --quick | tee run.log; python -m benchmarks.page --keep search_quick run.log --machine "..."
"""

import argparse
import datetime
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.page_tables import TABLES

__all__ = ["FOLDER", "PAGES", "filled", "keep", "load"]

DOCS: Final = Path(__file__).parents[1] / "docs"
FOLDER: Final = DOCS / "benchmarks"
PAGES: Final = (DOCS / "benchmarks.md", DOCS / "explorer.md")
_PLACE: Final = re.compile(r"(<!-- results: (\w+) -->\n).*?(<!-- end of results -->)", re.DOTALL)


def load(name: str) -> dict[str, Any]:
    """Read a kept result."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def filled(text: str) -> str:
    """Put every table in its place; the same results give the same text."""
    return _PLACE.sub(lambda place: f"{place[1]}\n{table(place[2])}\n\n{place[3]}", text)


def table(name: str) -> str:
    """One table, and below it when and where its figures were measured."""
    result = load(name)
    return f"{TABLES[name](result)}\n\n*{measured(name, result)}*"


def measured(name: str, result: Mapping[str, Any]) -> str:
    """Say where the figures come from."""
    load_average = _load_average(result)
    busy = f", load average {load_average:.1f}" if load_average is not None else ""
    return (
        f"Measured on {result['measured']['on']}, {result['measured']['machine']}{busy}: `docs/benchmarks/{name}.json`."
    )


def keep(name: str, log: Path, machine: str) -> Path:
    """Keep the JSON object in the last line of a log as a result of today."""
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    if not lines:
        raise SystemExit(f"{log} has no line of JSON. Give it all that a benchmark printed.")
    result = json.loads(lines[-1])
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(
        json.dumps({"measured": {"on": today, "machine": machine}, **result}, indent=1) + "\n", encoding="utf-8"
    )
    return path


def _load_average(result: Mapping[str, Any]) -> float | None:
    found = result.get("load_average", result.get("load_before", result.get("load_of_machine", result.get("load"))))
    return float(found[0] if isinstance(found, list) else found) if found is not None else None


def main() -> None:
    """Keep a result if one is given, and fill the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", nargs=2, metavar=("NAME", "LOG"), help="keep the last line of a log first")
    parser.add_argument("--machine", default="2 cores", help="on what it ran, as it shall stand on the page")
    given = parser.parse_args()
    if given.keep:
        print(f"kept {keep(given.keep[0], Path(given.keep[1]), given.machine)}")
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"wrote {page}")


if __name__ == "__main__":
    main()
