"""Scores of a search beside the cells of an AnnData, told by study and barcode."""

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.core import keys
from insignia.core.errors import CoverageWarning, InputError
from insignia.data import standardise_obs

if TYPE_CHECKING:
    from insignia.atlas.result import SearchResult

__all__ = ["scores_into_obs"]


def scores_into_obs(
    result: "SearchResult",
    adata: AnnData,
    key: str,
    *,
    columns: Mapping[str, str] | None,
    constants: Mapping[str, str] | None,
) -> None:
    """Write scores into `adata.obs[key]`; see `SearchResult.to_obs`."""
    filled = {name: keys.UNKNOWN for name in keys.METADATA if name not in (keys.STUDY, keys.BARCODE)}
    taken = [*(columns or {}).values(), *(constants or {})]
    filled = {name: value for name, value in filled.items() if name not in taken}
    theirs = standardise_obs(adata.obs, columns=columns, constants={**filled, **(constants or {})})
    ours = result.metadata([keys.STUDY, keys.BARCODE])
    known = ours[keys.STUDY].isin(theirs[keys.STUDY].unique()).to_numpy()
    places = pd.MultiIndex.from_frame(ours[known].astype(object)).get_indexer(
        pd.MultiIndex.from_frame(theirs[[keys.STUDY, keys.BARCODE]])
    )
    if not (places >= 0).any():
        raise InputError(
            f"None of the {adata.n_obs:,} cells was searched. They are of the studies "
            f"{theirs[keys.STUDY].unique()[:3].tolist()} with barcodes such as {theirs[keys.BARCODE].iloc[0]!r}; "
            f"searched were {ours[keys.STUDY].unique()[:3].tolist()} with {ours[keys.BARCODE].iloc[0]!r}. Name the "
            "study with constants={'study': ...}, and keep obs_names as they were added."
        )
    scores = np.full(adata.n_obs, np.nan, dtype=np.float32)
    scores[places >= 0] = result.scores[known][places[places >= 0]]
    if (places < 0).any():
        warnings.warn(
            f"{int((places < 0).sum()):,} of {adata.n_obs:,} cells were not searched and have no score (NaN).",
            CoverageWarning,
            stacklevel=3,
        )
    adata.obs[key] = scores
