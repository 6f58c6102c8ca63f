"""Cell-to-cell search: the nearest cells of an atlas by the cosine of embeddings, exact."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from insignia.atlas.embeddings import embedding_blocks
from insignia.atlas.snapshot import Snapshot
from insignia.core.errors import AtlasMismatch, InputError

__all__ = ["Neighbours", "nearest"]

_QUERIES: Final = 1_024


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest cells of each query, the nearest first.

    Attributes
    ----------
    rows
        Rows of the atlas, int64 (queries, k); ties are in the order of the atlas.
    similarity
        Cosine, float32 (queries, k).
    """

    rows: np.ndarray
    similarity: np.ndarray
    snapshot: Snapshot

    def obs(self) -> pd.DataFrame:
        """Metadata of the neighbours with `query`, `rank` from 0, and `similarity`: one row for each of them."""
        n_queries, k = self.rows.shape
        wanted, place = np.unique(self.rows, return_inverse=True)
        frame: pd.DataFrame = self.snapshot.frame(rows=wanted).iloc[place.ravel()].reset_index(drop=True)
        frame.insert(0, "query", np.repeat(np.arange(n_queries), k))
        frame.insert(1, "rank", np.tile(np.arange(k), n_queries))
        frame.insert(2, "similarity", self.similarity.ravel())
        return frame

    def shares(self, column: str) -> pd.DataFrame:
        """Share of each value of a metadata column among the neighbours, (queries, values); rows add up to 1."""
        found = self.obs()
        if column not in found:
            raise InputError(f"The atlas has no column {column!r}. It has: {', '.join(self.snapshot.columns)}.")
        counts = pd.crosstab(found["query"], found[column].astype(str))
        shares: pd.DataFrame = counts / self.rows.shape[1]
        return shares


def nearest(snapshot: Snapshot, queries: np.ndarray, k: int, rows: np.ndarray | None) -> Neighbours:
    """Find the nearest cells of each query; see `Atlas.neighbours`."""
    n_cells = snapshot.manifest.cells if rows is None else rows.size
    if not 1 <= k <= n_cells:
        raise InputError(f"k is from 1 to the {n_cells:,} cells that are searched; found {k}.")
    found = [_nearest(snapshot, part, k, rows) for part in _parts(_unit_queries(queries))]
    return Neighbours(np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found]), snapshot)


def _parts(queries: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(queries), _QUERIES):
        yield queries[start : start + _QUERIES]


def _nearest(snapshot: Snapshot, queries: np.ndarray, k: int, rows: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    best_rows = np.empty((len(queries), 0), dtype=np.int64)
    best = np.empty((len(queries), 0), dtype=np.float32)
    for here, block in embedding_blocks(snapshot, rows):
        if block.shape[1] != queries.shape[1]:
            raise AtlasMismatch(
                f"The queries have {queries.shape[1]} dimensions and embeddings of the atlas {block.shape[1]}. Embed "
                "them with the model of the atlas (ins.tl.embed)."
            )
        # summed in one order whatever the number of queries, so that a query alone has the same neighbours
        similarity = np.einsum("qd,cd->qc", queries, _unit(block), optimize=False)
        best_rows = np.concatenate([best_rows, np.broadcast_to(here, similarity.shape)], axis=1)
        best = np.concatenate([best, similarity], axis=1)
        if best.shape[1] > k:
            # a stable sort of the few that remain keeps ties in the order of the atlas
            kept = np.sort(_top(best, k), axis=1)
            best, best_rows = np.take_along_axis(best, kept, 1), np.take_along_axis(best_rows, kept, 1)
    order = np.argsort(-best, axis=1, kind="stable")
    return np.take_along_axis(best_rows, order, 1), np.take_along_axis(best, order, 1)


def _top(values: np.ndarray, k: int) -> np.ndarray:
    """Places of the k largest of each row; of equal ones, the first."""
    cut = -np.partition(-values, k - 1, axis=1)[:, k - 1 : k]
    above, level = values > cut, values == cut
    room = k - above.sum(axis=1, keepdims=True)
    chosen = above | (level & (np.cumsum(level, axis=1) <= room))
    return np.nonzero(chosen)[1].reshape(len(values), k)


def _unit_queries(queries: np.ndarray) -> np.ndarray:
    queries = np.atleast_2d(np.asarray(queries, dtype=np.float32))
    if queries.ndim != 2 or not queries.size or not np.isfinite(queries).all() or not queries.any(axis=1).all():
        raise InputError(
            f"Queries are finite, non-zero embeddings, (queries, latent) or one vector; found {queries.shape}."
        )
    return _unit(queries)


def _unit(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: np.ndarray = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    return unit
