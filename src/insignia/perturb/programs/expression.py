"""Programs from the cells themselves: genes that vary together where the perturbation is the same."""

from typing import Final

import numpy as np
from scipy.sparse.linalg import eigsh

from insignia.data.perturbation import PerturbationData
from insignia.perturb.programs.balanced_kmeans import balanced_kmeans
from insignia.perturb.programs.contract import Found, SourceOptions, program_sources
from insignia.perturb.programs.evidence import Evidence

__all__ = ["correlation_axes", "residual_correlation"]

_MOST_CELLS: Final = 20_000
_CHUNK: Final = 2048


@program_sources.add("expression", source="correlation of residuals within conditions, sign-free, in training cells")
def expression(evidence: Evidence, options: SourceOptions) -> Found:
    """Cluster the main axes of the squared correlation of residuals."""
    points, known = correlation_axes(evidence, options.n_programs)
    return balanced_kmeans(points, known, options)


def correlation_axes(evidence: Evidence, n_axes: int) -> tuple[np.ndarray, np.ndarray]:
    """Place genes along the main axes of their squared residual correlation.

    Squared, because a program holds genes that go up together and genes that go down with them, and because what is
    left of noise after squaring is small.

    Returns
    -------
    (genes, n_axes) eigenvectors times their eigenvalues, and (genes,) whether a gene varies at all.
    """
    assert evidence.data is not None
    correlation, known = residual_correlation(evidence.data)
    columns = evidence.columns()
    strength = correlation[np.ix_(columns, columns)] ** 2
    np.fill_diagonal(strength, 0.0)
    n_axes = min(n_axes, len(strength) - 1)
    start = np.full(len(strength), 1 / np.sqrt(len(strength)))
    value, axis = eigsh(strength, k=n_axes, which="LA", v0=start)
    return axis * value, known[columns]


def residual_correlation(data: PerturbationData) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of genes over cells, within condition and context, detection of the cell regressed out.

    Parameters
    ----------
    data
        Training cells; above 20,000 an even spread of them is read.

    Returns
    -------
    (genes, genes) float64, 0 for genes that do not vary, and (genes,) whether a gene does.
    """
    code = data.condition.astype(np.int64) * len(data.contexts) + data.context
    order = np.argsort(code, kind="stable")
    order = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), _MOST_CELLS)).astype(np.int64))]
    _, group = np.unique(code[order], return_inverse=True)
    cells = data.expression[order]
    means = np.array([np.asarray(cells[group == g].mean(axis=0)).ravel() for g in range(group[-1] + 1)])
    detected = np.log1p(cells.getnnz(axis=1).astype(np.float64))
    detected -= (np.bincount(group, detected) / np.bincount(group))[group]
    square, with_detected = np.zeros((len(data.genes),) * 2), np.zeros(len(data.genes))
    for start in range(0, len(order), _CHUNK):
        here = slice(start, start + _CHUNK)
        off = (cells[here].toarray() - means[group[here]]).astype(np.float32)
        square += off.T @ off
        with_detected += detected[here] @ off
    square -= np.outer(with_detected, with_detected) / max(detected @ detected, 1e-12)
    spread = np.sqrt(np.maximum(np.diagonal(square), 0))
    varies = spread > 1e-6 * max(spread.max(), 1e-12)
    scale = np.where(varies, 1 / np.where(varies, spread, 1), 0)
    return square * scale * scale[:, None], varies
