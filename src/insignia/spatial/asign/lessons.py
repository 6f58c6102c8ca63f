"""What ASIGN is taught on: one measured section predicts the others, or what is around a block predicts the block."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from insignia.spatial.asign.objective import Episode, Lesson
from insignia.spatial.blocks import block_masks
from insignia.spatial.contract import StackSpots

__all__ = ["LessonOptions", "learnt_rows", "split_episodes"]

_FOLDS = 5


@dataclass(frozen=True)
class LessonOptions:
    """What is hidden, and of how many spots.

    Parameters
    ----------
    block_sides_pitches
        Where one section is known, sides of the blocks that are hidden in it.
    kept_side_pitches
        Side of the squares of tissue that are kept apart to decide when to stop.
    most_known
        Known spots of a stack that are learnt from; of more, a round patch through all sections is taken.
    most_hidden
        So many hidden spots are predicted at a time.
    """

    block_sides_pitches: tuple[float, ...] = (2.0, 3.0, 4.0)
    kept_side_pitches: float = 4.0
    most_known: int = 2000
    most_hidden: int = 500


def learnt_rows(spots: StackSpots, usable: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return the known rows that are usable, (spots,) bool; of more than `most`, a round patch."""
    known = np.flatnonzero(spots.is_known & usable)
    if len(known) <= most:
        return known
    far = np.hypot(*(spots.xyz_um[known, :2] - spots.xyz_um[rng.choice(known), :2]).T)
    return np.sort(known[np.argsort(far, kind="stable")[:most]])


def split_episodes(
    spots: StackSpots, lesson: Lesson, options: LessonOptions, fold: int, rng: np.random.Generator
) -> tuple[list[Episode], list[Episode]]:
    """Return what a network is taught, and what is kept to decide when it stops.

    Squares of tissue are kept through all sections, other ones for each `fold`; their expression is not seen in
    training.
    """
    rows = lesson.rows.numpy()
    kept = _squares(spots, rows, options.kept_side_pitches) == fold % _FOLDS
    hide = _Hiding(lesson, options.most_hidden, rng)
    training = [hide(*part) for part in _parts(spots, rows, options, ~kept)]
    validation = [hide(seen & ~kept, kept) for seen, _ in _sections(spots, rows)]
    return [e for e in training if e is not None], [e for e in validation if e is not None]


@dataclass(frozen=True)
class _Hiding:
    """Makes episodes from which of the rows are visible and which are hidden; `None` where too few are either."""

    lesson: Lesson
    most_hidden: int
    rng: np.random.Generator

    def __call__(self, visible: np.ndarray, hidden: np.ndarray) -> Episode | None:
        rows = np.flatnonzero(hidden)
        if len(rows) > self.most_hidden:
            rows = np.sort(self.rng.choice(rows, self.most_hidden, replace=False))
        if visible.sum() < 3 or len(rows) < 3:
            return None
        return Episode(self.lesson, torch.from_numpy(np.flatnonzero(visible)), torch.from_numpy(rows))


def _parts(
    spots: StackSpots, rows: np.ndarray, options: LessonOptions, usable: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield which of the rows are visible, and which are hidden."""
    sections = _sections(spots, rows)
    if len(sections) > 1:
        for visible, hidden in sections:
            yield visible & usable, hidden & usable
        return
    inside = spots.hide(~np.isin(np.arange(len(spots)), rows[usable]))
    for side in options.block_sides_pitches:
        for mask in block_masks(inside, side_pitches=side):
            yield usable & ~mask[rows], usable & mask[rows]


def _sections(spots: StackSpots, rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each section as the visible one, with all others hidden."""
    section = spots.section[rows]
    return [(section == number, section != number) for number in np.unique(section)]


def _squares(spots: StackSpots, rows: np.ndarray, side: float) -> np.ndarray:
    """Fold of the square of tissue that each row lies in, the same through all sections."""
    points = spots.xyz_um[rows, :2] / (side * spots.pitch_um)
    column, row = np.floor(points - points.min(axis=0)).astype(int).T
    return np.asarray((column + 2 * row) % _FOLDS)
