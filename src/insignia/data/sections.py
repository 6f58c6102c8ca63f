"""A stack of serial tissue sections: the record that readers fill and everything spatial works on.

All geometry is in micrometres. A section has a frame of its own, with its origin at the top-left corner of its image, x
to the right and y down; its pose carries that frame into the frame common to the stack.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from anndata import AnnData

from insignia.core import keys
from insignia.core.errors import InputError, MissingMetadata
from insignia.data.section_image import SectionImage
from insignia.data.transform import Transform

__all__ = ["Pose", "Section", "SectionStack"]


@dataclass(frozen=True)
class Pose:
    """Where a section lies in the common frame, and how well that is known.

    Parameters
    ----------
    transform
        From the section's frame to the common frame.
    status
        ``"reference"``, ``"registered"``, ``"given"`` or ``"failed"``; the spots of a failed section are never
        matched with those of others.
    stage
        The stage that was kept, e.g. ``"mask"`` or ``"ecc"``.
    quality
        Quality figures by name.
    note
        Why it failed, or what to look at.
    """

    transform: Transform
    status: str
    stage: str = ""
    quality: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether the section may be matched with others."""
        return self.status != "failed"


@dataclass(frozen=True, eq=False)
class Section:
    """One section.

    Parameters
    ----------
    name
        Unique in its stack.
    z_um
        Depth in the tissue.
    spots
        (spots, genes) raw counts, with `obsm["spatial"]`, (spots, 2) micrometres in the section's frame. No genes
        where nothing was measured.
    image
        The stained section, if there is a picture of it.
    pose
        Where it lies in the common frame; `None` before registration.
    is_virtual
        Whether the spots are a grid laid over the tissue, and not where something was measured.
    """

    name: str
    z_um: float
    spots: AnnData
    image: SectionImage | None = None
    pose: Pose | None = None
    is_virtual: bool = False

    def __post_init__(self) -> None:
        if keys.SPATIAL not in self.spots.obsm:
            raise MissingMetadata(f"Section {self.name!r} needs obsm[{keys.SPATIAL!r}], positions in micrometres.")
        points = np.asarray(self.spots.obsm[keys.SPATIAL])
        if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
            raise InputError(f"Positions of section {self.name!r} must be finite and (spots, 2), found {points.shape}.")

    @property
    def is_measured(self) -> bool:
        """Whether expression was measured."""
        return bool(self.spots.n_vars)

    @property
    def points_um(self) -> np.ndarray:
        """(spots, 2) in the section's frame."""
        return np.asarray(self.spots.obsm[keys.SPATIAL], dtype=np.float64)

    @property
    def common_um(self) -> np.ndarray:
        """(spots, 3) in the common frame.

        Raises
        ------
        InputError
            The section has no pose.
        """
        if self.pose is None:
            raise InputError(f"Section {self.name!r} has no pose. Register the stack first, or give its transform.")
        points = self.pose.transform.apply(self.points_um)
        return np.column_stack([points, np.full(len(points), self.z_um)])


@dataclass(frozen=True, eq=False)
class SectionStack:
    """Serial sections of one tissue block, in order of depth.

    Parameters
    ----------
    name
        Of the block: the donor or sample.
    sections
        Sorted by `z_um`.
    pitch_um
        Distance between neighbouring spots.
    notes
        What a reader assumed or estimated, for people.
    """

    name: str
    sections: tuple[Section, ...]
    pitch_um: float
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [section.name for section in self.sections]
        if not names or len(set(names)) < len(names):
            raise InputError(f"A stack needs sections with names of their own, found {names}.")
        object.__setattr__(self, "sections", tuple(sorted(self.sections, key=lambda section: section.z_um)))

    def __iter__(self) -> Iterator[Section]:
        return iter(self.sections)

    def __len__(self) -> int:
        return len(self.sections)

    def __getitem__(self, name: str) -> Section:
        for section in self.sections:
            if section.name == name:
                return section
        raise InputError(f"There is no section {name!r}; there are {', '.join(self.names)}.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sections, in order of depth."""
        return tuple(section.name for section in self.sections)

    @property
    def measured(self) -> tuple[str, ...]:
        """Names of the sections with expression."""
        return tuple(section.name for section in self.sections if section.is_measured)

    def with_sections(self, changed: Mapping[str, Section]) -> "SectionStack":
        """Return the stack with some sections replaced, by name."""
        return replace(self, sections=tuple(changed.get(section.name, section) for section in self.sections))
