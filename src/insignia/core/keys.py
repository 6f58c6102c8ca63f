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


def method_score(key: str, method: str) -> str:
    """`obs` column with one method's score of a signature that was scored by several under `key`."""
    return f"{key}_{method}"


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


def is_not_one_person(donor: str) -> bool:
    """Whether a donor's name says that it stands for several people or for nobody known, so is no unit of a test."""
    return donor.strip().lower() in ("pooled", UNKNOWN)


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


SPOT: Final = "spot"
"""`obs` column with the name of each spot within its section."""

Z_UM: Final = "z_um"
"""`obs` column with the depth of each spot, micrometres."""

IS_KNOWN: Final = "is_known"
"""`obs` column: whether the spot's expression was given, and not imputed."""

SUPPORT: Final = "support"
"""`obs` column: sum of the overlap with known spots, 0 where none is near."""

DISTANCE_UM: Final = "distance_um"
"""`obs` column: distance in the plane to the nearest known spot, micrometres."""

EXTRAPOLATED: Final = "extrapolated"
"""`obs` column: whether no known spot is near enough to lean on."""

REG_OK: Final = "reg_ok"
"""`obs` column: whether the section's pose can be trusted."""

SD: Final = "sd"
LOWER: Final = "lower"
UPPER: Final = "upper"
"""`layers[...]` of imputed expression: calibrated standard deviation, and the ends of the interval."""

PROPAGATED: Final = "propagated"
IMAGE: Final = "image"
"""`layers[...]`, and parts of what an imputer returns: what came over the graph, and what came from the image."""

SIGNATURE_WEIGHTS: Final = "signature_weights"
"""`varm[...]` of imputed expression: what each gene weighs in each signature that was scored."""

PREDICTABLE: Final = "predictable"
"""`var` column: whether the gene was predicted better than chance where it was hidden."""

IMPUTATION: Final = "imputation"
"""`uns[...]`: how expression was imputed, all that is needed to repeat the run."""

CONDITION: Final = "condition"
"""`obs` column of a screen, and of predicted cells: what was done to each cell, as `Condition` writes it."""

CONTEXT: Final = "context"
"""`obs` column: the context of each cell, e.g. its cell type, which has controls of its own."""

REPLICATE: Final = "replicate"
"""`obs` column: the replicate or batch of each cell."""

SOURCE_CELL: Final = "source_cell"
"""`obs` column of predicted cells: name of the control cell that each comes from."""

STATUS: Final = "status"
"""`obs` column of predicted cells: ``"ok"``, or ``"fallback"`` where something was missing."""

EMBEDDING_DISTANCE: Final = "embedding_distance"
"""`obs` column of predicted cells: distance of the perturbed genes to the nearest trained ones, in their embedding."""

SHRINKAGE: Final = "shrinkage"
"""`obs` column of predicted cells: weight of the model beside the plain answer, 1 trusts it fully."""

DELTA: Final = "delta"
"""`layers[...]` of predicted cells: change of log expression against the source cell."""

PERTURB: Final = "perturb"
"""`uns[...]` of screens and of predicted cells: what `X` holds, and how it was made."""

PROGRAM: Final = "program"
"""`var` column with the gene program of each gene; `uns[...]`: where the programs come from."""
