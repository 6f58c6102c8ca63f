"""The losses of ASIGN: each is least at the truth, and none is met by a mean profile."""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["LossWeights", "lack_of_correlation", "tile_means"]


@dataclass(frozen=True)
class LossWeights:
    """Of the three losses, each of which is least at the truth.

    Parameters
    ----------
    error
        Mean square error of standardised genes.
    correlation
        One minus the correlation of each gene over the hidden spots of a section.
    consistency
        Mean square error of the means over tiles.
    """

    error: float = 1.0
    correlation: float = 0.1
    consistency: float = 0.1


def lack_of_correlation(found: Tensor, truth: Tensor, section: Tensor) -> Tensor:
    """One minus the correlation of each gene over the spots of a section, averaged over genes and sections."""
    parts = []
    for number in torch.unique(section):
        rows = section == number
        if int(rows.sum()) > 2:
            a, b = (values[rows] - values[rows].mean(0) for values in (found, truth))
            product = (a * b).sum(0)
            parts.append(1 - (product / (a.square().sum(0) * b.square().sum(0) + 1e-8).sqrt()).mean())
    return torch.stack(parts).mean() if parts else found.new_zeros(())


def tile_means(values: Tensor, tile: Tensor) -> Tensor:
    """Return the means over the spots of each tile, (tiles, genes)."""
    number, count = torch.unique(tile, return_inverse=True, return_counts=True)[1:]
    total: Tensor = values.new_zeros(len(count), values.shape[1]).index_add(0, number, values)
    mean: Tensor = total / count[:, None]
    return mean
