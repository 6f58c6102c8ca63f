"""Scores of a cell's embedding whose change is attributed to genes."""

from torch import Tensor

from insignia.attribution.contract import Target, targets

__all__ = ["SelfAbsolute", "SelfWeighted"]


class SelfWeighted(Target):
    """``s(x') = sum_k w_k f_k(x')`` with ``w = f(x)``: how far the cell has come along its own embedding."""

    name = "self"

    def weights(self, embedding: Tensor) -> Tensor:
        """Return the cell's own embedding."""
        return embedding

    def score(self, embedding: Tensor, weights: Tensor) -> Tensor:
        """Multiply row by row and add up."""
        return (embedding * weights).sum(1)


class SelfAbsolute(SelfWeighted):
    """``s(x') = sum_k |w_k f_k(x')|``, the target of the published SIGnature atlas; its kinks widen the gap."""

    name = "self_abs"

    def score(self, embedding: Tensor, weights: Tensor) -> Tensor:
        """Multiply row by row and add up the absolute products."""
        return (embedding * weights).abs().sum(1)


_SOURCE = "doi:10.1101/2025.06.14.659567"
targets.add("self", source=_SOURCE)(SelfWeighted())
targets.add("self_abs", source=_SOURCE)(SelfAbsolute())
