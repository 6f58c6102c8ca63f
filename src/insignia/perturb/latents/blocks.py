"""Tokens of gene programs: how genes enter and leave them, and how they attend to each other."""

import torch
from torch import Tensor, nn

from insignia.core.errors import InputError
from insignia.perturb.programs.record import Programs

__all__ = ["GeneTable", "ProgramBlock", "ToGenes", "ToTokens"]

_MOST_TOKENS = 64
_INDUCING = 8


class GeneTable(nn.Module):
    """Places of the genes of each program, padded to the largest; programs need not be equal in size.

    Parameters
    ----------
    programs
        The programs.
    genes
        Names of the columns of the cells.
    """

    places: Tensor
    filled: Tensor

    def __init__(self, programs: Programs, genes: tuple[str, ...]) -> None:
        super().__init__()
        labels = torch.from_numpy(programs.labels(genes))
        members = [torch.nonzero(labels == k).ravel() for k in range(len(programs))]
        if min((len(rows) for rows in members), default=0) == 0:
            raise InputError("A program has none of the measured genes: induce programs from the same screen.")
        longest = max(len(rows) for rows in members)
        self.register_buffer("places", torch.stack([nn.functional.pad(m, (0, longest - len(m))) for m in members]))
        filled = torch.stack([torch.arange(longest) < len(rows) for rows in members])
        self.register_buffer("filled", filled.to(torch.float32))

    @property
    def shape(self) -> tuple[int, int]:
        """Programs, and genes of the largest."""
        return self.places.shape[0], self.places.shape[1]


class ToTokens(nn.Module):
    """One linear map for each program, from its genes to its token.

    Weights of its own, because a map that all programs share cannot know which gene stands in which place.
    """

    def __init__(self, table: GeneTable, width: int) -> None:
        super().__init__()
        n_programs, longest = table.shape
        self.table = table
        self.weight = nn.Parameter(torch.randn(n_programs, longest, width) / longest**0.5)
        self.bias = nn.Parameter(torch.zeros(n_programs, width))

    def forward(self, cells: Tensor) -> Tensor:
        """(cells, genes) -> (cells, programs, width)."""
        values = cells[:, self.table.places] * self.table.filled
        return torch.einsum("bkl,kld->bkd", values, self.weight) + self.bias


class ToGenes(nn.Module):
    """One linear map for each program, from its token to its genes; genes without a program get 0.

    It begins at zero.
    """

    def __init__(self, table: GeneTable, width: int, n_genes: int) -> None:
        super().__init__()
        n_programs, longest = table.shape
        self.table, self.n_genes = table, n_genes
        self.weight = nn.Parameter(torch.zeros(n_programs, width, longest))

    def forward(self, tokens: Tensor) -> Tensor:
        """(cells, programs, width) -> (cells, genes)."""
        values = torch.einsum("bkd,kdl->bkl", tokens, self.weight) * self.table.filled
        genes = values.new_zeros(len(values), self.n_genes)
        return genes.index_add(1, self.table.places.ravel(), values.flatten(1))


class ProgramBlock(nn.Module):
    """Tokens attend to each other, through a few inducing points where they are many, and pass a small network.

    Parameters
    ----------
    width, n_heads
        Of tokens and attention.
    n_tokens
        Above 64 the tokens attend to 8 learned points that have attended to them, as in arXiv:1810.00825.
    """

    def __init__(self, width: int, n_heads: int, n_tokens: int) -> None:
        super().__init__()
        self.points = nn.Parameter(0.1 * torch.randn(_INDUCING, width)) if n_tokens > _MOST_TOKENS else None
        if self.points is not None:
            self.gather = nn.MultiheadAttention(width, n_heads, batch_first=True)
            self.gathered = nn.LayerNorm(width)
        self.attend = nn.MultiheadAttention(width, n_heads, batch_first=True)
        self.attended = nn.LayerNorm(width)
        self.mix = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.mixed = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(cells, programs, width) -> the same."""
        others = tokens
        if self.points is not None:
            points = self.points.expand(len(tokens), -1, -1)
            others = self.gathered(points + self.gather(points, tokens, tokens, need_weights=False)[0])
        tokens = self.attended(tokens + self.attend(tokens, others, others, need_weights=False)[0])
        mixed: Tensor = self.mixed(tokens + self.mix(tokens))
        return mixed
