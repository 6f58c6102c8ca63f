"""Spots and an image become a section, a set of sections a stack; what had to be assumed is put into words."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from insignia.core import keys
from insignia.core.errors import DuplicateNames, InputError
from insignia.data.array_geometry import SpotArray, check_pitch, fit_array
from insignia.data.input_space import check_space
from insignia.data.pixels import open_pixels
from insignia.data.section_image import SectionImage
from insignia.data.section_readers.contract import ReadOptions
from insignia.data.sections import Section, SectionStack

__all__ = ["RawSection", "build_section", "build_stack", "natural"]

_STRETCHED: Final = 1.03
_OUTSIDE: Final = 0.5


@dataclass(frozen=True, eq=False)
class RawSection:
    """One section as its files hold it.

    Parameters
    ----------
    name
        Of the section.
    spots
        Names and annotations of the spots.
    pixels
        (spots, 2), x and y, in pixels of the image at its finest, or of the scan that there is no copy of.
    array
        (spots, 2) array coordinates, `None` where there are none.
    counts
        (spots, genes) or `None` where nothing was measured.
    genes
        Names and annotations of the genes.
    image
        The picture, if there is one.
    image_shrink
        Pixels of the positions along one pixel of the picture.
    """

    name: str
    spots: pd.DataFrame
    pixels: np.ndarray
    array: np.ndarray | None = None
    counts: Any = None
    genes: pd.DataFrame | None = None
    image: Path | np.ndarray | None = None
    image_shrink: float = 1.0
    notes: list[str] = field(default_factory=list)


def build_section(raw: RawSection, z_um: float, platform: SpotArray, options: ReadOptions) -> tuple[Section, list[str]]:
    """Put a section into micrometres.

    Returns
    -------
    The section, and notes on what was estimated.

    Raises
    ------
    InputError
        Names repeat, values are no counts, positions are not numbers, or the scale cannot be right or found.
    """
    _check_names(raw)
    notes = list(raw.notes)
    image = _open(raw, options)
    um_per_px = _scale(raw, image, platform, options, notes)
    spots = AnnData(
        sparse.csr_matrix((len(raw.spots), 0), dtype=np.float32) if raw.counts is None else raw.counts,
        obs=raw.spots.copy(),
        var=pd.DataFrame(index=pd.Index([], dtype=object)) if raw.genes is None else raw.genes.copy(),
    )
    spots.obs[keys.SECTION] = raw.name
    spots.obsm[keys.SPATIAL] = raw.pixels * um_per_px
    picture = None
    if image is not None:
        picture = SectionImage(image, um_per_px * raw.image_shrink)
        _check_inside(raw.name, spots.obsm[keys.SPATIAL], picture, platform.pitch_um, notes)
    return Section(raw.name, z_um, spots, picture), notes


def build_stack(
    name: str,
    raws: Sequence[RawSection],
    platform: SpotArray,
    options: ReadOptions,
    *,
    places: Mapping[str, float] | None = None,
    thickness_um: float,
    notes: Sequence[str] = (),
) -> SectionStack:
    """Order sections by depth and put them into micrometres.

    Parameters
    ----------
    name
        Of the stack.
    raws
        The sections; those of which there is only an image are added from the options.
    platform
        Whose array the spots lie on.
    places
        Place of each section in the series; without it, their order.
    thickness_um
        Assumed from one place to the next where the caller states nothing.
    """
    names = [raw.name for raw in raws]
    places = places or {name: float(index) for index, name in enumerate(names)}
    depths, said = _depths(names, places, options, thickness_um)
    if options.pitch_um is not None:
        share = options.pitch_um / platform.pitch_um
        step_um = (platform.step_um[0] * share, platform.step_um[1] * share)
        platform = SpotArray("the array that pitch_um states", step_um, options.pitch_um)
    sections, told = [], [*notes, *said]
    for raw in raws:
        section, noticed = build_section(raw, depths[raw.name], platform, options)
        sections.append(section)
        told += [f"{raw.name}: {note}" for note in noticed]
    return SectionStack(name, tuple(sections), platform.pitch_um, tuple(told))


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """Sort key by which s10 comes after s9."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part)


def _depths(
    names: Sequence[str], places: Mapping[str, float], options: ReadOptions, thickness_um: float
) -> tuple[dict[str, float], list[str]]:
    if options.z_um is not None:
        absent = [name for name in names if name not in options.z_um]
        if absent:
            raise InputError(f"z_um gives no depth for {', '.join(absent[:5])}. Give all of them, or none.")
        return {name: float(options.z_um[name]) for name in names}, []
    stated = options.thickness_um is not None
    step = thickness_um if options.thickness_um is None else options.thickness_um
    if not 0 < step < np.inf:
        raise InputError(f"thickness_um must be positive, found {step}.")
    first = min(places[name] for name in names)
    how = "as stated" if stated else "assumed: give z_um or thickness_um if you know better"
    return {name: (places[name] - first) * step for name in names}, [
        f"depth is the place in the series times {step:g} um, {how}"
    ]


