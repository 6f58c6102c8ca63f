"""Predictions of known spots made while they were hidden: the ground of every figure about an imputer's quality."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from insignia.spatial.contract import Imputer, StackSpots
from insignia.spatial.known import mean_and_sd, support_and_distance
from insignia.stats import column_correlation, mse_skill

__all__ = ["LeftOut", "leave_out"]


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Known spots as they were predicted while hidden, the folds below one another.

    Parameters
    ----------
    rows
        (predictions,) rows of the stack; a row stands once for each mask that hid it.
    fold
        (predictions,) number of the mask.
    truth
        (predictions, genes) measured.
    mean, sd
        (predictions, genes) predicted.
    profile
        (masks, genes) mean of what each mask left known: the constant to beat.
    support
        (predictions,) support by what was left.
    section
        (predictions,) section of each.
    """

    rows: np.ndarray
    fold: np.ndarray
    truth: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    profile: np.ndarray
    support: np.ndarray
    section: np.ndarray

    def gene_pcc(self) -> np.ndarray:
        """Correlation of each gene, (genes,), within sections and averaged over them; 0 for a constant prediction.

        Each fold's mean profile is taken off its predictions, since it is lower where the hidden spots are higher.
        """
        shown = self.mean - self.profile[self.fold]
        parts = [column_correlation(shown[rows], self.truth[rows]) for rows in self._by_section()]
        return np.asarray(np.nan_to_num(np.mean(parts, axis=0)))

    def gene_skill(self) -> np.ndarray:
        """``1 - MSE / MSE of the mean profile`` of each gene, (genes,); 0 where the gene does not vary."""
        return np.asarray(np.nan_to_num(mse_skill(self.mean, self.truth, self.profile[self.fold])[0]))

    def summary(self) -> dict[str, float]:
        """Mean square error, skill, mean correlation of the genes over spots, and of the spots over genes."""
        spot_pcc = column_correlation(self.mean.T, self.truth.T) if self.truth.shape[1] > 1 else np.zeros(1)
        return {
            "mse": float(((self.mean - self.truth) ** 2).mean()),
            "skill": mse_skill(self.mean, self.truth, self.profile[self.fold])[1],
            "gene_pcc": float(self.gene_pcc().mean()),
            "spot_pcc": float(np.nan_to_num(spot_pcc).mean()),
        }

    def _by_section(self) -> list[np.ndarray]:
        return [np.flatnonzero(self.section == section) for section in np.unique(self.section)]


def leave_out(
    imputer: Imputer,
    spots: StackSpots,
    masks: Sequence[np.ndarray],
    *,
    training: Sequence[StackSpots] = (),
    seed: int = 0,
) -> LeftOut | None:
    """Hide each mask in turn and predict it from the other known spots; `None` without masks.

    Spots that are not known take no part: they would cost time, and could only carry what known spots say.
    """
    if not masks:
        return None
    places = np.flatnonzero(spots.is_known)
    known = spots.take(places)
    rows = [np.flatnonzero(mask[places]) for mask in masks]
    left = [known.hide(mask[places]) for mask in masks]
    guesses = [imputer.impute(stack, training=training, seed=seed) for stack in left]
    every = np.concatenate(rows)
    return LeftOut(
        rows=places[every],
        fold=np.repeat(np.arange(len(masks)), [len(r) for r in rows]),
        truth=known.expression[every].astype(np.float64),
        mean=np.concatenate([g.mean[r] for g, r in zip(guesses, rows, strict=True)]).astype(np.float64),
        sd=np.concatenate([g.sd[r] for g, r in zip(guesses, rows, strict=True)]).astype(np.float64),
        # rounded as predictions are, so that a constant prediction is seen to be one
        profile=np.stack([mean_and_sd(stack)[0].astype(np.float32) for stack in left]).astype(np.float64),
        support=np.concatenate([support_and_distance(s, r)[0] for s, r in zip(left, rows, strict=True)]),
        section=known.section[every],
    )
