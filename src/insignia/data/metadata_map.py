"""Mapping files: how a source calls its metadata columns and values, and what an atlas calls them."""

import csv
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from insignia.core import keys
from insignia.core.errors import FileFormatError, InputError

__all__ = ["MetadataMap", "bundled_maps", "metadata_map"]

_FOLDER: Final = "maps"
_PARTS: Final = ("name", "description", "columns", "constants", "values", "extra")


@dataclass(frozen=True)
class MetadataMap:
    """How one source names what an atlas keeps.

    Parameters
    ----------
    name, description
        What the source is.
    columns
        Their column -> ours, or several of ours. One that a file lacks is passed over, so that a mapping serves many
        files; a column that an atlas needs and that nothing gives is an error then.
    constants
        Ours -> one value for all cells, where no column gives it.
    values
        Ours -> (their value -> ours). Of several diseases in one field each is renamed by itself, after the whole
        field was looked up.
    extra
        Their column -> the name under which an atlas keeps it beside the metadata, where a file has it.

    Raises
    ------
    InputError
        It names something that is no metadata column, names one twice, or an extra column has the name of one.
    """

    name: str = "custom"
    description: str = ""
    columns: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        targets = [one for ours in self.columns.values() for one in ([ours] if isinstance(ours, str) else ours)]
        for name in (*targets, *self.constants, *self.values):
            if name not in keys.METADATA:
                raise InputError(
                    f"The mapping {self.name!r} names {name!r}, which is no metadata column. There are: "
                    f"{', '.join(keys.METADATA)}. Other columns to keep stand under extra."
                )
        twice = [name for name in targets if targets.count(name) > 1]
        if twice:
            raise InputError(f"The mapping {self.name!r} gives {twice[0]!r} two columns. Give it one.")
        taken = [name for name in self.extra.values() if name in keys.METADATA]
        if taken:
            raise InputError(f"The mapping {self.name!r} keeps an extra column as {taken[0]!r}, a metadata column.")
        kept = list(self.extra.values())
        if len(set(kept)) < len(kept):
            raise InputError(f"The mapping {self.name!r} keeps two extra columns under one name.")

    @classmethod
    def read(cls, path: str | Path) -> "MetadataMap":
        """Read a mapping file.

        A `.toml` file has the tables ``[columns]``, ``[constants]``, ``[values.disease]``, ... and ``[extra]``. A
        `.csv` file has the header ``part,theirs,ours`` and one rule a row, whose part is ``columns``, ``constants``
        (ours, then the value), ``values.disease``, ..., or ``extra``.

        Raises
        ------
        FileFormatError
            It is no such file.
        InputError
            Its rules contradict each other or name what there is not.
        """
        path = Path(path)
        if path.suffix not in (".toml", ".csv") or not path.is_file():
            raise FileFormatError(
                f"A mapping is a .toml or .csv file, or one of {', '.join(bundled_maps())}; found {str(path)!r}."
            )
        try:
            text = path.read_text(encoding="utf-8-sig")
            content = tomllib.loads(text) if path.suffix == ".toml" else _from_rows(text)
            return cls.from_dict({"name": path.stem, **content})
        except (UnicodeDecodeError, tomllib.TOMLDecodeError, csv.Error, RecursionError) as error:
            raise FileFormatError(f"{path.name} is no mapping: {error}.") from error
        except InputError as error:
            error.add_note(f"While reading {path.name}.")
            raise

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "MetadataMap":
        """Make one of plain values.

        Raises
        ------
        InputError
            A part is unknown or of another kind.
        """
        unknown = [name for name in content if name not in _PARTS]
        if unknown:
            raise InputError(f"A mapping has the parts {', '.join(_PARTS)}; found {unknown[0]!r}.")
        content = dict(content)
        for part in ("columns", "constants", "values", "extra"):
            if not isinstance(content.get(part, {}), Mapping):
                raise InputError(f"The part {part!r} of a mapping is a table of names, e.g. patient = 'donor'.")
        columns = {
            theirs: tuple(map(str, ours)) if isinstance(ours, list | tuple) else str(ours)
            for theirs, ours in content.get("columns", {}).items()
        }
        values = content.get("values", {})
        if not all(isinstance(names, Mapping) for names in values.values()):
            raise InputError("Values are mapped by column, e.g. [values.disease] with healthy = 'normal'.")
        return cls(
            name=str(content.get("name", "custom")),
            description=str(content.get("description", "")),
            columns=columns,
            constants=_texts(content.get("constants", {})),
            values={ours: _texts(names) for ours, names in values.items()},
            extra=_texts(content.get("extra", {})),
        )


def bundled_maps() -> list[str]:
    """Names of the mappings that come with the package."""
    return sorted(entry.name.removesuffix(".toml") for entry in (files("insignia.data") / _FOLDER).iterdir())


def metadata_map(thing: MetadataMap | str | Path | None) -> MetadataMap:
    """Give a mapping: itself, a bundled one by name, or one read from a file; `None` gives an empty one.

    Raises
    ------
    FileFormatError
        There is no such name or file.
    """
    if thing is None:
        return MetadataMap()
    if isinstance(thing, MetadataMap):
        return thing
    if str(thing) in bundled_maps():
        text = (files("insignia.data") / _FOLDER / f"{thing}.toml").read_text(encoding="utf-8")
        return MetadataMap.from_dict(tomllib.loads(text))
    return MetadataMap.read(thing)


def _texts(table: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value).strip() for name, value in table.items()}


def _from_rows(text: str) -> dict[str, Any]:
    rows = csv.DictReader(text.splitlines(), strict=True)
    if rows.fieldnames != ["part", "theirs", "ours"]:
        raise InputError(f"A mapping in CSV has the header part,theirs,ours; found {','.join(rows.fieldnames or [])}.")
    content: dict[str, Any] = {}
    for number, row in enumerate(rows, start=2):
        part, _, column = str(row["part"]).strip().partition(".")
        if part not in ("columns", "constants", "values", "extra") or None in row.values() or None in row:
            raise InputError(f"Line {number} is no rule of a mapping: {','.join(map(str, row.values()))}.")
        table = content.setdefault(part, {})
        table = table.setdefault(column, {}) if part == "values" else table
        theirs, ours = str(row["theirs"]).strip(), str(row["ours"]).strip()
        table[theirs] = [*([table[theirs]] if isinstance(table.get(theirs), str) else table.get(theirs, [])), ours]
        if part != "columns" and len(table[theirs]) > 1:
            raise InputError(f"Line {number} gives {theirs!r} a second time.")
        if len(table[theirs]) == 1:
            table[theirs] = ours
    return content
