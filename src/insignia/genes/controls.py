"""Genes that a signature is held against: as abundant as its own, and outside of it."""

import numpy as np

__all__ = ["control_genes"]


def control_genes(genes: np.ndarray, level: np.ndarray, n_controls: int) -> np.ndarray:
    """For each gene of a signature, find the genes outside of it that come closest in level.

    Parameters
    ----------
    genes
        (signature,) places of its genes.
    level
        (all genes,) how abundant each gene is, on a scale in which differences mean the same everywhere, e.g. a log.
    n_controls
        How many for each gene.

    Returns
    -------
    (signature, controls) places; fewer controls where fewer genes are left.

    References
    ----------
    Tirosh et al. 2016, doi:10.1126/science.aad0501.
    """
    others = np.setdiff1d(np.arange(len(level)), genes)
    nearest = np.argsort(np.abs(level[genes][:, None] - level[others]), axis=1, kind="stable")[:, :n_controls]
    return np.asarray(others[nearest])
