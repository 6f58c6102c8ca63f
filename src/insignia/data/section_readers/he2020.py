"""ST-Data, the breast cancers of He et al.: files named in one table, three or so sections of each of 23 patients."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from insignia.core.errors import FileFormatError, InputError
from insignia.data.array_geometry import SpotArray
from insignia.data.section_readers.assemble import build_stack
from insignia.data.section_readers.contract import ReadOptions, stack_readers
from insignia.data.section_readers.named_file import named_file
from insignia.data.section_readers.raw import RawSection
from insignia.data.section_readers.spot_tables import join_counts
from insignia.data.section_readers.text_tables import as_table_error, with_numbers
from insignia.data.sections import SectionStack

_ARRAY: Final = SpotArray("the Spatial Transcriptomics array", (200.0, 200.0), 200.0)
_THICKNESS_UM: Final = 16.0
_TABLE: Final = "metadata.csv"
_COLUMNS: Final = ("patient", "replicate", "histology_image", "spot_coordinates", "count_matrix")


class He2020:
    """The layout of the archive of He et al., or of a part of it.

    File names are taken from the table, for their prefixes differ from file to file. Counts are of all spots of the
    array and leave out genes that were counted nowhere in a section; spots are those under tissue.

    References
    ----------
    He et al., doi:10.1038/s41551-020-0578-x; data doi:10.17632/29ntw7sh4r.
    """

    needs = f"{_TABLE} with the columns {', '.join(_COLUMNS)}, and the files that it names"

    def recognises(self, source: Any) -> bool:
        """Whether the table of files is there and has its columns."""
        if not (isinstance(source, Path) and (source / _TABLE).is_file()):
            return False
        with (source / _TABLE).open(encoding="utf-8", errors="replace") as file:
            return set(_COLUMNS) <= {name.strip().strip('"') for name in file.readline().split(",")}

    def read(self, source: Any, options: ReadOptions) -> list[SectionStack]:
        """Read one stack per patient; sections are called patient_replicate and lie in the order of replicates."""
        table = _table(source)
        chosen = table.loc[options.choose(list(table.index))]
        if options.stack in set(chosen["patient"]):
            chosen = chosen[chosen["patient"] == options.stack]
        return [
            build_stack(
                str(patient),
                [_read_section(source, name, rows.loc[name]) for name in rows.index.astype(str)],
                _ARRAY,
                options,
                thickness_um=_THICKNESS_UM,
            )
            for patient, rows in chosen.groupby("patient", sort=True)
        ]


stack_readers.add("he2020", source="doi:10.1038/s41551-020-0578-x")(He2020())


def _table(folder: Path) -> pd.DataFrame:
    with as_table_error(folder / _TABLE):
        table = pd.read_csv(folder / _TABLE, dtype=str)
    if absent := [column for column in _COLUMNS if column not in table]:
        raise FileFormatError(
            f"{folder / _TABLE} lacks the columns {', '.join(absent)}; it has {', '.join(map(str, table))}."
        )
    table.index = pd.Index(table["patient"] + "_" + table["replicate"])
    if not table.index.is_unique or table.index.hasnans:
        raise FileFormatError(f"{folder / _TABLE} does not name each section once by patient and replicate.")
    return table.sort_index()


def _read_section(folder: Path, name: str, row: pd.Series) -> RawSection:
    paths = {column: named_file(folder, str(row[column]), _TABLE) for column in _COLUMNS[2:]}
    for column in ("spot_coordinates", "count_matrix"):
        if not paths[column].is_file():
            raise FileFormatError(f"{_TABLE} names {paths[column].name} as {column} of {name}; it is not in {folder}.")
    spots = _spots(paths["spot_coordinates"])
    notes: list[str] = []
    image = paths["histology_image"] if paths["histology_image"].is_file() else None
    if image is None:
        notes.append(f"the image {paths['histology_image'].name} is not there")
    spots, counts, genes = join_counts(name, spots, paths["count_matrix"], notes)
    return RawSection(
        name=name,
        spots=spots[["array_x", "array_y"]],
        pixels=spots[["X", "Y"]].to_numpy(np.float64),
        array=spots[["array_x", "array_y"]].to_numpy(np.float64),
        counts=counts,
        genes=genes,
        image=image,
        notes=notes,
    )


def _spots(path: Path) -> pd.DataFrame:
    with as_table_error(path):
        table = pd.read_csv(path, index_col=0)
    places = pd.Index(table.index.astype(str)).str.extract(r"^(\d+)x(\d+)$")
    if not {"X", "Y"} <= set(table) or places.isna().any(axis=None):
        raise InputError(
            f"{path} should have a row for each spot, called by its place like 10x12, with columns X and Y in pixels; "
            f"found rows like {list(table.index[:2])} and columns {', '.join(map(str, table))}."
        )
    table.index = table.index.astype(str)
    table[["array_x", "array_y"]] = places.to_numpy(dtype=np.float64)
    return with_numbers(table, ("X", "Y"), path)
