"""What training stacks teach of how descriptions are read: a linear model of gene programs, solved in closed form."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from insignia.spatial.contract import StackSpots
from insignia.spatial.covariance import SPACE_SHAPES, ImageCovariance, Shape, SpaceCovariance
from insignia.spatial.fading import Fading
from insignia.spatial.gaussian_fields import Mixture, choose_mixture, tiles
from insignia.spatial.program_model import ModelOptions
from insignia.spatial.programs import Programs

__all__ = ["LINEAR", "ReadOut", "judge_sources", "learn_readout"]

LINEAR: Final = Shape("linear")

# weights are judged on so many blocks of tissue, spread over all stacks; the effects are solved on all
_MOST_JUDGED: Final = 8
_NO_FADING: Final = Fading(0.0, 0.0, 1.0, "prior")


@dataclass(frozen=True, eq=False)
class ReadOut:
    """Effects of columns on gene programs.

    Parameters
    ----------
    programs
        Of the training stacks.
    effects
        (columns, programs).
    doubt
        (kinds, columns, columns) covariance of the effects, in units of the noise; programs of equal weights share one.
    kind
        (programs,) which of them is whose.
    noise
        (programs,) variance of the noise.
    spread
        (genes,) variance over the known spots.
    length
        Root mean square length of the expected scores of the known spots.
    """

    programs: Programs
    effects: np.ndarray
    doubt: np.ndarray
    kind: np.ndarray
    noise: np.ndarray
    spread: np.ndarray
    length: float

    def scores(self, columns: np.ndarray) -> np.ndarray:
        """Return (spots, programs) expected of (spots, columns)."""
        return np.asarray(columns @ self.effects)

    def genes(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (spots, genes) expected deviations from the mean, and (spots, genes) variances."""
        doubt = np.stack([((columns @ one) * columns).sum(axis=1) for one in self.doubt], axis=1)[:, self.kind]
        variance = self.programs.gene_variance(self.noise * (1.0 + doubt)) + self.programs.rest
        return self.programs.genes(self.scores(columns)), variance


def judge_sources(
    spots: StackSpots, blocks: Sequence[np.ndarray], programs: Programs, shapes: Sequence[Shape]
) -> tuple[Mixture, Shape]:
    """Choose how much place and image explain of each program, and how the place does, by marginal likelihood.

    Parameters
    ----------
    spots
        Stacks, merged; features are what is read.
    blocks
        Rows of known spots of one section each.
    programs
        Whose weights are wanted.
    shapes
        Covariance functions of the place to choose from.
    """
    judged = [blocks[i] for i in np.unique(np.linspace(0, len(blocks) - 1, _MOST_JUDGED).astype(int))]
    mixture = choose_mixture(
        [[SpaceCovariance(spots, shape, _NO_FADING) for shape in shapes], [ImageCovariance(spots, LINEAR)]],
        [(rows, programs.scores(spots.expression[rows])) for rows in judged],
    )
    return mixture, shapes[mixture.choice[0]]


def learn_readout(spots: StackSpots, columns: np.ndarray, options: ModelOptions) -> ReadOut:
    """Learn it from the known spots of merged stacks that have features.

    Each section has a smooth field of its own, so that what lies in the place is not put down to the image.

    Parameters
    ----------
    spots
        The stacks, merged so that no two sections are matched, with `columns` as features.
    columns
        (spots, columns) float64 of a mean square length of about 1.
    options
        Sizes.
    """
    blocks = section_blocks(spots, np.isfinite(columns).all(axis=1), options.block_spots)
    known = np.concatenate(blocks)
    programs = Programs.of(spots.expression[known], options.n_programs)
    mixture, shape = judge_sources(spots, blocks, programs, SPACE_SHAPES[:3])
    place = SpaceCovariance(spots, shape, _NO_FADING)
    kinds, kind = np.unique(mixture.weights, axis=0, return_inverse=True)
    effects, doubt = np.zeros((columns.shape[1], len(mixture.noise))), np.zeros((len(kinds), *2 * columns.shape[1:]))
    for of_place in np.unique(kinds[:, 0]):
        gram, outcome = _normal_equations(spots, columns, blocks, programs, place, float(of_place))
        for number in np.flatnonzero((kinds[:, 0] == of_place) & (kinds[:, 1] > 0)):
            solved = cho_factor(gram + np.eye(len(gram)) / kinds[number, 1], lower=True)
            which = kind.ravel() == number
            effects[:, which] = cho_solve(solved, outcome[:, which])
            doubt[number] = cho_solve(solved, np.eye(len(gram)))
    expected = columns[known] @ effects
    return ReadOut(
        programs,
        effects,
        doubt,
        kind.ravel(),
        mixture.noise,
        spread=spots.expression[known].var(axis=0, dtype=np.float64),
        length=float(np.sqrt((expected**2).sum(axis=1).mean())) or 1.0,
    )


def section_blocks(spots: StackSpots, usable: np.ndarray, most: int) -> list[np.ndarray]:
    """Cut the known spots that are usable, (spots,) bool, into blocks of one section each and of at most `most`."""
    found: list[np.ndarray] = []
    for section in np.unique(spots.section[spots.is_known & usable]):
        rows = np.flatnonzero(spots.is_known & usable & (spots.section == section))
        rows = rows[np.lexsort(spots.xyz_um[rows].T)]
        found += [block for block, _ in tiles(spots.xyz_um[:, :2], rows, most)]
    return found


def _normal_equations(
    spots: StackSpots,
    columns: np.ndarray,
    blocks: Sequence[np.ndarray],
    programs: Programs,
    place: SpaceCovariance,
    weight: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (columns, columns) and (columns, programs), with the field of each block integrated out."""
    gram, outcome = np.zeros(2 * columns.shape[1:]), np.zeros((columns.shape[1], len(programs.loadings.T)))
    for rows in blocks:
        design, values = columns[rows], programs.scores(spots.expression[rows])
        solved = cho_factor(np.eye(len(rows)) + weight * place(rows, rows), lower=True)
        gram += design.T @ cho_solve(solved, design)
        outcome += design.T @ cho_solve(solved, values)
    return gram, outcome
