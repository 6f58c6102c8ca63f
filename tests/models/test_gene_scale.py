"""Genes of one spread in training: the scale is what numpy says, and folding it back changes no output."""

import numpy as np
import torch
from scipy.sparse import csr_matrix

from insignia.models.gene_scale import fold_scale, gene_scale, scaled_genes
from insignia.models.objectives import Autoencoder
from insignia.models.scimilarity import SCimilarityDecoder, SCimilarityNetwork


def cells():
    rng = np.random.default_rng(0)
    values = rng.gamma(2.0, 1.0, (300, 12)) * np.linspace(0.5, 4, 12) * (rng.random((300, 12)) < 0.6)
    values[:, 3] = 0.0
    return values.astype(np.float32)


def test_scale_is_the_standard_deviation_up_to_one_factor_that_keeps_the_mean_variance():
    values = cells()
    scale = gene_scale(csr_matrix(values))
    spread = np.delete(values.std(axis=0), 3)
    ratio = np.delete(scale, 3) / spread
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
    scaled = scaled_genes(csr_matrix(values), scale)
    np.testing.assert_allclose(scaled.toarray(), values / scale, rtol=1e-5)
    np.testing.assert_allclose(scaled.toarray().var(axis=0).mean(), values.var(axis=0).mean(), rtol=1e-3)


def test_a_gene_that_hardly_varies_is_not_blown_up():
    values = cells()
    values[:, 3] = 1e-4 * (np.arange(300) % 2)
    scaled = scaled_genes(csr_matrix(values), gene_scale(csr_matrix(values))).toarray()
    assert scaled[:, 3].std() < 0.01 * np.delete(scaled.std(axis=0), 3).min()


def test_cells_without_any_variance_keep_finite_scales():
    assert np.isfinite(gene_scale(csr_matrix((5, 4), dtype=np.float32))).all()


def test_folding_the_scale_back_leaves_embedding_and_reconstruction_as_they_were():
    values, torch_seed = cells(), 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed)
        network = Autoencoder(SCimilarityNetwork(12, (8, 6), 4), SCimilarityDecoder(12, (8, 6), 4)).eval()
    scale = gene_scale(csr_matrix(values))
    with torch.no_grad():
        embedding = network.encoder(torch.from_numpy(values / scale))
        rebuilt = network.decoder(embedding) * torch.from_numpy(scale)
        fold_scale(network, scale)
        torch.testing.assert_close(network.encoder(torch.from_numpy(values)), embedding, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(network.decoder(embedding), rebuilt, rtol=1e-4, atol=1e-5)
