"""scGPT: genes with binned values, read by a transformer from its published directory.

Layout and preprocessing follow Cui et al., Nature Methods 2024 (doi:10.1038/s41592-024-02201-0) and the files that its
package writes: each cell's expressed genes with quantile-binned values, ``<cls>`` before them, and the output at
``<cls>`` scaled to length 1 as the embedding.

Two draws of the release are replaced, so that equal cells have equal embeddings. Where equal values span several bins,
it draws one of these bins; here they get the mean of the draw. Of a cell with more genes than fit, it draws some;
here the highest values stay, ties in the order of the vocabulary.

Attribution moves the binned values from 0, the bin of a gene that is not expressed, with the set of genes held.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional

from insignia.core.errors import ModelFormatError
from insignia.data import Cells
from insignia.genes import GeneVocabulary
from insignia.models.checkpoint import read_json, read_torch
from insignia.models.contract import Context, Encoder, Inputs, StraightPath, fingerprint
from insignia.models.registry import families
from insignia.models.token_files import gene_tokens, read_tokens
from insignia.models.transformer import (
    AttentionBlock,
    attention_mask,
    encoder_blocks,
    rank_columns,
    tokens_to_genes,
    trimmed,
    values_at,
)
from insignia.models.weights import Weights

__all__ = ["ScGPTEncoder", "ScGPTNetwork", "bin_values", "load_scgpt"]

_FILES: Final = ("args.json", "vocab.json", "best_model.pt")
_APPENDED: Final = ("<pad>", "<cls>", "<eoc>")
_EPS: Final = 1e-5
_LARGEST_VALUE: Final = 512.0


@families.add("scgpt", source="doi:10.1038/s41592-024-02201-0")
class _ScGPT:
    needs = "args.json, vocab.json and best_model.pt"

    @staticmethod
    def recognises(path: Path) -> bool:
        return all((path / name).is_file() for name in _FILES)

    @staticmethod
    def load(path: Path) -> "ScGPTEncoder":
        return load_scgpt(path)


class ScGPTNetwork(nn.Module):
    """Gene and value embeddings, added up and mixed by attention blocks, read at ``<cls>``.

    Parameters
    ----------
    words
        (1 + genes, width) embeddings of ``<cls>`` and the genes of the vocabulary.
    word_norm
        The layer norm on them.
    value_layers
        ``Linear, ReLU, Linear, LayerNorm`` from one value to its embedding.
    blocks
        The attention blocks.
    cls_value
        The value that stands at ``<cls>``.
    """

    def __init__(
        self,
        words: Tensor,
        word_norm: nn.LayerNorm,
        value_layers: nn.Sequential,
        blocks: list[AttentionBlock],
        *,
        cls_value: float,
    ) -> None:
        super().__init__()
        self.words, self.word_norm = nn.Parameter(words), word_norm
        self.value_layers, self.blocks = value_layers, nn.ModuleList(blocks)
        self.cls_value = cls_value

    def forward(self, values: Tensor, tokens: Tensor) -> Tensor:
        """Embed binned values: (rows, tokens) twice -> (rows, width), not normalised."""
        tokens = functional.pad(tokens + 1, (1, 0))
        values = functional.pad(values, (1, 0), value=self.cls_value).clamp(max=_LARGEST_VALUE)
        present = tokens > 0
        present[:, 0] = True
        x = self.word_norm(self.words[tokens]) + self.value_layers(values[..., None])
        mask = attention_mask(present, x.dtype)
        for block in self.blocks:
            x = block(x, mask)
        return torch.as_tensor(x[:, 0])


class ScGPTEncoder(Encoder):
    """An scGPT network with its vocabulary; a cell without genes is ``<cls>`` alone.

    Parameters
    ----------
    name
        What the model is called.
    genes
        Its genes, in the order of their numbers.
    network
        The network.
    n_bins
        Bins of values, the one of 0 included.
    max_genes
        Genes of a cell that are read, those with the highest values.
    fingerprint
        Hash of weights, gene table and preprocessing.
    """

    is_normalised = True
    reads_expressed_genes = True
    module: ScGPTNetwork

    def __init__(
        self,
        name: str,
        genes: GeneVocabulary,
        network: ScGPTNetwork,
        *,
        n_bins: int,
        max_genes: int,
        fingerprint: str,
    ) -> None:
        self.name, self.genes = name, genes
        self.n_bins, self.max_genes = n_bins, max_genes
        self.fingerprint = fingerprint
        self.module = network.eval().requires_grad_(False)

    def prepare(self, cells: Cells) -> Inputs:
        """Bin each cell's values by their ranks, which counts and log1p of them share."""
        bins = bin_values(cells.matrix, self.n_bins)
        return Inputs(bins, {"tokens": rank_columns(cells.matrix, self.max_genes)})

    def path(self, inputs: Inputs, baseline: Inputs | None) -> StraightPath:
        """Move the binned values of the cell's own genes, from 0 or from the bins that they have in the baseline."""
        tokens = trimmed(inputs.context["tokens"])
        end = values_at(inputs.values, tokens, self.dtype)
        start = torch.zeros_like(end) if baseline is None else values_at(baseline.values, tokens, self.dtype)
        return StraightPath(start, end, {"tokens": tokens})

    def forward(self, point: Tensor, context: Context) -> Tensor:
        """Embed binned values: (rows, tokens) -> (rows, width), as they are before normalisation."""
        return torch.as_tensor(self.module(point, context["tokens"]))

    def to_genes(self, attribution: Tensor, context: Context) -> Tensor:
        """Put the attribution of each token at its gene."""
        return tokens_to_genes(attribution, context["tokens"], len(self.genes))


