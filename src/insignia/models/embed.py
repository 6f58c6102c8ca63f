"""Embeddings of all cells of an AnnData object."""

import numpy as np
from anndata import AnnData

from insignia.data import Expression, InputSpace
from insignia.genes import GeneAlignment
from insignia.models.contract import Encoder

__all__ = ["embed_cells"]

_BLOCK = 4096


def embed_cells(
    adata: AnnData,
    encoder: Encoder,
    *,
    layer: str | None = None,
    input_space: InputSpace | None = None,
    gene_symbols: str | None = None,
    gene_ids: str | None = None,
) -> np.ndarray:
    """Embed cells block by block: (cells, latent), float32; options and errors as for `insignia.tl.attribute`."""
    expression = Expression.from_adata(
        adata, layer=layer, input_space=input_space, gene_symbols=gene_symbols, gene_ids=gene_ids
    )
    alignment = GeneAlignment(expression.genes, encoder.genes)
    return np.concatenate([encoder.embed(cells.aligned(alignment)) for _, cells in expression.blocks(_BLOCK)])
