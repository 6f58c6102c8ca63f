"""Visium: the folder that Space Ranger writes, or a folder of several such."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from insignia.core.errors import FileFormatError, InputError
from insignia.core.files import parse_json
from insignia.data.array_geometry import SpotArray
from insignia.data.pixels.open import IMAGE_SUFFIXES
from insignia.data.readers import read
from insignia.data.section_readers.assemble import build_stack, by_donor, natural
from insignia.data.section_readers.contract import ReadOptions, stack_readers
from insignia.data.section_readers.raw import RawSection
from insignia.data.section_readers.text_tables import as_table_error
from insignia.data.sections import SectionStack

__all__ = ["VISIUM", "Visium"]

VISIUM: Final = SpotArray("Visium", (50.0, 50.0 * 3**0.5), 100.0)
"""Along a row, columns count by two from spot to spot, and rows lie the height of a triangle apart."""

_THICKNESS_UM: Final = 10.0
_COLUMNS: Final = ("barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres")
_POSITIONS: Final = ("tissue_positions.csv", "tissue_positions_list.csv", "tissue_positions_list.txt")
_COUNTS: Final = ("filtered_feature_bc_matrix.h5", "filtered_feature_bc_matrix")
_SCALED: Final = ("hires", "lowres")


class Visium:
    """The output of Space Ranger for one capture area, or a folder with one such folder a section.

    The finest image that is there is taken: one of full resolution beside the `spatial` folder, or else the two
    that Space Ranger makes.
    """

    needs = f"spatial/{_POSITIONS[0]}, spatial/scalefactors_json.json and {_COUNTS[0]}, in one folder a section"

    def recognises(self, source: Any) -> bool:
        """Whether a table of positions is there, or in the folders below."""
        return isinstance(source, Path) and source.is_dir() and bool(_sections(source))

    def read(self, source: Any, options: ReadOptions) -> list[SectionStack]:
        """Read one stack, or one for each donor that the caller states."""
        folders = _sections(source)
        if not folders:
            raise FileFormatError(f"{source} holds no {' or '.join(_POSITIONS)}, neither itself nor in its folders.")
        donors = by_donor(options.choose(list(folders)), source.name, options)
        return [
            build_stack(
                donor,
                [_read_section(name, folders[name]) for name in names],
                VISIUM,
                options,
                thickness_um=_THICKNESS_UM,
            )
            for donor, names in donors.items()
        ]


stack_readers.add("visium", source="https://www.10xgenomics.com/support/software/space-ranger")(Visium())


def _sections(source: Path) -> dict[str, Path]:
    """Folders of sections by name: the folder itself, or those below it."""
    if _spatial(source) is not None:
        name = source.resolve().parent.name if source.name == "outs" else source.resolve().name
        return {name: source}
    found = {}
    for folder in sorted((item for item in source.iterdir() if item.is_dir()), key=lambda item: natural(item.name)):
        for inside in (folder, folder / "outs"):
            if inside.is_dir() and _spatial(inside) is not None:
                found[folder.name] = inside
                break
    return found


def _spatial(folder: Path) -> Path | None:
    """Find the folder with the table of positions: `spatial`, or the folder itself."""
    for inside in (folder / "spatial", folder):
        if any(_packed(inside, name) for name in _POSITIONS):
            return inside
    return None


def _packed(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _read_section(name: str, folder: Path) -> RawSection:
    spatial = _spatial(folder)
    assert spatial is not None
    notes: list[str] = []
    positions = _positions(spatial)
    spots = positions[positions["in_tissue"] == 1]
    if not len(spots):
        raise InputError(f"Section {name!r}: none of its {len(positions)} spots is in the tissue.")
    matrix = next((folder / part for part in _COUNTS if (folder / part).exists()), None)
    counts, genes = None, None
    if matrix is not None:
        cells = read(matrix)
        at = cells.obs_names.get_indexer(spots.index) if cells.obs_names.is_unique else None
        if at is None:
            raise InputError(f"{matrix} lists the barcode {cells.obs_names[cells.obs_names.duplicated()][0]!r} twice.")
        if not (at >= 0).any():
            raise InputError(
                f"None of the {cells.n_obs} barcodes of {matrix} is a spot of section {name!r}: they are called e.g. "
                f"{cells.obs_names[0]!r}, spots {spots.index[0]!r}. Do the two files belong together?"
            )
        if (at < 0).any():
            notes.append(f"{(at < 0).sum()} of {len(spots)} spots in the tissue have no counts and are left out")
        spots, counts, genes = spots[at >= 0], cells.X[at[at >= 0]], cells.var
    image, shrink = _image(folder, spatial)
    return RawSection(
        name=name,
        spots=spots[["array_row", "array_col"]],
        pixels=spots[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy(np.float64),
        array=spots[["array_col", "array_row"]].to_numpy(np.float64),
        counts=counts,
        genes=genes,
        image=image,
        image_shrink=shrink,
        notes=notes,
    )


def _positions(spatial: Path) -> pd.DataFrame:
    """Read the table of positions; only the later of its two forms has a header."""
    path = next(path for name in _POSITIONS if (path := _packed(spatial, name)))
    with as_table_error(path):
        table = pd.read_csv(path, header=None, dtype=str, keep_default_na=False)
        if len(table) and table.iloc[0, 0] == "barcode":
            table = table.set_axis(table.iloc[0], axis=1).iloc[1:]
        elif table.shape[1] == len(_COLUMNS):
            table = table.set_axis(list(_COLUMNS), axis=1)
        absent = [column for column in _COLUMNS if column not in table]
        if absent or not len(table):
            raise FileFormatError(
                f"{path} holds {len(table)} rows of {table.shape[1]} columns and lacks {', '.join(absent) or 'spots'}; "
                f"expected are {', '.join(_COLUMNS)}, with or without a header."
            )
        if not table.columns.is_unique:
            raise FileFormatError(f"{path} names a column twice: {', '.join(map(str, table.columns))}.")
        numbers = table[list(_COLUMNS[1:])].apply(pd.to_numeric)
    numbers.index = pd.Index(table["barcode"].to_numpy(), name=None)
    return pd.DataFrame(numbers)


def _image(folder: Path, spatial: Path) -> tuple[Path | None, float]:
    """Find the finest image, and how many pixels of the scan lie along one of its own."""
    full = sorted(
        item for item in folder.glob("*image*") if item.suffix.lower() in IMAGE_SUFFIXES and "tissue_" not in item.name
    )
    if len(full) > 1:
        raise FileFormatError(f"{folder} holds {len(full)} images: {', '.join(p.name for p in full)}. Keep one.")
    if full:
        return full[0], 1.0
    for name in _SCALED:
        found = [spatial / f"tissue_{name}_image{suffix}" for suffix in (".png", ".jpg", ".jpeg")]
        for path in found:
            if path.is_file():
                return path, 1 / _scale_factor(spatial / "scalefactors_json.json", f"tissue_{name}_scalef", path)
    return None, 1.0


def _scale_factor(path: Path, key: str, image: Path) -> float:
    if not path.is_file():
        raise FileFormatError(f"{path} is missing, without which nobody knows the scale of {image.name}.")
    with as_table_error(path):
        factor = parse_json(path.read_text(encoding="utf-8")).get(key)
    if not isinstance(factor, int | float) or not 0 < factor <= 1:
        raise FileFormatError(f"{path} must hold {key}, between 0 and 1; found {factor!r}.")
    return float(factor)
