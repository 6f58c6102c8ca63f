"""Embeddings of all cells of an AnnData object."""

import numpy as np
from anndata import AnnData

from insignia.core.device import find_device
from insignia.data import Expression, InputSpace
from insignia.models.contract import Encoder
from insignia.models.registry import align

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
    device: str = "auto",
) -> np.ndarray:
    """Embed cells block by block: (cells, latent), float32; options and errors as for `insignia.tl.attribute`."""
    expression = Expression.from_adata(
        adata, layer=layer, input_space=input_space, gene_symbols=gene_symbols, gene_ids=gene_ids
    )
    alignment, encoder = align(expression, encoder), encoder.to(find_device(device))
    return np.concatenate([encoder.embed(cells.aligned(alignment)) for _, cells in expression.blocks(_BLOCK)])
