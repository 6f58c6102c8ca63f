"""Which columns of a `var` table hold gene symbols and Ensembl ids."""

import re
from typing import Final

import numpy as np
import pandas as pd

from insignia.core.errors import GeneMatchError, MissingMetadata
from insignia.genes.names import parse_names

__all__ = ["names_of_var"]

_SYMBOL_COLUMNS: Final = (
    "featurename",
    "genename",
    "genesymbol",
    "symbol",
    "hgncsymbol",
    "geneshortname",
    "genenames",
    "genesymbols",
    "symbols",
)
_ID_COLUMNS: Final = ("featureid", "geneid", "ensemblid", "ensembl", "ensemblgeneid", "geneids", "ensemblids")
_MOSTLY: Final = 0.5


def names_of_var(var: pd.DataFrame, *, gene_symbols: str | None, gene_ids: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Symbols and Ensembl ids of the rows of `var`, ``""`` where unknown, from its index and columns."""
    symbols, ids = parse_names(var.index)
    is_numbers = len(var) > 0 and np.mean([name.isdecimal() for name in symbols]) > _MOSTLY
    if is_numbers:
        symbols, ids = np.full_like(symbols, ""), np.full_like(ids, "")
    if gene_symbols is not None:
        symbols, more = parse_names(_column(var, gene_symbols, "gene_symbols"))
        ids = _fill(ids, more)
    elif not symbols.all():
        symbols, ids = _fill_from_column(var, symbols, ids)
    if gene_ids is not None:
        _, given = parse_names(_column(var, gene_ids, "gene_ids"))
        _refuse_no_ids(given, gene_ids)
        ids = _fill(given, ids)
    elif not ids.all():
        ids = _fill(ids, _find_ids(var))
    if is_numbers and not (symbols.any() or ids.any()):
        raise GeneMatchError(
            f"var_names are numbers (e.g. {list(var.index[:3])}), not gene names, and no column of var holds them "
            f"under a usual name (columns: {list(var.columns)}). Name it with gene_symbols= or gene_ids=."
        )
    return symbols, ids


def _column(var: pd.DataFrame, name: str, argument: str) -> pd.Series:
    if name not in var.columns:
        raise MissingMetadata(f"{argument}={name!r} is no column of var. Columns there: {list(var.columns)}.")
    return var[name].astype(object)


def _refuse_no_ids(ids: np.ndarray, column: str) -> None:
    if len(ids) and not ids.any():
        raise GeneMatchError(
            f"gene_ids={column!r} should hold Ensembl gene ids and holds none. If it holds symbols, "
            f"pass gene_symbols={column!r}."
        )


def _fill(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.where(first.astype(bool), first, second)


def _usual_columns(var: pd.DataFrame, usual: tuple[str, ...]) -> list[str]:
    plain = {re.sub(r"[^a-z]", "", str(column).lower()): column for column in reversed(var.columns)}
    return [plain[name] for name in usual if name in plain]


def _fill_from_column(var: pd.DataFrame, symbols: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    for column in _usual_columns(var, _SYMBOL_COLUMNS):
        found, more = parse_names(var[column].astype(object))
        if found.any() and not np.mean([name.isdecimal() for name in found]) > _MOSTLY:
            return _fill(symbols, found), _fill(ids, more)
    return symbols, ids


def _find_ids(var: pd.DataFrame) -> np.ndarray:
    for column in _usual_columns(var, _ID_COLUMNS):
        _, found = parse_names(var[column].astype(object))
        if found.any():
            return found
    return np.full(len(var), "", dtype=object)
