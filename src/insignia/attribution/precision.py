"""How far attributions in another precision are from those in float32, measured on cells spread over a run."""

import math

import numpy as np
from scipy.sparse import csr_matrix

from insignia.attribution.contract import Explained, Method, PathOptions, Target
from insignia.attribution.sparse_paths import start_of
from insignia.core.sparse_rows import scaled_rows
from insignia.models import Encoder, Inputs

__all__ = ["PrecisionCheck"]

_CELLS = 64


class PrecisionCheck:
    """Explain a few cells of each block in float32 too, and keep the differences.

    Parameters
    ----------
    encoder
        The encoder in float32, on the device of the run.
    method, target, options
        As of the run; the target is bound to this encoder.
    n_blocks
        Blocks of the run: of each, as many cells are compared as give 64 in all.
    """

    def __init__(
        self, encoder: Encoder, method: Method, target: Target, options: PathOptions, *, n_blocks: int
    ) -> None:
        self.encoder, self.method, self.target, self.options = encoder, method, target, options
        self.per_block = math.ceil(_CELLS / n_blocks)
        self.differences: list[float] = []

    def compare(self, explained: Explained, inputs: Inputs, baseline: Inputs | None) -> None:
        """Compare what a block gave with float32 on a few of its cells."""
        cells = np.unique(np.linspace(0, inputs.n_cells - 1, self.per_block).astype(int))
        place = self.encoder.device, self.encoder.dtype
        start = baseline if self.method.takes_many_baselines else start_of(baseline, cells)
        plain = self.method.explain(
            self.encoder,
            inputs.rows(cells).to(*place),
            None if start is None else start.to(*place),
            target=self.target,
            options=self.options,
        )
        self.differences += _differences(explained.attribution[cells], plain.attribution)

    def facts(self) -> dict[str, float | int]:
        """Say how many cells were compared, and the median and the largest of their differences.

        The difference of a cell is the sum of the absolute differences of its attributions, each row scaled to 1: 0.01
        says that a hundredth of its importance is elsewhere.
        """
        if not self.differences:
            return {}
        return {
            "precision_error": float(np.median(self.differences)),
            "precision_error_worst": float(np.max(self.differences)),
            "precision_cells": len(self.differences),
        }


def _differences(rows: csr_matrix, plain: csr_matrix) -> list[float]:
    """Sum of absolute differences of each row, scaled to 1; rows of zeros are left out."""
    scaled = []
    for matrix in (rows, plain):
        values, sums = scaled_rows(matrix, matrix.data, 1.0)
        scaled.append(csr_matrix((values, matrix.indices, matrix.indptr), matrix.shape))
    moved = np.asarray(abs(scaled[0] - scaled[1]).sum(axis=1)).ravel()
    return [float(value) for value in moved[sums > 0]]
