"""Geneformer V1 and V2: genes by rank, read by a BERT encoder from its published directory.

Rank values and layout follow Theodoris et al., Nature 2023 (doi:10.1038/s41586-023-06139-9): counts scaled to 10,000
and divided by each gene's median over the training corpus, genes in descending order. V2 puts ``<cls>`` before and
``<eos>`` after them. Ties, which the release leaves open, keep the order of the token dictionary.

Attribution moves the word embeddings of the gene tokens from zero. Which gene stands at which rank, positions and
special tokens are held, so a gene is scored for being there at its rank, not for its amount.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional

from insignia.core.errors import InputError, ModelFormatError
from insignia.data import Cells
from insignia.genes import GeneVocabulary
from insignia.models.checkpoint import read_json, read_torch
from insignia.models.contract import Context, Encoder, Inputs, StraightPath, fingerprint
from insignia.models.mlp import affine
from insignia.models.registry import families
from insignia.models.token_files import GeneformerFiles
from insignia.models.transformer import (
    AttentionBlock,
    attention_mask,
    rank_columns,
    tokens_to_genes,
    trimmed,
)
from insignia.models.weights import Weights

__all__ = ["GeneformerEncoder", "GeneformerNetwork", "load_geneformer"]

_WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin")
_ACTIVATIONS: Final[dict[str, Callable[[Tensor], Tensor]]] = {"gelu": functional.gelu, "relu": functional.relu}


@families.add("geneformer", source="doi:10.1038/s41586-023-06139-9")
class _Geneformer:
    needs = "config.json, model.safetensors, token_dictionary.json and gene_median_dictionary.json"

    @staticmethod
    def recognises(path: Path) -> bool:
        has_weights = any((path / name).is_file() for name in _WEIGHTS)
        return has_weights and (path / "config.json").is_file() and any(path.glob("token_dictionary*"))

    @staticmethod
    def load(path: Path) -> "GeneformerEncoder":
        return load_geneformer(path)


class GeneformerNetwork(nn.Module):
    """Word, position and type embeddings, attention blocks, and the mean over the gene tokens.

    Parameters
    ----------
    words
        (genes, width) word embeddings, in the order of the vocabulary.
    special
        (2, width) word embeddings of ``<cls>`` and ``<eos>``, (0, width) without them.
    positions
        (longest sequence, width) position embeddings, the embedding of token type 0 added.
    norm, blocks
        The layer norm of the embeddings, and the attention blocks.
    """

    def __init__(
        self, words: Tensor, special: Tensor, positions: Tensor, norm: nn.LayerNorm, blocks: list[AttentionBlock]
    ) -> None:
        super().__init__()
        self.words, self.special, self.positions = (nn.Parameter(part) for part in (words, special, positions))
        self.norm, self.blocks = norm, nn.ModuleList(blocks)

    def forward(self, point: Tensor, tokens: Tensor) -> Tensor:
        """Embed word embeddings: (rows, tokens, width) and (rows, tokens) -> (rows, width); zero without tokens."""
        present = tokens >= 0
        number = present.sum(1, keepdim=True)
        words = point * present[..., None]
        is_read, is_gene = present, present
        if len(self.special):
            words = functional.pad(words, (0, 0, 1, 1))
            place = torch.arange(words.shape[1], device=words.device)
            words = words + (place == 0)[:, None] * self.special[0]
            words = words + (place == number + 1)[..., None] * self.special[1]
            is_read, is_gene = place <= number + 1, (place >= 1) & (place <= number)
        x = self.norm(words + self.positions[: words.shape[1]])
        mask = attention_mask(is_read, x.dtype)
        for block in self.blocks:
            x = block(x, mask)
        return torch.as_tensor((x * is_gene[..., None]).sum(1) / number.clamp(min=1))


class GeneformerEncoder(Encoder):
    """A Geneformer network with its dictionaries; it needs counts, since ranks are its only view of amounts.

    The embedding is the mean of the gene tokens, special tokens left out, and zero for a cell without genes.

    Parameters
    ----------
    name
        What the model is called.
    genes
        Its gene tokens.
    medians
        (genes,) median of each gene over the training corpus.
    network
        The network, whose blocks end at the layer that is read.
    baseline_word
        (width,) where the path starts; `None` is zero.
    fingerprint
        Hash of weights, gene table and preprocessing.
    """

    accepts = frozenset({"counts"})
    reads_expressed_genes = True
    module: GeneformerNetwork

    def __init__(
        self,
        name: str,
        genes: GeneVocabulary,
        medians: np.ndarray,
        network: GeneformerNetwork,
        *,
        baseline_word: Tensor | None,
        fingerprint: str,
    ) -> None:
        self.name, self.genes, self.medians = name, genes, medians
        self.baseline_word = baseline_word
        self.fingerprint = fingerprint
        self.module = network.eval().requires_grad_(False)

    @property
    def max_genes(self) -> int:
        """Genes of a cell that are read, the highest ranks."""
        return len(self.module.positions) - len(self.module.special)

    def prepare(self, cells: Cells) -> Inputs:
        """Rank each cell's genes by count over median; the cell's total scales all alike and cannot change ranks."""
        self.check_space(cells.space)
        matrix = cells.matrix
        scaled = matrix.data.astype(np.float64) / self.medians[matrix.indices]
        ranks = csr_matrix((scaled, matrix.indices, matrix.indptr), shape=matrix.shape)
        return Inputs(matrix, {"tokens": rank_columns(ranks, self.max_genes)})

    def path(self, inputs: Inputs, baseline: Inputs | None) -> StraightPath:
        """Move the word embeddings of the gene tokens, all from the same one."""
        if baseline is not None:
            raise InputError(
                f"{self.name} moves the word embeddings of a cell's own genes, and found a baseline profile. Leave the "
                "baseline out, or load the model with load_geneformer(path, baseline_token='<pad>')."
            )
        tokens = trimmed(inputs.context["tokens"])
        present = (tokens >= 0)[..., None]
        end = self.module.words[tokens.clamp(min=0)] * present
        start = torch.zeros_like(end) if self.baseline_word is None else self.baseline_word * present
        return StraightPath(start, end, {"tokens": tokens})

    def forward(self, point: Tensor, context: Context) -> Tensor:
        """Embed word embeddings: (rows, tokens, width) -> (rows, width)."""
        return torch.as_tensor(self.module(point, context["tokens"]))

    def to_genes(self, attribution: Tensor, context: Context) -> Tensor:
        """Sum over the width of each word, and put it at the word's gene."""
        return tokens_to_genes(attribution.sum(-1), context["tokens"], len(self.genes))


