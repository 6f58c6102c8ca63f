"""Where in the tissue: expression imputed over serial sections of which one or a few are measured."""

from insignia.spatial.check import check
from insignia.spatial.contract import Imputed, Imputer, StackSpots
from insignia.spatial.evaluation import Evaluation, compare_imputers, evaluate
from insignia.spatial.features import features, precomputed, zscore_within_section
from insignia.spatial.grid import GridOptions, lay_grids
from insignia.spatial.impute import impute, imputers  # here, since the folder of this name would hide the registry
from insignia.spatial.protocols import protocols, run_protocol
from insignia.spatial.registration import from_landmarks, register, registration_table

__all__ = [
    "Evaluation",
    "GridOptions",
    "Imputed",
    "Imputer",
    "StackSpots",
    "check",
    "compare_imputers",
    "evaluate",
    "features",
    "from_landmarks",
    "impute",
    "imputers",
    "lay_grids",
    "precomputed",
    "protocols",
    "register",
    "registration_table",
    "run_protocol",
    "zscore_within_section",
]
