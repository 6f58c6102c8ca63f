"""What an encoder learns from a user's own cells: cell types, or to fill in masked genes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional

from insignia.models.scimilarity import SCimilarityDecoder, SCimilarityNetwork

__all__ = ["Autoencoder", "LabelObjective", "MaskedObjective", "supervised_contrastive", "triplet"]


class Autoencoder(nn.Module):
    """Encoder and decoder, trained together."""

    def __init__(self, encoder: SCimilarityNetwork, decoder: SCimilarityDecoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder


def triplet(embedding: Tensor, labels: Tensor, *, margin: float) -> Tensor:
    """Triplet margin loss over all semi-hard triplets of a batch (Schroff et al. 2015, doi:10.1109/CVPR.2015.7298682).

    A triplet counts while its negative is not farther from the anchor than its positive by `margin` (cosine distance).
    """
    distance = 1 - embedding @ embedding.T
    same = labels[:, None] == labels[None, :]
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    violation = distance[:, :, None] - distance[:, None, :] + margin
    counted = positive[:, :, None] & ~same[:, None, :] & (violation > 0)
    return (violation * counted).sum() / counted.sum().clamp(min=1)


def supervised_contrastive(embedding: Tensor, labels: Tensor, *, temperature: float) -> Tensor:
    """Supervised contrastive loss, eq. 2 (`L_out`) of Khosla et al. 2020 (arXiv:2004.11362)."""
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    logits = (embedding @ embedding.T / temperature).masked_fill(itself, -torch.inf)
    positive = (labels[:, None] == labels[None, :]) & ~itself
    log_share = logits - logits.logsumexp(dim=1, keepdim=True)
    count = positive.sum(1)
    per_anchor = -log_share.masked_fill(~positive, 0.0).sum(1) / count.clamp(min=1)
    return per_anchor[count > 0].sum() / (count > 0).sum().clamp(min=1)


@dataclass
class _Cells:
    """Training and validation rows of one matrix, (cells, genes) CSR."""

    values: csr_matrix
    train: np.ndarray
    validation: np.ndarray
    batch_size: int
    device: torch.device

    def dense(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(self.values[rows].toarray()).to(self.device)

    def validation_batches(self) -> Iterator[np.ndarray]:
        for start in range(0, len(self.validation), self.batch_size):
            yield self.validation[start : start + self.batch_size]


@dataclass
class LabelObjective(_Cells):
    """Bring cells of one type together and others apart, and keep enough to reconstruct the cell.

    Batches draw cell types evenly, so that rare types count.
    """

    labels: np.ndarray
    reconstruction_weight: float
    loss_name: str

    def batches(self, generator: torch.Generator) -> Iterator[np.ndarray]:
        """Batches of rows, one epoch."""
        labels = self.labels[self.train]
        weights = torch.from_numpy(1.0 / np.bincount(labels)[labels])
        for _ in range(max(1, round(len(self.train) / self.batch_size))):
            yield self.train[torch.multinomial(weights, self.batch_size, replacement=True, generator=generator).numpy()]

    def loss(self, module: nn.Module, batch: np.ndarray, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """Label loss plus weighted reconstruction error of one batch."""
        assert isinstance(module, Autoencoder)
        x = self.dense(batch)
        embedding = module.encoder(x)
        rebuilt = functional.mse_loss(module.decoder(embedding), x)
        return self._label_loss(embedding, batch) + self.reconstruction_weight * rebuilt

    def validate(self, module: nn.Module) -> float:
        """Mean label loss over the validation rows."""
        assert isinstance(module, Autoencoder)
        losses = [float(self._label_loss(module.encoder(self.dense(rows)), rows)) for rows in self.validation_batches()]
        return float(np.mean(losses))

    def _label_loss(self, embedding: Tensor, rows: np.ndarray) -> Tensor:
        labels = torch.from_numpy(self.labels[rows]).to(self.device)
        if self.loss_name == "triplet":
            return triplet(embedding, labels, margin=0.2)
        return supervised_contrastive(embedding, labels, temperature=0.1)


@dataclass
class MaskedObjective(_Cells):
    """Hide a share of the genes and rebuild them from the embedding of the rest."""

    masked_share: float

    def batches(self, generator: torch.Generator) -> Iterator[np.ndarray]:
        """Batches of rows, one epoch, each row once."""
        order = self.train[torch.randperm(len(self.train), generator=generator).numpy()]
        for start in range(0, len(order) - 1, self.batch_size):
            yield order[start : start + self.batch_size]

    def loss(self, module: nn.Module, batch: np.ndarray, generator: torch.Generator) -> Tensor:
        """Squared error over the hidden genes of one batch."""
        return self._error(module, batch, generator)

    def validate(self, module: nn.Module) -> float:
        """Squared error over the validation rows, always with the same genes hidden."""
        generator = torch.Generator().manual_seed(0)
        return float(np.mean([float(self._error(module, rows, generator)) for rows in self.validation_batches()]))

    def _error(self, module: nn.Module, rows: np.ndarray, generator: torch.Generator) -> Tensor:
        assert isinstance(module, Autoencoder)
        x = self.dense(rows)
        # drawn on the host, so that equal seeds hide the same genes on every device
        hidden = (torch.rand(x.shape, generator=generator) < self.masked_share).to(self.device)
        rebuilt = module.decoder(module.encoder(x.masked_fill(hidden, 0.0)))
        error: Tensor = (rebuilt - x).square() * hidden
        return error.sum() / hidden.sum().clamp(min=1)
