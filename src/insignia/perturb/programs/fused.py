"""Programs from cells and priors together, or from whichever of them is the more stable."""

from itertools import combinations
from typing import Final

import numpy as np
from sklearn.metrics import adjusted_rand_score

from insignia.perturb.programs.balanced_kmeans import balanced_kmeans, unit_rows
from insignia.perturb.programs.contract import Found, SourceOptions, program_sources
from insignia.perturb.programs.embedding import main_axes, smoothed_vectors
from insignia.perturb.programs.evidence import Evidence
from insignia.perturb.programs.expression import correlation_axes

__all__: list[str] = []

_RUNS: Final = 4
_SHARE: Final = 0.5

Blocks = dict[str, tuple[np.ndarray, np.ndarray]]


@program_sources.add("fused", source="cells and smoothed embeddings side by side, or the more stable of them")
def fused(evidence: Evidence, options: SourceOptions) -> Found:
    """Cluster the blocks alone and together on halves of the evidence, and keep the choice that agrees best.

    Putting blocks side by side can hurt, so that it has to earn its place.
    """
    rng = np.random.default_rng(options.seed)
    halves = [_blocks(evidence.subsample(_SHARE, rng), options) for _ in range(_RUNS)]
    choices = {"expression": ("expression",), "priors": ("priors",), "both": ("expression", "priors")}
    stability = {name: _agreement(halves, parts, options) for name, parts in choices.items()}
    chosen = max(stability, key=lambda name: stability[name])
    points, known = _side_by_side(_blocks(evidence, options), choices[chosen])
    found = balanced_kmeans(points, known, options)
    return Found(found.labels, {**found.facts, "chosen": chosen, "stability": stability})


def _blocks(evidence: Evidence, options: SourceOptions) -> Blocks:
    vectors, known = evidence.vectors if evidence.network is None else smoothed_vectors(evidence)
    priors = main_axes(vectors, known, options.n_programs), known
    return {"expression": correlation_axes(evidence, options.n_programs), "priors": priors}


def _side_by_side(blocks: Blocks, parts: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Join the unit rows of blocks, each block of the same size overall."""
    scaled = []
    for name in parts:
        rows = unit_rows(blocks[name][0])
        scaled.append(rows / max(float(np.linalg.norm(rows)), 1e-12))
    return np.hstack(scaled), np.any([blocks[name][1] for name in parts], axis=0)


def _agreement(halves: list[Blocks], parts: tuple[str, ...], options: SourceOptions) -> float:
    labels = [balanced_kmeans(*_side_by_side(half, parts), options).labels for half in halves]
    return float(np.mean([adjusted_rand_score(one, other) for one, other in combinations(labels, 2)]))
