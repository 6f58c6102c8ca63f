"""Technical noise put on counts: less depth, dropout, and a batch with other capture efficiencies."""

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.science.studies import Study

__all__ = ["NOISES", "disturbed"]

Noise = Callable[[csr_matrix, np.random.Generator], csr_matrix]


def _thinned(share: float) -> Noise:
    def thin(counts: csr_matrix, rng: np.random.Generator) -> csr_matrix:
        return _with(counts, rng.binomial(counts.data.astype(np.int64), share))

    return thin


def _dropout(counts: csr_matrix, rng: np.random.Generator) -> csr_matrix:
    """Lose half of the non-zeros whatever their height."""
    return _with(counts, counts.data * (rng.random(len(counts.data)) < 0.5))


def _batch(counts: csr_matrix, rng: np.random.Generator) -> csr_matrix:
    """Give each gene an efficiency of its own, log-normal with sd 0.5 around a half, at most 1."""
    efficiency = np.minimum(np.exp(rng.normal(np.log(0.5), 0.5, counts.shape[1])), 1.0)
    return _with(counts, rng.binomial(counts.data.astype(np.int64), efficiency[counts.indices]))


def _with(counts: csr_matrix, data: np.ndarray) -> csr_matrix:
    made = csr_matrix((data.astype(np.float32), counts.indices.copy(), counts.indptr.copy()), counts.shape)
    made.eliminate_zeros()
    return made


NOISES: Final[dict[str, Noise]] = {
    "thinned to 30 %": _thinned(0.3),
    "thinned to 10 %": _thinned(0.1),
    "dropout of half": _dropout,
    "another batch": _batch,
}


def disturbed(study: Study, noise: str, rng: np.random.Generator) -> Study:
    """Put noise on the counts of a study."""
    cells = study.cells.copy()
    cells.X = NOISES[noise](csr_matrix(cells.X), rng)
    return Study(study.name, cells)
