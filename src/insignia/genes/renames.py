"""Old and new gene symbols, and which Ensembl id a symbol has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path

import pandas as pd

from insignia.core.errors import FileFormatError
from insignia.core.text_files import text_file
from insignia.genes.names import is_ensembl_id, parse_names

__all__ = ["Renames", "bundled_renames", "load_renames"]


@dataclass(frozen=True, eq=False)
class Renames:
    """What genes were called before.

    Parameters
    ----------
    new
        Old symbol -> new symbols. More than one makes the old symbol ambiguous: it is reported, never used.
        ``Renames()`` knows none, so genes are matched by name and id alone.
    symbol_of
        Ensembl id -> symbol.
    """

    new: Mapping[str, frozenset[str]] = field(default_factory=dict)
    symbol_of: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def old(self) -> dict[str, tuple[str, ...]]:
        """New symbol -> its old symbols."""
        return _invert((old, name) for old, names in self.new.items() for name in names)

    @cached_property
    def ids_of(self) -> dict[str, tuple[str, ...]]:
        """Symbol -> its Ensembl ids."""
        return _invert(self.symbol_of.items())

    def __len__(self) -> int:
        return len(self.new)

    def __or__(self, other: "Renames") -> "Renames":
        """Both tables; an old symbol gets the new ones of both, an id the symbol of the left."""
        new = {old: self.new.get(old, frozenset()) | other.new.get(old, frozenset()) for old in {*self.new, *other.new}}
        return Renames(new, {**other.symbol_of, **self.symbol_of})


def _invert(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    inverse: dict[str, list[str]] = {}
    for value, key in pairs:
        inverse.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in inverse.items()}


@cache
def bundled_renames() -> Renames:
    """Return the small curated table that comes with the package, with a source for every row."""
    with files("insignia.genes").joinpath("renames.tsv").open("r", encoding="utf-8") as file:
        return _from_pairs(pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False))


def load_renames(path: str | Path, *, aliases: bool = False) -> Renames:
    """Read renamed symbols and Ensembl ids from a table that you downloaded.

    Parameters
    ----------
    path
        One of: the HGNC complete set (tab-separated, with ``symbol``, ``prev_symbol`` and ``ensembl_gene_id``); a
        GENCODE gene table (CSV or TSV, with ``gene_id`` and ``gene_name``, or without header and with id and symbol
        in the first two columns), which holds ids but no renames; a table with the columns ``old`` and ``new``.
        May be gzipped.
    aliases
        Also use HGNC's ``alias_symbol``. They are often shared between genes, and so often ambiguous.

    Returns
    -------
    The table of the file alone; ``bundled_renames() | load_renames(path)`` joins it with the bundled one.

    Raises
    ------
    FileFormatError
        The file is none of these.
    """
    path = Path(path)
    with text_file(path) as file:
        first = file.readline().rstrip("\n")
    separator = "\t" if "\t" in first else ","
    columns = [column.strip('" ') for column in first.split(separator)]
    with text_file(path) as file:
        if {"symbol", "prev_symbol"} <= set(columns):
            return _from_hgnc(pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False), aliases)
        if {"old", "new"} <= set(columns):
            return _from_pairs(pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False))
        if {"gene_id", "gene_name"} <= set(columns):
            table = pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False)
            return _from_ids(table["gene_id"], table["gene_name"])
        if len(columns) >= 2 and is_ensembl_id(columns[0]):
            table = pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False, header=None)
            return _from_ids(table[0], table[1])
    raise FileFormatError(
        f"{path.name} is no table of gene names that insignia knows: its first line is {first[:80]!r}. Expected the "
        "HGNC complete set (columns symbol, prev_symbol), a GENCODE gene table (gene_id, gene_name), or old and new."
    )


def _from_pairs(table: pd.DataFrame) -> Renames:
    return Renames(_collect(zip(table["old"], table["new"], strict=True)))


def _from_ids(ids: pd.Series, symbols: pd.Series) -> Renames:
    _, plain = parse_names(ids)
    names, _ = parse_names(symbols)
    return Renames({}, {key: name for key, name in zip(plain, names, strict=True) if key and name})


def _from_hgnc(table: pd.DataFrame, aliases: bool) -> Renames:
    if "status" in table:
        table = table[table["status"] == "Approved"]
    approved = set(table["symbol"])
    columns = ["prev_symbol", "alias_symbol"] if aliases and "alias_symbol" in table else ["prev_symbol"]
    pairs = [
        (old, symbol)
        for column in columns
        for symbol, olds in zip(table["symbol"], table[column], strict=True)
        for old in olds.strip('"').split("|")
        if old
    ]
    # an old name that another gene carries today may mean either
    pairs += [(old, old) for old, _ in pairs if old in approved]
    ids = table.get("ensembl_gene_id", pd.Series("", index=table.index))
    return Renames(_collect(pairs), _from_ids(ids, table["symbol"]).symbol_of)


def _collect(pairs: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    new: dict[str, set[str]] = {}
    for old, name in pairs:
        new.setdefault(old, set()).add(name)
    return {old: frozenset(names) for old, names in new.items()}
