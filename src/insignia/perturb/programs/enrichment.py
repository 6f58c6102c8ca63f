"""What programs mean: gene sets that are enriched in them, and interactions within them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, hypergeom

from insignia.core.errors import GeneMatchError, InputError
from insignia.data.gene_priors import GeneNetwork
from insignia.perturb.programs.evidence import Evidence
from insignia.perturb.programs.record import Programs

__all__ = ["Cohesion", "program_cohesion", "program_enrichment"]


class _HasGenes(Protocol):
    @property
    def genes(self) -> Sequence[str]: ...


def program_enrichment(
    programs: Programs, gene_sets: Mapping[str, Sequence[str] | _HasGenes], *, min_genes: int = 3
) -> pd.DataFrame:
    """Test every program against every gene set by the hypergeometric law, among the genes that have a program.

    Parameters
    ----------
    programs
        What is tested.
    gene_sets
        Name -> genes; signatures, as `insignia.genes.read_gmt` gives them, serve too.
    min_genes
        Sets with fewer measured genes are left out beforehand.

    Returns
    -------
    One row a test, the smallest p first: ``program``, ``gene_set``, ``overlap``, ``set_size`` (measured genes),
    ``program_size``, ``expected``, ``p`` and ``q``; q by Benjamini and Hochberg over all tests made, those without any
    overlap included.

    Raises
    ------
    GeneMatchError
        No set has enough of the measured genes.
    """
    genes = [gene for gene, program in zip(programs.genes, programs.program, strict=True) if program >= 0]
    place = {gene: i for i, gene in enumerate(genes)}
    found = {name: _measured(members, place) for name, members in gene_sets.items()}
    kept = {name: rows for name, rows in found.items() if min_genes <= len(rows)}
    if not kept:
        raise GeneMatchError(
            f"None of {len(gene_sets):,} gene sets has {min_genes} of the {len(genes):,} genes with a program, e.g. "
            f"{genes[:5]}. Do they use the same names?"
        )
    member = programs.program[programs.program >= 0][:, None] == np.arange(len(programs))
    overlap = np.array([member[rows].sum(axis=0) for rows in kept.values()])
    size = np.array([len(rows) for rows in kept.values()])[:, None]
    p = hypergeom.sf(overlap - 1, len(genes), size, programs.sizes)
    sets, names = np.indices(p.shape)
    table = pd.DataFrame(
        {
            "program": np.asarray(programs.names)[names.ravel()],
            "gene_set": np.asarray(list(kept))[sets.ravel()],
            "overlap": overlap.ravel(),
            "set_size": np.broadcast_to(size, p.shape).ravel(),
            "program_size": np.broadcast_to(programs.sizes, p.shape).ravel(),
            "expected": (size * programs.sizes / len(genes)).ravel(),
            "p": p.ravel(),
            "q": false_discovery_control(p.ravel()),
        }
    )
    return table.sort_values(["p", "program", "gene_set"], kind="stable", ignore_index=True)


@dataclass(frozen=True)
class Cohesion:
    """Interactions within programs.

    Parameters
    ----------
    within
        Share of the interactions that lie within a program.
    expected, sd
        The same where partners are drawn at random and every gene keeps its number of interactions.
    n_interactions
        Interactions between genes that have a program.
    """

    within: float
    expected: float
    sd: float
    n_interactions: int

    @property
    def z(self) -> float:
        """Standard deviations above what is expected."""
        return (self.within - self.expected) / self.sd if self.sd > 0 else float("nan")

    def __str__(self) -> str:
        return (
            f"{self.within:.1%} of {self.n_interactions:,} interactions lie within a program, {self.expected:.1%} "
            f"expected of genes with as many partners (z {self.z:.1f})"
        )


def program_cohesion(programs: Programs, network: GeneNetwork, *, n_draws: int = 200, seed: int = 0) -> Cohesion:
    """Compare interactions within programs with random partners, degrees kept (the configuration model).

    Shuffled labels would be the wrong comparison: they give well-known genes, which have many partners, away.

    Raises
    ------
    InputError
        The network has no interaction between genes that have a program.
    """
    graph = Evidence(programs.genes, network=network).adjacency.tocoo()
    here = (graph.row < graph.col) & (programs.program[graph.row] >= 0) & (programs.program[graph.col] >= 0)
    first, second = graph.row[here], graph.col[here]
    if not len(first):
        raise InputError("The network has no interaction between genes that have a program; do the names agree?")
    rng = np.random.default_rng(seed)
    ends = np.concatenate([first, second])
    drawn = [_share_within(programs.program, *np.split(rng.permutation(ends), 2)) for _ in range(n_draws)]
    within = _share_within(programs.program, first, second)
    return Cohesion(within, float(np.mean(drawn)), float(np.std(drawn, ddof=1)), len(first))


def _share_within(program: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    apart = first != second
    return float((program[first] == program[second])[apart].mean())


def _measured(members: Sequence[str] | _HasGenes, place: Mapping[str, int]) -> list[int]:
    genes: Sequence[str] = members if isinstance(members, Sequence) else members.genes
    return sorted({place[gene] for gene in genes if gene in place})
