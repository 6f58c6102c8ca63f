"""Element-wise functions between a cell's amounts and the values that a network reads."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["LOG1P", "GeneTransform"]


@dataclass(frozen=True)
class GeneTransform:
    """A function that acts gene by gene and keeps 0, so that sparse cells stay sparse.

    Parameters
    ----------
    name
        What it is called.
    apply
        From amounts to values, differentiable.
    slope
        Its derivative at amounts.
    inverse
        From values to amounts.
    """

    name: str
    apply: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    inverse: Callable[[Tensor], Tensor]


LOG1P = GeneTransform("log1p", torch.log1p, lambda amounts: 1 / (1 + amounts), torch.expm1)
