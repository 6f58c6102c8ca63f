"""What the simulated cohort is made of: cell types and their markers, tissues, diseases, and where programs act."""

from collections.abc import Mapping
from typing import Final

__all__ = [
    "CELL_TYPES",
    "COMPOSITION",
    "HEALTHY",
    "HIGHLY_EXPRESSED",
    "NULL_DISEASES",
    "STRENGTHS",
    "Strengths",
]

Strengths = Mapping[tuple[str, str, str], float]
"""(disease, cell type, program) -> strength, from 0 to 1; a combination that is absent has strength 0."""

HEALTHY: Final = "normal"
"""The disease label of healthy samples, as in CELLxGENE."""

NULL_DISEASES: Final = ("asthma", "hypertension")
"""Diseases in which no program acts."""

CELL_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "classical monocyte": ("S100A8", "S100A9", "S100A12", "VCAN", "LYZ", "CD14", "FCN1", "CTSS", "CST3", "TYROBP"),
    "non-classical monocyte": ("FCGR3A", "LST1", "AIF1", "MS4A7", "CDKN1C", "LILRB2", "CST3", "TYROBP"),
    "macrophage": ("CD68", "C1QA", "C1QB", "C1QC", "APOE", "MARCO", "MRC1", "CD163", "TYROBP"),
    "dendritic cell": ("FCER1A", "CLEC10A", "CD1C", "CLEC9A", "ENHO", "PKIB"),
    "CD4 T cell": ("CD3D", "CD3E", "CD3G", "IL7R", "CD4", "LTB", "MAL", "TRAC"),
    "CD8 T cell": ("CD3D", "CD3E", "CD3G", "CD8A", "CD8B", "GZMK", "CCL5", "TRAC"),
    "natural killer cell": ("NKG7", "GNLY", "KLRD1", "KLRF1", "PRF1", "GZMB", "FGFBP2", "SPON2"),
    "B cell": ("CD79A", "CD79B", "MS4A1", "CD19", "BANK1", "TCL1A", "VPREB3", "FCRLA"),
    "plasma cell": ("MZB1", "JCHAIN", "DERL3", "XBP1", "SDC1", "TNFRSF17", "POU2AF1"),
    "epithelial cell": ("EPCAM", "KRT8", "KRT18", "KRT19", "CDH1", "CLDN4", "ELF3"),
}
"""Cell types and marker genes. Some genes mark several types, and some also belong to programs, as in real cells."""

COMPOSITION: Final[Mapping[str, tuple[float, ...]]] = {
    "blood": (0.40, 0.06, 0.00, 0.02, 0.20, 0.12, 0.10, 0.08, 0.02, 0.00),
    "lung": (0.15, 0.03, 0.35, 0.04, 0.10, 0.08, 0.05, 0.03, 0.02, 0.15),
    "spleen": (0.20, 0.05, 0.15, 0.05, 0.15, 0.10, 0.08, 0.18, 0.04, 0.00),
    "colon": (0.08, 0.02, 0.20, 0.04, 0.16, 0.10, 0.04, 0.10, 0.08, 0.18),
}
"""Expected fractions of the cell types in each tissue; monocytes are enriched, so that small samples hold enough."""

STRENGTHS: Final[Strengths] = {
    ("septic shock", "classical monocyte", "MS1"): 1.0,
    ("septic shock", "non-classical monocyte", "MS1"): 0.3,
    ("septic shock", "macrophage", "MS1"): 0.3,
    ("Kawasaki disease", "classical monocyte", "MS1"): 0.9,
    ("Kawasaki disease", "macrophage", "MS1"): 0.25,
    ("COVID-19", "classical monocyte", "MS1"): 0.5,
    ("COVID-19", "macrophage", "MS1"): 0.2,
    **{("COVID-19", cell_type, "IFN_I"): 0.6 for cell_type in CELL_TYPES},
    **{("systemic lupus erythematosus", cell_type, "IFN_I"): 0.9 for cell_type in CELL_TYPES},
}
"""Where the default programs act."""

HIGHLY_EXPRESSED: Final = (
    *(f"RPL{n}" for n in (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 18, 19, 21, 23, 24, 30, 32, 34)),
    *(f"RPS{n}" for n in (2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 18, 19, 23, 27, 28)),
    *(f"MT-{name}" for name in ("ATP6", "ATP8", "CO1", "CO2", "CO3", "CYB", "ND1", "ND2", "ND3", "ND4", "ND5")),
)
"""Ribosomal and mitochondrial genes, high in every cell; names such as RPS4 stand for the family."""
