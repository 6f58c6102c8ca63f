"""HER2ST: tables of counts, selected spots and, for some sections, images; patients are letters, sections numbers."""

import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from insignia.core.errors import DuplicateNames, FileFormatError, InputError
from insignia.data.array_geometry import SpotArray
from insignia.data.pixels.open import IMAGE_SUFFIXES
from insignia.data.section_readers.assemble import RawSection, build_stack, natural
from insignia.data.section_readers.contract import ReadOptions, stack_readers
from insignia.data.section_readers.text_tables import read_counts_table, read_spot_table
from insignia.data.sections import SectionStack

__all__ = ["join_counts"]

_ARRAY: Final = SpotArray("the Spatial Transcriptomics array", (200.0, 200.0), 200.0)
_THICKNESS_UM: Final = 16.0
_COUNTS, _SPOTS, _IMAGES = "ST-cnts", "ST-spotfiles", "ST-imgs"
_COLUMNS: Final = ("x", "y", "new_x", "new_y", "pixel_x", "pixel_y")
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
        patients: dict[str, list[str]] = {}
        for name in names:
            patients.setdefault(_parts(name)[0], []).append(name)
        if options.stack in patients:
            patients = {options.stack: patients[options.stack]}
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
    spots = read_spot_table(folder / _SPOTS / f"{name}_selection.tsv", _COLUMNS)
    if "selected" in spots:
        spots = spots[spots["selected"] == 1]
    spots.index = pd.Index([f"{x:.0f}x{y:.0f}" for x, y in zip(spots["x"], spots["y"], strict=True)])
    notes: list[str] = []
    path = next((p for p in (folder / _COUNTS / f"{name}.tsv{end}" for end in (".gz", "")) if p.exists()), None)
    counts, genes = None, None
    if path is None:
        notes.append("no table of counts")
    else:
        spots, counts, genes = join_counts(name, spots, path, notes)
    return RawSection(
        name=name,
        spots=spots[["new_x", "new_y"]].rename(columns={"new_x": "array_x", "new_y": "array_y"}),
        pixels=spots[["pixel_x", "pixel_y"]].to_numpy(np.float64),
        array=spots[["new_x", "new_y"]].to_numpy(np.float64),
        counts=counts,
        genes=genes,
        image=_image(folder / _IMAGES / _parts(name)[0] / name),
        notes=notes,
    )


def join_counts(name: str, spots: pd.DataFrame, path: Path, notes: list[str]) -> tuple[pd.DataFrame, Any, pd.DataFrame]:
    """Join spots and counts by names like ``10x12``; spots without counts are left out and said.

    Returns
    -------
    The spots that have counts, (spots, genes) counts in their order, and the genes.
    """
    rows, genes, counts = read_counts_table(path)
    for what, index in (("table of spots", spots.index), (f"table {path.name}", rows)):
        if not index.is_unique:
            raise DuplicateNames(
                f"The {what} of section {name!r} has the spot {index[index.duplicated()][0]} more than once."
            )
    at = rows.get_indexer(spots.index)
    if not (at >= 0).any():
        raise InputError(
            f"None of the {len(rows)} rows of {path} is a spot of section {name!r}: rows are called e.g. {rows[0]!r}, "
            f"spots {spots.index[0] if len(spots) else 'nothing'!r}. Do the two files belong together?"
        )
    lost, bare = len(rows) - int((at >= 0).sum()), int((at < 0).sum())
    if bare:
        notes.append(f"{bare} of {len(spots)} spots have no counts and are left out")
    if lost:
        notes.append(f"{lost} of {len(rows)} rows of counts belong to no selected spot and are left out")
    return spots[at >= 0], counts[at[at >= 0]], pd.DataFrame(index=genes)


def _image(folder: Path) -> Path | None:
    found = sorted(item for item in folder.glob("*") if item.suffix.lower() in IMAGE_SUFFIXES)
    if len(found) > 1:
        raise FileFormatError(f"{folder} holds {len(found)} images: {', '.join(p.name for p in found)}. Keep one.")
    return found[0] if found else None
