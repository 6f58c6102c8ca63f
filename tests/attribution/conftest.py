"""Encoders of every kind that is attributed, and cells for them."""

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from scipy.sparse import csr_matrix
from torch import nn

from insignia.genes import GeneVocabulary
from insignia.models import MLPEncoder, fakes, fit_pca
from insignia.models.scimilarity import SCimilarityNetwork, encoder_from_network

N_GENES = 60
NAMES = [f"GENE{i}" for i in range(N_GENES)]


def make_cells(n_cells=12, seed=0, n_genes=N_GENES):
    """Sparse counts with one empty cell at the end."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(0.5, 2.0, size=(n_cells, n_genes))).astype(np.float32)
    counts[-1] = 0
    return AnnData(
        csr_matrix(counts),
        obs=pd.DataFrame(index=[f"c{i}" for i in range(n_cells)]),
        var=pd.DataFrame(index=NAMES[:n_genes]),
    )


def scimilarity_look_alike(hidden=(32, 24, 16), *, gain=None):
    return encoder_from_network("scimilarity", vocabulary(), scimilarity_network(hidden, gain=gain))


def scimilarity_network(hidden, *, gain=None):
    """With `gain`, weights that keep the signal alive through many layers; else those that torch starts with."""
    torch.manual_seed(0)
    network = SCimilarityNetwork(N_GENES, hidden, 12).eval()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm1d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
        if isinstance(part, nn.Linear) and gain:
            nn.init.kaiming_normal_(part.weight, a=0.25)
            part.weight.data *= gain
    return network


def smooth_network():
    """An affine first layer before a tanh, without normalisation."""
    torch.manual_seed(1)
    layers = [nn.Linear(N_GENES, 16), nn.Tanh(), nn.Linear(16, 8)]
    return MLPEncoder("smooth", vocabulary(), layers, is_normalised=False, fingerprint="smooth")


def vocabulary():
    return GeneVocabulary.from_names(NAMES, organism="human")


ENCODERS = {
    "linear": lambda: fakes.linear_encoder(vocabulary()),
    "token": lambda: fakes.TokenEncoder(vocabulary(), max_tokens=20),
    "scimilarity": scimilarity_look_alike,
    "deep": lambda: scimilarity_look_alike((64,) * 12, gain=0.8),
    "smooth": smooth_network,
    "pca": lambda: fit_pca(make_cells(40, seed=5), n_components=6),
}


@pytest.fixture(params=sorted(ENCODERS))
def encoder(request):
    return ENCODERS[request.param]()


@pytest.fixture
def cells():
    return make_cells()
