"""Predictions of known spots made while they were hidden: the ground of every figure about an imputer's quality."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from insignia.spatial.blocks import block_masks, section_masks
from insignia.spatial.contract import Imputer, StackSpots
from insignia.spatial.known import mean_and_sd, support_and_distance
from insignia.stats import column_correlation, mse_skill

__all__ = ["LeftOut", "hidden_masks", "judge", "leave_donors_out", "leave_out"]


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


def leave_donors_out(imputer: Imputer, training: Sequence[StackSpots], *, seed: int = 0) -> LeftOut | None:
    """Hide each of several training stacks whole and predict it from the others; `None` with fewer than two.

    Rows count through the known spots of the stacks, one stack after the other.
    """
    if len(training) < 2:
        return None
    places = [np.flatnonzero(stack.is_known) for stack in training]
    sizes, profiles, guesses = [len(rows) for rows in places], [], []
    for number, stack in enumerate(training):
        others = [other for position, other in enumerate(training) if position != number]
        hidden = stack.hide(stack.is_known)
        profiles.append(mean_and_sd(hidden, others)[0].astype(np.float32))
        guesses.append(imputer.impute(hidden, training=others, seed=seed))
    donor = np.repeat(np.arange(len(training)), sizes)
    sections = np.concatenate([stack.section[rows] for stack, rows in zip(training, places, strict=True)])
    return LeftOut(
        rows=np.arange(sum(sizes)),
        fold=donor,
        truth=np.concatenate([s.expression[rows] for s, rows in zip(training, places, strict=True)]).astype(np.float64),
        mean=np.concatenate([g.mean[rows] for g, rows in zip(guesses, places, strict=True)]).astype(np.float64),
        sd=np.concatenate([g.sd[rows] for g, rows in zip(guesses, places, strict=True)]).astype(np.float64),
        profile=np.stack(profiles).astype(np.float64),
        support=np.zeros(sum(sizes)),
        section=np.unique(np.column_stack([donor, sections]), axis=0, return_inverse=True)[1].ravel(),
    )


def judge(imputer: Imputer, spots: StackSpots, *, training: Sequence[StackSpots] = (), seed: int = 0) -> LeftOut | None:
    """Predict known spots while they are hidden; without known spots, training stacks while they are hidden whole."""
    if not spots.is_known.any():
        return leave_donors_out(imputer, training, seed=seed)
    return leave_out(imputer, spots, hidden_masks(spots), training=training, seed=seed)


def hidden_masks(spots: StackSpots) -> list[np.ndarray]:
    """Return what the runner hides to judge an imputer: single spots, blocks of 3 x 3, and each of several sections.

    Together they cover the support that spots of other sections have.
    """
    return [
        *block_masks(spots, side_pitches=1.0),
        *block_masks(spots, side_pitches=3.0),
        *section_masks(spots),
    ]
