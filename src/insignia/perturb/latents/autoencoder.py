"""An autoencoder over tokens of gene programs that starts as principal components and learns what they miss."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from insignia.core.errors import InputError
from insignia.perturb.latents.blocks import GeneTable, ProgramBlock, ToGenes, ToTokens
from insignia.perturb.latents.pca import PCALatent

__all__ = ["ModuleOptions", "ProgramAutoencoder", "ReconstructCells"]


@dataclass(frozen=True)
class ModuleOptions:
    """Size and training of the autoencoder.

    Parameters
    ----------
    width, depth, n_heads
        Of tokens; blocks on each side; heads of attention.
    batch_size, epochs, steps_per_epoch, learning_rate
        Of training; it stops early when held-out cells are reconstructed no better.
    """

    width: int = 32
    depth: int = 1
    n_heads: int = 4
    batch_size: int = 128
    epochs: int = 10
    steps_per_epoch: int = 50
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        if self.width % self.n_heads or min(self.depth, self.batch_size, self.epochs, self.steps_per_epoch) < 1:
            raise InputError(f"width must be a multiple of n_heads, and counts at least 1; found {self}.")


class ProgramAutoencoder(nn.Module):
    """Principal components, plus what attention over program tokens adds on the way in and out.

    Tokens are flattened and not averaged, so that it stays known which is which. What is added begins at zero: before
    training this is exactly the principal components.

    Parameters
    ----------
    base
        The principal components.
    table
        Genes of the programs.
    relations
        (programs, dimensions) mean embedding of the genes of each program; no columns without an embedding.
    options
        Sizes.
    """

    centre: Tensor
    components: Tensor
    scale: Tensor
    relations: Tensor

    def __init__(self, base: PCALatent, table: GeneTable, relations: Tensor, options: ModuleOptions) -> None:
        super().__init__()
        for name in ("centre", "components", "scale"):
            self.register_buffer(name, torch.from_numpy(getattr(base, name).astype(np.float32)))
        self.register_buffer("relations", relations)
        n_programs, width = table.shape[0], options.width
        self.shape = n_programs, width
        n_dimensions = relations.shape[1]
        related = nn.Linear(n_dimensions, width, bias=False) if n_dimensions else None
        self.relate = nn.Sequential(related, nn.LayerNorm(width)) if related is not None else None
        self.enter = ToTokens(table, width)
        self.into = _blocks(options, n_programs)
        self.squeeze = nn.Linear(n_programs * width, base.size, bias=False)
        nn.init.zeros_(self.squeeze.weight)
        self.spread = nn.Linear(base.size, n_programs * width)
        self.out = _blocks(options, n_programs)
        self.leave = ToGenes(table, width, len(base.centre))

    def encode(self, cells: Tensor) -> Tensor:
        """(cells, genes) -> (cells, latent)."""
        off = cells - self.centre
        tokens = self.into(self.enter(off) + self._relation())
        point: Tensor = off @ self.components.T / self.scale + self.squeeze(tokens.flatten(1))
        return point

    def decode(self, point: Tensor) -> Tensor:
        """(cells, latent) -> (cells, genes)."""
        tokens = self.spread(point).unflatten(1, self.shape) + self._relation()
        cells: Tensor = self.centre + (point * self.scale) @ self.components + self.leave(self.out(tokens))
        return cells

    def forward(self, cells: Tensor) -> Tensor:
        """Reconstruct cells."""
        return self.decode(self.encode(cells))

    def _relation(self) -> Tensor | float:
        return self.relate(self.relations) if self.relate is not None else 0.0


def _blocks(options: ModuleOptions, n_tokens: int) -> nn.Sequential:
    return nn.Sequential(*(ProgramBlock(options.width, options.n_heads, n_tokens) for _ in range(options.depth)))


@dataclass(frozen=True, eq=False)
class ReconstructCells:
    """Mean squared error of reconstructed cells.

    Parameters
    ----------
    cells, held_out
        (cells, genes) to learn from, and to stop by.
    batch_size, n_steps
        Cells of a step, and steps of an epoch.
    """

    cells: csr_matrix
    held_out: np.ndarray
    batch_size: int
    n_steps: int

    def batches(self, generator: torch.Generator) -> Iterator[Tensor]:
        """One epoch of batches drawn at random."""
        for _ in range(self.n_steps):
            rows = torch.randint(self.cells.shape[0], (self.batch_size,), generator=generator).numpy()
            yield torch.from_numpy(self.cells[rows].toarray())

    def loss(self, module: nn.Module, batch: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """Return the error of one batch."""
        error: Tensor = module(batch) - batch
        return error.square().mean()

    def validate(self, module: nn.Module) -> float:
        """Return the error on held-out cells."""
        network = cast(ProgramAutoencoder, module)
        parts = torch.split(torch.from_numpy(self.held_out), self.batch_size)
        return float(sum((network(part) - part).square().sum() for part in parts)) / self.held_out.size
