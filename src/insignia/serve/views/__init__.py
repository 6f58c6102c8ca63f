"""From what was found to what is answered: typed, with missing numbers as null."""

from insignia.serve.views.about import atlas_info, facets, gene_sets, match_report, signatures
from insignia.serve.views.closer import cell_page, comparison_answer, contribution_table, reverse_answer, sample_genes
from insignia.serve.views.search import command, sample_page, sample_rows, search_answer, two_signatures

__all__ = [
    "atlas_info",
    "cell_page",
    "command",
    "comparison_answer",
    "contribution_table",
    "facets",
    "gene_sets",
    "match_report",
    "reverse_answer",
    "sample_genes",
    "sample_page",
    "sample_rows",
    "search_answer",
    "signatures",
    "two_signatures",
]