def load_geneformer(path: str | Path, *, layer: int = -2, baseline_token: str | None = None) -> GeneformerEncoder:
    """Load a Geneformer directory: a Hugging Face BERT with its token and median dictionaries as JSON.

    ``gene_name_id_dict.json`` beside them adds gene symbols. Names may go on after the stem, as in
    ``token_dictionary_gc104M.json``.

    Parameters
    ----------
    path
        The directory.
    layer
        Hidden layer that is averaged: -2 is the second to last, which Geneformer's own extractor reads unless told
        otherwise; -1 is the last.
    baseline_token
        Token, e.g. ``"<pad>"``, from whose word embedding the path starts; `None` starts from zero.

    Raises
    ------
    ModelFormatError
        A file or tensor is missing, or files disagree.
    UnsafeCheckpoint
        The dictionaries are pickles, or the weights hold more than tensors.
    InputError
        There is no such layer or token.
    """
    path = Path(path)
    config, weights = read_json(path / "config.json"), _weights(path)
    files = GeneformerFiles.read(path)
    tokens = files.tokens
    words = weights.tensor("embeddings.word_embeddings.weight", -1, -1)
    if max(tokens.values()) >= len(words):
        raise ModelFormatError(
            f"{weights.source} has {len(words):,} word embeddings, and the token dictionary goes up to "
            f"{max(tokens.values()):,}. Take both from the same release."
        )
    if baseline_token is not None and baseline_token not in tokens:
        found = [name for name in tokens if name.startswith("<")]
        raise InputError(f"There is no token {baseline_token!r} to start from; special tokens are {found}.")
    blocks = _blocks(weights, config, words.shape[1], path / "config.json")
    if not -len(blocks) <= layer <= -1:
        raise InputError(f"layer must lie between {-len(blocks)} and -1, found {layer}.")
    network = GeneformerNetwork(
        words[[tokens[name] for name in files.names]],
        words[[tokens[name] for name in files.special]],
        _positions(weights, config, words.shape[1]),
        weights.norm("embeddings.LayerNorm", words.shape[1], _eps(config)),
        blocks[: len(blocks) + 1 + layer],
    )
    facts = f"heads={blocks[0].heads},act={config.get('hidden_act', 'gelu')},eps={_eps(config)},layer={layer}"
    preprocessing = f"geneformer:median,rank,{facts},special={len(files.special)},from={baseline_token}"
    state = {**network.state_dict(), "medians": torch.from_numpy(files.medians)}
    return GeneformerEncoder(
        path.resolve().name,
        files.genes,
        files.medians,
        network,
        baseline_word=None if baseline_token is None else words[tokens[baseline_token]],
        fingerprint=fingerprint(state, files.genes, preprocessing),
    )


