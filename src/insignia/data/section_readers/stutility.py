"""STUtility: for each section a table of counts, a table of aligned spots and an image, all in one folder."""

from pathlib import Path
from typing import Any, Final

import pandas as pd

from insignia.data.array_geometry import SpotArray
from insignia.data.section_readers.assemble import build_stack, by_donor, natural
from insignia.data.section_readers.contract import ReadOptions, stack_readers
from insignia.data.section_readers.raw import RawSection
from insignia.data.section_readers.spot_tables import join_counts, raw_section, read_array_table
from insignia.data.sections import SectionStack

__all__ = ["Stutility"]

_START: Final = "alignment_table_"
_THICKNESS_UM: Final = 10.0

_FIRST: Final = SpotArray("the Spatial Transcriptomics array", (200.0, 200.0), 200.0)
_DENSE: Final = SpotArray("the Spatial Transcriptomics 2K array", (100.0, 100.0), 100.0 * 2**0.5)
"""Every second place of a grid of 100 um, as on a chessboard; so the neighbours lie on the diagonals."""


class Stutility:
    """Tables as STUtility reads them.

    References
    ----------
    Bergenstrahle et al., BMC Genomics 2020, doi:10.1186/s12864-020-06832-3.
    """

    needs = f"{_START}<section>.tsv with <section>.tsv (counts) and <section>.jpg, in one folder"

    def recognises(self, source: Any) -> bool:
        """Whether there is a table of aligned spots."""
        return isinstance(source, Path) and source.is_dir() and any(source.glob(f"{_START}*.tsv"))

    def read(self, source: Any, options: ReadOptions) -> list[SectionStack]:
        """Read one stack, or one for each donor that the caller states."""
        found = sorted((item.name[len(_START) : -4] for item in source.glob(f"{_START}*.tsv")), key=natural)
        donors = by_donor(options.choose(found), source.name, options)
        stacks = []
        for donor, names in donors.items():
            raws = [_read_section(source, name) for name in names]
            array = _DENSE if all(_is_chessboard(raw.spots) for raw in raws) else _FIRST
            stacks.append(build_stack(donor, raws, array, options, thickness_um=_THICKNESS_UM))
        return stacks


stack_readers.add("stutility", source="doi:10.1186/s12864-020-06832-3")(Stutility())


def _read_section(folder: Path, name: str) -> RawSection:
    spots = read_array_table(folder / f"{_START}{name}.tsv")
    notes: list[str] = []
    path = next((p for p in (folder / f"{name}.tsv{end}" for end in (".gz", "")) if p.exists()), None)
    counts, genes = None, None
    if path is not None:
        spots, counts, genes = join_counts(name, spots, path, notes)
    suffixes = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
    image = next((p for p in (folder / f"{name}{suffix}" for suffix in suffixes) if p.exists()), None)
    return raw_section(name, spots, counts, genes, image, notes)


def _is_chessboard(spots: pd.DataFrame) -> bool:
    """Whether the spots lie on every second place only; names hold the places before they were refined."""
    places = [tuple(map(int, name.split("x"))) for name in spots.index]
    return len(places) > 1 and len({(x + y) % 2 for x, y in places}) == 1
