"""ASIGN: expression from neighbours over the 3D graph, and from images that a network reads in their surroundings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.spatial.contract import Imputed, Imputer, StackSpots, imputers
from insignia.spatial.fading import measure_fading
from insignia.spatial.imputers.blend import Blend, BlendOptions

if TYPE_CHECKING:
    from insignia.spatial.asign import AsignModel, AsignOptions

__all__ = ["Asign"]


@imputers.add("asign", source="arXiv:2412.03026")
class Asign(Imputer):
    """Describe each spot by networks that look at its surroundings, and read the description as `Blend` reads features.

    A network attends over the tiles around a spot and over its neighbours in the 3D graph, and each spot weighs the
    layers by itself. It is trained by hiding spots of training stacks, or of the stack itself where the options say so;
    else it keeps its random start. How much of each gene program comes from the place, through known sections, and how
    much from the image is solved in one Gaussian model. Without known spots, images are read as training stacks taught.

    Without features of the image it is the blend.

    Parameters
    ----------
    options
        How it is built and trained; `None` for the defaults of `AsignOptions`.
    model
        One that is fitted already; it is taken as it is, whatever training stacks are given.
    """

    def __init__(self, options: "AsignOptions | None" = None, *, model: "AsignModel | None" = None) -> None:
        self.options, self.model = options, model
        self._tuned: _Tuned | None = None

    def impute(self, spots: StackSpots, *, training: Sequence[StackSpots] = (), seed: int = 0) -> Imputed:
        """Impute every spot of a stack."""
        if not self._sees(spots, training):
            return Blend().impute(spots, training=training, seed=seed)
        tuned = self._tuned if self._tuned and self._tuned.serves(spots, training) else None
        model = tuned.model if tuned else self._fitted(spots, training, seed)
        if not spots.is_known.any():
            return _as_taught(model, spots)
        reader = tuned.reader if tuned else _reader(spots)
        imputed = reader.impute(model.described(spots))
        notes = [*imputed.notes]
        if model.networks and not any(model.losses):
            notes.append("the networks of asign keep their random start: there are no training stacks to learn from")
        return replace(imputed, record={**imputed.record, **_record(model)}, notes=tuple(notes))

    def tuned(self, spots: StackSpots, *, training: Sequence[StackSpots] = (), seed: int = 0) -> "Asign":
        """Train the networks and choose covariance functions.

        Where that would let hidden spots be seen by networks that were trained on them, it is done again.
        """
        fixed = Asign(self.options, model=self.model)
        if self._sees(spots, training):
            model, reader = self._fitted(spots, training, seed), _reader(spots)
            if spots.is_known.any():
                reader = reader.tuned(model.described(spots))
            fixed._tuned = _Tuned(model, reader, tuple(training), spots.names[spots.is_known])
        return fixed

    def _sees(self, spots: StackSpots, training: Sequence[StackSpots]) -> bool:
        """Whether there are features here, and something to learn from what they mean."""
        can_learn = any(stack.has_features[stack.is_known].any() for stack in (spots, *training))
        return bool(spots.has_features.any()) and (self.model is not None or can_learn)

    def _fitted(self, spots: StackSpots, training: Sequence[StackSpots], seed: int) -> "AsignModel":
        from insignia.spatial.asign import fit_asign

        if self.model is not None:
            return self.model
        return fit_asign(spots, training=training, options=self.options, seed=seed)


@dataclass(frozen=True, eq=False)
class _Tuned:
    """What was fitted, and to what."""

    model: "AsignModel"
    reader: Blend
    training: tuple[StackSpots, ...]
    known: np.ndarray

    def serves(self, spots: StackSpots, training: Sequence[StackSpots]) -> bool:
        """Whether the networks may be used here: they have seen no spot that is hidden now."""
        if len(training) != len(self.training) or any(a is not b for a, b in zip(training, self.training, strict=True)):
            return False
        learnt_here = not training and any(self.model.losses)
        return not learnt_here or bool(np.isin(self.known, spots.names[spots.is_known]).all())


def _reader(spots: StackSpots) -> Blend:
    # how sections differ is measured by their own features, not by what networks make of them
    fading = measure_fading(spots) if spots.is_known.any() else None
    return Blend(BlendOptions(fading=fading))


def _as_taught(model: "AsignModel", spots: StackSpots) -> Imputed:
    """Impute a stack of which nothing is known."""
    if model.readout is None:
        raise InputError(
            "Nothing is known of this stack, and the model was fitted without training stacks, from which the meaning "
            "of images could be learnt. Name a measured section with known=, or fit it with training stacks."
        )
    readout, rows = model.readout, np.flatnonzero(spots.has_features)
    found, variance = np.zeros((len(spots), len(model.genes))), np.tile(readout.spread, (len(spots), 1))
    found[rows], variance[rows] = readout.genes(model.columns(spots)[rows])
    image = (readout.programs.mean + found).astype(np.float32)
    without = len(spots) - len(rows)
    notes = (f"{without:,} spots without features of an image get the mean of the training stacks",) if without else ()
    return Imputed(image, np.sqrt(variance).astype(np.float32), {keys.IMAGE: image}, _record(model), notes)


def _record(model: "AsignModel") -> dict[str, object]:
    return {"networks": len(model.networks), "losses": [list(one) for one in model.losses]}
