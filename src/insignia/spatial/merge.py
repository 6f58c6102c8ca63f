"""Several stacks in one table, so that a stack of which nothing is known can learn from other donors."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from insignia.spatial.contract import StackSpots
from insignia.spatial.known import mean_and_sd

__all__ = ["merge_stacks"]


def merge_stacks(spots: StackSpots, training: Sequence[StackSpots]) -> StackSpots:
    """Put the spots of training stacks behind those of a stack.

    Sections of training stacks are not placed, so that no spot is matched over donors, and every training stack is
    brought to one mean of each gene: what differs between donors is not learnt as if it differed between spots.

    Parameters
    ----------
    spots
        The stack, nothing of which is known.
    training
        Stacks of other donors, with the same genes.
    """
    mean, _ = mean_and_sd(spots, training)
    stacks = [spots]
    for stack in training:
        own, _ = mean_and_sd(stack)
        stacks.append(
            replace(
                stack,
                expression=(stack.expression + (mean - own)).astype(np.float32),
                is_placed=np.zeros(len(stack), dtype=bool),
            )
        )
    offsets = np.cumsum([0, *(len(stack.sections) for stack in stacks[:-1])])
    has_all_features = all(stack.features is not None for stack in stacks)
    return replace(
        spots,
        sections=tuple(f"{i}:{name}" for i, stack in enumerate(stacks) for name in stack.sections),
        section=np.concatenate([stack.section + offset for stack, offset in zip(stacks, offsets, strict=True)]),
        names=np.concatenate([stack.names for stack in stacks]),
        xyz_um=np.concatenate([stack.xyz_um for stack in stacks]),
        is_placed=np.concatenate([stack.is_placed for stack in stacks]),
        expression=np.concatenate([stack.expression for stack in stacks]),
        is_known=np.concatenate([stack.is_known for stack in stacks]),
        features=np.concatenate([stack.features for stack in stacks]) if has_all_features else None,
    )
