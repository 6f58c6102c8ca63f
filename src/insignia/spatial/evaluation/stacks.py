"""Copies of a stack for evaluation: what is hidden is gone from them, and controls are wrong on purpose."""

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np
import pandas as pd

from insignia.data import Pose, Section, SectionStack, Transform
from insignia.spatial.panel import Panel, gene_names

__all__ = ["identity_aligned", "narrowed", "spots_permuted", "turned"]


def spots_permuted(stack: SectionStack, known: Collection[str], *, seed: int) -> SectionStack:
    """Deal the counts of each known section out among its spots at random.

    A method that uses only where or how a spot looks finds nothing left to predict; one that still predicts has seen
    what it should not.
    """
    rng = np.random.default_rng(seed)
    changed = {}
    for name in stack.names:
        if name in set(known):
            spots = stack[name].spots.copy()
            spots.X = spots.X[rng.permutation(spots.n_obs)]
            changed[name] = replace(stack[name], spots=spots)
    return stack.with_sections(changed)


def identity_aligned(stack: SectionStack) -> SectionStack:
    """Put every section where its own frame has it, as if registration had done nothing and said nothing."""
    return _posed(stack, lambda _: Pose(Transform.identity(), "given", "identity"))


def turned(stack: SectionStack, known: Collection[str]) -> SectionStack:
    """Turn every section that is not known by half a turn about its middle, in the common frame."""

    def pose(section: Section) -> Pose | None:
        if section.name in set(known) or section.pose is None:
            return section.pose
        middle = section.common_um[:, :2].mean(axis=0)
        half = Transform.rigid(180, np.zeros(2), about_um=middle)
        return replace(section.pose, transform=section.pose.transform.then(half))

    return _posed(stack, pose)


def narrowed(stack: SectionStack, panel: Panel) -> SectionStack:
    """Keep only the panel's genes of each measured section, so that they need not be found again for every method."""
    changed = {}
    for name in stack.measured:
        columns = pd.Index(gene_names(stack[name].spots, panel.gene_symbols)).get_indexer(pd.Index(panel.genes))
        changed[name] = replace(stack[name], spots=stack[name].spots[:, columns].copy())
    return stack.with_sections(changed)


def _posed(stack: SectionStack, pose: Callable[[Section], Pose | None]) -> SectionStack:
    return stack.with_sections({section.name: replace(section, pose=pose(section)) for section in stack})