def _weights(path: Path) -> Weights:
    """Tensors of the encoder, with the prefix of a model with a head taken off."""
    source = next((path / name for name in _WEIGHTS if (path / name).is_file()), path / _WEIGHTS[0])
    if source.suffix == ".bin" or not source.is_file():
        state = read_torch(source)
    else:
        try:
            state = load_file(source)
        except (OSError, SafetensorError) as error:
            raise ModelFormatError(f"{source} is not a readable safetensors file ({error}). Copy it again.") from error
    return Weights({str(key).removeprefix("bert."): tensor for key, tensor in state.items()}, source)


def _eps(config: dict[str, Any]) -> float:
    eps = config.get("layer_norm_eps", 1e-12)
    if not isinstance(eps, float) or not 0 < eps < 1:
        raise ModelFormatError(f"config.json: layer_norm_eps should be a small positive number, found {eps!r}.")
    return eps


def _blocks(weights: Weights, config: dict[str, Any], width: int, source: Path) -> list[AttentionBlock]:
    heads, activation = config.get("num_attention_heads"), str(config.get("hidden_act", "gelu"))
    if config.get("model_type", "bert") != "bert" or config.get("position_embedding_type", "absolute") != "absolute":
        raise ModelFormatError(f"{source} should describe a BERT with absolute positions, found {config}.")
    if not isinstance(heads, int) or heads < 1 or width % heads:
        raise ModelFormatError(f"{source}: num_attention_heads should divide the width {width}, found {heads!r}.")
    if activation not in _ACTIVATIONS:
        raise ModelFormatError(f"{source}: hidden_act should be one of {sorted(_ACTIVATIONS)}, found {activation!r}.")
    blocks, eps = [], _eps(config)
    for i in range(weights.n_layers(r"encoder\.layer\.(\d+)\.")):
        key = f"encoder.layer.{i}"
        parts = [weights.linear(f"{key}.attention.self.{part}", width, width) for part in ("query", "key", "value")]
        up = weights.linear(f"{key}.intermediate.dense", -1, width)
        norms = [weights.norm(f"{key}.{part}.LayerNorm", width, eps) for part in ("attention.output", "output")]
        blocks.append(
            AttentionBlock(
                mix=affine(torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts])),
                out=weights.linear(f"{key}.attention.output.dense", width, width),
                up=up,
                down=weights.linear(f"{key}.output.dense", width, up.out_features),
                norms=(norms[0], norms[1]),
                heads=heads,
                activation=_ACTIVATIONS[activation],
            )
        )
    return blocks


def _positions(weights: Weights, config: dict[str, Any], width: int) -> Tensor:
    positions = weights.tensor("embeddings.position_embeddings.weight", -1, width)
    longest = config.get("max_position_embeddings", len(positions))
    if longest != len(positions):
        raise ModelFormatError(
            f"{weights.source} has {len(positions):,} positions, config.json max_position_embeddings={longest!r}. "
            "Take both from the same release."
        )
    return positions + weights.tensor("embeddings.token_type_embeddings.weight", -1, width)[0]
