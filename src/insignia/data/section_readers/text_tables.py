"""Tables of counts and of spots, read with an error that names the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from scipy import sparse

from insignia.core.errors import DuplicateNames, FileFormatError, InsigniaError

__all__ = ["as_table_error", "read_counts_table", "read_spot_table", "with_numbers"]

_NUMBERS: Final = ("int64", "double")
_MOST_COLUMNS: Final = 1_000


@contextmanager
def as_table_error(path: Path) -> Iterator[None]:
    """Turn whatever a parser stumbles over into an error that names the file; pipes and devices may have no end."""
    if path.exists() and not path.is_file():
        raise FileFormatError(f"{path} is no file, but a folder, a pipe or a device. Put the table itself there.")
    try:
        yield
    except (InsigniaError, MemoryError, PermissionError):
        raise
    except Exception as error:
        found = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise FileFormatError(
            f"{path} could not be read as a table: damaged, cut short or of another kind? ({found}) "
            "Compare its size with the source and fetch or write it again."
        ) from error


def read_counts_table(path: Path) -> tuple[pd.Index, pd.Index, sparse.csr_matrix]:
    """Read a tab-separated table of counts, packed or not, with one row a spot and the genes in the first line.

    Returns
    -------
    Names of the spots, names of the genes, and (spots, genes) float32.
    """
    from pyarrow import csv

    with as_table_error(path):
        table = csv.read_csv(
            path,
            read_options=csv.ReadOptions(use_threads=False, block_size=2**28),
            parse_options=csv.ParseOptions(delimiter="\t", quote_char=False),
        )
        if table.num_columns < 2 or not table.num_rows:
            raise FileFormatError(
                f"{path} holds {table.num_rows} rows and {table.num_columns} columns: no table of counts."
            )
        names, *genes = table.column_names
        repeated = pd.Index(genes)[pd.Index(genes).duplicated()].unique()
        if len(repeated):
            raise DuplicateNames(
                f"{path} has {len(repeated)} genes more than once, e.g. {', '.join(repeated[:5])}. "
                "Add their columns up."
            )
        columns = table.columns[1:]
        wrong = [gene for gene, kind in zip(genes, table.schema.types[1:], strict=True) if str(kind) not in _NUMBERS]
        if wrong or any(column.null_count for column in columns):
            holes = wrong or [g for g, column in zip(genes, columns, strict=True) if column.null_count]
            raise FileFormatError(f"{path} has values that are no numbers, e.g. in the column of {holes[0]!r}.")
        blocks = [
            sparse.csc_matrix(np.column_stack([c.to_numpy() for c in columns[at : at + 512]]).astype(np.float32))
            for at in range(0, len(columns), 512)
        ]
    spots = pd.Index([str(name) for name in table.column(names).to_pylist()])
    return spots, pd.Index(genes), sparse.hstack(blocks).tocsr()


def read_spot_table(path: Path, numbers: tuple[str, ...]) -> pd.DataFrame:
    """Read a tab-separated table of spots, and check that the columns `numbers` are there and hold numbers."""
    with as_table_error(path):
        with path.open(encoding="utf-8", errors="replace") as file:
            n_columns = file.readline().count("\t") + 1
        if n_columns > _MOST_COLUMNS:
            raise FileFormatError(f"{path} has {n_columns:,} columns: no table of spots.")
        table = pd.read_csv(path, sep="\t")
    absent = [column for column in numbers if column not in table]
    if absent:
        raise FileFormatError(
            f"{path} lacks the columns {', '.join(absent)}; it has {', '.join(map(str, table.columns[:10]))}."
        )
    return with_numbers(table, numbers, path)


def with_numbers(table: pd.DataFrame, numbers: tuple[str, ...], path: Path) -> pd.DataFrame:
    """Return the table with finite numbers in the columns `numbers`, or refuse the file."""
    table = table.copy()
    for column in numbers:
        values = pd.to_numeric(table[column], errors="coerce")
        if not np.isfinite(values.to_numpy(dtype=np.float64)).all():
            row = int(np.flatnonzero(~np.isfinite(values.to_numpy(dtype=np.float64)))[0])
            raise FileFormatError(
                f"{path} has {str(table[column].iloc[row])!r} in column {column}, row {row + 2}: no number."
            )
        table[column] = values
    return table
