"""`where`: cells chosen by a DuckDB expression over the metadata, and nothing more than that."""

import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from insignia.atlas.expressions import EXPRESSION_CONFIG, Expression, parse_expression
from insignia.atlas.snapshot import Snapshot
from insignia.core import keys
from insignia.core.errors import FilterError
from insignia.core.settings import num_threads
from insignia.data import SEPARATOR, join_labels

if TYPE_CHECKING:
    import duckdb

__all__ = ["evaluate", "select"]

DISEASES: Final = "diseases"
"""A list column that expressions may name: the diseases of a cell one by one."""
TIME_LIMIT_S: Final = 60.0

_ROW: Final = "insignia row"
_TEXT: Final = re.compile(r"'((?:[^']|'')*)'")
_HAS: Final = f"""
CREATE MACRO has(held, label) AS CASE
    WHEN typeof(held) = 'VARCHAR[]' THEN list_contains(TRY_CAST(held AS VARCHAR[]), label)
    ELSE list_contains(string_split(held::VARCHAR, '{SEPARATOR}'), label) END
"""
_bases: "dict[int, duckdb.DuckDBPyConnection]" = {}
_lock: Final = threading.Lock()


def select(snapshot: Snapshot, where: str, *, time_limit_s: float = TIME_LIMIT_S) -> np.ndarray:
    """Rows of the atlas, ascending, of the cells for which an expression is true.

    Parameters
    ----------
    where
        One expression over the columns of the metadata, e.g. ``"tissue = 'blood' AND cell_type LIKE '%monocyte'"``.
        ``has(disease, 'COVID-19')`` is true for cells of which it is one disease among others; the column
        ``diseases`` holds the same as a list.
    time_limit_s
        After this many seconds it is given up.

    Raises
    ------
    FilterError
        It is not one expression, names an unknown column, reaches for files, takes too long, or is true for no cell.
    """
    chosen = evaluate(snapshot, [where], time_limit_s=time_limit_s)[:, 0] == 1
    rows = np.flatnonzero(chosen)
    if not rows.size:
        with _connection() as connection:
            columns = parse_expression(connection, where, _available(snapshot)).columns
        raise FilterError(f"No cell of the atlas has {where}.{_hint(snapshot, columns, where)}")
    return rows


def evaluate(
    snapshot: Snapshot,
    expressions: Sequence[str],
    rows: np.ndarray | None = None,
    *,
    time_limit_s: float = TIME_LIMIT_S,
) -> np.ndarray:
    """Say for each cell whether each expression is true.

    Parameters
    ----------
    rows
        Rows of the atlas in ascending order; `None` takes all cells.

    Returns
    -------
    (cells, expressions) int8: 1 true, 0 false, -1 where it cannot be told because a value is missing.

    Raises
    ------
    FilterError
        As for `select`, except that an expression may be true for no cell.
    """
    import duckdb

    available = _available(snapshot)
    with _connection() as connection:
        parsed = [parse_expression(connection, text, available) for text in expressions]
        named = list(dict.fromkeys(name for one in parsed for name in one.columns))
        with_list = DISEASES in named and DISEASES not in snapshot.columns
        stored = [keys.DISEASE if with_list and name == DISEASES else name for name in named] or [keys.STUDY]
        table = _one_spelling(snapshot.metadata(list(dict.fromkeys(stored)), rows))
        connection.register("given", table.append_column(_ROW, pa.array(np.arange(len(table), dtype=np.int64))))
        with _limited(connection, time_limit_s) as ran_out:
            try:
                found = connection.execute(_query(parsed, with_list)).fetchnumpy()
            except (duckdb.Error, pa.ArrowException, RuntimeError) as error:
                raise _failed(error, expressions, available, ran_out.is_set(), time_limit_s) from error
    # told by their number, whatever order DuckDB gives them in
    answers = np.empty((len(table), len(parsed)), dtype=np.int8)
    for k in range(len(parsed)):
        answers[found[_ROW], k] = found[f"x{k}"]
    return answers


def _available(snapshot: Snapshot) -> list[str]:
    return list(dict.fromkeys([*snapshot.columns, DISEASES]))


def _query(parsed: Sequence[Expression], with_list: bool) -> str:
    answers = ", ".join(
        f"coalesce((\n{one.text}\n)::BOOLEAN::TINYINT, -1::TINYINT) AS x{k}" for k, one in enumerate(parsed)
    )
    split = f"(SELECT *, string_split({keys.DISEASE}::VARCHAR, '{SEPARATOR}') AS {DISEASES} FROM given)"  # noqa: S608
    # every text stands here only after parse_expression has seen that it is one harmless expression
    return f'SELECT "{_ROW}", {answers} FROM {split if with_list else "given"} AS cells'  # noqa: S608


@contextmanager
def _connection() -> "Iterator[duckdb.DuckDBPyConnection]":
    """Give a locked connection that ends with what was registered on it.

    Every process keeps one database: making one takes longer than most filters, and one is not carried over a fork.
    """
    import duckdb

    with _lock:
        if os.getpid() not in _bases:
            base = duckdb.connect(":memory:", config={**EXPRESSION_CONFIG, "threads": str(num_threads())})
            base.execute("SET python_enable_replacements = false")
            base.execute(_HAS)
            base.execute("SET lock_configuration = true")
            _bases[os.getpid()] = base
        connection = _bases[os.getpid()].cursor()
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def _limited(connection: "duckdb.DuckDBPyConnection", seconds: float) -> Iterator[threading.Event]:
    """Interrupt the connection when the time is over, and say whether that happened."""
    ran_out = threading.Event()

    def stop() -> None:
        ran_out.set()
        connection.interrupt()

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield ran_out
    finally:
        timer.cancel()


def _failed(
    error: Exception, expressions: Sequence[str], available: Sequence[str], ran_out: bool, seconds: float
) -> FilterError:
    shown = " and ".join(repr(text if len(text) <= 300 else f"{text[:300]}...") for text in expressions)
    what = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if ran_out:
        what = f"it took longer than {seconds:g} seconds."
    return FilterError(
        f"where={shown} does not select cells: {what} Expected one expression such as "
        f"\"tissue = 'blood'\" over the columns {', '.join(available)}."
    )


def _one_spelling(table: pa.Table) -> pa.Table:
    """Write sets of diseases as `insignia.data` does, also where an older version wrote the atlas."""
    if keys.DISEASE not in table.column_names or not table.num_rows:
        return table
    place = table.column_names.index(keys.DISEASE)
    column = table.column(place).combine_chunks()
    if not pa.types.is_dictionary(column.type) or column.null_count:
        return table
    texts = column.dictionary.to_pylist()
    spelt = [join_labels(text) for text in texts]
    if spelt == texts:
        return table
    codes, unique = pd.factorize(np.array(spelt, dtype=object))
    held = column.indices.to_numpy(zero_copy_only=False)
    indices = pa.array(codes.astype(np.int32)[held])
    return table.set_column(place, keys.DISEASE, pa.DictionaryArray.from_arrays(indices, pa.array(unique, pa.string())))


def _hint(snapshot: Snapshot, named: Sequence[str], where: str) -> str:
    """Name the values that come closest to those asked for, else the commonest ones."""
    asked = [text.replace("''", "'").strip("%") for text in _TEXT.findall(where)]
    hints = []
    for name in dict.fromkeys(keys.DISEASE if name == DISEASES else name for name in named):
        column = snapshot.metadata([name]).column(name)
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
