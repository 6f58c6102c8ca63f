"""Figures of atlases and attributions, and self-contained HTML pages that hold them."""

from insignia.report.answers import answer
from insignia.report.atlas_figures import samples_figure
from insignia.report.attribution_figures import top_genes_figure
from insignia.report.completeness_figures import completeness_figure
from insignia.report.html import Section, page
from insignia.report.parts import Bullets, Code, Facts, Lead, Note, Paragraph, Part, Picture, Table
from insignia.report.search_page import search_report
from insignia.report.strata_figures import strata_figure
from insignia.report.style import save_figure

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
    "completeness_figure",
    "page",
    "samples_figure",
    "save_figure",
    "search_report",
    "strata_figure",
    "top_genes_figure",
]
