"""What an imputer must do: fill in the expression of spots, from the spots of the stack whose expression is known."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from insignia.core.registry import Registry

__all__ = ["Imputed", "Imputer", "StackSpots", "imputers"]


@dataclass(frozen=True, eq=False)
class StackSpots:
    """All spots of one registered stack, one row each; what imputers see, and all that they see.

    Parameters
    ----------
    names
        (spots,) unique names.
    sections
        Names of the sections, in order of depth.
    section
        (spots,) position in `sections`.
    xyz_um
        (spots, 3) in the common frame.
    is_placed
        (spots,) whether the section's pose can be trusted; the others have neighbours in their own section only.
    genes
        Names of the genes.
    expression
        (spots, genes) float32, normalised; NaN in every spot that is not known.
    is_known
        (spots,) whether the expression is known.
    features
        (spots, features) float32 from the image, z-scored within each section; `None` without images, NaN rows for
        sections without one.
    pitch_um
        Distance between neighbouring spots.
    """

    names: np.ndarray
    sections: tuple[str, ...]
    section: np.ndarray
    xyz_um: np.ndarray
    is_placed: np.ndarray
    genes: tuple[str, ...]
    expression: np.ndarray
    is_known: np.ndarray
    features: np.ndarray | None
    pitch_um: float

    def __len__(self) -> int:
        return len(self.names)

    @property
    def has_features(self) -> np.ndarray:
        """Which spots have features of the image, (spots,) bool."""
        if self.features is None:
            return np.zeros(len(self), dtype=bool)
        return np.asarray(np.isfinite(self.features).all(axis=1))

    def take(self, rows: np.ndarray) -> "StackSpots":
        """Return some of the spots, or all in another order; the sections stay."""
        features = None if self.features is None else self.features[rows]
        of_spots = ("names", "section", "xyz_um", "is_placed", "expression", "is_known")
        return replace(self, features=features, **{name: getattr(self, name)[rows] for name in of_spots})

    def hide(self, hidden: np.ndarray) -> "StackSpots":
        """Return the same spots with the expression of some, (spots,) bool, taken away."""
        expression = self.expression.copy()
        expression[hidden] = np.nan
        return replace(self, expression=expression, is_known=self.is_known & ~hidden)


@dataclass(frozen=True, eq=False)
class Imputed:
    """Expression of all spots of a stack, and how sure the imputer is of it.

    Parameters
    ----------
    mean
        (spots, genes) float32, normalised as the known expression is.
    sd
        (spots, genes) float32, standard deviation before it is calibrated.
    parts
        Further (spots, genes) arrays that went into the mean, e.g. ``"propagated"`` and ``"image"``.
    record
        What was chosen while fitting, for people and JSON.
    notes
        What a reader of the result must know, e.g. that a part was left out for want of images.
    """

    mean: np.ndarray
    sd: np.ndarray
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)
    record: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Imputer(ABC):
    """A way to fill in expression.

    Attributes
    ----------
    needs_features
        Whether it cannot work without features of the image.
    """

    needs_features: bool = False

    def tuned(self, spots: StackSpots, *, training: Sequence[StackSpots] = (), seed: int = 0) -> "Imputer":  # noqa: ARG002
        """Return the imputer with all that it chooses by trying out fixed, so that it can be fitted again at less cost.

        The runner calls it once, and fits what it returns to the whole stack and to each fold of the calibration.
        """
        return self

    @abstractmethod
    def impute(self, spots: StackSpots, *, training: Sequence[StackSpots] = (), seed: int = 0) -> Imputed:
        """Impute every spot of a stack.

        Parameters
        ----------
        spots
            The stack; what is not known is NaN, so that it cannot leak.
        training
            Stacks of other donors, measured in full, with the same genes.
        seed
            Of whatever is random.
        """


imputers: Registry[Callable[[], Imputer]] = Registry("imputer", entry_point="insignia.imputers")
