"""What the image shows and what known sections carry over, joined in one model of gene programs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from insignia.core import keys
from insignia.spatial.contract import Imputed, Imputer, StackSpots, imputers
from insignia.spatial.covariance import (
    IMAGE_SHAPES,
    SPACE_SHAPES,
    Covariance,
    ImageCovariance,
    Shape,
    SpaceCovariance,
)
from insignia.spatial.fading import Fading, measure_fading
from insignia.spatial.gaussian_fields import Mixture, Predicted, choose_mixture, predict_mixture, tiles
from insignia.spatial.known import mean_and_sd
from insignia.spatial.merge import merge_stacks
from insignia.spatial.programs import Programs

__all__ = ["Blend", "BlendOptions"]


@dataclass(frozen=True)
class BlendOptions:
    """What the model is made of.

    Parameters
    ----------
    n_programs
        Gene programs; weak ones are found to be noise, and cost nothing but time.
    image_shapes, space_shapes
        Covariance functions to choose from.
    fading
        How known sections lose their say with depth; `None` measures it.
    most_spots
        Known spots that are solved together. More are cut into tiles that see known spots up to `halo_pitches` beyond.
    halo_pitches
        See `most_spots`.
    block_spots
        Known spots of which the likelihood is computed together.
    """

    n_programs: int = 30
    image_shapes: tuple[Shape, ...] = IMAGE_SHAPES
    space_shapes: tuple[Shape, ...] = SPACE_SHAPES
    fading: Fading | None = None
    most_spots: int = 1200
    halo_pitches: float = 4.0
    block_spots: int = 400


@dataclass(frozen=True, eq=False)
class _Model:
    """Everything that was chosen for one stack."""

    programs: Programs
    mixture: Mixture
    sources: dict[str, Covariance]
    shapes: dict[str, Shape]
    fading: Fading


@imputers.add("blend")
class Blend(Imputer):
    """Predict gene programs from the image and from known sections in one Gaussian model.

    Each program, a principal component of the known expression, is the sum of what the image shows, a smooth function
    of the features; of what lies in the place, a smooth field through the known sections that fades with depth; and of
    noise. How much each explains is chosen for each program by marginal likelihood. So the say of the place falls where
    known spots are far, in the plane or in depth, and that of the image stays; without features the place is all there
    is, and without placed known spots the image.

    The parts ``"propagated"`` and ``"image"`` are the mean profile with what each source adds: their deviations from it
    add up to that of the imputed expression.

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
        n_seen, n_asked = int(stack.is_known.sum()), len(spots)
        if n_seen < 3:
            shape = (n_asked, 1)
            nothing = np.tile(mean, shape).astype(np.float32)
            return Imputed(nothing, np.tile(sd, shape).astype(np.float32), notes=("fewer than 3 spots are known",))
        model = self._fit(stack)
        parts, variance = np.zeros((2, n_asked, len(mean))), np.zeros((n_asked, len(mean)))
        for predicted, rows in self._predict(stack, model, n_asked):
            for position, name in enumerate(model.sources):
                parts[_PARTS.index(name)][rows] = model.programs.genes(predicted.parts[position])
            variance[rows] = model.programs.gene_variance(predicted.variance + model.mixture.noise)
        return Imputed(
            (mean + parts.sum(axis=0)).astype(np.float32),
            np.sqrt(variance + model.programs.rest).astype(np.float32),
            parts={name: (mean + part).astype(np.float32) for name, part in zip(_PARTS, parts, strict=True)},
            record=_record(model),
            notes=_notes(model, spots),
        )

    def tuned(self, spots: StackSpots, *, training: Sequence[StackSpots] = (), seed: int = 0) -> "Blend":  # noqa: ARG002
        """Fix the covariance functions and the fading; how much each source explains is fitted again each time."""
        stack = spots if spots.is_known.any() else merge_stacks(spots, training)
        if stack.is_known.sum() < 3:
            return self
        model = self._fit(stack)
        space, image = model.shapes[keys.PROPAGATED], model.shapes.get(keys.IMAGE)
        return Blend(
            replace(
                self.options,
                space_shapes=(space,),
                image_shapes=self.options.image_shapes if image is None else (image,),
                fading=model.fading,
            )
        )

    def _fit(self, stack: StackSpots) -> _Model:
        options, known = self.options, np.flatnonzero(stack.is_known)
        # whatever the order of the rows
        known = known[np.lexsort((*stack.xyz_um[known].T, stack.section[known]))]
        fading = options.fading or measure_fading(stack)
        candidates: dict[str, list[Covariance]] = {
            keys.PROPAGATED: [SpaceCovariance(stack, shape, fading) for shape in options.space_shapes]
        }
        shapes = {keys.PROPAGATED: options.space_shapes, keys.IMAGE: options.image_shapes}
        if stack.features is not None and np.isfinite(stack.features[known]).all(axis=1).any():
            candidates[keys.IMAGE] = [ImageCovariance(stack, shape) for shape in options.image_shapes]
        programs = Programs.of(stack.expression[known], options.n_programs)
        cut = [rows for rows, _ in tiles(stack.xyz_um[:, :2], known, options.block_spots)]
        blocks = [(rows, programs.scores(stack.expression[rows])) for rows in cut]
        mixture = choose_mixture(list(candidates.values()), blocks)
        taken = dict(zip(candidates, mixture.choice, strict=True))
        return _Model(
            programs,
            mixture,
            {name: candidates[name][position] for name, position in taken.items()},
            {name: shapes[name][position] for name, position in taken.items()},
            fading,
        )

    def _predict(self, stack: StackSpots, model: _Model, n_asked: int) -> Iterator[tuple[Predicted, np.ndarray]]:
        """Predict the first `n_asked` spots, tile by tile."""
        options, known = self.options, np.flatnonzero(stack.is_known)
        points = stack.xyz_um[:, :2]
        for inside, every in tiles(points, known, options.most_spots):
            rows = every[every < n_asked]
            if not len(inside) or not len(rows):
                continue
            halo = options.halo_pitches * stack.pitch_um
            low, high = points[inside].min(axis=0) - halo, points[inside].max(axis=0) + halo
            seen = known[((points[known] >= low) & (points[known] <= high)).all(axis=1)]
            seen = seen[np.lexsort((*stack.xyz_um[seen].T, stack.section[seen]))]
            scores = model.programs.scores(stack.expression[seen])
            yield predict_mixture(list(model.sources.values()), model.mixture, seen, scores, rows), rows


