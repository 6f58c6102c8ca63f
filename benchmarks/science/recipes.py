"""Ways to attribute a cell: what is explained, where the path starts, and what is kept of the sign."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from benchmarks.science.fits import EncoderFit, Fits
from benchmarks.science.studies import Study
from insignia.attribution import Contrast, attribute
from insignia.attribution.contract import Target
from insignia.attribution.embedding_targets import SelfWeighted
from insignia.core import keys
from insignia.models.embed import embed_cells

__all__ = ["Recipe", "attributed"]


@dataclass(frozen=True)
class Recipe:
    """How cells are attributed with an encoder.

    Parameters
    ----------
    encoder
        Which one; see `insignia.models.train` and `benchmarks.science.fits.KINDS`.
    target
        ``"self"``: the cell's own embedding. ``"centred"``: that minus the mean of the training cells.
        ``"contrast"``: the training type that is nearest, against the mean of the others.
    baseline
        ``"zero"``, or ``"mean"``: the mean profile of the training cells.
    sign
        ``"absolute"`` or ``"positive"``: what is kept of signed attributions.
    expressed
        Keep only genes that the cell expresses. From the zero cell that changes nothing.
    n_encoders
        Attributions are averaged over so many seeds, sign included.
    """

    encoder: str
    target: Literal["self", "centred", "contrast"] = "self"
    baseline: Literal["zero", "mean"] = "zero"
    sign: Literal["absolute", "positive"] = "absolute"
    expressed: bool = True
    n_encoders: int = 1

    def __str__(self) -> str:
        parts = [self.target, f"from {self.baseline}", self.sign]
        if self.baseline == "mean":
            parts.append("expressed genes" if self.expressed else "all genes")
        if self.n_encoders > 1:
            parts.append(f"{self.n_encoders} encoders")
        return ", ".join(parts)


def attributed(recipe: Recipe, fits: Fits, study: Study, seed: int) -> np.ndarray:
    """Attribute a study by a recipe: (cells, genes), not negative."""
    seeds = range(seed * recipe.n_encoders, (seed + 1) * recipe.n_encoders)
    signed = np.mean([_signed(recipe, fits, fits.encoder(recipe.encoder, one), study) for one in seeds], axis=0)
    kept = np.abs(signed) if recipe.sign == "absolute" else np.clip(signed, 0.0, None)
    # the path from a mean profile also credits a cell with every gene that it lacks
    return np.asarray(kept * (study.logged > 0) if recipe.expressed else kept)


def _signed(recipe: Recipe, fits: Fits, fitted: EncoderFit, study: Study) -> np.ndarray:
    baseline = fits.mean_profile(study) if recipe.baseline == "mean" else None
    if recipe.target != "contrast":
        target: str | Target = _Centred(fitted.mean) if recipe.target == "centred" else "self"
        return _attribution(study, fitted, target, baseline)
    nearest = (embed_cells(study.cells, fitted.encoder) @ fitted.centroids.T).argmax(axis=1)
    values = np.zeros(study.cells.shape, dtype=np.float32)
    for kind in np.unique(nearest):
        here = nearest == kind
        others = np.delete(fitted.centroids, kind, axis=0).mean(axis=0)
        values[here] = _attribution(study.where(here), fitted, Contrast(fitted.centroids[kind], others), baseline)
    return values


def _attribution(study: Study, fitted: EncoderFit, target: str | Target, baseline: np.ndarray | None) -> np.ndarray:
    """Signed integrated gradients, (cells, genes), rows scaled to 1,000."""
    made = attribute(
        study.cells,
        fitted.encoder,
        target=target,
        baseline=baseline,
        signed=True,
        device="cpu",
        copy=True,
        show_progress=False,
    )
    assert made is not None
    values: np.ndarray = made.layers[keys.ATTRIBUTION].toarray()
    return values


class _Centred(SelfWeighted):
    """``(f(x) - m) . f(x')`` with the mean embedding m of the training cells: what all cells share weighs nothing."""

    is_self = False

    def __init__(self, mean: np.ndarray) -> None:
        self.mean = mean.astype(np.float32)
        self.name = "self_centred"

    def weights(self, embedding: torch.Tensor) -> torch.Tensor:
        """Take the mean off the cell's own embedding."""
        return embedding - torch.from_numpy(self.mean).to(embedding)
