"""Ways to score gene sets in cells: by attribution, and by expression in the ways the field uses."""

from insignia.genes.scorers import packages, weighted  # noqa: F401 - both register
from insignia.genes.scorers.contract import GeneSet, Scorer, score_sets, scorers

__all__ = ["GeneSet", "Scorer", "score_sets", "scorers"]
