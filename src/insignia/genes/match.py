"""Find genes in a vocabulary, and say of each what became of it; nothing is dropped in silence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from insignia.core.errors import OrganismMismatch
from insignia.genes.names import PAR_Y, UNKNOWN, spreadsheet_victim
from insignia.genes.renames import Renames, bundled_renames
from insignia.genes.vocabulary import GeneVocabulary

__all__ = ["GeneMatch", "Resolution", "match_genes", "resolve"]

_SHOWN = 8


@dataclass(frozen=True, eq=False)
class GeneMatch:
    """Where genes were found, and which were not.

    Parameters
    ----------
    query
        Names of the genes that were looked for, in order.
    index
        (query,) int64 position in the vocabulary, -1 where a gene was not found.
    matched
        Found by id or by their own symbol.
    renamed
        Found under an older or a newer symbol: name -> name in the vocabulary.
    ambiguous
        Not used, because a name may mean several genes: name -> candidates.
    missing
        Not there at all.
    in_capitals
        Of these, those written in lower case whose capitals are there: name -> name in the vocabulary.
    """

    query: tuple[str, ...]
    index: np.ndarray
    matched: tuple[str, ...]
    renamed: dict[str, str]
    ambiguous: dict[str, tuple[str, ...]]
    missing: tuple[str, ...]
    in_capitals: dict[str, str] = field(default_factory=dict)

    @cached_property
    def found(self) -> np.ndarray:
        """(query,) whether each gene was found."""
        return self.index >= 0

    @property
    def n_found(self) -> int:
        """How many genes were found, renamed ones included."""
        return int(self.found.sum())

    @property
    def coverage(self) -> float:
        """Found genes as a fraction of those looked for; 0 if none were looked for."""
        return self.n_found / len(self.query) if self.query else 0.0

    def summary(self, name: str = "") -> str:
        """Say in one line how many genes were found, renamed, ambiguous and missing, and the first of each."""
        parts = [f"{len(self.matched):,} of {len(self.query):,} by name"]
        if self.renamed:
            parts.append(f"{len(self.renamed):,} renamed ({_some([f'{a} -> {b}' for a, b in self.renamed.items()])})")
        if self.ambiguous:
            names = [f"{gene}: {' or '.join(others)}" for gene, others in self.ambiguous.items()]
            parts.append(f"{len(self.ambiguous):,} ambiguous and not used ({_some(names, '; ')})")
        if self.missing:
            parts.append(f"{len(self.missing):,} missing: {_some(self.missing)}")
        text = f"{', '.join(parts)} (coverage {self.coverage:.0%})"
        if self.hints:
            text += ". " + " ".join(self.hints)
        return f"{name}: {text}" if name else text

    @property
    def hints(self) -> tuple[str, ...]:
        """What looks wrong with missing names, and what to do."""
        broken = {gene: spreadsheet_victim(gene) for gene in self.missing}
        dates = [f"{gene} (was {symbol})" for gene, symbol in broken.items() if symbol]
        hints = []
        if dates:
            hints.append(f"A spreadsheet turned gene names into dates: {_some(dates)}; restore them at the source.")
        if self.in_capitals:
            hints.append(f"In capitals they are there: {_some(list(self.in_capitals.values()))}; write them so.")
        return tuple(hints)

    def frame(self) -> pd.DataFrame:
        """Table with one row a gene: ``gene``, ``status`` (matched, renamed, ambiguous, missing), ``found_as``."""
        is_renamed = np.array([gene in self.renamed for gene in self.query], dtype=bool)
        is_ambiguous = np.array([gene in self.ambiguous for gene in self.query], dtype=bool)
        lost = np.where(is_ambiguous, "ambiguous", "missing")
        status = np.where(self.found, np.where(is_renamed, "renamed", "matched"), lost)
        found_as = [
            (self.renamed.get(gene, gene) if found else " or ".join(self.ambiguous.get(gene, ())))
            for gene, found in zip(self.query, self.found, strict=True)
        ]
        return pd.DataFrame({"gene": list(self.query), "status": status, "found_as": found_as})


def _some(names: Sequence[str], separator: str = ", ") -> str:
    more = f"{separator}..." if len(names) > _SHOWN else ""
    return separator.join(names[:_SHOWN]) + more


def match_genes(
    query: GeneVocabulary | Sequence[str], vocabulary: GeneVocabulary, *, renames: Renames | None = None
) -> GeneMatch:
    """Find genes in a vocabulary: by id, then by symbol, then under an older or newer symbol.

    Parameters
    ----------
    query
        Genes to find; names may be symbols, Ensembl ids or both joined.
    vocabulary
        Genes of a data set, a model or an atlas.
    renames
        Renamed symbols and ids of symbols; `None` uses the bundled table, ``Renames()`` none.

    Returns
    -------
    The report. A renamed gene whose new name is itself in the query is reported as ambiguous, so that no gene
    counts twice.

    Raises
    ------
    OrganismMismatch
        Both organisms are known and differ.
    """
    if not isinstance(query, GeneVocabulary):
        query = GeneVocabulary.from_names(query)
    found = resolve(query, vocabulary, renames)
    labels = query.labels.tolist()
    taken = set(found.index[~found.is_renamed].tolist()) - {-1}
    for position in np.flatnonzero(found.is_renamed).tolist():
        target = int(found.index[position])
        if target in taken:
            found.refuse(position, labels[position], (str(vocabulary.labels[target]),))
        taken.add(target)
    return report(labels, found, vocabulary)


@dataclass(eq=False)
class Resolution:
    """Where each query gene was found, before it is made into a report.

    `index` (query,) int64, -1 where not found; `is_renamed` (query,) bool.
    """

    index: np.ndarray
    is_renamed: np.ndarray
    ambiguous: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def refuse(self, position: int, label: str, candidates: tuple[str, ...]) -> None:
        """Take a gene back, as ambiguous."""
        self.index[position] = -1
        self.is_renamed[position] = False
        self.ambiguous[label] = candidates


def report(labels: list[str], found: Resolution, vocabulary: GeneVocabulary) -> GeneMatch:
    """Turn a resolution into the report that users read."""
    names, index, is_renamed = vocabulary.labels, found.index, found.is_renamed
    missing = tuple(labels[i] for i in np.flatnonzero(index < 0) if labels[i] not in found.ambiguous)
    return GeneMatch(
        query=tuple(labels),
        index=index,
        matched=tuple(labels[i] for i in np.flatnonzero((index >= 0) & ~is_renamed)),
        renamed={labels[i]: str(names[index[i]]) for i in np.flatnonzero(is_renamed)},
        ambiguous=found.ambiguous,
        missing=missing,
        in_capitals={name: name.upper() for name in missing if in_capitals(name, vocabulary)},
    )


def in_capitals(name: str, vocabulary: GeneVocabulary) -> bool:
    """Whether a name in lower case would be found in capitals; a mouse symbol such as Il1b is another gene."""
    return name.islower() and bool(vocabulary.by_symbol.positions(name.upper()))


def resolve(query: GeneVocabulary, vocabulary: GeneVocabulary, renames: Renames | None) -> Resolution:
    """Find every query gene on its own; several may land on one gene of the vocabulary."""
    _check_organism(query, vocabulary)
    finder = _Finder(vocabulary, bundled_renames() if renames is None else renames)
    result = Resolution(np.full(len(query), -1, dtype=np.int64), np.zeros(len(query), dtype=bool))
    by_symbol_only = []
    for i, (symbol, identifier) in enumerate(_pairs(query)):
        positions = finder.by_id(identifier) if identifier else ()
        if not positions and symbol:
            positions = finder.by_symbol(symbol)
            if identifier and len(positions) == 1:
                by_symbol_only.append(i)
        if not positions:
            positions = finder.by_other_name(symbol, identifier)
            result.is_renamed[i] = len(positions) == 1 and bool(symbol)
        if len(positions) == 1:
            result.index[i] = positions[0]
        elif positions:
            result.refuse(i, symbol or identifier, tuple(dict.fromkeys(str(vocabulary.labels[p]) for p in positions)))
    _refuse_namesakes(result, by_symbol_only, query, vocabulary)
    return result


def _check_organism(query: GeneVocabulary, vocabulary: GeneVocabulary) -> None:
    if UNKNOWN not in (query.organism, vocabulary.organism) and query.organism != vocabulary.organism:
        raise OrganismMismatch(
            f"{query.organism} genes (e.g. {', '.join(query.labels[:3])}) cannot be found among {vocabulary.organism} "
            f"genes (e.g. {', '.join(vocabulary.labels[:3])}). Map them to orthologs first, or give organism= if the "
            "organism was told wrongly."
        )


def _pairs(query: GeneVocabulary) -> Iterator[tuple[str, str]]:
    symbols = query.symbols.tolist()
    return zip(symbols, [""] * len(symbols) if query.ids is None else query.ids.tolist(), strict=True)


def _refuse_namesakes(
    result: Resolution, by_symbol_only: list[int], query: GeneVocabulary, vocabulary: GeneVocabulary
) -> None:
    """Two genes of one symbol: when one is found by its id, the other is known to be a different gene."""
    if query.ids is None or vocabulary.ids is None or not by_symbol_only:
        return
    namesakes = set(by_symbol_only)
    owned = {int(p) for i, p in enumerate(result.index) if p >= 0 and i not in namesakes}
    for i in by_symbol_only:
        target = int(result.index[i])
        if target in owned and vocabulary.ids[target] and not query.ids[i].endswith(PAR_Y):
            result.refuse(i, str(query.labels[i]), (str(vocabulary.ids[target]),))


class _Finder:
    """Positions of one gene under its id, its symbol or another of its symbols; several mean that it is ambiguous."""

    def __init__(self, vocabulary: GeneVocabulary, renames: Renames) -> None:
        self.symbols, self.ids, self.renames = vocabulary.by_symbol, vocabulary.by_id, renames

    def by_id(self, identifier: str) -> tuple[int, ...]:
        found = self.ids.positions(identifier)
        if not found and identifier.endswith(PAR_Y):
            return self.ids.positions(identifier.removesuffix(PAR_Y))
        return found

    def by_symbol(self, symbol: str) -> tuple[int, ...]:
        found = self.symbols.positions(symbol)
        if found or not self.ids.unique:
            return found
        return tuple(p for identifier in self.renames.ids_of.get(symbol, ()) for p in self.ids.positions(identifier))

    def by_other_name(self, symbol: str, identifier: str) -> tuple[int, ...]:
        by_table = self.by_symbol(self.renames.symbol_of.get(identifier.removesuffix(PAR_Y), ""))
        if by_table:
            return by_table
        new = self.renames.new.get(symbol, frozenset())
        others = [*sorted(new), *self.renames.old.get(symbol, ())]
        found = {p: name for name in others for p in self.by_symbol(name)}
        if len(found) == 1:
            # the only candidate here is no proof, when the old name stood for several genes
            (name,) = found.values()
            meanings = new if name in new else self.renames.new.get(name, frozenset())
            if len(meanings) > 1:
                return (*found, *found)
        return tuple(found)
