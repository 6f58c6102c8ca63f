"""`read_stack` and `read_stacks`: recognise a layout and read serial sections from it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from anndata import AnnData

from insignia.core.errors import FileFormatError, InputError
from insignia.data.section_readers.add_images import add_unmeasured
from insignia.data.section_readers.contract import ReadOptions, StackReader, stack_readers
from insignia.data.sections import SectionStack

__all__ = ["read_stack", "read_stacks", "stack_from_anndata"]


def read_stack(
    source: Any,
    *,
    name: str | None = None,
    known: Sequence[str] | None = None,
    kind: str | None = None,
    sections: Sequence[str] | None = None,
    um_per_px: float | Mapping[str, float] | None = None,
    pitch_um: float | None = None,
    z_um: Mapping[str, float] | None = None,
    thickness_um: float | None = None,
    images: Mapping[str, str | Path] | None = None,
    donors: Mapping[str, str] | None = None,
) -> SectionStack:
    """Read the serial sections of one donor.

    Parameters
    ----------
    source
        A folder, a file, or an object of a known layout; see `read_stacks`.
    name
        Of the stack to take, where the source holds several.
    known, kind, sections, um_per_px, pitch_um, z_um, thickness_um, images, donors
        See `read_stacks`.

    Raises
    ------
    InputError
        The source holds several stacks and `name` is none of them, or something in it cannot be used.
    FileFormatError
        No layout is recognised, or a file is damaged.
    """
    options = ReadOptions(
        sections=sections,
        um_per_px=um_per_px,
        pitch_um=pitch_um,
        z_um=z_um,
        thickness_um=thickness_um,
        images=images,
        donors=donors,
        stack=name,
    )
    stacks = _read(source, kind, options)
    names = [stack.name for stack in stacks]
    if name is None and len(stacks) > 1:
        raise InputError(
            f"{source} holds {len(stacks)} stacks: {', '.join(names)}. Choose one with name=, or read all of them with "
            "read_stacks."
        )
    chosen = [stack for stack in stacks if name in (None, stack.name)]
    if not chosen:
        raise InputError(f"There is no stack {name!r} in {source}; there are {', '.join(names)}.")
    return _forget_others(chosen, known)[0]


def read_stacks(
    source: Any,
    *,
    known: Sequence[str] | None = None,
    kind: str | None = None,
    sections: Sequence[str] | None = None,
    um_per_px: float | Mapping[str, float] | None = None,
    pitch_um: float | None = None,
    z_um: Mapping[str, float] | None = None,
    thickness_um: float | None = None,
    images: Mapping[str, str | Path] | None = None,
    donors: Mapping[str, str] | None = None,
) -> list[SectionStack]:
    """Read serial sections, one stack per donor.

    Parameters
    ----------
    source
        A folder, a file, or an object of a known layout; `stack_readers` lists them. What a reader assumed or estimated
        stands in the `notes` of the stack.
    known
        Sections whose expression is kept; of the others it is forgotten. `None` keeps all that was measured.
    kind
        Name of the layout; `None` recognises it.
    sections
        Sections to read; `None` reads all.
    um_per_px
        Micrometres per pixel of the positions and of the image at its finest, for all sections or by name. `None` takes
        it from the distance of the spots, or from the image.
    pitch_um
        Distance between neighbouring spots, where it is not the platform's.
    z_um
        Depth of each section, by name. Without it, the order of the sections times `thickness_um`.
    thickness_um
        From one section to the next.
    images
        Images by section: for sections whose image is elsewhere, or that have nothing but an image.
    donors
        Donor of each section, by name, where one folder holds several.

    Raises
    ------
    InputError
        Something in the source, or said about it, cannot be used.
    FileFormatError
        No layout is recognised, or a file is damaged.
    """
    options = ReadOptions(
        sections=sections,
        um_per_px=um_per_px,
        pitch_um=pitch_um,
        z_um=z_um,
        thickness_um=thickness_um,
        images=images,
        donors=donors,
    )
    return _forget_others(_read(source, kind, options), known)


def stack_from_anndata(sections: Mapping[str, AnnData] | Sequence[AnnData], **options: Any) -> SectionStack:
    """Make a stack of AnnData objects, one a section, with ``obsm["spatial"]`` in pixels.

    Parameters
    ----------
    sections
        By name; those of a list are called s1, s2 and so on.
    options
        Of `read_stack`; give `images` and `um_per_px` where the objects hold neither an image nor array coordinates.
    """
    return read_stack(sections, kind="anndata", **options)


def _read(source: Any, kind: str | None, options: ReadOptions) -> list[SectionStack]:
    if isinstance(source, str | Path):
        source = Path(source)
        if not source.exists():
            raise FileFormatError(f"There is nothing at {source}. Give the folder or file that holds the sections.")
    return add_unmeasured(_reader(source, kind).read(source, options), options)


def _reader(source: Any, kind: str | None) -> StackReader:
    if kind is not None:
        return stack_readers[kind]
    known = {name: stack_readers[name] for name in stack_readers}
    matches = [name for name, reader in known.items() if reader.recognises(source)]
    if len(matches) == 1:
        return known[matches[0]]
    if matches:
        raise FileFormatError(f"{source} looks like {' and '.join(matches)}. Say which one with kind=.")
    layouts = "; ".join(f"{name}: {reader.needs}" for name, reader in known.items())
    raise FileFormatError(f"No serial sections recognised in {_describe(source)}. Known layouts are {layouts}.")


def _describe(source: Any) -> str:
    if not isinstance(source, Path):
        return f"an object of type {type(source).__name__}"
    if source.is_dir():
        there = sorted(item.name for item in source.iterdir())
        return f"{source}, which holds {', '.join(there[:8]) or 'nothing'}"
    return f"the file {source}"


def _forget_others(stacks: list[SectionStack], known: Sequence[str] | None) -> list[SectionStack]:
    if known is None:
        return stacks
    there = [name for stack in stacks for name in stack.names]
    absent = [name for name in known if name not in there]
    if absent:
        raise InputError(f"known names {', '.join(map(repr, absent))}, but the sections are {', '.join(there)}.")
    unmeasured = [name for name in known for stack in stacks if name in stack.names and name not in stack.measured]
    if unmeasured:
        raise InputError(f"known names {', '.join(map(repr, unmeasured))}, where no expression was measured.")
    return [
        stack.with_sections({s.name: replace(s, spots=s.spots[:, :0].copy()) for s in stack if s.name not in known})
        for stack in stacks
    ]
