"""Running a screen: one product of group means and weights, divided by what each study measured."""

import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from insignia.atlas.screens import kernels
from insignia.atlas.screens.divisors import Divisors, SignatureMatrix, check_found
from insignia.atlas.screens.grouping import SegmentGroups, groups_of
from insignia.atlas.screens.matching import positions_of
from insignia.atlas.screens.means import SegmentMeans
from insignia.atlas.screens.places import Places
from insignia.atlas.screens.screen import Screen
from insignia.atlas.screens.signature_list import Signatures, signature_list
from insignia.atlas.snapshot import Snapshot
from insignia.core.errors import CoverageWarning, GeneMatchError
from insignia.core.settings import num_threads

__all__ = ["run_screen"]

_AT_ONCE = 128


def run_screen(
    snapshot: Snapshot,
    things: Signatures,
    *,
    where: str | None,
    columns: Sequence[str] | None,
    agg: str,
    min_coverage: float,
) -> Screen:
    """Score many signatures in all groups; see `Atlas.screen`."""
    signatures = signature_list(things)
    matrix = SignatureMatrix.at(signatures, positions_of(signatures, snapshot.genes))
    check_found(signatures, matrix)
    parts = list(groups_of(snapshot, columns=columns, where=where))
    places = Places.of(parts)
    weights = places.weights().multiply(places.cells).tocsr()
    divisors = Divisors.of(places.measured, matrix, agg=agg, min_coverage=min_coverage)
    scores = np.empty((len(places.groups), len(signatures)), dtype=np.float32)
    for start, sums in _sums(parts, matrix):
        here = slice(start, start + len(sums))
        by_piece = sums.T / divisors.values[:, here][places.panel]
        scored = ~np.isnan(by_piece)
        with np.errstate(divide="ignore", invalid="ignore"):
            scores[:, here] = (weights @ np.where(scored, by_piece, 0)) / (weights @ scored.astype(np.float64))
    screen = Screen(
        signatures=signatures,
        n_found=np.diff(matrix.starts),
        groups=places.groups,
        scores=scores,
        agg=agg,
        where=where,
        min_coverage=min_coverage,
        snapshot=snapshot,
        pieces=pd.DataFrame({"group": places.group, "panel": places.panel, "cells": places.cells}),
        coverage=divisors.found / matrix.asked,
        divisors=divisors.values,
    )
    _report(screen)
    return screen


def _sums(parts: Sequence[SegmentGroups], matrix: SignatureMatrix) -> Iterator[tuple[int, np.ndarray]]:
    """Weighted sums of some signatures at a time over the wanted pieces of all segments, (signatures, pieces)."""
    for start in range(0, len(matrix), _AT_ONCE):
        stop = min(start + _AT_ONCE, len(matrix))
        found = [_segment_sums(part.means, matrix, start, stop)[:, part.is_wanted] for part in parts]
        yield start, np.concatenate(found, axis=1)


def _segment_sums(means: SegmentMeans, matrix: SignatureMatrix, start: int, stop: int) -> np.ndarray:
    out = np.zeros((stop - start, len(means.table)), dtype=np.float64)
    threads = min(num_threads(), stop - start)
    edges = np.linspace(start, stop, threads + 1).astype(int)

    def work(k: int) -> None:
        low, high = edges[k], edges[k + 1]
        kernels.add_signatures(
            means.offsets,
            means.pieces,
            means.means,
            matrix.starts[low : high + 1],
            matrix.genes,
            matrix.weights,
            out[low - start : high - start],
        )

    if threads == 1:
        work(0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
    return out


def _report(screen: Screen) -> None:
    unscored = screen.unscored()
    if len(unscored) == len(screen.signatures):
        raise GeneMatchError(
            f"No study can be scored for any of {len(unscored):,} signatures at min_coverage={screen.min_coverage:g}, "
            f"e.g. {unscored.iloc[0]['signature']!r}: {unscored.iloc[0]['reason']}. Lower min_coverage, or check the "
            "genes of the signatures."
        )
    partial = int(np.isnan(screen.scores).any(axis=0).sum()) - len(unscored)
    if len(unscored) or partial:
        named = ", ".join(unscored["signature"].head(5)) + (" and others" if len(unscored) > 5 else "")
        without = f"{len(unscored):,} have no score anywhere ({named})" if len(unscored) else "all have scores"
        warnings.warn(
            f"Of {len(screen.signatures):,} signatures {without}, and {partial:,} have none in some groups, whose "
            f"studies measured too little of them (min_coverage={screen.min_coverage:g}): see screen.unscored() and "
            "screen.coverage_table().",
            CoverageWarning,
            stacklevel=4,
        )
