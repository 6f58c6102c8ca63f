"""Spots for sections where nothing was measured: the lattice of a measured section, laid over the tissue."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.data import Section, SectionStack
from insignia.data.lattice import Lattice, fit_lattice
from insignia.spatial.tissue import tissue_mask

__all__ = ["GridOptions", "grid_points", "lay_grid", "lay_grids"]

_PIXELS_PER_PITCH: Final = 20
TISSUE: Final = "tissue_share"


@dataclass(frozen=True)
class GridOptions:
    """How spots are laid out.

    Parameters
    ----------
    like
        Measured section whose lattice is taken; `None` takes the first in order of depth.
    pitch_um
        Distance between neighbours; `None` takes that of the stack.
    min_tissue
        Share of a spot's surroundings, a disc as wide as the pitch, that must be tissue.
    """

    like: str | None = None
    pitch_um: float | None = None
    min_tissue: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.min_tissue <= 1:
            raise InputError(f"min_tissue must be above 0 and at most 1, found {self.min_tissue}.")
        if self.pitch_um is not None and not 0 < self.pitch_um < np.inf:
            raise InputError(f"pitch_um must be positive, found {self.pitch_um}.")


def lay_grids(stack: SectionStack, options: GridOptions | None = None) -> SectionStack:
    """Give every section without spots virtual ones; sections with spots stay as they are.

    Raises
    ------
    InputError
        Such a section has no image, or no tissue on it.
    """
    options = GridOptions() if options is None else options
    bare = [section for section in stack if not section.spots.n_obs]
    if not bare:
        return stack
    lattice = _lattice(stack, options)
    laid = {section.name: lay_grid(section, lattice, min_tissue=options.min_tissue) for section in bare}
    note = (
        f"virtual spots on {', '.join(laid)}: a {lattice.kind} lattice, {lattice.pitch:.4g} um from spot to spot, "
        f"where at least {options.min_tissue:.0%} is tissue"
    )
    return replace(stack.with_sections(laid), notes=(*stack.notes, note))


def lay_grid(section: Section, lattice: Lattice, *, min_tissue: float = 0.5) -> Section:
    """Lay a lattice over the tissue of one section.

    Parameters
    ----------
    section
        Has an image; spots that it has are replaced.
    lattice
        In micrometres; it is shifted so that one of its points lies on the centre of the tissue.
    min_tissue
        See `GridOptions`.

    Returns
    -------
    The section with virtual spots, called by their row and column on the lattice, row by row, without genes. The share
    of tissue around each is in ``obs["tissue_share"]``.

    Raises
    ------
    InputError
        There is no image, or no tissue on it.
    """
    if section.image is None:
        raise InputError(
            f"Section {section.name!r} has neither spots nor an image on which virtual ones could be laid."
        )
    um_per_px = lattice.pitch / _PIXELS_PER_PITCH
    mask = tissue_mask(section.image.at(um_per_px), um_per_px)
    points, places, share = grid_points(mask, um_per_px, lattice, min_tissue=min_tissue)
    if not len(points):
        raise InputError(
            f"No tissue was found on the image of section {section.name!r}, so no virtual spots can be laid there. "
            "Is it a stained section, and is um_per_px right?"
        )
    obs = pd.DataFrame(index=[f"v{row}x{column}" for column, row in places])
    spots = AnnData(sparse.csr_matrix((len(points), 0), dtype=np.float32), obs=obs.assign(**{TISSUE: share}))
    spots.obs[keys.SECTION] = section.name
    spots.obsm[keys.SPATIAL] = points
    return replace(section, spots=spots, is_virtual=True)


def grid_points(
    mask: np.ndarray, um_per_px: float, lattice: Lattice, *, min_tissue: float = 0.5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the points of a lattice that lie on tissue.

    Parameters
    ----------
    mask
        (height, width) bool, tissue.
    um_per_px
        Micrometres per pixel of the mask.
    lattice
        In micrometres; shifted onto the centre of the tissue.
    min_tissue
        Share of a disc as wide as the pitch that must be tissue; what lies beyond the mask is none.

    Returns
    -------
    (spots, 2) micrometres, (spots, 2) column and row on the lattice, from 0, and (spots,) share of tissue.
    """
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return np.empty((0, 2)), np.empty((0, 2), dtype=np.int64), np.empty(0)
    centre = (np.array([columns.mean(), rows.mean()]) + 0.5) * um_per_px
    height, width = mask.shape
    places = _places(lattice, np.hypot(height, width) * um_per_px)
    points = centre + places @ lattice.basis
    size = np.array([width, height]) * um_per_px
    inside = ((points >= 0) & (points < size)).all(axis=1)
    points, places = points[inside], places[inside]
    share = _share(mask, points / um_per_px, lattice.pitch / 2 / um_per_px)
    kept = share >= min_tissue
    points, places, share = points[kept], places[kept], share[kept]
    if len(places):
        places = places - places.min(axis=0)
    return points, places, share


def _lattice(stack: SectionStack, options: GridOptions) -> Lattice:
    """Take the lattice of a measured section, as regular as its jittering spots allow to tell."""
    pitch = stack.pitch_um if options.pitch_um is None else options.pitch_um
    names = [section.name for section in stack if section.spots.n_obs and not section.is_virtual]
    if options.like is not None:
        names = [stack[options.like].name]
    for name in names:
        try:
            return replace(fit_lattice(stack[name].points_um), pitch=pitch)
        except InputError as error:
            if options.like is not None:
                error.add_note(f"The lattice was to be that of section {name!r}.")
                raise
    return Lattice("hex", pitch, 0.0, (0.0, 0.0))


def _places(lattice: Lattice, reach: float) -> np.ndarray:
    """All (column, row) within reach of the origin, row by row."""
    steps = int(np.ceil(2 * reach / lattice.pitch))
    row, column = np.mgrid[-steps : steps + 1, -steps : steps + 1]
    places = np.column_stack([column.ravel(), row.ravel()])
    near: np.ndarray = places[np.linalg.norm(places @ lattice.basis, axis=1) <= reach]
    return near


def _share(mask: np.ndarray, points: np.ndarray, radius: float) -> np.ndarray:
    """Share of the pixels of a disc around each point, in pixels of the mask, that are set."""
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = x**2 + y**2 <= radius**2
    padded = np.pad(mask, reach)
    column, row = np.floor(points).astype(np.int64).T + reach
    total = np.zeros(len(points))
    for dy, dx in zip(y[disc], x[disc], strict=True):
        total += padded[row + dy, column + dx]
    return np.asarray(total / disc.sum())
