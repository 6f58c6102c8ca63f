"""Random networks in the published shapes of the families, and cells for them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from scipy.sparse import csr_matrix
from torch import nn
from torch.nn import functional

from insignia.genes import GeneVocabulary
from insignia.models import Encoder, MLPEncoder
from insignia.models.geneformer import GeneformerEncoder, GeneformerNetwork
from insignia.models.scfoundation import SCFoundationEncoder
from insignia.models.scfoundation_network import Amounts, SCFoundationNetwork
from insignia.models.scgpt import ScGPTEncoder, ScGPTNetwork
from insignia.models.scimilarity import SCimilarityNetwork, encoder_from_network
from insignia.models.transformer import AttentionBlock

__all__ = ["SHAPES", "Shape", "cells"]


@dataclass(frozen=True)
class Shape:
    """A family's network.

    Parameters
    ----------
    make
        Makes it with random weights, from its genes.
    network
        Its sizes, in words.
    genes, expressed
        How many genes it knows, and how many of them a cell expresses.
    is_token
        Whether it is a transformer over tokens, of which cells take seconds.
    """

    make: Callable[[GeneVocabulary], Encoder]
    network: str
    genes: int
    expressed: int
    is_token: bool = False

    def encoder(self) -> Encoder:
        """Make the network, always the same."""
        torch.manual_seed(0)
        return self.make(GeneVocabulary.from_names(names(self), organism="human"))


def names(shape: Shape) -> list[str]:
    """Names of the genes."""
    return [f"GENE{i}" for i in range(shape.genes)]


def cells(shape: Shape, n: int) -> AnnData:
    """Draw counts."""
    rng = np.random.default_rng(0)
    places = np.concatenate([np.sort(rng.choice(shape.genes, shape.expressed, replace=False)) for _ in range(n)])
    counts = rng.geometric(0.4, size=len(places)).astype(np.float32)
    matrix = csr_matrix((counts, places, np.arange(n + 1) * shape.expressed), shape=(n, shape.genes))
    return AnnData(matrix, obs=pd.DataFrame(index=[f"c{i}" for i in range(n)]), var=pd.DataFrame(index=names(shape)))


def _plain(widths: tuple[int, ...], activation: type[nn.Module], genes: GeneVocabulary) -> Encoder:
    layers: list[nn.Module] = []
    for size_in, size_out in pairwise((len(genes), *widths)):
        layers += [nn.Linear(size_in, size_out), activation()]
    return MLPEncoder("benchmark", genes, layers[:-1], is_normalised=False, fingerprint="benchmark")


def _scimilarity(widths: tuple[int, ...], genes: GeneVocabulary) -> Encoder:
    """Make the network with batch norms of non-trivial statistics, folded as when loaded."""
    module = SCimilarityNetwork(len(genes), widths[:-1], widths[-1]).eval().requires_grad_(False)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2.0)
    return encoder_from_network("benchmark", genes, module)


def _blocks(width: int, layers: int, heads: int, times: int, activation: Callable[..., object]) -> list[AttentionBlock]:
    return [
        AttentionBlock(
            mix=nn.Linear(width, 3 * width),
            out=nn.Linear(width, width),
            up=nn.Linear(width, times * width),
            down=nn.Linear(times * width, width),
            norms=(nn.LayerNorm(width), nn.LayerNorm(width)),
            heads=heads,
            activation=activation,
        )
        for _ in range(layers)
    ]


def _scfoundation(width: int, layers: int, heads: int, genes: GeneVocabulary) -> Encoder:
    amounts = Amounts(nn.Linear(1, 100), nn.Linear(100, 100), torch.randn(100, width), 1.0)
    blocks = _blocks(width, layers, heads, 4, functional.relu)
    network = SCFoundationNetwork(amounts, 0.5 * torch.randn(len(genes) + 3, width), blocks, nn.LayerNorm(width))
    return SCFoundationEncoder("benchmark", genes, network)


def _geneformer(width: int, layers: int, heads: int, genes: GeneVocabulary) -> Encoder:
    words, positions = 0.5 * torch.randn(len(genes), width), 0.5 * torch.randn(2048, width)
    blocks = _blocks(width, layers, heads, 2, functional.relu)
    network = GeneformerNetwork(words, torch.zeros(0, width), positions, nn.LayerNorm(width), blocks)
    medians = np.random.default_rng(1).uniform(0.5, 5, len(genes))
    return GeneformerEncoder("benchmark", genes, medians, network, baseline_word=None, fingerprint="benchmark")


def _scgpt(width: int, layers: int, heads: int, genes: GeneVocabulary) -> Encoder:
    value_layers = nn.Sequential(nn.Linear(1, width), nn.ReLU(), nn.Linear(width, width), nn.LayerNorm(width))
    # kinks spread over the values, whose slopes would otherwise drown in the layer norm
    value_layers[0].weight.data *= 0.1
    blocks = _blocks(width, layers, heads, 1, functional.relu)
    words = torch.randn(len(genes) + 1, width)
    network = ScGPTNetwork(words, nn.LayerNorm(width), value_layers, blocks, cls_value=-2.0)
    return ScGPTEncoder("benchmark", genes, network, n_bins=51, max_genes=1199, fingerprint="benchmark")


SHAPES = {
    "scimilarity": Shape(
        partial(_scimilarity, (1024, 1024, 128)), "28,231-1024-1024-128, PReLU, normalised", 28_231, 1_700
    ),
    "ssl_sctab": Shape(
        partial(_plain, (512, 512, 256, 256, 64), nn.SELU), "19,331-512-512-256-256-64, SELU", 19_331, 1_500
    ),
    "scvi": Shape(partial(_plain, (512, 512, 50), nn.ReLU), "8,000-512-512-50, ReLU", 8_000, 900),
    "pca": Shape(partial(_plain, (50,), nn.Identity), "28,231-50", 28_231, 1_700),
    # a quarter of the published width and depth, and cells of few genes: full size takes minutes a cell on one thread
    "scfoundation": Shape(
        partial(_scfoundation, 192, 3, 3), "19,264 genes, 3 layers of 192 (published: 12 of 768)", 19_264, 250, True
    ),
    "geneformer": Shape(
        partial(_geneformer, 128, 3, 2), "25,424 genes, 3 layers of 128 (published V1: 6 of 256)", 25_424, 250, True
    ),
    "scgpt": Shape(
        partial(_scgpt, 128, 3, 4), "60,694 genes, 3 layers of 128 (published: 12 of 512)", 60_694, 250, True
    ),
}
