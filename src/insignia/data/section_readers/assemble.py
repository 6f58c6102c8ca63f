"""Spots and an image become a section, sections a stack; what had to be assumed is put into words."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from insignia.core import keys
from insignia.core.errors import DuplicateNames, InputError
from insignia.data.array_geometry import SpotArray
from insignia.data.input_space import check_space
from insignia.data.pixels import ArrayPixels, Pixels, open_pixels
from insignia.data.section_image import SectionImage
from insignia.data.section_readers.contract import ReadOptions
from insignia.data.section_readers.raw import RawSection
from insignia.data.section_readers.scale import find_scale
from insignia.data.sections import Section, SectionStack

__all__ = ["build_stack", "by_donor", "natural"]

_OUTSIDE: Final = 0.5


def build_stack(
    name: str,
    raws: Sequence[RawSection],
    platform: SpotArray,
    options: ReadOptions,
    *,
    places: Mapping[str, float] | None = None,
    thickness_um: float,
) -> SectionStack:
    """Order sections by depth and put them into micrometres.

    Parameters
    ----------
    name
        Of the stack.
    raws
        The sections.
    platform
        Whose array the spots lie on.
    places
        Place of each section in the series; without it, their order.
    thickness_um
        Assumed from one place to the next where the caller states nothing.

    Raises
    ------
    InputError
        Names repeat, values are no counts, positions are not numbers, or a scale cannot be right or found.
    """
    names = [raw.name for raw in raws]
    depths, notes = _depths(
        names, places or dict(zip(names, map(float, range(len(names))), strict=True)), options, thickness_um
    )
    platform = platform.with_pitch(options.pitch_um)
    sections = []
    for raw in raws:
        section, noticed = _build_section(raw, depths[raw.name], platform, options)
        sections.append(section)
        notes += [f"{raw.name}: {note}" for note in noticed]
    for what, absent in (
        ("an image", [section.name for section in sections if section.image is None]),
        ("counts", [section.name for section in sections if not section.is_measured]),
    ):
        if absent:
            notes.append(f"without {what}: {', '.join(absent)}")
    return SectionStack(name, tuple(sections), platform.pitch_um, tuple(notes))


def by_donor(names: Sequence[str], default: str, options: ReadOptions) -> dict[str, list[str]]:
    """Group sections by the donor that the caller states; without it, all belong to `default`."""
    donors: dict[str, list[str]] = {}
    for name in names:
        donors.setdefault((options.donors or {}).get(name, default), []).append(name)
    return {options.stack: donors[options.stack]} if options.stack in donors else donors


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """Sort key by which s10 comes after s9."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part)


def _build_section(
    raw: RawSection, z_um: float, platform: SpotArray, options: ReadOptions
) -> tuple[Section, list[str]]:
    _check(raw)
    notes = list(raw.notes)
    override = (options.images or {}).get(raw.name)
    shrink = raw.image_shrink if override is None else 1.0
    image = _open(raw.image if override is None else override)
    um_per_px = find_scale(raw, image, shrink, platform, options.scale_of(raw.name), notes)
    spots = AnnData(
        sparse.csr_matrix((len(raw.spots), 0), dtype=np.float32) if raw.counts is None else raw.counts,
        obs=raw.spots.copy(),
        var=pd.DataFrame(index=pd.Index([], dtype=object)) if raw.genes is None else raw.genes.copy(),
        obsm=dict(raw.features),
    )
    spots.obs[keys.SECTION] = raw.name
    spots.obsm[keys.SPATIAL] = raw.pixels * um_per_px
    picture = None
    if image is not None:
        picture = SectionImage(image, um_per_px * shrink)
        _check_inside(raw.name, spots.obsm[keys.SPATIAL], picture, platform.pitch_um, notes)
    return Section(raw.name, z_um, spots, picture), notes


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
    first = min(places.values())
    how = "as stated" if stated else "assumed: give z_um or thickness_um if you know better"
    return {name: (places[name] - first) * step for name in names}, [
        f"depth is the place in the series times {step:g} um, {how}"
    ]


def _check(raw: RawSection) -> None:
    for what, index, advice in (
        ("spots", raw.spots.index, "Each spot or barcode is one row."),
        ("genes", None if raw.genes is None else raw.genes.index, "Index genes by their ids, or add the columns up."),
    ):
        if index is not None and not index.is_unique:
            repeated = index[index.duplicated()].unique()
            raise DuplicateNames(
                f"Section {raw.name!r} has {len(repeated):,} names of {what} more than once, e.g. "
                f"{', '.join(map(str, repeated[:5]))}. {advice}"
            )
    for what, places in (("a position", raw.pixels), ("a place in the array", raw.array)):
        if places is not None and not np.isfinite(places).all():
            bad = raw.spots.index[~np.isfinite(places).all(axis=1)]
            raise InputError(f"Section {raw.name!r} has {len(bad)} spots without {what}, e.g. {bad[0]}. Remove them.")
    if raw.counts is not None:
        assert raw.genes is not None
        names = (raw.spots.index, raw.genes.index)
        check_space(raw.counts, "counts", what=f"section {raw.name!r}", names=names)


def _open(image: str | Path | np.ndarray | Pixels | None) -> Pixels | None:
    if image is None or isinstance(image, Pixels):
        return image
    return open_pixels(image) if isinstance(image, str | Path) else ArrayPixels(image)


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
