"""Where in the tissue: expression imputed over serial sections of which one or a few are measured."""

from insignia.spatial.contract import Imputed, Imputer, StackSpots
from insignia.spatial.features import features, precomputed, zscore_within_section
from insignia.spatial.impute import impute

__all__ = ["Imputed", "Imputer", "StackSpots", "features", "impute", "precomputed", "zscore_within_section"]
