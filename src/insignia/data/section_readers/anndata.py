"""AnnData objects, one a section, with images and a scale, or as scanpy and squidpy hold Visium sections."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from anndata import AnnData

from insignia.core import keys
from insignia.core.errors import InputError, MissingMetadata
from insignia.data.array_geometry import SpotArray
from insignia.data.section_readers.assemble import build_stack, by_donor
from insignia.data.section_readers.contract import ReadOptions, stack_readers
from insignia.data.section_readers.raw import RawSection
from insignia.data.section_readers.visium import VISIUM
from insignia.data.sections import SectionStack

__all__ = ["AnnDatas", "raw_from_anndata"]

_UNKNOWN: Final = SpotArray("an unknown array", (100.0, 100.0), 100.0, is_stated=False)
_FIRST: Final = SpotArray("the Spatial Transcriptomics array", (200.0, 200.0), 200.0)
_ARRAYS: Final = {("array_col", "array_row"): VISIUM, ("array_x", "array_y"): _FIRST}
_THICKNESS_UM: Final = 10.0


class AnnDatas:
    """A mapping from names to AnnData, or a list of them.

    Positions are ``obsm["spatial"]``, pixels of the scan; counts are ``layers["counts"]``, or `X` without such a
    layer. Array coordinates in ``obs`` (`array_row` and `array_col` of Visium, `array_x` and `array_y` of the first
    arrays) give the scale where it is not stated. An image in ``uns["spatial"]`` is taken where no other is given.
    """

    needs = "a mapping from names of sections to AnnData with obsm['spatial'] in pixels, or a list of them"

    def recognises(self, source: Any) -> bool:
        """Whether all of it is AnnData."""
        items = list(source.values()) if isinstance(source, Mapping) else source
        return isinstance(items, list | tuple) and bool(items) and all(isinstance(item, AnnData) for item in items)

    def read(self, source: Any, options: ReadOptions) -> list[SectionStack]:
        """Read one stack, or one for each donor that the caller states."""
        sections = _named(source)
        donors = by_donor(options.choose(list(sections)), "stack", options)
        stacks = []
        for donor, names in donors.items():
            raws, arrays = zip(*(raw_from_anndata(name, sections[name]) for name in names), strict=True)
            if len({array.name for array in arrays}) > 1:
                found = ", ".join(f"{raw.name}: {array.name}" for raw, array in zip(raws, arrays, strict=True))
                raise InputError(f"The sections of a stack must come from one kind of array, found {found}.")
            stacks.append(build_stack(donor, raws, arrays[0], options, thickness_um=_THICKNESS_UM))
        return stacks


stack_readers.add("anndata")(AnnDatas())


def raw_from_anndata(name: str, adata: AnnData) -> tuple[RawSection, SpotArray]:
    """Take a section out of an AnnData, and say whose array its spots lie on.

    Raises
    ------
    MissingMetadata
        There are no positions.
    """
    if keys.SPATIAL not in adata.obsm:
        raise MissingMetadata(
            f"Section {name!r} has no obsm[{keys.SPATIAL!r}], the positions of its spots in pixels; "
            f"it has {', '.join(adata.obsm) or 'nothing in obsm'}."
        )
    pixels = np.asarray(adata.obsm[keys.SPATIAL], dtype=np.float64)
    if pixels.ndim != 2 or pixels.shape[1] < 2:
        raise InputError(f"obsm[{keys.SPATIAL!r}] of section {name!r} must be (spots, 2), found {pixels.shape}.")
    columns = next((pair for pair in _ARRAYS if set(pair) <= set(adata.obs)), None)
    image, shrink = _image(adata)
    raw = RawSection(
        name=name,
        spots=adata.obs,
        pixels=pixels[:, :2],
        array=None if columns is None else adata.obs[list(columns)].to_numpy(np.float64),
        counts=_counts(adata),
        genes=adata.var if adata.n_vars else None,
        features={key: value for key, value in adata.obsm.items() if key != keys.SPATIAL},
        image=image,
        image_shrink=shrink,
    )
    return raw, _UNKNOWN if columns is None else _ARRAYS[columns]


def _named(source: Mapping[str, AnnData] | Sequence[AnnData]) -> dict[str, AnnData]:
    if isinstance(source, Mapping):
        return {str(name): adata for name, adata in source.items()}
    return {f"s{number}": adata for number, adata in enumerate(source, start=1)}


def _counts(adata: AnnData) -> Any:
    if not adata.n_vars:
        return None
    counts = adata.layers.get("counts", adata.X)
    return None if counts is None else counts.copy()


def _image(adata: AnnData) -> tuple[np.ndarray | None, float]:
    """Take the image that scanpy keeps for the only library there is."""
    libraries = adata.uns.get("spatial", {})
    if not isinstance(libraries, Mapping) or len(libraries) != 1:
        return None, 1.0
    library = next(iter(libraries.values()))
    for name in ("hires", "downscaled_fullres", "lowres"):
        factor = library.get("scalefactors", {}).get(f"tissue_{name}_scalef")
        pixels = library.get("images", {}).get(name)
        if pixels is not None and factor is not None and 0 < float(factor) <= 1:
            return _as_bytes(np.asarray(pixels)), 1 / float(factor)
    return None, 1.0


def _as_bytes(pixels: np.ndarray) -> np.ndarray:
    """Scanpy holds images as fractions."""
    if pixels.dtype.kind == "f":
        pixels = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return pixels[:, :, :3] if pixels.ndim == 3 else pixels
