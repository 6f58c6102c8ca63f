"""Cells as a model is trained on them."""

from dataclasses import dataclass

import pandas as pd
from anndata import AnnData
from scipy.sparse import csr_matrix, vstack

from insignia.data import Expression, InputSpace
from insignia.genes import GeneAlignment, GeneVocabulary
from insignia.models.preprocessing import log_normalise

__all__ = ["TrainingCells", "training_cells"]

_BLOCK = 20_000


@dataclass(frozen=True)
class TrainingCells:
    """Log-normalised expression, (cells, genes) CSR float32, its genes by unique name, and the metadata."""

    values: csr_matrix
    genes: GeneVocabulary
    obs: pd.DataFrame


def training_cells(adata: AnnData, *, layer: str | None, input_space: InputSpace | None) -> TrainingCells:
    """Read all cells of `adata` for training; genes that share a symbol are summed."""
    source = Expression.from_adata(adata, layer=layer, input_space=input_space)
    genes = _unique(source.genes)
    alignment = GeneAlignment(source.genes, genes)
    blocks = [log_normalise(cells.aligned(alignment)) for _, cells in source.blocks(_BLOCK)]
    return TrainingCells(vstack(blocks, format="csr"), genes, source.obs)


def _unique(genes: GeneVocabulary) -> GeneVocabulary:
    names = dict.fromkeys(label for label in genes.labels if label)
    return GeneVocabulary.from_names(list(names), organism=genes.organism)
