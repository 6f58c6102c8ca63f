"""The folder that `write_stack` writes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from insignia.core.errors import FileFormatError, InsigniaError
from insignia.core.files import parse_json, sha256_file
from insignia.data.pose_record import pose_from_record
from insignia.data.readers import read
from insignia.data.section_image import SectionImage
from insignia.data.section_readers.contract import ReadOptions, stack_readers
from insignia.data.section_readers.named_file import named_file
from insignia.data.sections import Section, SectionStack
from insignia.data.stack_folder import FORMAT, MANIFEST

__all__ = ["Native"]


class Native:
    """A stack as insignia writes it; poses, features and images come back as they were."""

    needs = f"{MANIFEST} of format {FORMAT}"

    def recognises(self, source: Any) -> bool:
        """Whether the manifest is there."""
        return isinstance(source, Path) and (source / MANIFEST).is_file()

    def read(self, source: Any, options: ReadOptions) -> list[SectionStack]:
        """Read the stack.

        Raises
        ------
        FileFormatError
            The manifest is not what it should be, or a file is not the one that was written.
        InputError
            The caller states what the folder already says.
        """
        options.refuse_stated(source)
        manifest = source / MANIFEST
        try:
            record = parse_json(manifest.read_text(encoding="utf-8"))
            if record["format"] != FORMAT:
                raise FileFormatError(f"{manifest} is of format {record['format']!r}; this version reads {FORMAT!r}.")
            found = {entry["name"]: entry for entry in record["sections"]}
            chosen = options.choose(list(found))
            sections = tuple(_section(source, found[name]) for name in chosen)
            return [SectionStack(record["name"], sections, float(record["pitch_um"]), tuple(record["notes"]))]
        except InsigniaError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise FileFormatError(
                f"{manifest} is damaged: {type(error).__name__} {error}. Write the stack again."
            ) from error


stack_readers.add("native")(Native())


def _section(folder: Path, entry: Mapping[str, Any]) -> Section:
    spots = _checked(folder, entry["spots"]["file"], entry["spots"]["sha256"])
    return Section(
        name=entry["name"],
        z_um=float(entry["z_um"]),
        spots=read(spots),
        image=None if entry["image"] is None else _image(folder, entry["image"]),
        pose=None if entry["pose"] is None else pose_from_record(entry["pose"]),
        is_virtual=bool(entry["is_virtual"]),
    )


def _image(folder: Path, entry: Mapping[str, Any]) -> SectionImage:
    if "file" in entry:
        path = _checked(folder, entry["file"], entry["sha256"])
    else:  # a slide that stays where it is
        path = _sound(folder / entry["path"], entry["path"], entry["sha256"])
    return SectionImage(path, float(entry["um_per_px"]))


def _checked(folder: Path, name: str, digest: str) -> Path:
    """Return the path of a file of the folder that is there and has not changed."""
    return _sound(named_file(folder, name, MANIFEST), name, digest)


def _sound(path: Path, name: str, digest: str) -> Path:
    if not path.is_file():
        raise FileFormatError(f"{MANIFEST} names {name}, and there is no file at {path}. Was it moved?")
    if sha256_file(path) != digest:
        raise FileFormatError(f"{path} is not the file that was written: its sha256 differs. Write the stack again.")
    return path
