"""Data that enter and leave: files, expression in blocks, metadata, attributions with their record, and simulators."""

from insignia.data.attributed import Attributed
from insignia.data.attribution_record import AttributionRecord
from insignia.data.cohort import simulate_cohort
from insignia.data.cohort_truth import Cohort, CohortOptions, CohortTruth
from insignia.data.expression import Cells, Expression
from insignia.data.input_space import InputSpace, check_space, detect_space
from insignia.data.metadata import standardise_obs
from insignia.data.planted import Planted, simulate_planted
from insignia.data.readers import read, write_h5ad
from insignia.data.tables import write_table

__all__ = [
    "Attributed",
    "AttributionRecord",
    "Cells",
    "Cohort",
    "CohortOptions",
    "CohortTruth",
    "Expression",
    "InputSpace",
    "Planted",
    "check_space",
    "detect_space",
    "read",
    "simulate_cohort",
    "simulate_planted",
    "standardise_obs",
    "write_h5ad",
    "write_table",
]
