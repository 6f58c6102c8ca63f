"""HEST-1k: aligned AnnData in `st`, with patches around the spots in `patches`, and slides in `wsis` where they are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from insignia.core.errors import FileFormatError, InputError
from insignia.core.files import parse_json
from insignia.data.array_geometry import SpotArray
from insignia.data.pixels.patch_mosaic import PatchMosaic
from insignia.data.readers import read
from insignia.data.section_readers.anndata import raw_from_anndata
from insignia.data.section_readers.assemble import build_stack, natural
from insignia.data.section_readers.contract import ReadOptions, stack_readers
from insignia.data.section_readers.raw import RawSection
from insignia.data.section_readers.text_tables import as_table_error
from insignia.data.sections import SectionStack

__all__ = ["Hest"]

_THICKNESS_UM: Final = 10.0


class Hest:
    """A folder in the layout of HEST-1k.

    The slide of a section is read if it is there. Where it is not, its patches are laid out as on the slide, and what
    lies between them is white: enough for features of single spots, less so for registration.

    References
    ----------
    Jaume et al., NeurIPS 2024, arXiv:2406.16192.
    """

    needs = "st/<id>.h5ad with patches/<id>.h5 or wsis/<id>.tif, and metadata/<id>.json"

    def recognises(self, source: Any) -> bool:
        """Whether there are aligned tables, and pictures or metadata beside them."""
        if not isinstance(source, Path) or not (source / "st").is_dir():
            return False
        return any((source / part).is_dir() for part in ("patches", "wsis", "metadata")) and bool(_names(source))

    def read(self, source: Any, options: ReadOptions) -> list[SectionStack]:
        """Read one stack for each donor that the caller or the metadata state."""
        names = options.choose(_names(source))
        about = {name: _metadata(source, name) for name in names}
        stated = dict(options.donors or {})
        donors: dict[str, list[str]] = {}
        for name in names:
            donors.setdefault(stated.get(name) or str(about[name].get("patient") or source.name), []).append(name)
        if options.stack in donors:
            donors = {options.stack: donors[options.stack]}
        return [_stack(source, donor, members, about, options) for donor, members in donors.items()]


stack_readers.add("hest", source="arXiv:2406.16192")(Hest())


def _names(folder: Path) -> list[str]:
    return sorted((item.stem for item in (folder / "st").glob("*.h5ad")), key=natural)


def _metadata(folder: Path, name: str) -> Mapping[str, Any]:
    path = folder / "metadata" / f"{name}.json"
    if not path.is_file():
        return {}
    with as_table_error(path):
        about = parse_json(path.read_text(encoding="utf-8"))
    if not isinstance(about, dict):
        raise FileFormatError(f"{path} must hold an object, found {type(about).__name__}.")
    return about


def _stack(
    folder: Path, donor: str, names: list[str], about: Mapping[str, Mapping[str, Any]], options: ReadOptions
) -> SectionStack:
    raws, arrays = zip(*(_read_section(folder, name, about[name]) for name in names), strict=True)
    pitches = {array.pitch_um for array in arrays}
    if len(pitches) > 1:
        raise InputError(
            f"The sections of donor {donor!r} have spots {', '.join(f'{p:g}' for p in sorted(pitches))} um apart: "
            "they are no one stack. Choose some with sections=, or state donors."
        )
    return build_stack(donor, raws, arrays[0], options, thickness_um=_THICKNESS_UM)


def _read_section(folder: Path, name: str, about: Mapping[str, Any]) -> tuple[RawSection, SpotArray]:
    adata = read(folder / "st" / f"{name}.h5ad")
    # its small picture has the scale of a thumbnail; the slide or the patches are better
    adata.uns.pop("spatial", None)
    raw, array = raw_from_anndata(name, adata)
    pitch = about.get("inter_spot_dist")
    if isinstance(pitch, int | float) and pitch > 0:
        array = array.with_pitch(float(pitch))
    slide = next((p for p in (folder / "wsis" / f"{name}{end}" for end in (".tif", ".tiff")) if p.is_file()), None)
    patches = folder / "patches" / f"{name}.h5"
    notes: list[str] = []
    image: Any = slide
    shrink = 1.0
    if slide is None and patches.is_file():
        image = PatchMosaic(patches, _pixel_size(about))
        shrink = image.shrink
        notes.append(f"no slide: the picture is made of {len(image)} patches around spots, and white between them")
    return RawSection(**{**vars(raw), "image": image, "image_shrink": shrink, "notes": notes}), array


def _pixel_size(about: Mapping[str, Any]) -> float | None:
    for key in ("pixel_size_um_estimated", "pixel_size_um_embedded"):
        value = about.get(key)
        if isinstance(value, int | float) and value > 0:
            return float(value)
    return None
