"""How strongly, and in which direction, each gene goes with its program."""

import numpy as np
import pandas as pd

from insignia.data.perturbation import PerturbationData
from insignia.perturb.programs.expression import residual_correlation
from insignia.perturb.programs.record import Programs

__all__ = ["program_loadings"]


def program_loadings(programs: Programs, data: PerturbationData) -> pd.Series:
    """Correlate each gene with the other genes of its program, over cells within condition and context.

    A program holds genes that go up together and genes that go down with them. The program's activity is the main axis
    of its genes, turned so that most of them go up; a gene is held against the activity of the others, so that it does
    not lend itself weight.

    Parameters
    ----------
    programs
        From `induce_programs`.
    data
        Cells to learn from, of the same genes; for programs that serve a test, the training cells.

    Returns
    -------
    (genes,) by name, correlation from -1 to 1; 0 for genes that do not vary or are alone in their program, NaN for
    those without one.

    Raises
    ------
    GeneMatchError
        A gene of the programs was not measured.
    """
    correlation, _ = residual_correlation(data.with_genes(programs.genes))
    found = np.full(len(programs.genes), np.nan)
    for place in range(len(programs)):
        rows = np.flatnonzero(programs.program == place)
        found[rows] = _loadings(correlation[np.ix_(rows, rows)])
    return pd.Series(found, index=pd.Index(programs.genes, name="gene"), name="loading")


def _loadings(correlation: np.ndarray) -> np.ndarray:
    """(genes,) correlation of each gene with the main axis of the others."""
    _, axes = np.linalg.eigh(correlation)
    axis = axes[:, -1] * (-1 if axes[:, -1].sum() < 0 else 1)
    together = correlation @ axis
    own = np.diagonal(correlation)
    covariance = together - axis * own
    variance = axis @ together - 2 * axis * together + axis**2 * own
    safe = variance > 1e-12
    found = np.where(safe, covariance / np.sqrt(np.where(safe, variance, 1.0)), 0.0)
    return np.asarray(np.clip(found, -1.0, 1.0))
