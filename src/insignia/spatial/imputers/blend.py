"""What the image shows and what known sections carry over, joined in one model of gene programs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from insignia.core import keys
from insignia.spatial.contract import Imputed, Imputer, StackSpots, imputers
from insignia.spatial.covariance import IMAGE_SHAPES, SPACE_SHAPES, Shape
from insignia.spatial.fading import Fading, measure_fading
from insignia.spatial.known import mean_and_sd
from insignia.spatial.merge import merge_stacks
from insignia.spatial.program_model import ModelOptions, ProgramModel

__all__ = ["Blend", "BlendOptions"]

_SOURCES = (keys.PROPAGATED, keys.IMAGE)
_FEWEST = 3

Sources = tuple[str, ...]
"""Names of what there is to predict a spot from."""


@dataclass(frozen=True)
class BlendOptions:
    """What the model is made of.

    Parameters
    ----------
    image_shapes, space_shapes
        Covariance functions to choose from.
    fading
        How known sections lose their say with depth; `None` measures it.
    chosen
        Covariance functions by the sources that are there, where the choice was made already.
    model
        Sizes.
    """

    image_shapes: tuple[Shape, ...] = IMAGE_SHAPES
    space_shapes: tuple[Shape, ...] = SPACE_SHAPES
    fading: Fading | None = None
    chosen: Mapping[Sources, Mapping[str, Shape]] = field(default_factory=dict)
    model: ModelOptions = field(default_factory=ModelOptions)


@imputers.add("blend")
class Blend(Imputer):
    """Predict gene programs from the image and from known sections in one Gaussian model.

    Each program, a principal component of the known expression, is the sum of what the image shows, a smooth function
    of the features; of what lies in the place, a smooth field through the known sections that fades with depth; and of
    noise. How much each explains is chosen for each program by marginal likelihood. So the say of the place falls where
    known spots are far, in the plane or in depth, and that of the image stays.

    Spots without features are predicted by a model of the place alone, and spots of sections that are not placed by one
    of the image alone. The parts ``"propagated"`` and ``"image"`` are the mean profile with what each source adds:
    their deviations from it add up to that of the imputed expression.

    Parameters
    ----------
    options
        What the model is made of.
    """

    def __init__(self, options: BlendOptions | None = None) -> None:
        self.options = options or BlendOptions()

    def impute(self, spots: StackSpots, *, training: Sequence[StackSpots] = (), seed: int = 0) -> Imputed:  # noqa: ARG002
        """Impute every spot of a stack."""
        mean, sd = mean_and_sd(spots, training)
        stack = spots if spots.is_known.any() else merge_stacks(spots, training)
        parts = np.zeros((len(_SOURCES), len(spots), len(mean)))
        variance = np.tile(sd**2, (len(spots), 1))
        models, fading = self._models(stack, len(spots))
        for model, asked in models.values():
            for predicted, rows in model.predict(asked):
                for position, name in enumerate(model.shapes):
                    parts[_SOURCES.index(name)][rows] = model.programs.genes(predicted.parts[position])
                sure = model.programs.gene_variance(predicted.variance + model.mixture.noise)
                variance[rows] = sure + model.programs.rest
        return Imputed(
            (mean + parts.sum(axis=0)).astype(np.float32),
            np.sqrt(variance).astype(np.float32),
            parts={name: (mean + part).astype(np.float32) for name, part in zip(_SOURCES, parts, strict=True)},
            record={"fading": asdict(fading)}
            | {" and ".join(sources): model.describe() for sources, (model, _) in models.items()},
            notes=_notes(spots, models, fading),
        )

    def tuned(self, spots: StackSpots, *, training: Sequence[StackSpots] = (), seed: int = 0) -> "Blend":  # noqa: ARG002
        """Fix the covariance functions and the fading; how much each source explains is fitted again each time."""
        stack = spots if spots.is_known.any() else merge_stacks(spots, training)
        models, fading = self._models(stack, len(spots))
        chosen = {sources: model.shapes for sources, (model, _) in models.items()}
        return Blend(replace(self.options, fading=fading, chosen=chosen))

    def _models(self, stack: StackSpots, n_asked: int) -> tuple[dict[Sources, tuple[ProgramModel, np.ndarray]], Fading]:
        """Fit one model for all of the first `n_asked` spots that have the same sources."""
        fading = self.options.fading or measure_fading(stack)
        models = {}
        for sources, rows in _by_sources(stack, n_asked).items():
            shapes = {keys.PROPAGATED: self.options.space_shapes, keys.IMAGE: self.options.image_shapes}
            taken = self.options.chosen.get(sources, {})
            candidates = {name: (taken[name],) if name in taken else shapes[name] for name in sources}
            models[sources] = (ProgramModel.fit(stack, candidates, fading, self.options.model), rows)
        return models, fading


def _by_sources(stack: StackSpots, n_asked: int) -> dict[Sources, np.ndarray]:
    """Group spots by what there is to predict them from; those without anything are left out."""
    asked = np.arange(n_asked)
    own = np.unique(stack.section[stack.is_known])
    has_place = np.isin(stack.section, own)
    if (stack.is_known & stack.is_placed).any():
        has_place |= stack.is_placed
    has_image = np.zeros(len(stack), dtype=bool)
    if stack.features is not None:
        has_features = np.isfinite(stack.features).all(axis=1)
        has_image = has_features & ((has_features & stack.is_known).sum() >= _FEWEST)
    if stack.is_known.sum() < _FEWEST:
        return {}
    groups: dict[Sources, np.ndarray] = {}
    for sources in ((keys.PROPAGATED, keys.IMAGE), (keys.PROPAGATED,), (keys.IMAGE,)):
        wanted = (has_place == (keys.PROPAGATED in sources)) & (has_image == (keys.IMAGE in sources))
        if len(rows := asked[wanted[:n_asked]]):
            groups[sources] = rows
    return groups


def _notes(
    spots: StackSpots, models: Mapping[Sources, tuple[ProgramModel, np.ndarray]], fading: Fading
) -> tuple[str, ...]:
    notes = []
    if not models:
        notes.append(f"fewer than {_FEWEST} spots are known, or there is nothing to predict from: all get the mean")
    for sources, (_, rows) in models.items():
        if keys.IMAGE not in sources:
            notes.append(f"{len(rows):,} spots without features of an image come from known sections alone")
        if keys.PROPAGATED not in sources:
            notes.append(f"{len(rows):,} spots that cannot be matched with known ones come from their image alone")
    if not spots.is_known.any():
        return tuple(notes)
    if fading.source == "prior":
        notes.append("how expression fades with depth is taken from other data, for want of images and known sections")
    elif fading.source == "image":
        notes.append("with one known section, expression is taken to fade with depth as the images do")
    return tuple(notes)
