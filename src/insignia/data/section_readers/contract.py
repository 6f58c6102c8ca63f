"""What a reader of sections must do, what may be asked of it, and the registry of readers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from insignia.core.errors import InputError
from insignia.core.registry import Registry
from insignia.data.sections import SectionStack

__all__ = ["ReadOptions", "StackReader", "stack_readers"]


@dataclass(frozen=True)
class ReadOptions:
    """What the caller knows about the sections and the files do not say.

    Parameters
    ----------
    sections
        Names of the sections to read; `None` reads all.
    um_per_px
        Micrometres per pixel of the positions and of the image at its finest, for all sections or by name.
    pitch_um
        Distance between neighbouring spots, where it is not the platform's.
    z_um
        Depth of each section, by name.
    thickness_um
        From one section to the next, where depths are not given.
    images
        Images by section, for sections whose image the reader does not find, or that have nothing else.
    donors
        Donor of each section, by name, where one folder holds several.
    stack
        Name of the only stack that will be used; a reader that knows the others beforehand need not read them.
    """

    sections: Sequence[str] | None = None
    um_per_px: float | Mapping[str, float] | None = None
    pitch_um: float | None = None
    z_um: Mapping[str, float] | None = None
    thickness_um: float | None = None
    images: Mapping[str, str | Path] | None = None
    donors: Mapping[str, str] | None = None
    stack: str | None = None

    def scale_of(self, section: str) -> float | None:
        """Micrometres per pixel that the caller states for a section."""
        if isinstance(self.um_per_px, Mapping):
            return self.um_per_px.get(section)
        return self.um_per_px

    def refuse_stated(self, source: object) -> None:
        """Refuse what is stated about sections of a source that says all of it itself.

        Raises
        ------
        InputError
            Something is stated.
        """
        about = ("um_per_px", "pitch_um", "z_um", "thickness_um", "images", "donors")
        stated = [name for name in about if getattr(self, name) is not None]
        if stated:
            raise InputError(f"{source} says all about its sections itself; leave out {', '.join(stated)}.")

    def only_images(self, found: Sequence[str]) -> list[str]:
        """Names of the sections of which there is nothing but an image."""
        return [name for name in self.images or () if name not in found]

    def choose(self, found: Sequence[str]) -> list[str]:
        """Return the sections to read of those that are there, in their order.

        Raises
        ------
        InputError
            One that is asked for, or for which something is stated, is not there.
        """
        asked = list(self.sections) if self.sections is not None else list(found)
        scales = self.um_per_px if isinstance(self.um_per_px, Mapping) else {}
        for what, names in (("sections", asked), ("um_per_px", scales), ("z_um", self.z_um), ("donors", self.donors)):
            absent = [name for name in names or () if name not in (*found, *self.only_images(found))]
            if absent:
                raise InputError(
                    f"{what} names {', '.join(map(repr, absent[:5]))}, but the sections that are there are "
                    f"{', '.join(found)}."
                )
        return [name for name in found if name in asked]


class StackReader(Protocol):
    """How one layout of files, or kind of object, is recognised and read."""

    needs: str
    """What a source of this layout holds, for messages."""

    def recognises(self, source: Any) -> bool:
        """Whether a path or an object looks like this layout."""

    def read(self, source: Any, options: ReadOptions) -> list[SectionStack]:
        """Read it, one stack per donor; an `InsigniaError` says what is missing or wrong."""


stack_readers: Registry[StackReader] = Registry("section layout", entry_point="insignia.section_readers")
