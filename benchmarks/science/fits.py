"""What is fitted on a training study: means, weights of genes, and encoders, each made once."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch

from benchmarks.science.studies import TYPE, Study, type_means
from insignia import models
from insignia.models.embed import embed_cells
from insignia.models.scimilarity import SCimilarityNetwork, encoder_from_network

__all__ = ["COMPONENTS", "KINDS", "EncoderFit", "Fits"]

COMPONENTS: Final = 30
KINDS: Final[dict[str, dict[str, Any]]] = {
    "labelled": {"labels": TYPE},
    "unlabelled": {},
    "labelled, one spread": {"labels": TYPE, "standardise": True},
    "unlabelled, one spread": {"standardise": True},
    "labelled, more genes dropped": {"labels": TYPE, "input_dropout": 0.6},
    "labelled, triplets": {"labels": TYPE, "loss": "triplet"},
}
"""Options of `insignia.models.train`; "pca" and "untrained" are encoders too."""
_LEAST_SD: Final = 0.05


@dataclass(frozen=True, eq=False)
class EncoderFit:
    """An encoder, and where the training cells lie in its embedding.

    Parameters
    ----------
    encoder
        The encoder.
    mean
        (latent,) mean embedding of the training cells.
    centroids
        (types, latent) mean embedding of each training type, of length 1.
    """

    encoder: models.Encoder
    mean: np.ndarray
    centroids: np.ndarray


class Fits:
    """Everything that is fitted on one study; the cells to be scored must measure the same genes."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.types, self.type_means = type_means(study.logged, study.types)
        self._encoders: dict[tuple[str, int], EncoderFit] = {}

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean log-expression, (genes,)."""
        return np.asarray(self.study.logged.mean(axis=0))

    @cached_property
    def sd(self) -> np.ndarray:
        """Standard deviation of log-expression, (genes,), not below 0.05."""
        return np.maximum(self.study.logged.std(axis=0), _LEAST_SD)

    @cached_property
    def inverse_frequency(self) -> np.ndarray:
        """Log of cells over cells that express a gene, (genes,)."""
        expressed = (self.study.logged > 0).sum(axis=0)
        return np.asarray(np.log(len(self.study.logged) / (1.0 + expressed)).clip(min=0.0))

    @cached_property
    def specificity(self) -> np.ndarray:
        """Tau of Yanai et al. 2005 (doi:10.1093/bioinformatics/bti042) over the type means, (genes,), 0 to 1."""
        highest = np.maximum(self.type_means.max(axis=0), 1e-9)
        return np.asarray((1 - self.type_means / highest).sum(axis=0) / (len(self.types) - 1))

    @cached_property
    def contrasts(self) -> np.ndarray:
        """Mean of each type minus the mean over the other types, (types, genes)."""
        total = self.type_means.sum(axis=0)
        return np.asarray(self.type_means - (total - self.type_means) / (len(self.types) - 1))

    def nearest(self, study: Study) -> np.ndarray:
        """Training type whose mean, less the mean of all types, is most like each cell: (cells,) int."""
        centred = self.type_means - self.type_means.mean(axis=0)
        likeness = (study.logged - self.mean) @ (centred / np.linalg.norm(centred, axis=1, keepdims=True)).T
        return np.asarray(likeness.argmax(axis=1))

    def mean_profile(self, study: Study) -> np.ndarray:
        """Mean log-expression of the training cells, (genes,), in the space of another study's cells."""
        return self.mean if study.is_logged else np.expm1(self.mean)

    def encoder(self, kind: str, seed: int) -> EncoderFit:
        """Return an encoder by kind, trained on first use; PCA is the same for all seeds."""
        key = (kind, 0 if kind == "pca" else seed)
        if key not in self._encoders:
            encoder = self._train(*key)
            embedding = embed_cells(self.study.cells, encoder)
            _, centroids = type_means(embedding, self.study.types)
            centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
            self._encoders[key] = EncoderFit(encoder, embedding.mean(axis=0), centroids)
        return self._encoders[key]

    def _train(self, kind: str, seed: int) -> models.Encoder:
        cells = self.study.cells
        if kind == "pca":
            return models.fit_pca(cells, n_components=COMPONENTS)
        if kind == "untrained":
            genes = models.fit_pca(cells, n_components=2).genes
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                return encoder_from_network(kind, genes, SCimilarityNetwork(len(genes), (256, 256), 64).eval())
        return models.train(cells, **KINDS[kind], rng=seed, name=kind, device="cpu", show_progress=False)
