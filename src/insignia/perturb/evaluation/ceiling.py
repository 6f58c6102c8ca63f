"""What another measurement of the test conditions would score: the most that can be asked of a prediction."""

import numpy as np

from insignia.perturb.evaluation.cell_metrics import cell_figures
from insignia.perturb.evaluation.job import Job
from insignia.perturb.evaluation.mean_metrics import mean_figures, rank_figures
from insignia.perturb.evaluation.yardstick import Measured

__all__ = ["HALVES", "OTHER", "SHRUNK", "ceiling_rows"]

HALVES = "half against half"
SHRUNK = "half, shrunk to the mean"
OTHER = "the other measurement"


def ceiling_rows(job: Job, *, rng: np.random.Generator) -> list[dict[str, object]]:
    """Score half of the cells of each test condition against the other half, and another measurement if there is one.

    A half is noisier than what methods are scored against. Shrunk towards the mean of all training perturbations, by
    the weight that fits the other half best, it is fairer: that is how well a noisy but right answer can do.
    """
    halves = _halves(job, rng)
    rows = _rows(job, HALVES, halves)
    rows += _rows(job, SHRUNK, {i: _shrunk(job, *half) for i, half in halves.items()})
    return rows + _rows(job, OTHER, _others(job))


def _halves(job: Job, rng: np.random.Generator) -> dict[int, tuple[np.ndarray, Measured]]:
    found = {}
    for i, measured in enumerate(job.measured):
        cells = job.data.rows(measured.condition, measured.context)
        first, second = np.array_split(rng.permutation(cells), 2)
        if min(len(first), len(second)) > 1:
            truth = job.yardstick.measure(measured.condition, measured.context, job.data.expression[second])
            found[i] = np.asarray(job.data.expression[first].toarray()), truth
    return found


def _shrunk(job: Job, cells: np.ndarray, truth: Measured) -> tuple[np.ndarray, Measured]:
    base = job.yardstick.places[truth.context].base
    own = cells.mean(axis=0, dtype=np.float64) - base - job.yardstick.perturbed_mean
    other = truth.mean - base - job.yardstick.perturbed_mean
    weight = float(np.clip(own @ other / max(own @ own, 1e-12), 0, 1))
    return np.maximum(cells + ((weight - 1) * own).astype(cells.dtype), 0), truth


def _others(job: Job) -> dict[int, tuple[np.ndarray, Measured]]:
    """Cells of the other measurement, moved by the difference of the controls."""
    if job.other is None:
        return {}
    found = {}
    for i, measured in enumerate(job.measured):
        rows = job.other.rows(measured.condition, measured.context)
        if len(rows) > 1:
            own = job.other.mean(job.other.controls(measured.context))
            between = (job.yardstick.places[measured.context].base - own).astype(np.float32)
            found[i] = np.maximum(np.asarray(job.other.expression[rows].toarray()) + between, 0), measured
    return found


def _rows(job: Job, label: str, found: dict[int, tuple[np.ndarray, Measured]]) -> list[dict[str, object]]:
    rows, deltas = [], []
    for i, (cells, truth) in found.items():
        delta = cells.mean(axis=0, dtype=np.float64) - job.yardstick.places[truth.context].base
        figures = mean_figures(delta, truth, job.yardstick) | cell_figures(cells, truth, job.yardstick)
        rows.append(job.row(i, role="ceiling", label=label, seed=0) | figures)
        deltas.append(delta)
    ranks = rank_figures(deltas, [truth for _, truth in found.values()], job.yardstick)
    return [row | figures for row, figures in zip(rows, ranks, strict=True)]
