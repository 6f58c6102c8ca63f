"""Gene-relation clustering: programs from gene embeddings and interactions at once."""

from typing import Final

import numpy as np

from insignia.perturb.programs.balanced_kmeans import kmeans_labels, spread_labels
from insignia.perturb.programs.contract import Found, SourceOptions, program_sources
from insignia.perturb.programs.evidence import Evidence
from insignia.perturb.programs.transport import balanced_assignment

__all__ = ["relation_cost"]

_MOST_ROUNDS: Final = 100


@program_sources.add("grc", source="arXiv:2602.04901, with exact transport, run until nothing changes")
def grc(evidence: Evidence, options: SourceOptions) -> Found:
    """Start from k-means on the embedding; then move genes to the cheapest programs of equal size, and repeat.

    The cost of a gene in a program is one minus the cosine to its centroid, plus one minus the share of its genes that
    interact with it. A gene without a vector is placed by its interactions alone.
    """
    vectors, has_vector = evidence.vectors
    graph = evidence.adjacency.copy()
    graph.data = np.ones_like(graph.data)
    known = has_vector | (graph.getnnz(axis=1) > 0)
    labels = _start(vectors[known], has_vector[known], options)
    bounds = options.bounds(int(known.sum()))
    graph = graph[known][:, known]
    seen: dict[bytes, float] = {}
    best, lowest = labels, np.inf
    objective: list[float] = []
    while len(objective) < _MOST_ROUNDS:
        cost = relation_cost(vectors[known], has_vector[known], graph, labels, options.n_programs)
        labels = balanced_assignment(cost, *bounds)
        objective.append(float(cost[np.arange(len(labels)), labels].sum()))
        is_done = labels.tobytes() in seen
        if objective[-1] < lowest:
            best, lowest = labels, objective[-1]
        if is_done:
            break
        seen[labels.tobytes()] = objective[-1]
    facts = {"objective": objective, "rounds": len(objective), "converged": bool(is_done)}
    return Found(spread_labels(best, known), facts)


def relation_cost(
    vectors: np.ndarray, has_vector: np.ndarray, graph: np.ndarray, labels: np.ndarray, n_programs: int
) -> np.ndarray:
    """Cost of each gene in each program, (genes, programs): embedding and interactions with equal weight."""
    member = np.zeros((len(labels), n_programs))
    member[np.arange(len(labels)), labels] = 1
    centre = member.T @ vectors
    centre /= np.maximum(np.linalg.norm(centre, axis=1, keepdims=True), 1e-12)
    apart = 1 - vectors @ centre.T
    apart[~has_vector] = apart[has_vector].mean()
    partners = np.asarray(graph @ member) / np.maximum(member.sum(axis=0), 1)
    return np.asarray(apart / apart.max() + np.clip(1 - partners, 0, 1))


def _start(vectors: np.ndarray, has_vector: np.ndarray, options: SourceOptions) -> np.ndarray:
    labels = np.zeros(len(vectors), dtype=np.int64)
    labels[has_vector] = kmeans_labels(vectors[has_vector], options)
    return labels
