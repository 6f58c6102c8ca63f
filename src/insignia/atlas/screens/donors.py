"""Donors of a screen: one row a donor, group and stratum, with a mean score for every signature."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from insignia.core import keys
from insignia.core.errors import InputError, MissingMetadata

if TYPE_CHECKING:
    from insignia.atlas.screens.screen import Screen

__all__ = ["Donors", "donors_of"]


@dataclass(frozen=True, eq=False)
class Donors:
    """The units of a comparison.

    Attributes
    ----------
    table
        ``study``, ``donor``, the column compared, ``stratum`` and ``cells``, one row a unit.
    values
        (units, signatures) mean score over the donor's cells; NaN where none has a score.
    names
        Of the signatures.
    n_left_out
        Rows of samples that were put aside: too few cells, or a donor that is not one person.
    """

    table: pd.DataFrame
    values: np.ndarray
    names: list[str]
    n_left_out: int


def donors_of(screen: "Screen", *, by: str, stratum: str | None, min_cells: int) -> Donors:
    """Join the groups of a screen by donor, as `SampleTable.pool_donors` does.

    Samples with fewer than `min_cells` cells (of the stratum) are put aside first, and so are donors called "pooled" or
    "unknown".
    """
    needed = [keys.STUDY, keys.DONOR, by, *([] if stratum is None else [stratum])]
    if absent := [name for name in needed if name not in screen.columns]:
        raise MissingMetadata(
            f"The groups of the screen have no column {absent[0]!r} (they have {', '.join(screen.columns)}). Screen "
            f"with columns={list(dict.fromkeys([*screen.columns, *needed]))}."
        )
    unit = list(dict.fromkeys([*(name for name in (keys.SAMPLE,) if name in screen.columns), *needed]))
    samples = screen.pool(unit)
    nobody = samples.groups[keys.DONOR].map(keys.is_not_one_person).to_numpy(dtype=bool)
    kept = (samples.groups["cells"].to_numpy() >= min_cells) & ~nobody
    if not kept.any():
        raise InputError(
            f"None of {len(kept):,} samples has {min_cells} cells and a donor that is one person (donors called "
            "'pooled' or 'unknown' are not). Lower min_cells, or add the donors to the metadata."
        )
    joined = samples.take(np.flatnonzero(kept)).pool(list(dict.fromkeys(needed)))
    table = joined.groups.assign(stratum="all" if stratum is None else joined.groups[stratum])
    return Donors(table, joined.scores.astype(np.float64), joined.names, int((~kept).sum()))
