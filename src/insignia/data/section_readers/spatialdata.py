"""SpatialData: objects in memory, or stores that end in .zarr."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.core import keys
from insignia.core.errors import FileFormatError, InsigniaError
from insignia.core.optional import need
from insignia.data.pose_record import pose_from_record
from insignia.data.section_image import SectionImage
from insignia.data.section_readers.contract import ReadOptions, stack_readers
from insignia.data.section_readers.spatialdata_elements import centres, picture, plain_table, read_elements
from insignia.data.sections import Section, SectionStack
from insignia.data.spatialdata_stack import ATTRS

__all__ = ["SpatialDatas"]


class SpatialDatas:
    """SpatialData as insignia writes it, or as others do.

    As others write it, every element that a table annotates is a section, and circles without a table are a section
    without counts. The picture of a section is the finest image that shares with it a coordinate system which no other
    section is in, or the name of which begins with that of the section.
    """

    needs = "a SpatialData object, or a store of one that ends in .zarr"

    def recognises(self, source: Any) -> bool:
        """Whether it is such an object or store."""
        if isinstance(source, Path):
            return source.is_dir() and any(
                path.is_file() and "spatialdata" in path.read_text(errors="replace")
                for path in (source / "zarr.json", source / ".zattrs")
            )
        return type(source).__name__ == "SpatialData"

    def read(self, source: Any, options: ReadOptions) -> list[SectionStack]:
        """Read one stack, or one for each donor that the caller states."""
        sd = need("spatialdata", extra="spatialdata", purpose="Reading SpatialData")
        name = source.stem if isinstance(source, Path) else "stack"
        data = _open(sd, source) if isinstance(source, Path) else source
        try:
            if ATTRS in data.attrs:
                return [_own(data, data.attrs[ATTRS], options)]
            return read_elements(data, name, options)
        except (InsigniaError, MemoryError):
            raise
        except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise FileFormatError(
                f"SpatialData could not be read as sections: {type(error).__name__} {error}. Does every table annotate "
                "an element that is there?"
            ) from error


stack_readers.add("spatialdata", source="doi:10.1038/s41592-024-02212-x")(SpatialDatas())


def _open(sd: Any, path: Path) -> Any:
    try:
        return sd.read_zarr(path)
    except (MemoryError, PermissionError):
        raise
    except Exception as error:
        raise FileFormatError(f"{path} could not be read as SpatialData: {error}. Is the store complete?") from error


def _own(data: Any, about: Mapping[str, Any], options: ReadOptions) -> SectionStack:
    """Read back what `to_spatialdata` made."""
    options.refuse_stated("SpatialData that insignia wrote")
    found = {entry["name"]: entry for entry in about["sections"]}
    sections = tuple(_own_section(data, found[name]) for name in options.choose(list(found)))
    return SectionStack(about["name"], sections, float(about["pitch_um"]), tuple(about["notes"]))


def _own_section(data: Any, entry: Mapping[str, Any]) -> Section:
    name = entry["element"]
    if f"{name}_table" in data.tables:
        spots = plain_table(data.tables[f"{name}_table"])
        spots.obsm[keys.SPATIAL] = centres(data, f"{name}_spots", name, spots.obs_names)
        spots.obsm.pop(keys.SPATIAL_COMMON, None)
    else:
        spots = AnnData(obs=pd.DataFrame(index=pd.Index([], dtype=object)), obsm={keys.SPATIAL: np.empty((0, 2))})
    image = data.images.get(f"{name}_image")
    return Section(
        name=entry["name"],
        z_um=float(entry["z_um"]),
        spots=spots,
        image=None if image is None else SectionImage(picture(image), float(entry["um_per_px"])),
        pose=None if entry["pose"] is None else pose_from_record(entry["pose"]),
        is_virtual=bool(entry["is_virtual"]),
    )
