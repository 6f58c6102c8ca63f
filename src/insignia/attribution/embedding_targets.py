"""Scores of a cell's embedding whose change is attributed to genes."""

import numpy as np
import torch
from torch import Tensor

from insignia.attribution.contract import Target, targets
from insignia.core.errors import InputError, ModelError
from insignia.core.files import sha256_array
from insignia.models import Encoder

__all__ = ["Centroid", "Contrast", "Dimension", "Label", "SelfAbsolute", "SelfRaw", "SelfWeighted"]

_SOURCE = "doi:10.1101/2025.06.14.659567"


class SelfWeighted(Target):
    """``s(x') = sum_k w_k f_k(x')`` with ``w = f(x)``: how far the cell has come along its own embedding."""

    name = "self"
    is_self = True

    def weights(self, embedding: Tensor) -> Tensor:
        """Return the cell's own embedding."""
        return embedding

    def score(self, embedding: Tensor, weights: Tensor) -> Tensor:
        """Multiply row by row and add up."""
        return (embedding * weights).sum(1)


class SelfAbsolute(SelfWeighted):
    """``s(x') = sum_k |w_k f_k(x')|``, the target of the published SIGnature atlas; its kinks widen the gap."""

    name = "self_abs"
    is_linear = False

    def score(self, embedding: Tensor, weights: Tensor) -> Tensor:
        """Multiply row by row and add up the absolute products."""
        return (embedding * weights).abs().sum(1)


class SelfRaw(SelfWeighted):
    """The self-weighted target before normalisation: its gradient does not vanish at the cell."""

    name = "self_raw"
    is_raw = True


class Centroid(SelfWeighted):
    """``s(x') = c . f(x')``: how far the cell is on the way to a population with the mean embedding c.

    Parameters
    ----------
    vector
        (latent,) the centroid, or (cells, latent) embeddings to average.
    """

    is_self = False

    def __init__(self, vector: np.ndarray) -> None:
        vector = np.asarray(vector, dtype=np.float32)
        self.vector = vector.mean(axis=0) if vector.ndim == 2 else vector
        if self.vector.ndim != 1 or not np.isfinite(self.vector).all() or not self.vector.any():
            raise InputError(f"A centroid is one finite, non-zero vector or rows to average; found {vector.shape}.")
        self.name = f"{type(self).__name__.lower()}:{sha256_array(self.vector)[:16]}"

    def bind(self, encoder: Encoder) -> Target:
        """Refuse a centroid of another length than the embedding."""
        if encoder.latent != len(self.vector):
            raise InputError(
                f"The centroid has {len(self.vector)} dimensions and embeddings of {encoder.name} have "
                f"{encoder.latent}. Embed the population with the same model (ins.tl.embed)."
            )
        return self

    def weights(self, embedding: Tensor) -> Tensor:
        """Return the centroid for every cell."""
        return torch.from_numpy(self.vector).to(embedding).expand_as(embedding)


class Contrast(Centroid):
    """``s(x') = (a - b) . f(x')``: what moves the cell towards one population and away from another.

    Parameters
    ----------
    towards, against
        (latent,) centroids, or (cells, latent) embeddings to average.
    """

    def __init__(self, towards: np.ndarray, against: np.ndarray) -> None:
        super().__init__(Centroid(towards).vector - Centroid(against).vector)


class Dimension(Target):
    """``s(x') = f_k(x')``: one dimension of the embedding."""

    def __init__(self, k: int) -> None:
        self.k = k
        self.name = f"dim:{k}"

    def bind(self, encoder: Encoder) -> Target:
        """Refuse a dimension that the embedding does not have."""
        if not 0 <= self.k < encoder.latent:
            raise InputError(f"Embeddings of {encoder.name} have dimensions 0 to {encoder.latent - 1}, found {self.k}.")
        return self

    def weights(self, embedding: Tensor) -> Tensor:
        """Hold nothing."""
        return embedding[:, :0]

    def score(self, embedding: Tensor, weights: Tensor) -> Tensor:  # noqa: ARG002 - nothing is held
        """Take the dimension."""
        return embedding[:, self.k]


class Label(Target):
    """The logit of one label of a model that classifies cells."""

    is_raw = True
    is_linear = False

    def __init__(self, label: str) -> None:
        self.label = label
        self.name = f"label:{label}"
        self._encoder: Encoder | None = None

    def bind(self, encoder: Encoder) -> Target:
        """Refuse a model without this label."""
        if self.label not in encoder.labels:
            known = f"knows {', '.join(encoder.labels[:8])}" if encoder.labels else "does not classify cells"
            raise ModelError(f"{encoder.name} has no label {self.label!r}: it {known}.")
        bound = Label(self.label)
        bound._encoder = encoder
        return bound

    def weights(self, embedding: Tensor) -> Tensor:
        """Hold nothing."""
        return embedding[:, :0]

    def score(self, embedding: Tensor, weights: Tensor) -> Tensor:  # noqa: ARG002 - nothing is held
        """Take the label's logit."""
        assert self._encoder is not None
        # scores at the ends are read off in float64, and the classifier has the precision of its encoder
        logits = self._encoder.classify(embedding.to(self._encoder.dtype))
        return logits[:, self._encoder.labels.index(self.label)]


@targets.add("self", source=_SOURCE)
def _self(_: str) -> Target:
    return SelfWeighted()


@targets.add("self_abs", source=_SOURCE)
def _self_absolute(_: str) -> Target:
    return SelfAbsolute()


@targets.add("self_raw", source=_SOURCE)
def _self_raw(_: str) -> Target:
    return SelfRaw()


@targets.add("dim", source="one dimension of the embedding")
def _dimension(argument: str) -> Target:
    if not argument.isdecimal():
        raise InputError(f"Name the dimension, e.g. 'dim:0'; found 'dim:{argument}'.")
    return Dimension(int(argument))


@targets.add("label", source="logit of a classifier")
def _label(argument: str) -> Target:
    return Label(argument)
