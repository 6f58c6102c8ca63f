"""A simulated perturbation screen: programs, effects and interactions are known, and all cells are drawn twice."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.sparse import csr_matrix, vstack

from insignia.data.gene_priors import GeneEmbedding, GeneNetwork, GenePriors
from insignia.data.perturbation import PerturbationData
from insignia.data.screen_world import ScreenOptions, ScreenWorld

__all__ = ["SimulatedScreen", "simulate_screen"]

_PROGRAM_NOISE: Final = 0.35
_SUBSTATE: Final = 0.8
_CHUNK: Final = 4096
_DIMENSIONS: Final = 32


@dataclass(frozen=True, eq=False)
class SimulatedScreen:
    """A simulated screen and what is true of it.

    Parameters
    ----------
    data
        The screen.
    replicate
        A second, independent draw of the same cells: as good as any predictor can be expected to be.
    priors
        Embedding of the perturbed genes, informative up to its noise; embedding, interactions and programs of the
        measured genes.
    truth
        Programs, effects and interactions.
    """

    data: PerturbationData
    replicate: PerturbationData
    priors: GenePriors
    truth: ScreenWorld


def simulate_screen(*, rng: int | np.random.Generator = 0, **options: Any) -> SimulatedScreen:
    """Simulate single and paired perturbations that act through gene programs.

    Controls are of two sub-states; a perturbation moves one to three programs and, as all do, two more; some perturbed
    cells escape; counts are Poisson around a library size that varies (squared coefficient of variation 1/6).

    Parameters
    ----------
    rng
        Seed or generator. Equal seeds give bit-equal screens.
    options
        See `ScreenOptions`.

    Raises
    ------
    InputError
        Sizes are impossible.
    """
    chosen = ScreenOptions(**options)
    rng = np.random.default_rng(rng)
    world = ScreenWorld.make(chosen, rng)
    priors = _priors(world, rng)
    batch = rng.normal(0.0, chosen.batch_sd, (2, chosen.n_genes)) if chosen.batch_sd else np.zeros((2, chosen.n_genes))
    return SimulatedScreen(_draw(world, batch, rng), _draw(world, batch, rng), priors, world)


def _draw(world: ScreenWorld, batch: np.ndarray, rng: np.random.Generator) -> PerturbationData:
    """Draw all cells of the screen once."""
    options = world.options
    conditions = tuple(sorted(world.conditions, key=str))
    sizes = np.array([options.n_controls if one.is_control else options.cells_per_condition for one in conditions])
    condition = np.tile(np.repeat(np.arange(len(conditions)), sizes), options.n_contexts)
    context = np.repeat(np.arange(options.n_contexts), sizes.sum())
    replicate = rng.integers(2, size=len(condition))
    effects = np.array([world.effect(one) for one in conditions])
    escaped = rng.random(len(condition)) < options.escapers
    moved = effects[condition] * world.gain[context] * ~escaped[:, None]
    state = moved + rng.normal(0.0, _PROGRAM_NOISE, moved.shape)
    state[:, 0] += _SUBSTATE * np.where(rng.random(len(state)) < 0.5, 1, -1)
    state[:, 1] += _SUBSTATE * np.where(rng.random(len(state)) < 0.5, 1, -1)
    blocks = [
        _log_expression(world, state[rows], world.baseline[context[rows]] + batch[replicate[rows]], rng)
        for rows in (slice(start, start + _CHUNK) for start in range(0, len(state), _CHUNK))
    ]
    return PerturbationData(
        genes=tuple(f"GENE{i + 1:04d}" for i in range(options.n_genes)),
        expression=vstack(blocks, format="csr"),
        conditions=conditions,
        condition=condition,
        contexts=tuple(f"context{i + 1}" for i in range(options.n_contexts)),
        context=context,
        replicates=("rep1", "rep2"),
        replicate=replicate,
        cells=np.array([f"cell{i + 1:06d}" for i in range(len(condition))]),
        scale=options.scale,
    )


def _log_expression(
    world: ScreenWorld, state: np.ndarray, baseline: np.ndarray, rng: np.random.Generator
) -> csr_matrix:
    level = np.exp(baseline + state @ world.loadings)
    depth = world.options.depth * rng.gamma(6.0, 1 / 6, (len(state), 1))
    counts = rng.poisson(depth * level / level.sum(axis=1, keepdims=True))
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return csr_matrix(np.log1p(counts / total * world.options.scale).astype(np.float32))


def _priors(world: ScreenWorld, rng: np.random.Generator) -> GenePriors:
    options = world.options
    genes = tuple(f"GENE{i + 1:04d}" for i in range(options.n_genes))
    projection = rng.normal(0.0, 1.0, (options.n_programs, _DIMENSIONS))
    signal = world.single @ projection
    signal /= max(signal.std(), 1e-12)
    perturbed = signal + options.embedding_noise * rng.normal(size=signal.shape)
    centres = rng.normal(0.0, 1.0, (options.n_programs, _DIMENSIONS))
    measured = centres[world.program] + rng.normal(0.0, 2.0, (options.n_genes, _DIMENSIONS))
    return GenePriors(
        embedding=GeneEmbedding(world.targets, perturbed.astype(np.float32), "simulated"),
        gene_embedding=GeneEmbedding(genes, measured.astype(np.float32), "simulated"),
        network=GeneNetwork(genes, _network(world.program, rng), "simulated"),
        gene_sets={
            f"program{k + 1:02d}": tuple(np.array(genes)[world.program == k]) for k in range(options.n_programs)
        },
    )


def _network(program: np.ndarray, rng: np.random.Generator) -> csr_matrix:
    """Interactions, 25 times as likely within a program as between two."""
    chance = np.where(program[:, None] == program[None, :], 0.05, 0.002)
    upper = np.triu(rng.random(chance.shape) < chance, 1)
    return csr_matrix((upper | upper.T).astype(np.float32))
