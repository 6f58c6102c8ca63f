"""Random gene sets that are matched, gene by gene, on detection and mean, and what they say of a score.

Every gene of a signature is replaced by one of the genes most like it: first those detected in about as many cells, of
these the ones with about the same mean. A score that is high for what its genes are like anyway is then no finding.
The idea of control sets matched on the mean is that of Tirosh et al. (doi:10.1126/science.aad0501) and of scDRS.
"""

import numpy as np

from insignia.core.errors import InputError

__all__ = ["closest_in_mean", "draw_sets", "monte_carlo", "nearest_in_detection"]

_ROUNDS = 200
_FLOOR = 1e-12


def nearest_in_detection(detection: np.ndarray, genes: np.ndarray, allowed: np.ndarray, *, n: int) -> np.ndarray:
    """Genes whose detection is nearest to that of each given gene, by the ratio.

    Parameters
    ----------
    detection
        Share of cells with a value, (all genes,).
    genes
        Positions of the signature's genes, (genes,).
    allowed
        Which genes may stand in for which, bool, (genes, all genes); the signature's own are never taken.

    Returns
    -------
    (genes, n) positions, the nearest first; -1 where fewer are allowed.
    """
    size = np.log(np.maximum(detection, _FLOOR))
    found = np.full((genes.size, n), -1, dtype=np.int64)
    for row, (gene, ok) in enumerate(zip(genes, allowed, strict=True)):
        ok = ok & (detection > 0)
        ok[genes] = False
        candidates = np.flatnonzero(ok)
        distance = np.abs(size[candidates] - size[gene])
        # equal distances are common among rare genes: a stable order keeps the answer the same
        nearest = candidates[np.argsort(distance, kind="stable")[:n]]
        found[row, : nearest.size] = nearest
    return found


def closest_in_mean(mean: np.ndarray, genes: np.ndarray, candidates: np.ndarray, *, n: int) -> np.ndarray:
    """Keep of each gene's candidates those whose mean is closest to its own, by the ratio.

    Parameters
    ----------
    mean
        Mean size of each gene's values over cells, zeros included, (all genes,).
    candidates
        As `nearest_in_detection` gives them, (genes, candidates).

    Returns
    -------
    (genes, n) positions, -1 where a gene has fewer candidates.

    Raises
    ------
    InputError
        A gene has no candidate.
    """
    if (candidates < 0).all(axis=1).any():
        raise InputError("A gene of the signature has no other gene like it to be matched with.")
    size = np.log(np.maximum(mean, _FLOOR))
    distance = np.where(candidates >= 0, np.abs(size[candidates] - size[genes][:, None]), np.inf)
    order = np.argsort(distance, axis=1, kind="stable")[:, :n]
    kept: np.ndarray = np.take_along_axis(candidates, order, axis=1)
    return kept


def draw_sets(pools: np.ndarray, *, n_sets: int, rng: np.random.Generator) -> np.ndarray:
    """Draw random sets: for each gene one of its pool, no gene twice in a set.

    Parameters
    ----------
    pools
        (genes, n) positions, -1 for none.

    Returns
    -------
    (n_sets, genes) positions.

    Raises
    ------
    InputError
        The pools overlap so much that sets without repeats are not found.
    """
    sizes = (pools >= 0).sum(axis=1)
    sets = _drawn(pools, sizes, np.arange(n_sets).repeat(sizes.size), np.tile(np.arange(sizes.size), n_sets), rng)
    sets = sets.reshape(n_sets, sizes.size)
    for _ in range(_ROUNDS):
        row, column = _repeats(sets)
        if not row.size:
            return sets
        sets[row, column] = _drawn(pools, sizes, row, column, rng)
    raise InputError(
        f"No {n_sets:,} random sets without repeated genes were found: the {sizes.size:,} genes share too few others "
        "that are like them. Match each with more genes, or use a smaller signature."
    )


def _drawn(
    pools: np.ndarray, sizes: np.ndarray, row: np.ndarray, column: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    pick = (rng.random(row.size) * sizes[column]).astype(np.int64)
    drawn: np.ndarray = pools[column, pick]
    return drawn


def _repeats(sets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of genes that stand in their set already."""
    order = np.argsort(sets, axis=1, kind="stable")
    ordered = np.take_along_axis(sets, order, axis=1)
    row, place = np.nonzero(ordered[:, 1:] == ordered[:, :-1])
    return row, order[row, place + 1]


def monte_carlo(scores: np.ndarray, null: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Compare scores with those of random sets.

    Parameters
    ----------
    scores
        (cells,), or (groups,).
    null
        (cells, sets).

    Returns
    -------
    z
        :math:`(s - \bar{s}_b) / \mathrm{sd}(s_b)`, (cells,); NaN where the sets do not vary.
    p
        :math:`(1 + \#\{s_b \ge s\}) / (1 + B)`, one-sided, (cells,). NaN where there is no score, or the sets do not
        vary.
    """
    scores = np.asarray(scores, dtype=np.float64)
    null = np.asarray(null, dtype=np.float64)
    spread = null.std(axis=1, ddof=1)
    # sets that were made equal differ by rounding only
    spread[spread <= 1e-9 * np.abs(null).max(axis=1, initial=0.0)] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(spread > 0, (scores - null.mean(axis=1)) / spread, np.nan)
    p = (1 + (null >= scores[:, None]).sum(axis=1)) / (1 + null.shape[1])
    return z, np.where(np.isnan(scores) | (spread == 0), np.nan, p)
