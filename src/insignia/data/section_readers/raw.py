"""One section as its files hold it, before anything is put into micrometres."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from insignia.data.pixels import Pixels

__all__ = ["RawSection"]


@dataclass(frozen=True, eq=False)
class RawSection:
    """One section as its files hold it.

    Parameters
    ----------
    name
        Of the section.
    spots
        Names and annotations of the spots.
    pixels
        (spots, 2), x and y, in pixels of the scan on which the spots were placed.
    array
        (spots, 2) array coordinates, `None` where there are none.
    counts
        (spots, genes) or `None` where nothing was measured.
    genes
        Names and annotations of the genes.
    features
        More arrays with one row a spot, for `obsm`.
    image
        The picture, if there is one.
    image_shrink
        Pixels of the scan along one pixel of the picture.
    notes
        What the reader noticed.
    """

    name: str
    spots: pd.DataFrame
    pixels: np.ndarray
    array: np.ndarray | None = None
    counts: Any = None
    genes: pd.DataFrame | None = None
    features: Mapping[str, Any] = field(default_factory=dict)
    image: Path | np.ndarray | Pixels | None = None
    image_shrink: float = 1.0
    notes: Sequence[str] = ()
