"""Two tiny encoders for tests and for those who write a model: one linear with known gradients, one over tokens."""

import numpy as np
import torch
from torch import Tensor, nn

from insignia.data import Cells
from insignia.genes import GeneVocabulary
from insignia.models.contract import Context, Encoder, Inputs, StraightPath, fingerprint
from insignia.models.mlp import MLPEncoder, affine
from insignia.models.preprocessing import log_normalise

__all__ = ["TokenEncoder", "linear_encoder"]


def linear_encoder(genes: GeneVocabulary, *, latent: int = 8, rng: int | np.random.Generator = 0) -> MLPEncoder:
    """Return ``f(x) = W x`` with random W.

    The self-weighted target is ``w . W x`` with ``w = W x``, so its attribution from zero is ``x * (W^T w)``, whatever
    the method.
    """
    weight = np.random.default_rng(rng).normal(size=(latent, len(genes))) / np.sqrt(len(genes))
    layer = affine(torch.tensor(weight, dtype=torch.float32), torch.zeros(latent))
    digest = fingerprint({"weight": layer.weight}, genes, "linear")
    return MLPEncoder("linear", genes, [layer], is_normalised=False, fingerprint=digest)


class TokenEncoder(Encoder):
    """The most expressed genes of a cell as a sequence of word embeddings, mixed by one attention head.

    The shape of rank-based transformers such as Geneformer: which gene stands at which rank is fixed context, and the
    word embeddings move from zero. It needs counts, since ranks are its only view of amounts.

    Parameters
    ----------
    genes
        The vocabulary.
    max_tokens
        Longest sequence; the rest of a cell's genes is not seen.
    width, latent
        Sizes of word embeddings and of the cell embedding.
    """

    name = "token"
    accepts = frozenset({"counts"})
    reads_expressed_genes = True

    def __init__(
        self,
        genes: GeneVocabulary,
        *,
        max_tokens: int = 64,
        width: int = 16,
        latent: int = 8,
        rng: int | np.random.Generator = 0,
    ) -> None:
        random = np.random.default_rng(rng)
        self.genes = genes
        self.max_tokens = max_tokens
        self.module = nn.Module().eval()
        shapes = {
            "words": (len(genes), width),
            "ranks": (max_tokens, width),
            "query": (width, width),
            "value": (width, latent),
        }
        for name, shape in shapes.items():
            weight = torch.tensor(random.normal(size=shape) / np.sqrt(width), dtype=torch.float32)
            self.module.register_parameter(name, nn.Parameter(weight, requires_grad=False))
        self.fingerprint = fingerprint(self.module.state_dict(), genes, f"token:{max_tokens}")

    def prepare(self, cells: Cells) -> Inputs:
        """Rank each cell's expressed genes by their share of its counts; ties keep the model's gene order."""
        self.check_space(cells.space)
        values = log_normalise(cells)
        tokens = np.full((values.shape[0], self.max_tokens), -1, dtype=np.int64)
        for row in range(values.shape[0]):
            span = slice(values.indptr[row], values.indptr[row + 1])
            order = np.argsort(-values.data[span], kind="stable")[: self.max_tokens]
            tokens[row, : len(order)] = values.indices[span][order]
        return Inputs(values, {"tokens": torch.from_numpy(tokens)})

    def path(self, inputs: Inputs, baseline: Inputs | None) -> StraightPath:
        """Move the word embeddings from zero; the zero baseline is the only one that a token model has."""
        if baseline is not None:
            raise NotImplementedError(f"{self.name} moves word embeddings: its only baseline is zero.")
        tokens = inputs.context["tokens"]
        end = self._parameter("words")[tokens.clamp(min=0)] * (tokens >= 0)[..., None]
        return StraightPath(torch.zeros_like(end), end, inputs.context)

    def forward(self, point: Tensor, context: Context) -> Tensor:
        """Attend from the mean word to all words: (rows, tokens, width) -> (rows, latent)."""
        present = context["tokens"] >= 0
        words = torch.tanh(point + self._parameter("ranks")) * present[..., None]
        mean = words.sum(1) / present.sum(1, keepdim=True).clamp(min=1)
        scores = torch.einsum("rd,de,rte->rt", mean, self._parameter("query"), words)
        share = torch.softmax(scores.masked_fill(~present, -1e9), dim=1) * present
        return torch.einsum("rt,rtd->rd", share, words) @ self._parameter("value")

    def to_genes(self, attribution: Tensor, context: Context) -> Tensor:
        """Sum over the width of each word, and put it at the word's gene."""
        tokens = context["tokens"]
        summed = attribution.sum(-1) * (tokens >= 0)
        return summed.new_zeros(len(tokens), len(self.genes)).scatter_add_(1, tokens.clamp(min=0), summed)

    def _parameter(self, name: str) -> Tensor:
        return self.module.get_parameter(name)
