"""The genes of a data set, a model or an atlas: symbols, Ensembl ids and organism, in order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from insignia.core.errors import GeneMatchError
from insignia.core.files import canonical_json, sha256_text
from insignia.genes.columns import names_of_var
from insignia.genes.names import PAR_Y, canonical_organism, detect_organism, parse_names

__all__ = ["GeneVocabulary", "Lookup"]


@dataclass(frozen=True)
class Lookup:
    """Where each name stands: once, or several times and so ambiguous."""

    unique: dict[str, int]
    several: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, names: Iterable[str]) -> "Lookup":
        """Index names by position, leaving out empty ones."""
        unique: dict[str, int] = {}
        several: dict[str, tuple[int, ...]] = {}
        for position, name in enumerate(names):
            if not name:
                continue
            if name in unique:
                several[name] = (*several.get(name, (unique[name],)), position)
            else:
                unique[name] = position
        for name in several:
            del unique[name]
        return cls(unique, several)

    def positions(self, name: str) -> tuple[int, ...]:
        """All positions of a name, none if it is absent."""
        position = self.unique.get(name)
        return self.several.get(name, ()) if position is None else (position,)


def _refuse_no_text(names: np.ndarray) -> None:
    """Refuse names that no file could hold, as damaged JSON gives them."""
    try:
        "".join(map(str, names)).encode()
    except UnicodeEncodeError:
        bad = [ascii(name) for name in names if any(0xD800 <= ord(c) < 0xE000 for c in str(name))]
        raise GeneMatchError(
            f"{len(bad):,} gene names hold half a character, e.g. {bad[0][:60]}. The file is damaged: copy it again."
        ) from None


@dataclass(frozen=True, eq=False)
class GeneVocabulary:
    """Genes in order, by symbol, Ensembl id or both.

    Parameters
    ----------
    symbols
        (genes,) symbols, ``""`` where unknown.
    ids
        (genes,) Ensembl ids without version suffix, ``""`` where unknown; `None` if no gene has one.
    organism
        ``"human"``, ``"mouse"``, ``"unknown"``, or ``"other: ..."`` with the prefix of the Ensembl ids.
    """

    symbols: np.ndarray
    ids: np.ndarray | None = None
    organism: str = "unknown"

    def __post_init__(self) -> None:
        symbols = np.array(self.symbols, dtype=object)
        ids = None if self.ids is None else np.array(self.ids, dtype=object)
        if ids is not None and ids.shape != symbols.shape:
            raise GeneMatchError(f"Symbols and ids must be as many: {len(symbols):,} and {len(ids):,} were given.")
        if ids is not None and not ids.astype(bool).any():
            ids = None
        for array in (symbols, ids):
            if array is not None:
                _refuse_no_text(array)
                array.setflags(write=False)
        object.__setattr__(self, "symbols", symbols)
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "organism", canonical_organism(self.organism))

    @classmethod
    def from_names(
        cls, names: Iterable[Any], *, ids: Sequence[Any] | np.ndarray | None = None, organism: str | None = None
    ) -> "GeneVocabulary":
        """Read each name as a symbol, an Ensembl id or the two joined (``CD79A_ENSG00000105369``).

        Parameters
        ----------
        names
            Gene names; ``""``, ``"None"``, ``"nan"`` and missing values are never genes.
        ids
            Ensembl ids of the same genes, where they are known separately.
        organism
            `None` tells it from the ids, else from the letter case of the symbols.

        Raises
        ------
        OrganismMismatch
            The ids belong to another organism than `organism`.
        GeneMatchError
            `names` is one text, or `ids` has another length.
        """
        if isinstance(names, str):
            raise GeneMatchError(f"Gene names must be a list, and one text was given. Write [{names!r}].")
        symbols, found = parse_names(names)
        if ids is not None:
            _, given = parse_names(ids)
            if len(given) != len(symbols):
                raise GeneMatchError(f"Names and ids must be as many: {len(symbols):,} and {len(given):,} were given.")
            found = np.where(given.astype(bool), given, found)
        return cls(symbols, found, detect_organism(symbols, found, organism))

    @classmethod
    def from_var(
        cls,
        var: pd.DataFrame,
        *,
        gene_symbols: str | None = None,
        gene_ids: str | None = None,
        organism: str | None = None,
    ) -> "GeneVocabulary":
        """Read the `var` table of an AnnData object: its index, and columns with the other kind of name.

        Parameters
        ----------
        var
            Table with one row a gene.
        gene_symbols, gene_ids
            Columns with symbols and with Ensembl ids; they win over the index. `None` looks for the usual
            columns (``gene_name``, ``feature_name``, ``gene_ids``, ``feature_id``, ...) where the index is silent.
        organism
            As for `from_names`.

        Raises
        ------
        MissingMetadata
            A named column is absent.
        GeneMatchError
            The index holds numbers and no column holds gene names.
        OrganismMismatch
            The ids belong to another organism than `organism`.
        """
        symbols, ids = names_of_var(var, gene_symbols=gene_symbols, gene_ids=gene_ids)
        return cls(symbols, ids, detect_organism(symbols, ids, organism))

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, organism: str = "unknown") -> "GeneVocabulary":
        """Read back the table that `frame` wrote."""
        return cls(frame["symbol"].to_numpy(dtype=object), frame["id"].to_numpy(dtype=object), organism)

    def frame(self) -> pd.DataFrame:
        """Table with the columns ``symbol`` and ``id``, one row a gene, in order."""
        ids = np.full(len(self), "", dtype=object) if self.ids is None else self.ids
        return pd.DataFrame({"symbol": self.symbols.copy(), "id": ids.copy()})

    def __len__(self) -> int:
        return len(self.symbols)

    def __repr__(self) -> str:
        examples = ", ".join(self.labels[:3])
        return f"GeneVocabulary({len(self):,} {self.organism} genes: {examples}{', ...' if len(self) > 3 else ''})"

    @cached_property
    def labels(self) -> np.ndarray:
        """(genes,) symbol of each gene, or its id where it has no symbol."""
        if self.ids is None:
            return self.symbols
        return np.where(self.symbols.astype(bool), self.symbols, self.ids)

    @cached_property
    def sha256(self) -> str:
        """Hash of symbols, ids, their order and the organism."""
        ids = None if self.ids is None else self.ids.tolist()
        return sha256_text(canonical_json([self.symbols.tolist(), ids, self.organism]))

    @cached_property
    def by_id(self) -> Lookup:
        """Positions of Ensembl ids."""
        return Lookup.of(() if self.ids is None else self.ids.tolist())

    @cached_property
    def by_symbol(self) -> Lookup:
        """Positions of symbols; a copy on Y of a pseudo-autosomal gene does not make its symbol ambiguous."""
        if self.ids is None:
            return Lookup.of(self.symbols.tolist())
        known = set(self.ids.tolist())
        pairs = zip(self.symbols.tolist(), self.ids.tolist(), strict=True)
        return Lookup.of(
            "" if identifier.endswith(PAR_Y) and identifier.removesuffix(PAR_Y) in known else symbol
            for symbol, identifier in pairs
        )