def _check_names(raw: RawSection) -> None:
    for what, index, advice in (
        ("spots", raw.spots.index, "Each spot or barcode is one row."),
        ("genes", None if raw.genes is None else raw.genes.index, "Index genes by their ids, or add the rows up."),
    ):
        if index is not None and not index.is_unique:
            repeated = index[index.duplicated()].unique()
            raise DuplicateNames(
                f"Section {raw.name!r} has {len(repeated):,} names of {what} more than once, e.g. "
                f"{', '.join(map(str, repeated[:5]))}. {advice}"
            )
    if not np.isfinite(raw.pixels).all():
        bad = raw.spots.index[~np.isfinite(raw.pixels).all(axis=1)]
        raise InputError(f"Section {raw.name!r} has {len(bad)} spots without a position, e.g. {bad[0]}. Remove them.")
    if raw.counts is not None:
        assert raw.genes is not None
        names = (raw.spots.index, raw.genes.index)
        check_space(raw.counts, "counts", what=f"section {raw.name!r}", names=names)


def _open(raw: RawSection, options: ReadOptions) -> Any:
    chosen = (options.images or {}).get(raw.name, raw.image)
    return open_pixels(chosen) if isinstance(chosen, str | Path) else chosen


def _scale(raw: RawSection, image: Any, platform: SpotArray, options: ReadOptions, notes: list[str]) -> float:
    """Micrometres per pixel of the positions: stated, or from the slope of the array, or from the image."""
    fit = None if raw.array is None else fit_array(raw.array, raw.pixels, platform.step_um)
    if fit is not None and fit.is_mirrored:
        notes.append(
            "the array of spots lies on the image as in a mirror: is the image flipped, or are x and y, or rows and "
            "columns, exchanged in the table of positions?"
        )
    if fit is not None and fit.stretch > _STRETCHED:
        notes.append(
            f"the image is stretched: the scales of its sides differ by {fit.stretch - 1:.0%}, and their mean is used"
        )
    stated = options.scale_of(raw.name)
    if stated is not None:
        if not 0 < stated < np.inf:
            raise InputError(f"um_per_px of section {raw.name!r} must be positive, found {stated}.")
        if fit is not None:
            check_pitch(raw.name, stated, fit.um_per_px, platform)
        return float(stated)
    if fit is not None:
        notes.append(
            f"um_per_px = {fit.um_per_px:.4g}, estimated from the slope of pixels against array coordinates "
            f"({platform.name}, {platform.pitch_um:.0f} um from spot to spot)"
        )
        _compare(image, fit.um_per_px, raw, notes)
        return fit.um_per_px
    written = getattr(image, "um_per_px", None)
    if written is not None:
        notes.append(f"um_per_px = {written:.4g}, as the image file says")
        return float(written) / raw.image_shrink
    raise InputError(
        f"The scale of section {raw.name!r} is not known: {len(raw.spots)} spots with"
        f"{'' if raw.array is not None else 'out'} array coordinates are not enough to estimate it, and no image "
        f"states it. Give um_per_px={{{raw.name!r}: ...}}."
    )


def _compare(image: Any, fitted: float, raw: RawSection, notes: list[str]) -> None:
    written = getattr(image, "um_per_px", None)
    if written is not None and abs(written / raw.image_shrink / fitted - 1) > 0.25:
        notes.append(
            f"the image file says um_per_px = {written / raw.image_shrink:.4g}, which does not fit the distance of the "
            "spots and is not used; state um_per_px to decide"
        )


def _check_inside(name: str, points: np.ndarray, image: SectionImage, pitch_um: float, notes: list[str]) -> None:
    size = np.asarray(image.size_um)
    outside = ((points < 0) | (points >= size)).any(axis=1)
    far = ((points < -pitch_um) | (points >= size + pitch_um)).any(axis=1)
    if len(points) and far.mean() > _OUTSIDE:
        raise InputError(
            f"{far.sum()} of {len(points)} spots of section {name!r} lie outside its image, which is "
            f"{size[0]:.0f} x {size[1]:.0f} um: is it the image of another scale or section, or are x and y exchanged?"
        )
    if outside.any():
        notes.append(f"{outside.sum()} of {len(points)} spots lie outside the image")
