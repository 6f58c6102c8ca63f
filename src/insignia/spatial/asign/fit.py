"""Training of ASIGN: on training stacks where there are any, else, if asked for, on the stack itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from insignia.core.errors import InputError
from insignia.spatial.asign.inputs import in_order_of_position, network_inputs, tiles_of
from insignia.spatial.asign.lessons import learnt_rows, split_episodes
from insignia.spatial.asign.model import AsignModel, AsignOptions, describe
from insignia.spatial.asign.network import AsignNetwork
from insignia.spatial.asign.objective import Episode, Lesson, MaskedSpots
from insignia.spatial.asign.readout import judge_sources, learn_readout, section_blocks
from insignia.spatial.contract import StackSpots
from insignia.spatial.covariance import SPACE_SHAPES, Shape, SpaceCovariance
from insignia.spatial.fading import measure_fading
from insignia.spatial.graph import ATTRIBUTES
from insignia.spatial.merge import merge_stacks
from insignia.spatial.programs import Programs
from insignia.training import fit

__all__ = ["fit_asign", "start_network"]

_TAUGHT_PROGRAMS = 16
_FEWEST = 3
_LEAST_IMAGE = 0.1


def fit_asign(
    spots: StackSpots,
    *,
    training: Sequence[StackSpots] = (),
    options: AsignOptions | None = None,
    seed: int = 0,
) -> AsignModel:
    """Fit ASIGN.

    Parameters
    ----------
    spots
        The stack that is to be imputed; only its known spots are used, and those only without training stacks.
    training
        Stacks of other donors, measured in full.
    options
        How.
    seed
        Of starts, dropout, what is kept, and the order of what is shown.

    Raises
    ------
    InputError
        Neither the stack nor a training stack has known spots with features of the image.
    """
    options = options or AsignOptions()
    teachers = [in_order_of_position(stack)[0] for stack in training if _measured(stack).sum() >= _FEWEST]
    school = teachers or [in_order_of_position(spots)[0]]
    if _measured(school[0]).sum() < 1:
        raise InputError(
            "ASIGN learns from known spots with features of the image, and there are none. Run the features step, name "
            "a measured section with known=, or give training stacks."
        )
    model = _start(school, options, seed)
    if teachers or options.trains_alone:
        model = _train(model, school, seed)
    if teachers:
        merged, columns = _merged(model, teachers)
        model = replace(model, readout=learn_readout(merged, columns, options.programs))
    return model


def start_network(n_features: int, options: AsignOptions, *, seed: int, number: int) -> AsignNetwork:
    """Make the network of one member with its random start."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1000 * seed + number)
        return AsignNetwork(
            n_features,
            width=options.width,
            heads=options.heads,
            layers=options.layers,
            levels=len(options.inputs.tile_sides_pitches),
            attributes=len(ATTRIBUTES),
            dropout=options.dropout,
            mixes_layers=options.mixes_layers,
        ).eval()


def _measured(spots: StackSpots) -> np.ndarray:
    """Which spots can be learnt from, (spots,) bool."""
    return np.asarray(spots.is_known & spots.has_features)


def _start(school: Sequence[StackSpots], options: AsignOptions, seed: int) -> AsignModel:
    assert school[0].features is not None
    n_features = school[0].features.shape[1]
    networks = [start_network(n_features, options, seed=seed, number=number) for number in range(options.n_members)]
    empty = AsignModel(
        options, school[0].genes, n_features, (), np.zeros((0, options.width)), np.zeros(0), None, ((),) * len(networks)
    )
    return _scaled(empty, networks, school)


def _scaled(model: AsignModel, networks: Sequence[AsignNetwork], school: Sequence[StackSpots]) -> AsignModel:
    """Take networks into the model, with the mean and length of their descriptions of known spots."""
    centre = np.zeros((len(networks), model.options.width))
    length = np.ones(len(networks))
    for number, network in enumerate(networks):
        seen = np.concatenate([describe(network, stack, model.options.inputs)[_measured(stack)] for stack in school])
        centre[number] = seen.mean(axis=0)
        found = float(np.sqrt(((seen - centre[number]) ** 2).sum(axis=1).mean()))
        length[number] = found if found > 0 else 1.0
    return replace(model, networks=tuple(networks), centre=centre, length=length)


