"""One small data set with planted marker genes, on which attributions and expression can be compared."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.data.count_noise import gamma_poisson

__all__ = ["Planted", "simulate_planted"]

_SHAPE = 5.0
_DEPTH_LOG_MEAN, _DEPTH_LOG_SD = 7.2, 0.4
_OTHER_LOG_SD = 1.5
_MARKER_OFF, _MARKER_ON = -1.5, 3.4
_HOUSEKEEPING = 4.85


@dataclass(frozen=True, eq=False)
class Planted:
    """Simulated cells and what was planted in them.

    Parameters
    ----------
    adata
        Counts, with `obs["cell_type"]`.
    markers
        Marker genes of each cell type.
    housekeeping
        Genes that every cell expresses highly.
    """

    adata: AnnData
    markers: dict[str, tuple[str, ...]]
    housekeeping: tuple[str, ...]


def simulate_planted(
    *,
    n_cells: int = 4000,
    n_genes: int = 600,
    n_types: int = 8,
    markers_per_type: int = 10,
    n_housekeeping: int = 20,
    rng: int | np.random.Generator = 0,
) -> Planted:
    """Simulate cell types that differ by marker genes, on a floor of housekeeping genes.

    Depth is log-normal (log-mean 7.2, sd 0.4) and counts are gamma-Poisson (shape 5). On log1p CP10k with rows
    scaled to add up to 1, a cell has about 6.6 % of its mass on its own type's markers and about 18 % on the
    housekeeping genes.

    Raises
    ------
    InputError
        There are fewer genes than markers and housekeeping genes.
    """
    rng = np.random.default_rng(rng)
    n_markers = n_types * markers_per_type
    if n_genes < n_markers + n_housekeeping:
        raise InputError(
            f"{n_markers} markers and {n_housekeeping} housekeeping genes need more than n_genes={n_genes}."
        )
    names = [f"MARKER{type_ + 1}-{gene + 1}" for type_ in range(n_types) for gene in range(markers_per_type)]
    names += [f"HOUSE{gene + 1}" for gene in range(n_housekeeping)]
    names += [f"GENE{gene + 1:04d}" for gene in range(n_genes - len(names))]
    level = rng.normal(0.0, _OTHER_LOG_SD, n_genes)
    level[:n_markers] = _MARKER_OFF
    level[n_markers : n_markers + n_housekeeping] = _HOUSEKEEPING
    levels = np.tile(level, (n_types, 1))
    markers = np.arange(n_markers).reshape(n_types, markers_per_type)
    np.put_along_axis(levels, markers, _MARKER_ON, axis=1)
    types = rng.integers(n_types, size=n_cells)
    depth = rng.lognormal(_DEPTH_LOG_MEAN, _DEPTH_LOG_SD, n_cells)
    labels = np.array([f"type {type_ + 1}" for type_ in range(n_types)])
    adata = AnnData(
        gamma_poisson(levels[types], depth, _SHAPE, rng),
        obs=pd.DataFrame({keys.CELL_TYPE: pd.Categorical(labels[types])}, index=[f"cell{i}" for i in range(n_cells)]),
        var=pd.DataFrame(index=names),
    )
    own = {label: tuple(names[gene] for gene in genes) for label, genes in zip(labels.tolist(), markers, strict=True)}
    return Planted(adata, own, tuple(names[n_markers : n_markers + n_housekeeping]))
