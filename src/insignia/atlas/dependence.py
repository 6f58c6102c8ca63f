"""How much a score goes with the depth of a cell, within cells of one kind."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from insignia.atlas.cell_filters import find_column
from insignia.core.errors import MissingMetadata

if TYPE_CHECKING:
    from insignia.atlas.result import SearchResult

__all__ = ["depth_dependence"]

_LEAST: Final = 20


def depth_dependence(
    result: "SearchResult", columns: Sequence[str] | None = None, *, within: Sequence[str]
) -> pd.DataFrame:
    """Correlate scores with the depth of cells, group by group; see `SearchResult.depth_dependence`."""
    known = result.snapshot.columns
    named = [find_column(known, kind) for kind in ("n_genes", "n_counts")] if columns is None else list(columns)
    chosen = [name for name in named if name is not None]
    absent = [name for name in (*chosen, *within) if name not in known]
    if absent or not chosen:
        raise MissingMetadata(
            f"The atlas has no column {absent[0] if absent else 'n_genes or n_counts'!r}. It has {', '.join(known)}. "
            "Keep it when adding studies: extra=['n_genes']."
        )
    obs = result.metadata(list(dict.fromkeys([*chosen, *within])))
    rows = []
    for name in chosen:
        depth = pd.to_numeric(obs[name].astype(object), errors="coerce").to_numpy(dtype=np.float64)
        there = ~np.isnan(result.scores) & ~np.isnan(depth)
        labels = obs[list(within)].astype(str).agg(" · ".join, axis=1) if within else pd.Series("all", index=obs.index)
        for label, place in labels[there].groupby(labels[there]).indices.items():
            here = np.flatnonzero(there)[place]
            if here.size >= _LEAST:
                rows.append((name, str(label), here.size, _spearman(result.scores[here], depth[here])))
    return pd.DataFrame(rows, columns=["column", "group", "cells", "spearman"])


def _spearman(scores: np.ndarray, depth: np.ndarray) -> float:
    if np.ptp(scores) == 0 or np.ptp(depth) == 0:
        return float("nan")
    return float(spearmanr(scores, depth).statistic)
