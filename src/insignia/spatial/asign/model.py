"""ASIGN, fitted: networks that describe spots, and what training stacks taught of how descriptions are read."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch

from insignia.core.errors import InputError
from insignia.spatial.asign.inputs import InputOptions, in_order_of_position, network_inputs
from insignia.spatial.asign.lessons import LessonOptions
from insignia.spatial.asign.losses import LossWeights
from insignia.spatial.asign.network import AsignNetwork
from insignia.spatial.asign.readout import ReadOut
from insignia.spatial.contract import StackSpots
from insignia.spatial.program_model import ModelOptions
from insignia.training import TrainOptions

__all__ = ["AsignModel", "AsignOptions", "describe"]


@dataclass(frozen=True)
class AsignOptions:
    """How ASIGN is built and trained.

    Parameters
    ----------
    n_members
        Networks, whose descriptions stand side by side. With 0 there is none, and features enter as they are.
    network_share
        Part of the image's variance that the networks describe; the rest is linear in the features.
    width, heads, layers, dropout
        Of the networks.
    mixes_layers
        Each spot weighs the layers by itself; else the last one is taken.
    inputs
        What the networks are shown.
    lessons
        What is hidden in training.
    losses
        Weights of the losses.
    train
        Epochs, learning rate and patience of the one trainer.
    trains_alone
        Without training stacks, train the networks on the known spots of the stack itself; else they keep their random
        start. Measured to harm with a few hundred known spots, and not to help with 1,400.
    programs
        Sizes of the Gaussian model that reads the descriptions.
    """

    n_members: int = 3
    network_share: float = 0.5
    width: int = 64
    heads: int = 4
    layers: int = 2
    dropout: float = 0.2
    mixes_layers: bool = True
    inputs: InputOptions = field(default_factory=InputOptions)
    lessons: LessonOptions = field(default_factory=LessonOptions)
    losses: LossWeights = field(default_factory=LossWeights)
    train: TrainOptions = field(
        default_factory=lambda: TrainOptions(epochs=8, learning_rate=1e-3, weight_decay=1e-2, patience=3)
    )
    trains_alone: bool = False
    programs: ModelOptions = field(default_factory=ModelOptions)

    def __post_init__(self) -> None:
        if self.n_members < 0 or not 0 <= self.network_share <= 1 or self.layers < 0:
            raise InputError(
                "ASIGN needs n_members >= 0, layers >= 0 and a network_share between 0 and 1; "
                f"found {self.n_members}, {self.layers} and {self.network_share}."
            )


@dataclass(frozen=True, eq=False)
class AsignModel:
    """ASIGN after training; it can be applied to any stack with the same genes and features.

    Parameters
    ----------
    options
        How it was built.
    genes
        Names of the genes.
    n_features
        Of the image, for each spot.
    networks
        The networks.
    centre, length
        (networks, width) mean, and (networks,) root mean square length, of their descriptions of known spots.
    readout
        What training stacks taught; `None` without any.
    losses
        Validation loss of each epoch, for each network; empty where it kept its random start.
    """

    options: AsignOptions
    genes: tuple[str, ...]
    n_features: int
    networks: tuple[AsignNetwork, ...]
    centre: np.ndarray
    length: np.ndarray
    readout: ReadOut | None
    losses: tuple[tuple[float, ...], ...]

    def described(self, spots: StackSpots) -> StackSpots:
        """Return the stack with, for features, what the Gaussian model reads: features and descriptions side by side.

        A mean square of about 1 in each column on average; what training stacks would predict comes as further columns
        that together weigh as much as all others, so that what is known says how far to trust it.

        Raises
        ------
        InputError
            The stack has other genes, or another number of features.
        """
        columns = self.columns(spots)
        if self.readout is not None:
            columns = np.hstack([columns, self.readout.scores(columns) / self.readout.length])
        return replace(spots, features=(columns * np.sqrt(columns.shape[1])).astype(np.float32))

    def columns(self, spots: StackSpots) -> np.ndarray:
        """Return (spots, columns) of a mean square length of about 1; NaN in spots without features."""
        self._refuse_unlike(spots)
        assert spots.features is not None
        share = self.options.network_share if self.networks else 0.0
        parts = [np.sqrt((1 - share) / self.n_features) * spots.features]
        for network, centre, length in zip(self.networks, self.centre, self.length, strict=True):
            seen = (describe(network, spots, self.options.inputs) - centre) / length
            parts.append(np.sqrt(share / len(self.networks)) * seen)
        return np.hstack(parts)

    def _refuse_unlike(self, spots: StackSpots) -> None:
        if spots.genes != self.genes:
            raise InputError(
                f"This model imputes {len(self.genes):,} genes ({', '.join(self.genes[:3])}, ...); the stack has "
                f"{len(spots.genes):,} ({', '.join(spots.genes[:3])}, ...). Give the model's genes, in their order, as "
                "the panel."
            )
        if spots.features is None or spots.features.shape[1] != self.n_features:
            found = "none" if spots.features is None else f"{spots.features.shape[1]:,}"
            raise InputError(
                f"This model reads {self.n_features:,} image features a spot, the stack has {found}. Encode it alike."
            )


@torch.no_grad()
def describe(network: AsignNetwork, spots: StackSpots, options: InputOptions) -> np.ndarray:
    """Return a network's description, (spots, width) float64; NaN in spots without features, which nobody looks at."""
    rows = np.flatnonzero(spots.has_features)
    ordered, place = in_order_of_position(spots.take(rows))
    description = np.full((len(spots), network.width), np.nan)
    description[rows] = network.eval()(network_inputs(ordered, options)).double().numpy()[place]
    return description
