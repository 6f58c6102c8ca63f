"""A stack of sections as SpatialData, for squidpy, napari and all that reads it."""

import re
from pathlib import Path
from typing import Any, Final

import numpy as np

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.core.files import atomic_folder, refuse_occupied
from insignia.core.optional import need
from insignia.data.pose_record import pose_record
from insignia.data.sections import Section, SectionStack

__all__ = ["ATTRS", "COMMON", "to_spatialdata", "write_spatialdata"]

ATTRS: Final = "insignia"
"""`attrs[...]` of the SpatialData: what it has no place for, so that the stack can be read back."""

COMMON: Final = "common"
"""The coordinate system in which registered sections lie on each other."""

_REGION, _INSTANCE = "region", "spot"


def to_spatialdata(stack: SectionStack, *, um_per_px: float | None = None) -> Any:
    """Make a SpatialData of a stack.

    Each section is a coordinate system in micrometres, with `<name>_image`, `<name>_spots` (circles of a quarter of the
    pitch) and `<name>_table`, which annotates them. Registered sections are in the system `common` too.

    Parameters
    ----------
    stack
        The stack.
    um_per_px
        Resolution of the images; `None` takes them at their finest, whole, into memory.

    Raises
    ------
    InputError
        Two names of sections become the same, as SpatialData knows letters, digits, ``_``, ``.`` and ``-`` only.
    MissingDependency
        The package is not installed.
    """
    sd = need("spatialdata", extra="spatialdata", purpose="Making SpatialData")
    names = {section.name: re.sub(r"[^A-Za-z0-9_.-]", "_", section.name) for section in stack}
    if len({name.lower() for name in names.values()} | {COMMON}) < len(names) + 1:
        raise InputError(f"Names of sections must differ in letters and digits, also from {COMMON!r}: {list(names)}.")
    images, shapes, tables, records = {}, {}, {}, []
    for section in stack:
        name = names[section.name]
        record = {
            "name": section.name,
            "element": name,
            "z_um": float(section.z_um),
            "is_virtual": bool(section.is_virtual),
            "pose": None if section.pose is None else pose_record(section.pose),
            "um_per_px": None,
        }
        if section.image is not None:
            record["um_per_px"] = section.image.um_per_px if um_per_px is None else float(um_per_px)
            images[f"{name}_image"] = _image(section, name, um_per_px)
        if section.spots.n_obs:
            shapes[f"{name}_spots"] = _shapes(section, name, stack.pitch_um / 4)
            tables[f"{name}_table"] = _table(section, name)
        records.append(record)
    about = {"name": stack.name, "pitch_um": float(stack.pitch_um), "notes": list(stack.notes), "sections": records}
    return sd.SpatialData(images=images, shapes=shapes, tables=tables, attrs={ATTRS: about})


def write_spatialdata(stack: SectionStack, path: str | Path, *, um_per_px: float | None = None) -> None:
    """Write a stack as a SpatialData store, whole or not at all.

    Parameters
    ----------
    stack, um_per_px
        See `to_spatialdata`.
    path
        A folder that does not exist yet, ending in .zarr.

    Raises
    ------
    InputError
        There is something at `path` already, or it ends otherwise.
    """
    path = Path(path)
    if path.suffix != ".zarr":
        raise InputError(f"A SpatialData store ends in .zarr; found {path.name!r}.")
    refuse_occupied(path)
    data = to_spatialdata(stack, um_per_px=um_per_px)
    with atomic_folder(path) as folder:
        # it insists on making the folder itself
        folder.rmdir()
        data.write(folder)


def _image(section: Section, name: str, um_per_px: float | None) -> Any:
    from spatialdata.models import Image2DModel
    from spatialdata.transformations import Scale

    assert section.image is not None
    scale = section.image.um_per_px if um_per_px is None else um_per_px
    pixels = section.image.pixels if um_per_px is None else section.image.at(um_per_px)
    to_um = Scale([scale, scale], axes=("x", "y"))
    return Image2DModel.parse(
        np.ascontiguousarray(np.moveaxis(pixels, 2, 0)),
        dims=("c", "y", "x"),
        c_coords=["r", "g", "b"],
        transformations=_transforms(section, name, to_um),
    )


def _shapes(section: Section, name: str, radius_um: float) -> Any:
    from spatialdata.models import ShapesModel
    from spatialdata.transformations import Identity

    return ShapesModel.parse(
        section.points_um,
        geometry=0,
        radius=radius_um,
        index=section.spots.obs_names.astype(str),
        transformations=_transforms(section, name, Identity()),
    )


def _table(section: Section, name: str) -> Any:
    from spatialdata.models import TableModel

    table = section.spots.copy()
    table.uns.pop("spatialdata_attrs", None)
    table.obs[_REGION] = f"{name}_spots"
    table.obs[_REGION] = table.obs[_REGION].astype("category")
    table.obs[_INSTANCE] = table.obs_names.astype(str)
    if section.pose is not None:
        table.obsm[keys.SPATIAL_COMMON] = section.common_um
    return TableModel.parse(table, region=f"{name}_spots", region_key=_REGION, instance_key=_INSTANCE)


def _transforms(section: Section, name: str, to_um: Any) -> dict[str, Any]:
    """Ways into the section's own system and, if it lies there, into the common one."""
    from spatialdata.transformations import Affine, Sequence

    if section.pose is None or not section.pose.is_ok:
        return {name: to_um}
    square = np.vstack([section.pose.transform.matrix, [0.0, 0.0, 1.0]])
    return {name: to_um, COMMON: Sequence([to_um, Affine(square, input_axes=("x", "y"), output_axes=("x", "y"))])}
