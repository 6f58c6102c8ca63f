"""Expression of a screen as log1p of scaled counts, read block by block so that memory holds the result and a block."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal

import numpy as np
from scipy.sparse import csr_matrix

from insignia.core.errors import DuplicateNames, GeneMatchError, InputError
from insignia.data.expression import Expression

__all__ = ["gene_names", "log_scaled", "read_log_expression", "screen_scale", "select_genes"]

_BLOCK_VALUES: Final = 1 << 20
_SCALE: Final = 1e4

Totals = Callable[[slice, csr_matrix], np.ndarray]


def gene_names(expression: Expression) -> tuple[str, ...]:
    """Symbols of the genes, or the id where there is no symbol or it is that of several genes.

    Raises
    ------
    DuplicateNames
        Names repeat and there are no ids to tell them apart.
    """
    labels = expression.genes.labels.astype(str)
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    repeated = counts[place] > 1
    if repeated.any() and expression.genes.ids is not None:
        labels = np.where(repeated & expression.genes.ids.astype(bool), expression.genes.ids.astype(str), labels)
    if len(set(labels)) < len(labels) or "" in set(labels):
        several = sorted(set(np.asarray(labels)[repeated].tolist()))
        raise DuplicateNames(
            f"Genes of a screen must have names of their own; {len(several):,} repeat, e.g. {several[:3]}. Sum the "
            "columns of equal genes, or use Ensembl ids as var_names."
        )
    return tuple(labels.tolist())


def screen_scale(
    expression: Expression, totals: Totals, scale: float | Literal["median"] | None, controls: np.ndarray
) -> float:
    """Total to which the counts of a cell are, or are to be, scaled before the logarithm.

    Parameters
    ----------
    expression
        Counts, or log1p of scaled counts.
    totals
        Total counts of the cells of a block.
    scale
        `None` takes 10,000 for counts; for logs it takes what their own totals say, NaN where these vary.
        ``"median"``, for counts, takes the median total of the control cells.
    controls
        (cells,) whether each is a control.

    Raises
    ------
    InputError
        It is no positive number, or the median is asked for and there are no counts.
    """
    if scale == "median":
        if expression.space == "log1p":
            raise InputError(
                f"scale='median' needs counts, and {expression.what} holds logs. Pass a layer with counts."
            )
        found = np.concatenate([totals(here, block)[controls[here]] for here, block in _blocks(expression)])
        return float(np.median(found[found > 0])) if (found > 0).any() else _SCALE
    if scale is None:
        return expression.log_scale() if expression.space == "log1p" else _SCALE
    if not (isinstance(scale, int | float) and np.isfinite(scale) and scale > 0):
        raise InputError(f"scale is a positive number or 'median', found {scale!r}.")
    return float(scale)


def select_genes(
    expression: Expression, totals: Totals, genes: Sequence[str] | int | None, controls: np.ndarray, scale: float
) -> np.ndarray | None:
    """Positions of the genes to keep: named ones, or as many as asked for with the highest mean in control cells.

    Control cells alone choose, so that nothing of a condition that is to be predicted enters. `None` keeps all.

    Raises
    ------
    GeneMatchError
        A named gene was not measured.
    """
    if genes is None:
        return None
    names = gene_names(expression)
    if not isinstance(genes, int):
        place = {name: i for i, name in enumerate(names)}
        absent = [gene for gene in genes if gene not in place]
        if absent:
            raise GeneMatchError(f"{len(absent):,} of the genes to keep were not measured, e.g. {absent[:5]}.")
        return np.array([place[gene] for gene in dict.fromkeys(genes)], dtype=np.int64)
    if genes < 1:
        raise InputError(f"The number of genes to keep must be at least 1, found {genes}.")
    total = np.zeros(len(names))
    for here, block in _blocks(expression):
        logged = _logged(block, totals(here, block), expression.space, scale)
        total += np.asarray(logged[np.flatnonzero(controls[here])].sum(axis=0, dtype=np.float64)).ravel()
    return np.sort(np.argsort(-total, kind="stable")[:genes])


def read_log_expression(
    expression: Expression, totals: Totals, columns: np.ndarray | None, scale: float
) -> tuple[csr_matrix, int]:
    """Read all cells.

    Returns
    -------
    (cells, kept genes) CSR float32 log1p of counts scaled to `scale`, or as they are where they are logs already; and
    how many cells have no counts at all.
    """
    data: list[np.ndarray] = []
    indices: list[np.ndarray] = []
    lengths: list[np.ndarray] = []
    n_empty = 0
    for here, block in _blocks(expression):
        logged = _logged(block, totals(here, block), expression.space, scale)
        n_empty += int((np.diff(logged.indptr) == 0).sum())
        if columns is not None:
            logged = logged[:, columns]
        data.append(logged.data.astype(np.float32, copy=False))
        indices.append(logged.indices.astype(np.int32, copy=False))
        lengths.append(np.diff(logged.indptr))
    n_genes = len(expression.genes) if columns is None else len(columns)
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(lengths), dtype=np.int64)])
    parts = _joined(data), _joined(indices)
    return csr_matrix((*parts, indptr), shape=(expression.n_cells, n_genes)), n_empty


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """Join and forget the parts, so that memory holds little more than the result."""
    joined = np.empty(sum(map(len, parts)), dtype=parts[0].dtype)
    stop = len(joined)
    while parts:
        part = parts.pop()
        joined[stop - len(part) : stop] = part
        stop -= len(part)
    return joined


def _blocks(expression: Expression) -> Iterator[tuple[slice, csr_matrix]]:
    size = max(1, _BLOCK_VALUES // max(1, len(expression.genes)))
    for here, cells in expression.blocks(size):
        yield here, cells.matrix


def _logged(block: csr_matrix, total: np.ndarray, space: str, scale: float) -> csr_matrix:
    return block if space == "log1p" else log_scaled(block, total, scale)


def log_scaled(counts: csr_matrix, total: np.ndarray, scale: float) -> csr_matrix:
    """log1p of counts whose total, (cells,), is brought to a scale; cells without counts stay empty."""
    factor = scale / np.maximum(total, 1e-12)
    scaled = counts.astype(np.float32, copy=True)
    scaled.eliminate_zeros()
    scaled.data = np.log1p(scaled.data * np.repeat(factor, np.diff(scaled.indptr)).astype(np.float32))
    return scaled
