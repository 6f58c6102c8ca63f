"""The world behind a simulated perturbation screen: gene programs, and what each perturbation does to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from insignia.core.errors import InputError
from insignia.data.condition import Condition, GenePerturbation

__all__ = ["ScreenOptions", "ScreenWorld"]

_HALF_DOSE: Final = 0.5
_PROGRAMS_HIT: Final = 3
_SYSTEMATIC_PROGRAMS: Final = (2, 3)


@dataclass(frozen=True)
class ScreenOptions:
    """Size and kind of a simulated screen.

    Parameters
    ----------
    n_genes, n_programs
        Measured genes, each in one program.
    n_perturbations, n_doubles
        Genes that are perturbed, and pairs of them.
    cells_per_condition, n_controls
        Cells of each condition, and of the control, in each context.
    interaction
        How far a pair falls short of the sum of its two: 0 is exactly additive.
    systematic
        What every perturbation does to two programs, so that the mean of all is no trivial guess.
    zero_effect
        Share of the perturbations that do nothing.
    escapers
        Share of perturbed cells that stay as controls are.
    n_contexts
        Cell contexts; effects and baselines differ between them.
    doses
        Doses at which single perturbations are measured.
    batch_sd
        Spread of a gene's log factor between two replicates.
    embedding_noise
        Noise of the embedding of the perturbed genes, whose signal has unit variance.
    depth, scale
        Mean counts of a cell, and the total to which they are scaled before the logarithm.
    """

    n_genes: int = 256
    n_programs: int = 16
    n_perturbations: int = 40
    n_doubles: int = 60
    cells_per_condition: int = 100
    n_controls: int = 600
    interaction: float = 1.0
    systematic: float = 0.5
    zero_effect: float = 0.0
    escapers: float = 0.2
    n_contexts: int = 1
    doses: tuple[float, ...] = (1.0,)
    batch_sd: float = 0.0
    embedding_noise: float = 0.3
    depth: float = 3000.0
    scale: float = 300.0

    def __post_init__(self) -> None:
        if self.n_genes < self.n_programs or self.n_programs <= max(_SYSTEMATIC_PROGRAMS):
            raise InputError(
                f"A screen needs at least {max(_SYSTEMATIC_PROGRAMS) + 1} programs and a gene for each; found "
                f"n_programs={self.n_programs} and n_genes={self.n_genes}."
            )
        pairs = self.n_perturbations * (self.n_perturbations - 1) // 2
        if self.n_perturbations < 1 or self.n_doubles > pairs:
            raise InputError(f"{self.n_perturbations} perturbations make {pairs} pairs; n_doubles={self.n_doubles}.")
        if min(self.cells_per_condition, self.n_controls, self.n_contexts) < 1 or not self.doses:
            raise InputError("A screen needs cells of every condition, controls, a context and a dose.")


@dataclass(frozen=True, eq=False)
class ScreenWorld:
    """What is true of a simulated screen.

    Parameters
    ----------
    options
        What was asked for.
    program
        (genes,) program of each gene.
    loadings
        (programs, genes) log change of each gene per unit of its program.
    baseline
        (contexts, genes) log level of unperturbed cells.
    gain
        (contexts, programs) by how much a context answers.
    targets
        Names of the perturbed genes.
    single
        (targets, programs) effect of each at full dose.
    doubles
        The pairs that were measured.
    """

    options: ScreenOptions
    program: np.ndarray
    loadings: np.ndarray
    baseline: np.ndarray
    gain: np.ndarray
    targets: tuple[str, ...]
    single: np.ndarray
    doubles: tuple[Condition, ...]

    @classmethod
    def make(cls, options: ScreenOptions, rng: np.random.Generator) -> "ScreenWorld":
        """Draw a world."""
        program = rng.permutation(np.arange(options.n_genes) % options.n_programs)
        size = rng.gamma(4.0, 0.25, options.n_genes) * np.where(rng.random(options.n_genes) < 0.15, -1.0, 1.0)
        loadings = np.zeros((options.n_programs, options.n_genes))
        loadings[program, np.arange(options.n_genes)] = size
        first = rng.normal(-1.0, 1.2, options.n_genes)
        others = rng.normal(0.0, 0.5, (options.n_contexts - 1, options.n_genes))
        gain = np.vstack(
            [np.ones(options.n_programs), rng.uniform(0.5, 1.3, (options.n_contexts - 1, options.n_programs))]
        )
        targets = tuple(f"PERT{i + 1:03d}" for i in range(options.n_perturbations))
        return cls(
            options,
            program,
            loadings,
            np.vstack([first, first + others]),
            gain,
            targets,
            _singles(options, rng),
            _pairs(targets, options.n_doubles, rng),
        )

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Everything that was measured, the control first."""
        singles = [
            Condition((GenePerturbation(name, dose=dose),)) for name in self.targets for dose in self.options.doses
        ]
        return (Condition(), *singles, *self.doubles)

    def effect(self, condition: Condition) -> np.ndarray:
        """(programs,) effect of a condition in the first context; pairs fall short of their sum."""
        parts = [self._scaled(part) for part in condition.perturbations]
        if not parts:
            return np.zeros(self.options.n_programs)
        total: np.ndarray = np.sum(parts, axis=0)
        if len(parts) > 1:
            total -= self.options.interaction * 0.5 * np.sign(total) * np.min(np.abs(parts), axis=0)
        return total

    def _scaled(self, part: GenePerturbation) -> np.ndarray:
        answer = (1 + _HALF_DOSE) * part.dose / (part.dose + _HALF_DOSE)
        scaled: np.ndarray = answer * self.single[self.targets.index(part.gene)]
        return scaled


def _singles(options: ScreenOptions, rng: np.random.Generator) -> np.ndarray:
    effects = np.zeros((options.n_perturbations, options.n_programs))
    for row in effects:
        hit = rng.choice(options.n_programs, rng.integers(1, _PROGRAMS_HIT + 1), replace=False)
        row[hit] = rng.normal(0.0, 1.2, len(hit))
    effects[:, _SYSTEMATIC_PROGRAMS] += options.systematic
    effects[rng.random(options.n_perturbations) < options.zero_effect] = 0.0
    return effects


def _pairs(targets: Sequence[str], n: int, rng: np.random.Generator) -> tuple[Condition, ...]:
    first, second = np.triu_indices(len(targets), 1)
    chosen = rng.choice(len(first), n, replace=False)
    return tuple(Condition.of([targets[first[i]], targets[second[i]]]) for i in chosen)
