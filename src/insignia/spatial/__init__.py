"""Where in the tissue: expression imputed over serial sections of which one or a few are measured."""

from insignia.spatial.contract import Imputed, Imputer, StackSpots
from insignia.spatial.features import features, precomputed, zscore_within_section
from insignia.spatial.grid import GridOptions, lay_grids
from insignia.spatial.impute import impute

__all__ = [
    "GridOptions",
    "Imputed",
    "Imputer",
    "StackSpots",
    "features",
    "impute",
    "lay_grids",
    "precomputed",
    "zscore_within_section",
]
