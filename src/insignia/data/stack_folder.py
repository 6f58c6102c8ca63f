"""Write a stack of sections to a folder of plain files: JSON, h5ad and lossless TIFF."""

import json
import os
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

from insignia.core.errors import InputError
from insignia.core.files import atomic_folder, refuse_occupied, resolved, sha256_file
from insignia.core.optional import need
from insignia.data.pose_record import pose_record
from insignia.data.readers import write_h5ad
from insignia.data.section_image import SectionImage
from insignia.data.sections import Section, SectionStack

__all__ = ["FORMAT", "MANIFEST", "write_stack"]

MANIFEST: Final = "stack.json"
FORMAT: Final = "insignia-stack/1"

_TILE: Final = 512


def write_stack(stack: SectionStack, path: str | Path, *, images: Literal["refer", "copy"] = "refer") -> None:
    """Write a stack to a folder that `read_stack` reads back unchanged.

    The folder holds ``stack.json``, ``sections/<name>.h5ad`` and ``images/<name>.tif``, and appears whole or
    not at all.

    Parameters
    ----------
    stack
        The stack.
    path
        A folder that does not exist yet.
    images
        What becomes of images that are files: ``"refer"`` notes their path and sha256, ``"copy"`` writes their pixels
        at the finest resolution. Images in memory are always written.

    Raises
    ------
    InputError
        There is something at `path` already, or `images` is neither.
    """
    path = Path(path)
    if images not in ("refer", "copy"):
        raise InputError(f"images must be 'refer' or 'copy', found {images!r}.")
    refuse_occupied(path)
    with atomic_folder(path) as folder:
        (folder / "sections").mkdir()
        record = {
            "format": FORMAT,
            "name": stack.name,
            "pitch_um": float(stack.pitch_um),
            "notes": list(stack.notes),
            "sections": [_write_section(section, folder, path, images) for section in stack],
        }
        text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _write_section(section: Section, folder: Path, final: Path, images: str) -> dict[str, Any]:
    name = quote(section.name, safe=" ")
    spots = folder / "sections" / f"{name}.h5ad"
    # writing turns texts into categories in place
    write_h5ad(section.spots.copy(), spots)
    return {
        "name": section.name,
        "z_um": float(section.z_um),
        "is_virtual": bool(section.is_virtual),
        "spots": {"file": f"sections/{name}.h5ad", "sha256": sha256_file(spots)},
        "image": None if section.image is None else _write_image(section.image, name, folder, final, images),
        "pose": None if section.pose is None else pose_record(section.pose),
    }


def _write_image(image: SectionImage, name: str, folder: Path, final: Path, images: str) -> dict[str, Any]:
    record = {"um_per_px": image.um_per_px}
    if images == "refer" and image.path is not None:
        return {**record, "path": _relative(image.path, final), "sha256": sha256_file(image.path)}
    file = folder / "images" / f"{name}.tif"
    file.parent.mkdir(exist_ok=True)
    tifffile = need("tifffile", extra="spatial", purpose="Writing images")
    per_cm = 1e4 / image.um_per_px
    tifffile.imwrite(
        file,
        image.pixels,
        photometric="rgb",
        tile=(_TILE, _TILE),
        compression="zlib",
        resolution=(per_cm, per_cm),
        resolutionunit="CENTIMETER",
        metadata=None,
    )
    return {**record, "file": f"images/{name}.tif", "sha256": sha256_file(file)}


def _relative(image: Path, folder: Path) -> str:
    """Path of an image as seen from the folder, so that both may move together."""
    try:
        return Path(os.path.relpath(resolved(image), resolved(folder))).as_posix()
    except ValueError:  # another drive
        return resolved(image).as_posix()