def _merged(model: AsignModel, stacks: Sequence[StackSpots]) -> tuple[StackSpots, np.ndarray]:
    """Return stacks in one table with the columns as features, and the columns."""
    columns = np.concatenate([model.columns(stack) for stack in stacks])
    merged = merge_stacks(stacks[0].take(np.arange(0)), stacks)
    return replace(merged, features=(columns * np.sqrt(columns.shape[1])).astype(np.float32)), columns


def _train(model: AsignModel, school: Sequence[StackSpots], seed: int) -> AsignModel:
    """Train each network by itself."""
    options, plan = model.options, _plan(model, school)
    networks, losses = [], []
    for number in range(len(model.networks)):
        rng = np.random.default_rng([seed, number])
        training: list[Episode] = []
        validation: list[Episode] = []
        for stack in school:
            lesson = plan.lesson(stack, options, rng)
            seen, kept = split_episodes(stack, lesson, options.lessons, number, rng)
            training, validation = training + seen, validation + kept
        network, told = model.networks[number], tuple[float, ...]()
        if training and validation:
            objective = MaskedSpots(
                training, validation, plan.weights, plan.directions, options.network_share, options.losses
            )
            result = fit(network, objective, options.train, seed=1000 * seed + number, show_progress=False)
            told = tuple(result.validation_loss)
        networks.append(network)
        losses.append(told)
    return replace(_scaled(model, networks, school), losses=tuple(losses))


@dataclass(frozen=True, eq=False)
class _Plan:
    """What all lessons share: programs in standard deviations, and how much place and image explain of each."""

    programs: Programs
    scale: np.ndarray
    weights: np.ndarray
    shape: Shape

    @property
    def directions(self) -> torch.Tensor:
        """(programs, genes) from scores to genes in standard deviations."""
        loadings = self.programs.loadings.T * self.scale[:, None]
        sd = np.sqrt((loadings**2).sum(axis=0) + self.programs.rest)
        return _single(loadings / np.where(sd > 0, sd, 1.0))

    def lesson(self, spots: StackSpots, options: AsignOptions, rng: np.random.Generator) -> Lesson:
        """Make the lesson of one stack."""
        assert spots.features is not None
        seen = spots.has_features
        rows = learnt_rows(spots, seen, options.lessons.most_known, rng)
        features = spots.features[rows].astype(np.float64)
        place = SpaceCovariance(spots, self.shape, measure_fading(spots))
        return Lesson(
            inputs=network_inputs(spots.take(np.flatnonzero(seen)), options.inputs),
            place=torch.from_numpy((np.cumsum(seen) - 1)[rows]),
            rows=torch.from_numpy(rows),
            by_place=_single(place(rows, rows)),
            by_image=_single(features @ features.T / features.shape[1]),
            scores=_single(self.programs.scores(spots.expression[rows]) / self.scale),
            section=torch.from_numpy(spots.section[rows].astype(np.int64)),
            tiles=tuple(torch.from_numpy(tiles_of(spots, side, rows)) for side in options.inputs.tile_sides_pitches),
        )


def _plan(model: AsignModel, school: Sequence[StackSpots]) -> _Plan:
    merged, columns = _merged(model, school)
    blocks = section_blocks(merged, np.isfinite(columns).all(axis=1), model.options.programs.block_spots)
    known = merged.expression[np.concatenate(blocks)]
    programs = Programs.of(known, _TAUGHT_PROGRAMS)
    mixture, shape = judge_sources(merged, blocks, programs, SPACE_SHAPES)
    scale = programs.scores(known).std(axis=0)
    # what the start does not show of a program may yet be learnt
    weights = np.maximum(mixture.weights, [0.0, _LEAST_IMAGE])
    return _Plan(programs, np.where(scale > 0, scale, 1.0), weights, shape)


def _single(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
