"""Where in the tissue: expression imputed over serial sections of which one or a few are measured."""

from insignia.spatial.contract import Imputed, Imputer, StackSpots
from insignia.spatial.evaluation import Evaluation, compare_imputers, evaluate
from insignia.spatial.features import features, precomputed, zscore_within_section
from insignia.spatial.grid import GridOptions, lay_grids
from insignia.spatial.impute import impute
from insignia.spatial.protocols import protocols, run_protocol

__all__ = [
    "Evaluation",
    "GridOptions",
    "Imputed",
    "Imputer",
    "StackSpots",
    "compare_imputers",
    "evaluate",
    "features",
    "impute",
    "lay_grids",
    "precomputed",
    "protocols",
    "run_protocol",
    "zscore_within_section",
]
