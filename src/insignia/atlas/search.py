"""Searching a signature: each block of cells adds up its genes, each study is divided by what it measured."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from insignia.atlas.cell_filters import CellFilters, apply_filters
from insignia.atlas.filters import select
from insignia.atlas.result import SearchResult, StudyCoverage
from insignia.atlas.scan import Scan, scan
from insignia.atlas.snapshot import Snapshot
from insignia.core.errors import CoverageWarning, GeneMatchError, InputError, SignatureError
from insignia.genes import GeneMatch, Signature, normaliser, signature

__all__ = ["Agg", "search"]

Agg: TypeAlias = Literal["mean", "sum", "weighted_mean"]


@dataclass(frozen=True, eq=False)
class _Query:
    """A signature in terms of the atlas: positions in its gene table, and their weights."""

    positions: np.ndarray
    weights: np.ndarray
    n_asked: int
    agg: Agg
    min_coverage: float
    _divisors: dict[bytes, tuple[np.float32, str]]

    def divisor(self, measured: np.ndarray) -> tuple[np.float32, str]:
        """Return what to divide a study's sums by, or NaN and the reason why it is left out."""
        key = measured.tobytes()
        if key not in self._divisors:
            self._divisors[key] = self._divide(measured)
        return self._divisors[key]

    def _divide(self, measured: np.ndarray) -> tuple[np.float32, str]:
        n_found = int(measured.sum())
        if n_found == 0 or n_found < self.min_coverage * self.n_asked:
            return np.float32(np.nan), f"measured {n_found} of {self.n_asked} genes"
        try:
            return np.float32(normaliser(self.weights[measured], self.agg)), ""
        except SignatureError:
            return np.float32(np.nan), "the weights of the measured genes add up to 0"


def search(
    snapshot: Snapshot,
    thing: str | Signature | Sequence[str] | Mapping[str, float],
    *,
    where: str | None,
    agg: Agg,
    min_coverage: float,
    filters: CellFilters | None = None,
    executor: object = 1,
) -> SearchResult:
    """Score a signature in the cells of an atlas; see `Atlas.search`."""
    if not 0 <= min_coverage <= 1:
        raise InputError(f"min_coverage is a fraction within 0 and 1; found {min_coverage}.")
    wanted = signature(thing)
    match = wanted.match(snapshot.genes)
    query = _query(wanted, match, agg, min_coverage)
    rows, steps = apply_filters(snapshot, None if where is None else select(snapshot, where), filters)
    scans = scan(snapshot, query.positions, query.weights, rows, executor=executor)
    scores = np.empty(snapshot.manifest.cells if rows is None else rows.size, dtype=np.float32)
    coverage, spans = _divide(query, scans, scores)
    _report(coverage, wanted, min_coverage)
    return SearchResult(
        signature=wanted,
        match=match,
        agg=agg,
        where=where,
        min_coverage=min_coverage,
        scores=scores,
        snapshot=snapshot,
        rows=rows,
        studies=tuple(coverage),
        spans=tuple(spans),
        filters=steps,
        cell_filters=filters,
    )


def _query(wanted: Signature, match: GeneMatch, agg: Agg, min_coverage: float) -> _Query:
    found = np.flatnonzero(match.index >= 0)
    if not found.size:
        raise GeneMatchError(
            f"None of the {len(match.query)} genes of {wanted.name!r} is in the gene table of the atlas, e.g. "
            f"{', '.join(match.query[:5])}. Check the organism and the kind of names."
        )
    # ascending positions read the disk in order, and make the result free of the order of the genes
    found = found[np.argsort(match.index[found], kind="stable")]
    weights = wanted.weight_array[found].astype(np.float32)
    normaliser(weights, agg)
    return _Query(match.index[found].astype(np.int64), weights, len(match.query), agg, min_coverage, {})


def _divide(
    query: _Query, scans: list[Scan], scores: np.ndarray
) -> tuple[list[StudyCoverage], list[tuple[int, float]]]:
    """Turn sums into scores, study by study, and say how much of the signature each study measured."""
    coverage: dict[tuple[str, int], StudyCoverage] = {}
    spans: list[tuple[int, float]] = []
    done = 0
    for part in scans:
        counts = np.count_nonzero(part.measured, axis=1).tolist()
        for cells, measured, count in zip(part.ranges, part.measured, counts, strict=True):
            sums = part.sums_of(cells)
            if not sums.size:
                continue
            divisor, reason = query.divisor(measured)
            np.divide(sums, divisor, out=scores[done : done + sums.size])
            done += sums.size
            share = count / query.n_asked
            spans.append((sums.size, share))
            before = coverage.get((cells.study, cells.panel))
            n_cells = sums.size + (before.cells if before else 0)
            coverage[cells.study, cells.panel] = StudyCoverage(cells.study, n_cells, count, share, reason)
    return list(coverage.values()), spans


def _report(coverage: list[StudyCoverage], wanted: Signature, min_coverage: float) -> None:
    left_out = [entry for entry in coverage if entry.reason]
    if not left_out:
        return
    named = "; ".join(f"{entry.study} ({entry.reason})" for entry in left_out[:10])
    more = f"; and {len(left_out) - 10} more, see the coverage table" if len(left_out) > 10 else ""
    n_left, n_all = (len({entry.study for entry in entries}) for entries in (left_out, coverage))
    if len(left_out) == len(coverage):
        raise GeneMatchError(
            f"No study can be scored for {wanted.name!r} at min_coverage={min_coverage:g}: {named}{more}. "
            "Lower min_coverage, or check the genes of the signature."
        )
    warnings.warn(
        f"{n_left} of {n_all} studies are left out of {wanted.name!r} (min_coverage={min_coverage:g}): {named}{more}.",
        CoverageWarning,
        stacklevel=4,
    )
