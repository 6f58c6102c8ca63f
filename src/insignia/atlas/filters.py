"""`where`: cells chosen by a DuckDB expression over the metadata, and nothing more than that."""

import re
from difflib import get_close_matches

import numpy as np
import pandas as pd
import pyarrow as pa

from insignia.atlas.snapshot import Snapshot
from insignia.core import keys
from insignia.core.errors import FilterError

__all__ = ["select"]

_ROW = "insignia row"
_TEXT = re.compile(r"'((?:[^']|'')*)'")


def select(snapshot: Snapshot, where: str) -> np.ndarray:
    """Rows of the atlas, ascending, of the cells for which an expression is true.

    Parameters
    ----------
    where
        One expression over the columns of the metadata, e.g. ``"tissue = 'blood' AND cell_type LIKE '%monocyte'"``.

    Raises
    ------
    FilterError
        It is not one expression, names an unknown column, reaches for files, or is true for no cell.
    """
    available = snapshot.columns
    named = [name for name in available if name.lower() in where.lower()]
    table = snapshot.metadata(named or [keys.STUDY])
    table = table.append_column(_ROW, pa.array(np.arange(table.num_rows, dtype=np.int64)))
    rows = np.sort(_filter(table, where, available))
    if not rows.size:
        raise FilterError(f"No cell of the atlas has {where}.{_hint(table, named, where)}")
    return rows


def _filter(table: pa.Table, where: str, available: list[str]) -> np.ndarray:
    import duckdb

    with duckdb.connect(":memory:", config={"enable_external_access": "false"}) as connection:
        connection.execute("SET python_enable_replacements = false")
        connection.register("cells", table)
        connection.execute("SET lock_configuration = true")
        try:
            # filter() parses one expression; a second one, a statement or a clause is an error there
            found = connection.table("cells").filter(where).project(f'"{_ROW}"').fetchnumpy()
        except duckdb.Error as error:
            what = str(error).strip().splitlines()[0]
            raise FilterError(
                f"where={where!r} does not select cells: {what} Expected one expression such as "
                f"\"tissue = 'blood'\" over the columns {', '.join(available)}."
            ) from error
    return np.asarray(found[_ROW], dtype=np.int64)


def _hint(table: pa.Table, named: list[str], where: str) -> str:
    """Name the values that come closest to those asked for, else the commonest ones."""
    asked = [text.replace("''", "'").strip("%") for text in _TEXT.findall(where)]
    hints = []
    for name in named:
        column = table.column(name)
        if not pa.types.is_dictionary(column.type):
            continue
        counts = column.to_pandas().value_counts()
        close = [match for text in asked for match in _close(text, counts)]
        shown = list(dict.fromkeys(close))[:5] or [str(value) for value in counts.index[:5]]
        hints.append(f" {name} has {len(counts):,} values, {'close ones' if close else 'mostly'}: {', '.join(shown)}.")
    return "".join(hints)


def _close(text: str, counts: pd.Series) -> list[str]:
    lower = {str(value).lower(): str(value) for value in counts.index}
    return [lower[found] for found in get_close_matches(text.lower(), lower, n=3, cutoff=0.6)]
