"""Every name under which insignia stores something in an AnnData object, once."""

from typing import Final

ATTRIBUTION: Final = "attribution"
"""`layers[...]`: attributions, (cells, genes), sparse float32; `uns[...]`: how they were made."""


def gap(key: str = ATTRIBUTION) -> str:
    """`obs` column with the completeness gap of each cell, a fraction."""
    return f"{key}_gap"


def row_sum(key: str = ATTRIBUTION) -> str:
    """`obs` column with the sum of absolute attributions before rows are scaled to 1,000."""
    return f"{key}_sum"


def gene_index(key: str = ATTRIBUTION) -> str:
    """`var` column with the position of the gene in the model's gene table, -1 where the model lacks it."""
    return f"{key}_index"


STUDY: Final = "study"
SAMPLE: Final = "sample"
DONOR: Final = "donor"
TISSUE: Final = "tissue"
DISEASE: Final = "disease"
CELL_TYPE: Final = "cell_type"
BARCODE: Final = "barcode"

METADATA: Final = (STUDY, SAMPLE, DONOR, TISSUE, DISEASE, CELL_TYPE, BARCODE)
"""The metadata columns of an atlas, in order; `barcode` is unique together with `study`."""

UNKNOWN: Final = "unknown"
"""What a missing value of a metadata column becomes, never NaN and never dropped."""

RANK_GENES: Final = "rank_genes_attribution"
"""`uns[...]`: the most important genes per group, in the layout of `scanpy.tl.rank_genes_groups`."""

SCALE: Final = 1000.0
"""Rows of absolute attributions add up to this."""

SPATIAL: Final = "spatial"
"""`obsm[...]`: positions of spots in their section's own frame, (spots, 2), micrometres."""

SPATIAL_COMMON: Final = "spatial_common"
"""`obsm[...]`: positions of spots in the frame common to the stack, (spots, 3), micrometres."""

SECTION: Final = "section"
"""`obs` column with the section of each spot."""


def features(encoder: str) -> str:
    """`obsm` entry with the features that an image encoder gives each spot, (spots, features)."""
    return f"X_{encoder}"
