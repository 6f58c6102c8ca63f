"""The manifest `atlas.json`: what the atlas holds, replaced as a whole by every change."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from insignia.atlas.layout import FAST, FORMAT, FORMAT_VERSION, GENES, MANIFEST
from insignia.core.errors import AtlasDamaged, AtlasError
from insignia.core.files import atomic_file, canonical_json, sha256_text
from insignia.data import AttributionRecord

__all__ = ["GeneTable", "Ingest", "Manifest", "SegmentEntry", "StudyRange"]


@dataclass(frozen=True)
class GeneTable:
    """The gene table: its length, hash as a vocabulary, and hash of `genes.parquet`."""

    count: int
    vocabulary_sha256: str
    sha256: str


@dataclass(frozen=True)
class SegmentEntry:
    """One segment: its folder, sizes, and hash of its `segment.json`."""

    id: str
    cells: int
    values: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class StudyRange:
    """Rows of one study in one segment, from `start` to before `stop`."""

    segment: str
    start: int
    stop: int


@dataclass(frozen=True)
class Ingest:
    """One call of `add`: what it wrote, and from which files (name without folder, hash)."""

    id: str
    segments: tuple[str, ...]
    studies: tuple[str, ...]
    sources: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True)
class Manifest:
    """What an atlas holds at one moment; `encoding` is that of new segments."""

    record: AttributionRecord
    genes: GeneTable
    segments: tuple[SegmentEntry, ...] = ()
    studies: Mapping[str, tuple[StudyRange, ...]] = field(default_factory=dict)
    ingests: tuple[Ingest, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str = FAST

    @property
    def cells(self) -> int:
        """Cells over all segments."""
        return sum(entry.cells for entry in self.segments)

    def study_cells(self) -> dict[str, int]:
        """Cells of each study."""
        return {name: sum(part.stop - part.start for part in parts) for name, parts in self.studies.items()}

    def _content(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "record": self.record.to_dict(),
            "genes": {"file": GENES, **asdict(self.genes)},
            "segments": [asdict(entry) for entry in self.segments],
            "studies": {name: [asdict(part) for part in parts] for name, parts in self.studies.items()},
            "ingests": [asdict(ingest) for ingest in self.ingests],
            "columns": dict(self.columns),
            "encoding": self.encoding,
        }

    def sha256(self) -> str:
        """Hash of the canonical JSON without the entry ``sha256`` itself."""
        return sha256_text(canonical_json(self._content()))

    def write(self, folder: Path) -> None:
        """Replace the manifest in one step."""
        with atomic_file(folder / MANIFEST) as temporary:
            content = {**self._content(), "sha256": self.sha256()}
            temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")

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
        if not path.is_file():
            raise AtlasError(f"{folder} is not an atlas: it has no {MANIFEST}. Make one with Atlas.create().")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise _damaged(path, f"it is not JSON ({error})") from error
        _check(path, content)
        try:
            return cls(
                record=AttributionRecord.from_dict(content["record"]),
                genes=_make(GeneTable, content["genes"]),
                segments=tuple(_make(SegmentEntry, entry) for entry in content["segments"]),
                studies={
                    name: tuple(_make(StudyRange, part) for part in parts) for name, parts in content["studies"].items()
                },
                ingests=tuple(
                    Ingest(
                        entry["id"], tuple(entry["segments"]), tuple(entry["studies"]), tuple(entry.get("sources", ()))
                    )
                    for entry in content["ingests"]
                ),
                columns=dict(content["columns"]),
                encoding=str(content.get("encoding", FAST)),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise _damaged(path, f"an entry is absent or of another kind ({error!r})") from error


def _make(kind: type, entry: Mapping[str, Any]) -> Any:
    types = {one.name: one.type for one in fields(kind)}
    values = {name: entry[name] for name in types}
    for name, value in values.items():
        expected = types[name]
        if type(value) is not expected or (expected is int and value < 0):
            raise TypeError(f"{name} is {value!r}")
        if name in ("id", "segment") and Path(value).name != value:
            raise ValueError(f"{value!r} is not the name of a folder")
    return kind(**values)


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
    return AtlasDamaged(f"{path} is damaged: {what}. Put back a copy of this one file; the segments are not affected.")