_PARTS = (keys.PROPAGATED, keys.IMAGE)


def _record(model: _Model) -> dict[str, object]:
    record: dict[str, object] = {
        "programs": model.programs.loadings.shape[1],
        "fading": {
            "step": model.fading.step,
            "slope": model.fading.slope,
            "gap_um": model.fading.gap_um,
            "source": model.fading.source,
        },
    }
    for column, (name, shape) in enumerate(model.shapes.items()):
        explained = model.mixture.weights[:, column] * model.mixture.noise
        record[name] = {"shape": shape.name, "length": shape.length, "variance": float(explained.sum())}
    record["noise"] = {"variance": float(model.mixture.noise.sum())}
    return record


def _notes(model: _Model, spots: StackSpots) -> tuple[str, ...]:
    notes = []
    if keys.IMAGE not in model.sources:
        notes.append("no known spot has features of an image: imputed from known sections alone, by propagation")
    if not spots.is_known.any():
        notes.append("nothing is known of this stack: imputed from images alone, as learnt from the training stacks")
    if model.fading.source == "prior":
        notes.append(
            "with one known section and no images, how expression fades with depth is taken from other data (HER2ST)"
        )
    elif model.fading.source == "image":
        notes.append("with one known section, expression is taken to fade with depth as the images do")
    return tuple(notes)
