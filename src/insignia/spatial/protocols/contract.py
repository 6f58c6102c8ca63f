"""What a protocol says about a public data set: how to read it, who the donors are, how deep sections lie."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from insignia.core.errors import InputError
from insignia.core.registry import Registry
from insignia.data import SectionStack, read_stacks

__all__ = ["Protocol", "protocols"]


@dataclass(frozen=True)
class Protocol:
    """A public data set of serial sections, as a user has downloaded it.

    Parameters
    ----------
    title
        Of the page with the results.
    layout
        Name of the reader, see `insignia.data.stack_readers`.
    wanted
        What to download, and where it belongs.
    donors
        Donor of each section, where the files do not say; other sections are not read.
    z_um
        Depth of each section, where the files do not say.
    """

    title: str
    layout: str
    wanted: str
    donors: Mapping[str, str] | None = None
    z_um: Mapping[str, float] | None = None

    def read(self, root: str | Path) -> list[SectionStack]:
        """Read one stack a donor.

        Raises
        ------
        InputError
            Nothing of the data set is there.
        FileFormatError
            The files are not laid out as the reader wants them.
        """
        root = Path(root)
        if not root.is_dir():
            raise InputError(f"There is no folder {root}. {self.wanted}")
        if self.donors is None:
            return read_stacks(root, kind=self.layout)
        there = sorted(item.name for item in root.iterdir() if item.name in self.donors)
        if not there:
            raise InputError(f"{root} holds none of the sections {', '.join(sorted(self.donors))}. {self.wanted}")
        return read_stacks(
            root,
            kind=self.layout,
            sections=there,
            donors={name: self.donors[name] for name in there},
            z_um=None if self.z_um is None else {name: self.z_um[name] for name in there},
        )


protocols: Registry[Protocol] = Registry("protocol")
