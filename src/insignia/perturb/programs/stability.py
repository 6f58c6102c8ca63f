"""How much programs change when less is known: agreement with programs of subsamples."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from sklearn.metrics import adjusted_rand_score

from insignia.perturb.programs.contract import SourceOptions
from insignia.perturb.programs.evidence import Evidence
from insignia.perturb.programs.induce import induce
from insignia.perturb.programs.record import Programs

__all__ = ["Stability", "agreement", "compare_runs", "program_stability"]

_SHARE = 0.8


@dataclass(frozen=True, eq=False)
class Stability:
    """Agreement of programs over subsamples; 1 is perfect, and 0 is what chance gives the adjusted Rand index.

    Parameters
    ----------
    with_reference
        (runs,) adjusted Rand index of each subsample's programs with the given ones.
    between_runs
        (pairs,) the same between every two subsamples.
    by_program
        (programs,) mean over runs of the largest Jaccard index with any program of the run.
    """

    with_reference: np.ndarray
    between_runs: np.ndarray
    by_program: np.ndarray

    def __str__(self) -> str:
        return (
            f"adjusted Rand index {self.with_reference.mean():.2f} with the programs of {len(self.with_reference)} "
            f"subsamples, {self.between_runs.mean():.2f} between them; least stable program "
            f"{self.by_program.min():.2f} (Jaccard)"
        )


def program_stability(
    evidence: Evidence, reference: Programs, *, n_runs: int = 10, share: float = _SHARE, seed: int = 0
) -> Stability:
    """Induce programs again from subsamples, each also from another starting point.

    Parameters
    ----------
    evidence
        What the programs were induced from; `Evidence.make(data, priors)`.
    reference
        The programs, by a registered source.
    n_runs, share
        How many subsamples, and the share of cells, dimensions and interactions of each.
    seed
        Of the subsamples.
    """
    rng = np.random.default_rng(seed)
    about = reference.about
    runs = []
    for run in range(n_runs):
        options = SourceOptions(about["n_programs"], about["smallest"], about["largest"], about["seed"] + run + 1)
        runs.append(induce(evidence.subsample(share, rng), reference.source, options, genes=reference.genes))
    return compare_runs(reference, runs)


def compare_runs(reference: Programs, runs: Sequence[Programs]) -> Stability:
    """Compare programs of several runs over the same genes with given ones, and with each other."""
    return Stability(
        np.array([agreement(reference, run) for run in runs]),
        np.array([agreement(one, other) for one, other in combinations(runs, 2)]),
        np.mean([_best_jaccard(reference, run) for run in runs], axis=0),
    )


def agreement(first: Programs, second: Programs) -> float:
    """Take the adjusted Rand index (Hubert & Arabie 1985) over the genes with a program in both; NaN without any."""
    labels = second.labels(first.genes)
    both = (first.program >= 0) & (labels >= 0)
    return float(adjusted_rand_score(first.program[both], labels[both])) if both.any() else float("nan")


def _best_jaccard(reference: Programs, run: Programs) -> np.ndarray:
    labels = run.labels(reference.genes)
    both = (reference.program >= 0) & (labels >= 0)
    shared = np.zeros((len(reference), len(run)))
    np.add.at(shared, (reference.program[both], labels[both]), 1)
    union = reference.sizes[:, None] + run.sizes - shared
    return np.asarray((shared / np.maximum(union, 1)).max(axis=1))
