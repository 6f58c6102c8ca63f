"""Genes brought to one spread for training, and the scale put back into the weights afterwards."""

import numpy as np
import torch
from scipy.sparse import csr_matrix, diags
from torch import nn

from insignia.models.objectives import Autoencoder

__all__ = ["fold_scale", "gene_scale", "scaled_genes"]

_LEAST_SD = 0.1


def gene_scale(values: csr_matrix) -> np.ndarray:
    """Return what to divide each gene by: its standard deviation, but at least 0.1, up to one factor.

    The factor keeps the mean variance of all genes as it is, so that losses stay comparable.

    Parameters
    ----------
    values
        (cells, genes).

    Returns
    -------
    (genes,) float32, positive.
    """
    mean = np.asarray(values.mean(axis=0), dtype=np.float64).ravel()
    square = np.asarray(values.multiply(values).mean(axis=0), dtype=np.float64).ravel()
    variance = np.maximum(square - mean**2, 0.0)
    scale = np.maximum(np.sqrt(variance), _LEAST_SD)
    kept = np.sqrt((variance / scale**2).sum() / max(variance.sum(), 1e-12))
    scaled: np.ndarray = (scale * (kept or 1.0)).astype(np.float32)
    return scaled


def scaled_genes(values: csr_matrix, scale: np.ndarray) -> csr_matrix:
    """Divide each gene by its scale: (cells, genes) float32; zeros stay zeros."""
    return csr_matrix(values @ diags(1.0 / scale), dtype=np.float32)


@torch.no_grad()
def fold_scale(network: Autoencoder, scale: np.ndarray) -> None:
    """Make a network that was trained on scaled genes read and rebuild the genes as they are."""
    by_gene = torch.from_numpy(scale)
    first, last = network.encoder.network[0], network.decoder.network[-1]
    assert isinstance(first, nn.Sequential)
    assert isinstance(first[1], nn.Linear)
    assert isinstance(last, nn.Linear)
    first[1].weight.div_(by_gene)
    last.weight.mul_(by_gene[:, None])
    last.bias.mul_(by_gene)
