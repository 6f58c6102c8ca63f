"""Gene lists known beforehand: markers of cell types (ScType), hallmark sets, genes of technique and upkeep."""

import re
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import numpy as np

from benchmarks.parts import real
from insignia.genes import read_gmt

SHEET: Final = {"x": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}

# which lists of ScType stand for a cell type of the studies: (tissue, beginning of the name)
SCTYPE: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "B": (("Immune system", "Naive B"), ("Immune system", "Memory B")),
    "CD4 T": (("Immune system", "Naive CD4+ T"), ("Immune system", "Memory CD4+ T")),
    "CD8 T": (("Immune system", "Memory CD8+ T"), ("Immune system", "Effector CD8+ T")),
    "NK": (("Immune system", "Natural killer"),),
    "CD14 monocyte": (("Immune system", "Classical Monocytes"),),
    "CD16 monocyte": (("Immune system", "Non-classical monocytes"),),
    "dendritic": (("Immune system", "Myeloid Dendritic"),),
    "megakaryocyte": (("Immune system", "Platelets"), ("Immune system", "Megakaryocyte")),
    "macrophage": (("Immune system", "Macrophages"),),
    "mast": (("Immune system", "Mast cells"),),
    "endothelial": (("Immune system", "Endothelial"), ("Lung", "Endothelial cell")),
    "fibroblast": (("Lung", "Fibroblasts"), ("Eye", "Fibroblasts")),
}
LINEAGE: Final = {"CD4 T": "T", "CD8 T": "T", "CD14 monocyte": "monocyte", "CD16 monocyte": "monocyte"}
MISTAKEN: Final = {("monocyte", gene) for gene in ("CD3D", "CD3E", "CD3G")}
"""ScType lists the T-cell receptor complex for monocytes."""

# hallmark sets that textbook immunology ties to a cell type, written down before the first run
HALLMARKS: Final = {
    "CD14 monocyte": ("INFLAMMATORY_RESPONSE", "COMPLEMENT", "COAGULATION"),
    "macrophage": ("INFLAMMATORY_RESPONSE", "COMPLEMENT", "COAGULATION"),
    "CD8 T": ("ALLOGRAFT_REJECTION",),
    "NK": ("ALLOGRAFT_REJECTION",),
    "fibroblast": ("EPITHELIAL_MESENCHYMAL_TRANSITION",),
    "endothelial": ("ANGIOGENESIS",),
    "megakaryocyte": ("COAGULATION",),
}

RIBOSOMAL: Final = re.compile(r"^RP[SL]\d+[AXYL]?\d*(P\d+)?$|^RPLP\d|^RPSA$")
MITOCHONDRIAL: Final = re.compile(r"^MT-")
# reference genes of quantitative PCR and their neighbours, written down before the first run
HOUSEKEEPING: Final = frozenset(
    """
    ACTB ACTG1 B2M GAPDH PGK1 PPIA HPRT1 GUSB TBP HMBS SDHA YWHAZ UBC UBB TUBB TUBA1B EEF1A1 EEF2 EEF1B2 EEF1D
    EIF4A2 TPT1 NACA FAU FTL FTH1 TMSB4X TMSB10 PFN1 CFL1 MYL6 OAZ1 SERF2 H3F3A H3F3B HNRNPA1 HSP90AB1 HSPA8
    LDHA LDHB ENO1 TPI1 ALDOA COX4I1 COX7C ATP5E ATP5L NDUFA4 UQCRB CHMP2A EMC7 PSMB2 PSMB4 RAB7A REEP5 SNRPD3
    VCP VPS29 GPI
    """.split()  # noqa: SIM905 - a table of names
)


def technical(genes: Iterable[str]) -> dict[str, np.ndarray]:
    """Which genes are mitochondrial, ribosomal or housekeeping, (genes,) bool each."""
    names = list(genes)
    return {
        "mitochondrial": np.array([bool(MITOCHONDRIAL.match(name)) for name in names]),
        "ribosomal": np.array([bool(RIBOSOMAL.match(name)) for name in names]),
        "housekeeping": np.array([name in HOUSEKEEPING for name in names]),
    }


def known_markers() -> dict[str, frozenset[str]]:
    """Markers of each cell type by ScType; genes that it lists for three lineages or more mark nothing."""
    table = _sctype(real("genesets/ScTypeDB_full.xlsx"))
    lists = {
        kind: {gene for tissue, start in entries for gene in _listed(table, tissue, start)}
        for kind, entries in SCTYPE.items()
    }
    lists = {kind: {g for g in found if (lineage(kind), g) not in MISTAKEN} for kind, found in lists.items()}
    pairs = {(lineage(kind), gene) for kind, found in lists.items() for gene in found}
    often = {gene for gene, count in Counter(gene for _, gene in pairs).items() if count >= 3}
    return {kind: frozenset(found - often) for kind, found in lists.items()}


def hallmarks() -> dict[str, frozenset[str]]:
    """Read the 50 hallmark sets, without their prefix."""
    sets = read_gmt(real("genesets/h.all.v7.0.symbols.gmt"))
    return {name.removeprefix("HALLMARK_"): frozenset(made.genes) for name, made in sets.items()}


def lineage(kind: str) -> str:
    """Give the lineage of a cell type: both monocytes are one, and both T cells."""
    return LINEAGE.get(kind, kind)


def _listed(table: list[dict[str, str]], tissue: str, start: str) -> set[str]:
    rows = [row for row in table if row.get("A") == tissue and row.get("B", "").startswith(start)]
    if not rows:
        raise ValueError(f"ScType has no list {start!r} of {tissue!r}.")
    return {gene.strip().upper() for row in rows for gene in row.get("C", "").split(",") if gene.strip()}


def _sctype(path: Path) -> list[dict[str, str]]:
    """Rows of the first sheet of a workbook, by column letter."""
    with zipfile.ZipFile(path) as book:
        shared = ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    tag = f"{{{SHEET['x']}}}"
    strings = ["".join(part.text or "" for part in entry.iter(f"{tag}t")) for entry in shared.findall("x:si", SHEET)]
    return [_cells(row, strings) for row in sheet.iter(f"{tag}row")]


def _cells(row: ElementTree.Element, strings: list[str]) -> dict[str, str]:
    found = {}
    for cell in row.findall("x:c", SHEET):
        value = cell.findtext("x:v", namespaces=SHEET)
        if value is not None:
            column = cell.get("r", "").rstrip("0123456789")
            found[column] = strings[int(value)] if cell.get("t") == "s" else value
    return found
