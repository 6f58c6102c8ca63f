"""Plain answers that programs are held against."""

import numpy as np

from insignia.perturb.programs.balanced_kmeans import kmeans_labels, spread_labels
from insignia.perturb.programs.contract import Found, SourceOptions, program_sources
from insignia.perturb.programs.evidence import Evidence

__all__: list[str] = []


@program_sources.add("kmeans", source="k-means on gene embeddings, sizes as they come")
def kmeans(evidence: Evidence, options: SourceOptions) -> Found:
    """Cluster the embedding without balance."""
    vectors, known = evidence.vectors
    return Found(spread_labels(kmeans_labels(vectors[known], options), known))


@program_sources.add("random", source="the control: genes dealt out at random")
def random(evidence: Evidence, options: SourceOptions) -> Found:
    """Deal genes out at random."""
    # A stream of its own: a simulator that was given the same seed deals its programs out with the first draw.
    order = np.random.default_rng([options.seed, 20]).permutation(len(evidence.genes))
    return Found(order % options.n_programs)
