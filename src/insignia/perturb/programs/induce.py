"""Induce programs from the training cells of a screen and from priors."""

from dataclasses import asdict

import numpy as np

from insignia.core.errors import InputError
from insignia.data.condition import Condition
from insignia.data.gene_priors import GenePriors
from insignia.data.perturbation import PerturbationData
from insignia.data.perturbation_splits import check_leaks, parse_unit, unit_of
from insignia.data.splits import Split
from insignia.perturb.programs.contract import SourceOptions, program_sources
from insignia.perturb.programs.evidence import Evidence
from insignia.perturb.programs.record import Programs

__all__ = ["BALANCE", "check_programs", "induce", "induce_programs"]

BALANCE = {"exact": (1.0, 1.0), "bounded": (0.5, 2.0), "none": (0.0, np.inf)}
"""Smallest and largest size of a program, as shares of the mean size."""


def induce_programs(
    data: PerturbationData,
    *,
    source: str = "expression",
    n_programs: int = 32,
    priors: GenePriors | None = None,
    balance: str = "exact",
    split: Split | None = None,
    seed: int = 0,
) -> Programs:
    """Divide the measured genes into programs.

    Parameters
    ----------
    data
        The training cells of a screen.
    source
        ``"expression"`` reads the cells; ``"embedding"``, ``"smoothed"`` and ``"grc"`` read what is known about genes
        (`priors.gene_embedding`, else `priors.embedding`, and `priors.network`); ``"fused"`` takes what is stable of
        both; ``"kmeans"`` and ``"random"`` are there to compare with.
    n_programs
        How many.
    priors
        What is known about the measured genes.
    balance
        ``"exact"`` makes sizes as equal as can be, ``"bounded"`` lets them be half to twice the mean, ``"none"`` does
        not care.
    split
        Where given, the data must hold no cell of its test side.
    seed
        Of starting points.

    Returns
    -------
    The programs, with genes in the order of the data. The order of the genes in the data changes nothing else. A gene
    about which the source knows nothing has no program.

    Raises
    ------
    InputError
        Cells of test conditions are among the data, the source lacks what it reads, or there are fewer genes than
        programs.
    """
    if split is not None:
        check_leaks(split, data)
    if balance not in BALANCE:
        raise InputError(f"balance takes {', '.join(BALANCE)}, found {balance!r}.")
    if not 1 < n_programs <= len(data.genes):
        raise InputError(f"n_programs must lie between 2 and the {len(data.genes):,} genes, found {n_programs}.")
    smallest, largest = BALANCE[balance]
    options = SourceOptions(n_programs, smallest, min(largest, float(n_programs)), seed)
    return induce(Evidence.make(data, priors), source, options, genes=data.genes)


def induce(
    evidence: Evidence, source: str, options: SourceOptions, *, genes: tuple[str, ...] | None = None
) -> Programs:
    """Run one source on evidence, and put the result in the order of `genes`."""
    found = program_sources[source](evidence, options)
    about = {**asdict(options), **found.facts, "coverage": evidence.coverage(), "conditions": _conditions(evidence)}
    if groups := _groups(evidence):
        about["groups"] = groups
    if evidence.embedding is not None:
        about["embedding"] = evidence.embedding.source
    if evidence.network is not None:
        about["network"] = evidence.network.source
    genes = genes or evidence.genes
    place = {gene: i for i, gene in enumerate(evidence.genes)}
    labels = found.labels[[place[gene] for gene in genes]]
    return Programs.from_labels(genes, labels, source=source, about=about)


def _conditions(evidence: Evidence) -> list[str]:
    """Name the conditions whose cells were read, so that a leak can be told later."""
    conditions: tuple[Condition, ...] = () if evidence.data is None else evidence.data.conditions
    return [str(condition) for condition in conditions]


def _groups(evidence: Evidence) -> list[str]:
    """Name conditions with their contexts, where there are several."""
    if evidence.data is None or len(evidence.data.contexts) < 2:
        return []
    return [unit_of(*group) for group in evidence.data.groups]


def check_programs(programs: Programs, split: Split) -> None:
    """Refuse programs that were induced from cells of what is to be predicted.

    Raises
    ------
    InputError
        With the conditions by name.
    """
    test = {parse_unit(unit) for unit in split.test}
    read = [parse_unit(text) for text in programs.about.get("groups") or programs.about.get("conditions", ())]
    # of cells of one context it is not told which: a test unit with a context is then met by its condition
    met = {condition for condition, context in test if context is None or not programs.about.get("groups")}
    if leaked := sorted({str(one) for one, where in read if one in met or (one, where) in test}):
        raise InputError(
            f"These programs were induced from cells of {len(leaked)} test conditions of split {split.name!r}, e.g. "
            f"{', '.join(leaked[:5])}. Induce them from the training cells: data.without(...)."
        )
