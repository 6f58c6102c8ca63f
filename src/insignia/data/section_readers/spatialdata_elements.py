"""Sections among the elements of a SpatialData that others wrote."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.data.array_geometry import SpotArray
from insignia.data.pixels.lazy_array import LazyPixels
from insignia.data.section_readers.anndata import raw_from_anndata
from insignia.data.section_readers.assemble import build_stack, by_donor
from insignia.data.section_readers.contract import ReadOptions
from insignia.data.section_readers.raw import RawSection
from insignia.data.sections import SectionStack

__all__ = ["centres", "picture", "plain_table", "read_elements"]

_THICKNESS_UM: Final = 10.0
_LINK: Final = "spatialdata_attrs"
_XY: Final = ("x", "y")


@dataclass(frozen=True, eq=False)
class _Region:
    """An element whose instances are the spots of one section.

    Parameters
    ----------
    spots
        Annotations and counts, if there are any.
    instances
        (spots,) their names in the element.
    systems
        The coordinate systems that the element is in.
    """

    spots: AnnData
    instances: np.ndarray
    systems: frozenset[str]


def read_elements(data: Any, name: str, options: ReadOptions) -> list[SectionStack]:
    """Read every element that a table annotates, and circles without a table, as a section.

    Raises
    ------
    InputError
        There are none, or they come from different kinds of arrays.
    """
    regions = dict(_annotated(data))
    regions.update((region, found) for region, found in _circles(data) if region not in regions)
    if not regions:
        there = ", ".join(element for _, element, _ in data.gen_elements()) or "none"
        raise InputError(f"SpatialData holds no sections: no annotated elements and no circles. Its elements: {there}.")
    stacks = []
    for donor, members in by_donor(options.choose(list(regions)), name, options).items():
        raws, arrays = zip(*(_raw(data, region, regions) for region in members), strict=True)
        if len({array.name for array in arrays}) > 1:
            raise InputError(f"The sections {', '.join(members)} do not come from one kind of array. State donors.")
        stacks.append(build_stack(donor, raws, arrays[0], options, thickness_um=_THICKNESS_UM))
    return stacks


def plain_table(table: AnnData) -> AnnData:
    """Return a copy of a table without what links it to its element."""
    table = table.copy()
    link = table.uns.pop(_LINK, {})
    return table[:, :].copy() if not link else _without(table, [link["region_key"], link["instance_key"]])


def centres(data: Any, element: str, system: str, instances: Any) -> np.ndarray:
    """Return the centres of instances of an element, (spots, 2), in a coordinate system."""
    from spatialdata import get_centroids

    table = get_centroids(data[element], coordinate_system=system).compute()
    points: np.ndarray = table.loc[list(instances), list(_XY)].to_numpy(np.float64)
    return points


def picture(image: Any) -> LazyPixels:
    """Return an image, with its pyramid if it has one, as something that is read box by box."""
    from spatialdata import get_pyramid_levels

    levels = get_pyramid_levels(image) if hasattr(image, "children") else [image]
    return LazyPixels([level.data for level in levels])


def _without(table: AnnData, columns: list[str]) -> AnnData:
    table.obs = table.obs.drop(columns=[column for column in columns if column in table.obs])
    return table


def _annotated(data: Any) -> Iterator[tuple[str, _Region]]:
    for table in data.tables.values():
        link = table.uns.get(_LINK)
        if link is None:
            continue
        for region in [link["region"]] if isinstance(link["region"], str) else link["region"]:
            rows = table[(table.obs[link["region_key"]] == region).to_numpy()]
            instances = rows.obs[link["instance_key"]].to_numpy()
            yield str(region), _Region(plain_table(rows), instances, _systems(data[region]))


def _circles(data: Any) -> Iterator[tuple[str, _Region]]:
    for region, element in data.shapes.items():
        if "radius" in element:
            spots = AnnData(obs=pd.DataFrame(index=element.index.astype(str)))
            yield region, _Region(spots, element.index.to_numpy(), _systems(element))


def _systems(element: Any) -> frozenset[str]:
    from spatialdata.transformations import get_transformation

    return frozenset(get_transformation(element, get_all=True))


def _raw(data: Any, region: str, regions: dict[str, _Region]) -> tuple[RawSection, SpotArray]:
    """Put the spots of a section into pixels of its picture, or of its coordinate system if it has none."""
    found = regions[region]
    image, system, notes = _choose_image(data, region, regions)
    points = centres(data, region, system, found.instances)
    if image is not None:
        to_system = _matrix(data.images[image], system)
        points = np.column_stack([points, np.ones(len(points))]) @ np.linalg.inv(to_system).T[:, :2]
        notes = [*notes, f"the picture is {image!r}, through the coordinate system {system!r}"]
    spots = found.spots
    spots.obsm[keys.SPATIAL] = points
    spots.uns.pop("spatial", None)
    raw, array = raw_from_anndata(region, spots)
    return replace(raw, image=None if image is None else picture(data.images[image]), notes=notes), array


def _choose_image(data: Any, region: str, regions: dict[str, _Region]) -> tuple[str | None, str, list[str]]:
    """Find the finest image that surely is the section's, and the coordinate system through which it is reached."""
    mine = regions[region].systems
    others = frozenset().union(*(other.systems for name, other in regions.items() if name != region))
    shared = [(name, system) for name, image in data.images.items() for system in sorted(mine & _systems(image))]
    sure = [(name, system) for name, system in shared if system not in others or _named_after(name, regions) == region]
    default = region if region in mine else min(mine)
    if not sure:
        names = ", ".join(sorted({name for name, _ in shared}))
        said = f"the images {names} are in coordinate systems of other sections too; state which is whose with images="
        return None, default, [said] if shared else []
    finest = max(sure, key=lambda pair: _finer(data, region, *pair))
    return *finest, []


def _named_after(image: str, regions: dict[str, _Region]) -> str:
    """Return the longest name of a region with which that of the image begins."""
    return max((region for region in regions if image.startswith(region)), key=len, default="")


def _finer(data: Any, region: str, image: str, system: str) -> float:
    """Pixels of the image on a unit of the element."""
    from_region, from_image = _matrix(data[region], system), _matrix(data.images[image], system)
    return float(abs(np.linalg.det(from_region) / np.linalg.det(from_image)))


def _matrix(element: Any, system: str) -> np.ndarray:
    from spatialdata.transformations import get_transformation

    matrix = get_transformation(element, to_coordinate_system=system).to_affine_matrix(_XY, _XY)
    return np.asarray(matrix, dtype=np.float64)
