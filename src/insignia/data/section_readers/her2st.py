"""HER2ST: tables of counts, selected spots and, for some sections, images; patients are letters, sections numbers."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from insignia.core.errors import FileFormatError
from insignia.data.array_geometry import SpotArray
from insignia.data.pixels.open import IMAGE_SUFFIXES
from insignia.data.section_readers.assemble import build_stack, by_donor, natural
from insignia.data.section_readers.contract import ReadOptions, stack_readers
from insignia.data.section_readers.raw import RawSection
from insignia.data.section_readers.spot_tables import join_counts, raw_section, read_array_table
from insignia.data.sections import SectionStack

__all__ = ["Her2st"]

_ARRAY: Final = SpotArray("the Spatial Transcriptomics array", (200.0, 200.0), 200.0)
_THICKNESS_UM: Final = 16.0
_COUNTS, _SPOTS, _IMAGES = "ST-cnts", "ST-spotfiles", "ST-imgs"
_SECTION: Final = re.compile(r"(?P<patient>[A-Za-z]+)(?P<place>\d+)")


class Her2st:
    """The layout of the HER2ST repository, or of a part of it.

    References
    ----------
    Andersson et al., Nature Communications 2021, doi:10.1038/s41467-021-26271-2.
    """

    needs = f"{_COUNTS}/A1.tsv.gz, {_SPOTS}/A1_selection.tsv and, if there are images, {_IMAGES}/A/A1/*.jpg"

    def recognises(self, source: Any) -> bool:
        """Whether both folders of tables are there."""
        return isinstance(source, Path) and (source / _COUNTS).is_dir() and (source / _SPOTS).is_dir()

    def read(self, source: Any, options: ReadOptions) -> list[SectionStack]:
        """Read one stack per patient."""
        names = options.choose(_names(source))
        patients = by_donor(names, "", replace(options, donors={name: _parts(name)[0] for name in names}))
        return [
            build_stack(
                patient,
                [_read_section(source, name) for name in sections],
                _ARRAY,
                options,
                places={name: _parts(name)[1] for name in sections},
                thickness_um=_THICKNESS_UM,
            )
            for patient, sections in patients.items()
        ]


stack_readers.add("her2st", source="doi:10.1038/s41467-021-26271-2")(Her2st())


def _names(folder: Path) -> list[str]:
    ending = "_selection.tsv"
    names = sorted((item.name[: -len(ending)] for item in (folder / _SPOTS).glob(f"*{ending}")), key=natural)
    names = [name for name in names if _SECTION.fullmatch(name)]
    if not names:
        raise FileFormatError(f"{folder / _SPOTS} holds no file like A1{ending}.")
    return names


def _parts(name: str) -> tuple[str, float]:
    match = _SECTION.fullmatch(name)
    assert match is not None
    return match["patient"], float(match["place"])


def _read_section(folder: Path, name: str) -> RawSection:
    spots = read_array_table(folder / _SPOTS / f"{name}_selection.tsv")
    notes: list[str] = []
    path = next((p for p in (folder / _COUNTS / f"{name}.tsv{end}" for end in (".gz", "")) if p.exists()), None)
    counts, genes = None, None
    if path is not None:
        spots, counts, genes = join_counts(name, spots, path, notes)
    image = _image(folder / _IMAGES / _parts(name)[0] / name)
    return raw_section(name, spots, counts, genes, image, notes)


def _image(folder: Path) -> Path | None:
    found = sorted(item for item in folder.glob("*") if item.suffix.lower() in IMAGE_SUFFIXES)
    if len(found) > 1:
        raise FileFormatError(f"{folder} holds {len(found)} images: {', '.join(p.name for p in found)}. Keep one.")
    return found[0] if found else None
