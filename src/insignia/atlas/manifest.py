"""The manifest `atlas.json`: what the atlas holds, replaced as a whole by every change."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from insignia.atlas.layout import FAST, FORMAT, FORMAT_VERSION, GENES, MANIFEST, SCREENS, SEGMENTS, VERSIONS
from insignia.core.errors import AtlasDamaged, AtlasError
from insignia.core.files import atomic_file, canonical_json, parse_json, sha256_text
from insignia.data import AttributionRecord

__all__ = ["GeneTable", "Ingest", "Manifest", "SegmentEntry", "StudyRange"]


@dataclass(frozen=True)
class GeneTable:
    """The gene table: its length, hash as a vocabulary, and hash of `genes.parquet`."""

    count: int
    vocabulary_sha256: str
    sha256: str
    other: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class SegmentEntry:
    """One segment: its folder, sizes, and hash of its `segment.json`."""

    id: str
    cells: int
    values: int
    bytes: int
    sha256: str
    other: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class StudyRange:
    """Rows of one study in one segment, from `start` to before `stop`."""

    segment: str
    start: int
    stop: int


@dataclass(frozen=True)
class Ingest:
    """One call of `add`: what is left of what it wrote, and from which files.

    Each of `sources` has the `name` of the file without folder, its `sha256`, and the `studies` that came from it.
    """

    id: str
    segments: tuple[str, ...]
    studies: tuple[str, ...]
    sources: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    other: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Manifest:
    """What an atlas holds at one moment.

    Attributes
    ----------
    encoding
        How new segments store values.
    version
        Changes made since the atlas was created.
    cutoffs
        Frozen hit rules by name, as JSON.
    screens
        Folders beside the segments, `screens/<id>/`, as JSON by id; the entry `files` of each gives name -> bytes and
        sha256.
    other
        Entries of a later minor version, kept as they are by every change. The small records keep theirs as well.
    """

    record: AttributionRecord
    genes: GeneTable
    segments: tuple[SegmentEntry, ...] = ()
    studies: Mapping[str, tuple[StudyRange, ...]] = field(default_factory=dict)
    ingests: tuple[Ingest, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str = FAST
    version: int = 0
    cutoffs: Mapping[str, Any] = field(default_factory=dict)
    screens: Mapping[str, Any] = field(default_factory=dict)
    other: Mapping[str, Any] = field(default_factory=dict)

    @property
    def format_version(self) -> str:
        """Version of the format that it is written in."""
        return str(self.other.get("format_version", FORMAT_VERSION))

    @property
    def cells(self) -> int:
        """Cells over all segments."""
        return sum(entry.cells for entry in self.segments)

    def study_cells(self) -> dict[str, int]:
        """Cells of each study."""
        return {name: sum(part.stop - part.start for part in parts) for name, parts in self.studies.items()}

    def _content(self) -> dict[str, Any]:
        own: dict[str, Any] = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "version": self.version,
            "record": self.record.to_dict(),
            "genes": {"file": GENES, **_plain(self.genes)},
            "segments": [_plain(entry) for entry in self.segments],
            "studies": {name: [asdict(part) for part in parts] for name, parts in self.studies.items()},
            "ingests": [_plain(ingest) for ingest in self.ingests],
            "columns": dict(self.columns),
            "encoding": self.encoding,
            "cutoffs": dict(self.cutoffs),
            "screens": dict(self.screens),
        }
        record = {**self.other.get("record", {}), **own["record"]}
        return {**own, **self.other, "record": record}

    def sha256(self) -> str:
        """Hash of the canonical JSON without the entry ``sha256`` itself."""
        return sha256_text(canonical_json(self._content()))

    def text(self) -> str:
        """Give the manifest as it is written."""
        return json.dumps({**self._content(), "sha256": self.sha256()}, indent=1, ensure_ascii=False)

    def write(self, folder: Path) -> None:
        """Replace the manifest in one step."""
        with atomic_file(folder / MANIFEST) as temporary:
            temporary.write_text(self.text(), encoding="utf-8")

    def without(self, studies: Collection[str]) -> "Manifest":
        """Forget some studies, their additions and source files; segments stay as they are."""
        ingests = []
        for ingest in self.ingests:
            left = tuple(name for name in ingest.studies if name not in studies)
            sources = []
            for source in ingest.sources:
                # manifests of format 1.0 do not say which file held which study
                of = [name for name in source.get("studies", ingest.studies) if name not in studies]
                if of:
                    sources.append({**source, "studies": of})
            if left:
                ingests.append(replace(ingest, studies=left, sources=tuple(sources)))
        kept = {name: parts for name, parts in self.studies.items() if name not in studies}
        return replace(self, studies=kept, ingests=tuple(ingests))

    def named_folders(self) -> set[tuple[str, str]]:
        """Folders that this version needs, e.g. ``("segments", "0001-ab-00")``."""
        return {(SEGMENTS, entry.id) for entry in self.segments} | {(SCREENS, name) for name in self.screens}

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read and check a manifest.

        Raises
        ------
        AtlasError
            There is no atlas here, or its format is of a later major version.
        AtlasDamaged
            The manifest is not JSON, lacks an entry, or was changed by hand.
        """
        path = folder / MANIFEST
        if not folder.exists():
            raise AtlasError(f"There is nothing at {folder}. Check the path, or make an atlas with Atlas.create().")
        if not path.is_file():
            raise AtlasError(f"{folder} is not an atlas: it has no {MANIFEST}. Make one with Atlas.create().")
        return cls.read_file(path)

    @classmethod
    def read_file(cls, path: Path) -> "Manifest":
        """Read and check one manifest file; see `read`."""
        try:
            content = parse_json(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise _damaged(path, f"it is not JSON ({error})") from error
        _check(path, content)
        try:
            return _manifest(content)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise _damaged(path, f"an entry is absent or of another kind ({error!r})") from error


def _manifest(content: dict[str, Any]) -> Manifest:
    record = AttributionRecord.from_dict(content["record"])
    known = {entry.name for entry in fields(Manifest)} | {"format", "format_version"}
    other = {name: value for name, value in content.items() if name not in known}
    if _minor(content["format_version"]) > _minor(FORMAT_VERSION):
        other["format_version"] = content["format_version"]
    newer = {name: value for name, value in content["record"].items() if name not in record.to_dict()}
    if newer:
        other["record"] = newer
    return Manifest(
        record=record,
        genes=_make(GeneTable, content["genes"]),
        segments=tuple(_make(SegmentEntry, entry) for entry in content["segments"]),
        studies={name: tuple(_make(StudyRange, part) for part in parts) for name, parts in content["studies"].items()},
        ingests=tuple(_ingest(entry) for entry in content["ingests"]),
        columns=dict(content["columns"]),
        # manifests of format 1.0 lack the rest
        encoding=str(content.get("encoding", FAST)),
        version=int(content.get("version", len(content["ingests"]))),
        cutoffs=dict(content.get("cutoffs", {})),
        screens={_folder_name(name): dict(entry) for name, entry in content.get("screens", {}).items()},
        other=other,
    )


def _plain(entry: Any) -> dict[str, Any]:
    values = asdict(entry)
    return {**values.pop("other"), **values}


def _ingest(entry: Mapping[str, Any]) -> Ingest:
    known = {one.name for one in fields(Ingest)}
    return Ingest(
        entry["id"],
        tuple(entry["segments"]),
        tuple(entry["studies"]),
        tuple(dict(source) for source in entry.get("sources", ())),
        {name: value for name, value in entry.items() if name not in known},
    )


def _make(kind: type, entry: Mapping[str, Any]) -> Any:
    types = {one.name: one.type for one in fields(kind)}
    keeps_other = types.pop("other", None) is not None
    values = {name: entry[name] for name in types}
    for name, value in values.items():
        expected = types[name]
        if type(value) is not expected or (expected is int and value < 0):
            raise TypeError(f"{name} is {value!r}")
        if name in ("id", "segment"):
            _folder_name(value)
    if keeps_other:
        values["other"] = {name: value for name, value in entry.items() if name not in types and name != "file"}
    return kind(**values)


def _folder_name(name: str) -> str:
    if not name or name.startswith(".") or Path(name).name != name or not name.isprintable():
        raise ValueError(f"{name!r} is not the name of a folder")
    return name


def _minor(version: str) -> int:
    return int(version.partition(".")[2])


def _check(path: Path, content: Any) -> None:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _damaged(path, f"its entry 'format' is not {FORMAT!r}")
    version = str(content.get("format_version", ""))
    if version.split(".")[0] != FORMAT_VERSION.split(".")[0]:
        raise AtlasError(
            f"{path} has format version {version or 'unknown'}; this insignia reads {FORMAT_VERSION.split('.')[0]}.x. "
            "Use the version of insignia that wrote it, or a newer one."
        )
    claimed = content.pop("sha256", None)
    try:
        found = sha256_text(canonical_json(content))
    except ValueError as error:
        raise _damaged(path, f"it holds what is not JSON ({error})") from error
    if claimed != found:
        raise _damaged(path, f"its content has sha256 {found[:12]}.. where it says {str(claimed)[:12]}..")


def _damaged(path: Path, what: str) -> AtlasDamaged:
    return AtlasDamaged(
        f"{path} is damaged: {what}. Put back a copy of this one file, e.g. the newest "
        f"one of {path.parent.name}/{VERSIONS}; the segments are not affected."
    )
