"""Tables written where people and programs read them."""

from pathlib import Path
from typing import Final

import pandas as pd

from insignia.core.errors import FileFormatError
from insignia.core.files import atomic_file

__all__ = ["write_table"]

_SEPARATORS: Final = {".csv": ",", ".tsv": "\t"}


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table without its index as .csv, .tsv or .parquet, whole or not at all.

    Raises
    ------
    FileFormatError
        `path` has another suffix.
    """
    path = Path(path)
    if path.suffix not in (*_SEPARATORS, ".parquet"):
        raise FileFormatError(f"A table ends in .csv, .tsv or .parquet; found {path.name!r}.")
    with atomic_file(path) as temporary:
        if path.suffix == ".parquet":
            # pyarrow takes only paths that are text
            with temporary.open("wb") as file:
                table.to_parquet(file, index=False)
        else:
            table.to_csv(temporary, sep=_SEPARATORS[path.suffix], index=False)
