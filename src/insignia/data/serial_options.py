"""What simulated serial sections are asked to be: their size, how they were handled, and what happened to them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from insignia.core.errors import InputError

__all__ = ["DAMAGES", "Handling", "SerialOptions"]

DAMAGES: Final = ("corner", "fold", "foreign", "mirrored", "no_image", "pen", "stain", "tear")
"""What can be wrong with a section: a corner is missing, a fold, tissue of another block, mounted upside down, no
picture, a stroke of a marker pen, a strongly different stain, torn apart."""


@dataclass(frozen=True)
class Handling:
    """How differently the sections of a stack were mounted and stained; each number bounds or scales a random draw.

    Parameters
    ----------
    rotation_deg
        Sections are turned by up to this angle, to either side.
    shift_um
        They are shifted by up to this much along x and along y.
    scale, shear
        They are stretched by up to this fraction, and sheared by up to this slope.
    deformation_um
        Root mean square of a smooth displacement that no affine map undoes.
    stain
        Standard deviation of the stains' colours and strengths, a fraction.
    """

    rotation_deg: float = 12.0
    shift_um: float = 72.0
    scale: float = 0.0
    shear: float = 0.0
    deformation_um: float = 0.0
    stain: float = 0.05

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 0:
                raise InputError(f"{name} must not be negative, found {value}.")
        if self.rotation_deg > 180 or self.scale > 0.3 or self.shear > 0.3:
            raise InputError("rotation_deg goes up to 180, scale and shear go up to 0.3.")

    @classmethod
    def none(cls) -> "Handling":
        """Sections that lie exactly above each other, stained alike."""
        return cls(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

    @classmethod
    def hard(cls) -> "Handling":
        """Any rotation, large shifts, stretching, deformation and stains that differ."""
        return cls(rotation_deg=180.0, shift_um=300.0, scale=0.05, shear=0.02, deformation_um=15.0, stain=0.1)


@dataclass(frozen=True)
class SerialOptions:
    """Size of a simulated stack, and what happened to its sections.

    Parameters
    ----------
    n_sections
        Number of sections; they are called ``s1``, ``s2``, ... in order of depth.
    size_um
        Edge of the square in which the tissue lies. Images are as large, and larger where shifts need it.
    um_per_px
        Scale of the images. The tissue does not depend on it, only how finely it is seen.
    pitch_um
        Distance between neighbouring spots.
    spacing_um
        Distance between neighbouring sections.
    lattice
        Arrangement of the spots.
    genes_per_group
        Genes in each of the four groups.
    depth
        Expected counts of a spot.
    with_images
        Whether sections are rendered; tests that need no picture run faster without.
    handling
        How differently the sections were mounted and stained.
    damage
        What is wrong with which section: ``{"s3": ("tear", "pen")}``, of `DAMAGES`.
    """

    n_sections: int = 5
    size_um: float = 2560.0
    um_per_px: float = 4.0
    pitch_um: float = 100.0
    spacing_um: float = 90.0
    lattice: Literal["hexagonal", "square"] = "hexagonal"
    genes_per_group: int = 20
    depth: float = 1500.0
    with_images: bool = True
    handling: Handling = field(default_factory=Handling)
    damage: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("n_sections", "genes_per_group"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}.")
        for name in ("size_um", "um_per_px", "pitch_um", "spacing_um", "depth"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be positive, not {getattr(self, name)}.")
        if self.size_um < 8 * self.pitch_um:
            raise InputError(
                f"size_um={self.size_um:g} has no room for spots of pitch_um={self.pitch_um:g}; use 8 pitches or more."
            )
        if self.lattice not in ("hexagonal", "square"):
            raise InputError(f"lattice is 'hexagonal' or 'square', not {self.lattice!r}.")
        _check_damage(self.damage, self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sections, in order of depth."""
        return tuple(f"s{number + 1}" for number in range(self.n_sections))

    def damage_of(self, section: str) -> tuple[str, ...]:
        """Tell what is wrong with a section."""
        return tuple(self.damage.get(section, ()))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        return asdict(self) | {"damage": {section: list(kinds) for section, kinds in self.damage.items()}}


def _check_damage(damage: Mapping[str, Sequence[str]], names: tuple[str, ...]) -> None:
    for section, kinds in damage.items():
        if section not in names:
            raise InputError(f"damage names the section {section!r}; there are {', '.join(names)}.")
        if isinstance(kinds, str):
            raise InputError(f"damage takes a sequence for each section: {{{section!r}: ({kinds!r},)}}.")
        for kind in kinds:
            if kind not in DAMAGES:
                raise InputError(f"There is no damage {kind!r}; there are {', '.join(DAMAGES)}.")
