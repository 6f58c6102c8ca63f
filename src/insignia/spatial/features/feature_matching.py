"""Whose features are these: rows matched to the spots of a section by name, or by the tile that a spot lies in."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from insignia.core.errors import DuplicateNames, InputError
from insignia.data import Section
from insignia.spatial.features.feature_files import FoundFeatures

__all__ = ["FeatureCoverage", "match_features"]


@dataclass(frozen=True)
class FeatureCoverage:
    """How many spots of a section got features, how many rows found no spot, and what they were matched by."""

    section: str
    n_spots: int
    n_found: int
    n_unused: int
    matched_by: str

    @property
    def share(self) -> float:
        """Share of the spots that got features."""
        return self.n_found / self.n_spots if self.n_spots else 1.0


def match_features(section: Section, found: FoundFeatures) -> tuple[np.ndarray, FeatureCoverage]:
    """Bring rows into the order of a section's spots.

    Returns
    -------
    (spots, features) float32, NaN for spots without a row; and how many there are.

    Raises
    ------
    DuplicateNames
        A name has several rows or several spots.
    InputError
        Rows have places, and the section no image that says where those are.
    """
    row = _rows_by_place(section, found) if found.names is None else _rows_by_name(section, found.names)
    values = np.full((len(row), found.values.shape[1]), np.nan, dtype=np.float32)
    values[row >= 0] = found.values[row[row >= 0]]
    coverage = FeatureCoverage(
        section.name,
        n_spots=len(row),
        n_found=int((row >= 0).sum()),
        n_unused=len(found.values) - len(np.unique(row[row >= 0])),
        matched_by="place" if found.names is None else "name",
    )
    return values, coverage


def _rows_by_name(section: Section, rows: np.ndarray) -> np.ndarray:
    for what, names in (("rows of features", pd.Index(rows)), ("spots", section.spots.obs_names)):
        if not names.is_unique:
            raise DuplicateNames(
                f"Section {section.name!r} has {what} of the same name, e.g. {list(names[names.duplicated()][:3])}. "
                "Give each a name of its own; where one file holds several sections, add a column 'section'."
            )
    return np.asarray(pd.Index(rows).get_indexer(section.spots.obs_names))


def _rows_by_place(section: Section, found: FoundFeatures) -> np.ndarray:
    """Row of the tile that each spot lies in, the one with the nearest centre where tiles overlap."""
    if section.image is None:
        raise InputError(
            f"The features of section {section.name!r} are of tiles at places in its image, and it has no image that "
            "says how large a pixel is. Give the image, or features with the names of spots."
        )
    assert found.corners_px is not None
    centres = np.asarray(found.corners_px, dtype=np.float64) + found.tile_px / 2
    spots = section.points_um / section.image.um_per_px
    distance, row = cKDTree(centres).query(spots, p=np.inf)
    return np.where(distance <= found.tile_px / 2, row, -1)
