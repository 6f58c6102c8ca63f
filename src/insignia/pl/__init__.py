"""Plots: figures of what the tools found, drawn like those of scanpy."""

from insignia.pl.atlas import forest, samples, strata
from insignia.pl.attribution import attribution_dots, compare_scores, completeness, top_genes
from insignia.pl.perturb import (
    attributed_effects,
    cells,
    effects,
    perturbation_ranking,
    prediction_scores,
    program_map,
)
from insignia.pl.screens import contributions, volcano
from insignia.pl.spatial import gene_maps, scoreboard, stack, stack_3d

__all__ = [
    "attributed_effects",
    "attribution_dots",
    "cells",
    "compare_scores",
    "completeness",
    "contributions",
    "effects",
    "forest",
    "gene_maps",
    "perturbation_ranking",
    "prediction_scores",
    "program_map",
    "samples",
    "scoreboard",
    "stack",
    "stack_3d",
    "strata",
    "top_genes",
    "volcano",
]
