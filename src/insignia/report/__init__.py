"""Figures of atlases, attributions, tissue and perturbations, and self-contained HTML pages that hold them."""

from insignia.report.answers import answer
from insignia.report.atlas_figures import samples_figure
from insignia.report.attribution_figures import attribution_dots_figure, top_genes_figure
from insignia.report.cell_figures import cells_figure
from insignia.report.comparison_part import verdict
from insignia.report.completeness_figures import completeness_figure
from insignia.report.contrast_figures import contrast_figure
from insignia.report.contribution_figures import contributions_figure
from insignia.report.effect_figures import effects_figure
from insignia.report.forest_figures import forest_figure
from insignia.report.gene_map_figures import gene_maps_figure
from insignia.report.html import Section, page
from insignia.report.parts import Bullets, Code, Facts, Lead, Note, Paragraph, Part, Picture, Table
from insignia.report.prediction_scores import prediction_scores_figure
from insignia.report.program_figures import program_map_figure
from insignia.report.ranking_figures import ranking_figure
from insignia.report.registration_figures import registration_figure
from insignia.report.scoreboard_figures import scoreboard_figure
from insignia.report.search_page import search_report
from insignia.report.side_by_side_figures import compare_scores_figure
from insignia.report.stack_figures import stack_figure
from insignia.report.stack_view_figures import stack_3d_figure
from insignia.report.strata_figures import strata_figure
from insignia.report.style import save_figure
from insignia.report.volcano_figures import volcano_figure

__all__ = [
    "Bullets",
    "Code",
    "Facts",
    "Lead",
    "Note",
    "Paragraph",
    "Part",
    "Picture",
    "Section",
    "Table",
    "answer",
    "attribution_dots_figure",
    "cells_figure",
    "compare_scores_figure",
    "completeness_figure",
    "contrast_figure",
    "contributions_figure",
    "effects_figure",
    "forest_figure",
    "gene_maps_figure",
    "page",
    "prediction_scores_figure",
    "program_map_figure",
    "ranking_figure",
    "registration_figure",
    "samples_figure",
    "save_figure",
    "scoreboard_figure",
    "search_report",
    "stack_3d_figure",
    "stack_figure",
    "strata_figure",
    "top_genes_figure",
    "verdict",
    "volcano_figure",
]
