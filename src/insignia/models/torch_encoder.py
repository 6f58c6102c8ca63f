"""Any torch network over the values of genes, as an encoder."""

import copy
from collections.abc import Callable, Iterable

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from insignia.core.errors import InputError, ModelError
from insignia.data import Cells
from insignia.genes import GeneVocabulary
from insignia.models.contract import Context, Encoder, Inputs, StraightPath
from insignia.models.contract import fingerprint as fingerprint_of
from insignia.models.first_layer import AffineLayer
from insignia.models.gene_transform import LOG1P
from insignia.models.preprocessing import log_normalise

__all__ = ["TorchEncoder"]

Prepare = Callable[[Cells], csr_matrix]


class TorchEncoder(Encoder):
    """Attribute a torch network of your own.

    The network is copied to the CPU in float32 and set to evaluation mode; yours stays as it is. If it is an
    `nn.Sequential` that starts with `nn.Linear`, attribution takes the fast exact path through that layer.

    Parameters
    ----------
    module
        Maps values, (cells, genes), to embeddings, (cells, latent), each row on its own. If embeddings are scaled to
        length 1 at the end, leave that step out and say `is_normalised`.
    genes
        One per column of the values, in order: a vocabulary, or names.
    prepare
        Turns cells, whose genes are `genes`, into values, (cells, genes) CSR. `None` scales each cell to 10,000 and
        takes log1p. What is 0 there stays 0 along the path and gets no attribution.
    name
        What the model is called in tables and provenance.
    is_normalised
        Scale embeddings to length 1.
    accepts
        The input spaces that `prepare` takes: ``"counts"``, ``"log1p"`` or both.
    fingerprint
        Tells models apart in provenance. `None` hashes weights, genes, the printed network and the name of `prepare`;
        give one if your code changes while these stay.

    Raises
    ------
    ModelError
        The network does not map (cells, genes) to (cells, latent).
    InputError
        `accepts` is not a choice of input spaces.
    """

    def __init__(
        self,
        module: nn.Module,
        genes: GeneVocabulary | Iterable[str],
        prepare: Prepare | None = None,
        *,
        name: str,
        is_normalised: bool = False,
        accepts: Iterable[str] = ("counts", "log1p"),
        fingerprint: str | None = None,
    ) -> None:
        self.name = name
        self.genes = genes if isinstance(genes, GeneVocabulary) else GeneVocabulary.from_names(genes)
        self.is_normalised = is_normalised
        self.accepts = frozenset([accepts] if isinstance(accepts, str) else accepts)
        if not self.accepts or not self.accepts <= {"counts", "log1p"}:
            raise InputError(f"accepts should be 'counts', 'log1p' or both, found {sorted(self.accepts)}.")
        self._prepare = log_normalise if prepare is None else prepare
        self.transform = LOG1P if prepare is None else None
        self.module = _copy_of(module)
        self._check_output()
        self._take_first_layer()
        how = f"torch:{self.module}:{_name_of(self._prepare)}:{is_normalised}"
        self.fingerprint = fingerprint or fingerprint_of(_tensors(self.module), self.genes, how)

    def prepare(self, cells: Cells) -> Inputs:
        """Turn cells into values with the function that was given."""
        values = csr_matrix(self._prepare(cells), dtype=np.float32)
        expected = (cells.matrix.shape[0], len(self.genes))
        if values.shape != expected or not np.isfinite(values.data).all():
            raise InputError(
                f"prepare of {self.name} should give {expected} finite values, (cells, genes), found {values.shape} "
                f"with {(~np.isfinite(values.data)).sum()} that are not finite."
            )
        values.sum_duplicates()
        return Inputs(values)

    def path(self, inputs: Inputs, baseline: Inputs | None) -> StraightPath:
        """Move the values of all genes."""
        end = self.dense(inputs)
        start = torch.zeros_like(end) if baseline is None else self.dense(baseline).expand_as(end)
        return StraightPath(start, end, inputs.context)

    def forward(self, point: Tensor, context: Context) -> Tensor:  # noqa: ARG002 - part of the contract
        """Embed values: (rows, genes) -> (rows, latent)."""
        embedding: Tensor = self.module(point)
        return embedding

    def tail(self, hidden: Tensor, context: Context) -> Tensor:
        """Do the rest of a sequential network after its first layer: (rows, hidden) -> (rows, latent)."""
        if self.tail_layers is None:
            return super().tail(hidden, context)
        for layer in self.tail_layers:
            hidden = layer(hidden)
        return hidden

    def to_genes(self, attribution: Tensor, context: Context) -> Tensor:  # noqa: ARG002 - part of the contract
        """Return the attribution: the point is the genes."""
        return attribution

    def _check_output(self) -> None:
        expected = f"{self.name} should map (cells, {len(self.genes):,} genes) to (cells, latent)"
        try:
            with torch.no_grad():
                found = self.module(torch.zeros(2, len(self.genes)))
        except Exception as error:
            raise ModelError(f"{expected}, and fails on two empty cells: {error}") from error
        if not isinstance(found, Tensor) or found.dim() != 2 or len(found) != 2:
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ModelError(f"{expected}, and gives {shape} for two cells. Wrap it so that it gives the embedding.")

    def _take_first_layer(self) -> None:
        """Use the first layer if nothing but its weights decides what it does."""
        if type(self.module) is not nn.Sequential or type(self.module[0]) is not nn.Linear:
            return
        first = self.module[0]
        if any(part._forward_hooks or part._forward_pre_hooks for part in (self.module, first)):
            return
        # gene by gene in memory, as the sparse products of the fast path read it
        first.weight.data = first.weight.data.T.contiguous().T
        bias = torch.zeros(first.out_features) if first.bias is None else first.bias
        self.first_layer, self.tail_layers = AffineLayer(first.weight, bias), tuple(self.module)[1:]


def _copy_of(module: nn.Module) -> nn.Module:
    mine = copy.deepcopy(module).cpu().float().eval().requires_grad_(False)
    for part in mine.modules():
        # points of a path are leaves of the gradient, which nothing may overwrite
        if getattr(part, "inplace", False):
            part.inplace = False  # type: ignore[assignment]
    return mine


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in module.state_dict().items() if isinstance(value, Tensor)}


def _name_of(function: Prepare) -> str:
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"
