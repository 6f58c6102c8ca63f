"""Plots: figures of what the tools found, drawn like those of scanpy."""

from insignia.pl.atlas import samples, strata
from insignia.pl.attribution import completeness, top_genes
from insignia.pl.spatial import gene_maps, scoreboard, stack, stack_3d

__all__ = ["completeness", "gene_maps", "samples", "scoreboard", "stack", "stack_3d", "strata", "top_genes"]
