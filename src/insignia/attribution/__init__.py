"""Which genes matter in a cell: methods, targets, one runner, and attributions into AnnData or files."""

import insignia.attribution.integrated_gradients
import insignia.attribution.targets  # noqa: F401 - both register
from insignia.attribution.contract import Explained, Method, PathOptions, Target, methods, targets
from insignia.attribution.parts import write_part
from insignia.attribution.ranking import group_means, rank_genes
from insignia.attribution.runner import AttributedBlock, AttributeOptions, Runner, record_of
from insignia.attribution.verb import attribute

__all__ = [
    "AttributeOptions",
    "AttributedBlock",
    "Explained",
    "Method",
    "PathOptions",
    "Runner",
    "Target",
    "attribute",
    "group_means",
    "methods",
    "rank_genes",
    "record_of",
    "targets",
    "write_part",
]