def bin_values(values: csr_matrix, n_bins: int) -> csr_matrix:
    """Give each stored value the number of its quantile bin within its row, from 1 to ``n_bins - 1``.

    The ``n_bins - 1`` edges are evenly spaced quantiles of the row, linear between order statistics, so the number of
    edges below a value follows from its rank alone, in whole numbers. A value that lies on several edges gets the mean
    of the bins that it could be counted into.

    Parameters
    ----------
    values
        (cells, genes), positive where stored.
    n_bins
        Bins, the one of 0 included; at least 3.

    Returns
    -------
    (cells, genes) float32, stored where `values` are.
    """
    gaps = n_bins - 2
    bins = np.empty(values.nnz, dtype=np.float32)
    for row in range(values.shape[0]):
        span = slice(values.indptr[row], values.indptr[row + 1])
        _, group, size = np.unique(values.data[span], return_inverse=True, return_counts=True)
        n_values = len(group)
        after = np.cumsum(size)
        first, last = after - size, after - 1
        below = -(-first * gaps // max(1, n_values - 1))
        up_to = np.where(after == n_values, gaps + 1, last * gaps // max(1, n_values - 1) + 1)
        bins[span] = np.where(up_to > below, (below + 1 + up_to) / 2, up_to)[group]
    return csr_matrix((bins, values.indices, values.indptr), shape=values.shape)


def load_scgpt(path: str | Path) -> ScGPTEncoder:
    """Load an scGPT directory: ``args.json``, ``vocab.json`` and ``best_model.pt``; decoders in it are not read.

    Raises
    ------
    ModelFormatError
        A file or tensor is missing, files disagree, or values are not encoded by the continuous network.
    UnsafeCheckpoint
        The weights hold more than tensors.
    """
    path = Path(path)
    source = path / "best_model.pt"
    args = read_json(path / "args.json")
    state = {
        str(key).replace("self_attn.Wqkv.", "self_attn.in_proj_"): value for key, value in read_torch(source).items()
    }
    weights = Weights(state, source)
    _refuse_other_designs(args, weights)
    vocabulary = read_tokens(path / "vocab.json")
    names = gene_tokens(vocabulary)
    for name in _APPENDED:  # as in the release, those that are absent come after all others
        vocabulary.setdefault(name, max(vocabulary.values()) + 1)
    words = weights.tensor("encoder.embedding.weight", -1, -1)
    width = words.shape[1]
    if max(vocabulary.values()) >= len(words):
        raise ModelFormatError(
            f"{source} has {len(words):,} gene embeddings, and vocab.json goes up to {max(vocabulary.values()):,}. "
            "Take both from the same release."
        )
    value_layers = nn.Sequential(
        weights.linear("value_encoder.linear1", width, 1),
        nn.ReLU(),
        weights.linear("value_encoder.linear2", width, width),
        weights.norm("value_encoder.norm", width, _EPS),
    )
    network = ScGPTNetwork(
        words[[vocabulary["<cls>"], *(vocabulary[name] for name in names)]],
        weights.norm("encoder.enc_norm", width, _EPS),
        value_layers,
        _blocks(weights, args, width),
        cls_value=float(_number(args, "pad_value", -2, lowest=-1000)),
    )
    n_bins, longest = _number(args, "n_bins", 51, lowest=3), _number(args, "max_seq_len", 1200, lowest=2)
    genes = GeneVocabulary.from_names(names, organism="human")
    first = network.blocks[0]
    facts = f"heads={first.heads},first={first.is_norm_first},cls={network.cls_value},length={longest}"
    return ScGPTEncoder(
        path.resolve().name,
        genes,
        network,
        n_bins=n_bins,
        max_genes=longest - 1,
        fingerprint=fingerprint(network.state_dict(), genes, f"scgpt:bins={n_bins},{facts},l2"),
    )


def _blocks(weights: Weights, args: dict[str, Any], width: int) -> list[AttentionBlock]:
    heads = _number(args, "nheads" if "nheads" in args else "nhead", None, lowest=1)
    if width % heads:
        raise ModelFormatError(f"args.json: {heads} heads do not divide the width {width} of {weights.source}.")
    scheme = args.get("norm_scheme", "pre" if args.get("pre_norm") else "post")
    if scheme not in ("pre", "post"):
        raise ModelFormatError(f"args.json: norm_scheme should be 'pre' or 'post', found {scheme!r}.")
    return encoder_blocks(
        weights, "transformer_encoder.layers", width, heads=heads, eps=_EPS, is_norm_first=scheme == "pre"
    )


def _refuse_other_designs(args: dict[str, Any], weights: Weights) -> None:
    style = args.get("input_emb_style", "continuous")
    if style != "continuous":
        raise ModelFormatError(f"args.json: input_emb_style should be 'continuous', found {style!r}: not supported.")
    batch = [key for key in weights.state if key.startswith(("bn.", "dsbn."))]
    if batch:
        raise ModelFormatError(
            f"{weights.source} holds batch norms on its input ({batch[0]}), which depend on the batch of each cell and "
            "are not supported. Use the model that it was fine-tuned from."
        )


def _number(args: dict[str, Any], key: str, default: int | None, *, lowest: int) -> int:
    value = args.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
        raise ModelFormatError(f"args.json: {key} should be a whole number, at least {lowest}, found {value!r}.")
    return value
