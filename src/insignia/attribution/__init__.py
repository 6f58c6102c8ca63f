"""Which genes matter in a cell: methods, targets, one runner, and attributions into AnnData or files."""

import insignia.attribution.deeplift
import insignia.attribution.expected_gradients
import insignia.attribution.input_x_gradient
import insignia.attribution.integrated_gradients  # noqa: F401 - all four register
from insignia.attribution.compare_scores import compare_scores
from insignia.attribution.contract import (
    Explained,
    Interpolate,
    Method,
    PathOptions,
    Target,
    find_target,
    methods,
    targets,
)
from insignia.attribution.embedding_targets import Centroid, Contrast, Dimension, Label
from insignia.attribution.options import AttributeOptions, record_of
from insignia.attribution.parts import write_part
from insignia.attribution.ranking import group_means, rank_genes
from insignia.attribution.runner import AttributedBlock, Runner
from insignia.attribution.scorable import match_or_warn, scorable_genes
from insignia.attribution.side_by_side import ScoredCells, SideBySide, side_by_side
from insignia.attribution.verb import attribute

__all__ = [
    "AttributeOptions",
    "AttributedBlock",
    "Centroid",
    "Contrast",
    "Dimension",
    "Explained",
    "Interpolate",
    "Label",
    "Method",
    "PathOptions",
    "Runner",
    "ScoredCells",
    "SideBySide",
    "Target",
    "attribute",
    "compare_scores",
    "find_target",
    "group_means",
    "match_or_warn",
    "methods",
    "rank_genes",
    "record_of",
    "scorable_genes",
    "side_by_side",
    "targets",
    "write_part",
]
