"""Looking at every file of an atlas: quickly at sizes and headers, or at every byte and what it means."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from insignia.atlas.layout import FORMAT_VERSION, GENES, MANIFEST, OBS, SCREENS, SEGMENT, SEGMENTS, VERSIONS
from insignia.atlas.manifest import Manifest, SegmentEntry
from insignia.atlas.segment import PanelRange, Segment, read_header
from insignia.atlas.snapshot import Snapshot
from insignia.atlas.verify_report import VerifyReport
from insignia.atlas.verify_values import check_metadata, check_values
from insignia.atlas.versions import version_file
from insignia.core.errors import AtlasDamaged, AtlasError
from insignia.core.files import sha256_file
from insignia.core.progress import Advance, progress

__all__ = ["verify_atlas"]


def verify_atlas(path: str | Path, *, full: bool = True, show: bool | None = None) -> VerifyReport:
    """Look at every file of an atlas, and say what is not as it was written; see `Atlas.verify`.

    Unlike `Atlas.verify`, this also works where the manifest itself is damaged.

    Raises
    ------
    AtlasError
        There is no atlas, or it is of a later version.
    """
    began, path = time.perf_counter(), Path(path)
    try:
        snapshot = Snapshot.open(path)
    except AtlasDamaged as error:
        return VerifyReport(full, 1, 0, 0, (str(error),), 0, time.perf_counter() - began)
    look = _Look(snapshot, full)
    total = sum(entry.bytes for entry in snapshot.manifest.segments)
    with progress("verifying", total, show=show) as advance:
        look.advance = advance
        problems = tuple(look.problems())
    seconds = time.perf_counter() - began
    return VerifyReport(
        full, look.files, look.bytes, snapshot.manifest.cells, problems, len(_left_over(snapshot)), seconds
    )


class _Look:
    """One look at an atlas, which counts what it sees."""

    def __init__(self, snapshot: Snapshot, full: bool) -> None:
        self.snapshot, self.full = snapshot, full
        self.files = self.bytes = 0
        self.advance: Advance = lambda _: None

    def problems(self) -> Iterator[str]:
        """Find out what is wrong, file by file."""
        manifest, path = self.snapshot.manifest, self.snapshot.path
        yield from self._manifests()
        yield from self._told(self._genes)
        ranges: dict[str, tuple[PanelRange, ...]] = {}
        for entry in manifest.segments:
            before = self.bytes
            yield from self._told(lambda entry=entry: self._segment(entry, ranges))  # type: ignore[misc]
            self.advance(self.bytes - before if self.full else entry.bytes)
        yield from self._studies(ranges)
        for name, screen in manifest.screens.items():
            yield from self._files(path / SCREENS / name, screen.get("files", {}))

    @staticmethod
    def _told(check: Callable[[], Iterator[str]]) -> Iterator[str]:
        try:
            yield from check()
        except (AtlasError, OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            yield str(error)

    def _manifests(self) -> Iterator[str]:
        path, manifest = self.snapshot.path, self.snapshot.manifest
        current, found = version_file(path, manifest), (path / MANIFEST).read_bytes()
        self.files, self.bytes = self.files + 1, self.bytes + len(found)
        for copy in sorted((path / VERSIONS).glob("[0-9]*.json")):
            self.files, self.bytes = self.files + 1, self.bytes + copy.stat().st_size
            if copy == current:
                if copy.read_bytes() != found:
                    yield (
                        f"{MANIFEST} and its copy {VERSIONS}/{copy.name} differ, though {MANIFEST} holds what its hash "
                        "says: copy it over the other."
                    )
            else:
                yield from self._told(lambda copy=copy: _reads(copy))  # type: ignore[misc]
        if not current.exists() and manifest.format_version == FORMAT_VERSION and found != manifest.text().encode():
            yield f"{MANIFEST} is laid out otherwise than it was written, though it says the same."

    def _genes(self) -> Iterator[str]:
        path, table = self.snapshot.path / GENES, self.snapshot.manifest.genes
        self.files, self.bytes = self.files + 1, self.bytes + path.stat().st_size
        genes = self.snapshot.genes
        if (len(genes), genes.sha256) != (table.count, table.vocabulary_sha256):
            yield f"{GENES} holds {len(genes):,} genes that are not those of the manifest."

    def _segment(self, entry: SegmentEntry, ranges: dict[str, tuple[PanelRange, ...]]) -> Iterator[str]:
        folder = self.snapshot.path / SEGMENTS / entry.id
        header = read_header(folder, entry)
        self.files, self.bytes = self.files + 1, self.bytes + (folder / SEGMENT).stat().st_size
        wrong = list(self._files(folder, header["files"]))
        yield from wrong
        size = (folder / SEGMENT).stat().st_size + sum(about["bytes"] for about in header["files"].values())
        if size != entry.bytes:
            yield f"Segment {entry.id} has {size:,} bytes by its header and {entry.bytes:,} by the manifest."
        segment = Segment.open(self.snapshot.path, entry, self.snapshot.manifest.genes.count)
        segment.per_cell()
        ranges[entry.id] = segment.ranges
        rows = pq.read_metadata(folder / OBS).num_rows
        if rows != entry.cells:
            yield f"{SEGMENTS}/{entry.id}/{OBS} holds {rows:,} rows for {entry.cells:,} cells."
        elif self.full and not wrong:
            yield from check_metadata(self.snapshot, entry, segment)
            yield from check_values(self.snapshot.manifest, entry, segment)

    def _files(self, folder: Path, files: Mapping[str, Any]) -> Iterator[str]:
        for name, about in files.items():
            path = folder / name
            told = f"{folder.parent.name}/{folder.name}/{name}"
            if not path.is_file():
                yield f"{told} is absent."
                continue
            size = path.stat().st_size
            self.files, self.bytes = self.files + 1, self.bytes + size
            if size != about["bytes"]:
                yield f"{told} has {size:,} bytes where {about['bytes']:,} were written."
            elif self.full and sha256_file(path) != about["sha256"]:
                yield f"{told} is not what was written: its sha256 differs."

    def _studies(self, ranges: Mapping[str, tuple[PanelRange, ...]]) -> Iterator[str]:
        manifest = self.snapshot.manifest
        for name, parts in manifest.studies.items():
            told = {(part.segment, row) for part in parts for row in (part.start, part.stop)}
            for segment in {part.segment for part in parts} & set(ranges):
                own = [part for part in ranges[segment] if part.study == name]
                edges = {(segment, own[0].start), (segment, own[-1].stop)} if own else set()
                if not edges <= told:
                    yield f"The rows of study {name!r} in segment {segment} are others than the manifest says."


def _reads(path: Path) -> Iterator[str]:
    Manifest.read_file(path)
    yield from ()


def _left_over(snapshot: Snapshot) -> list[Path]:
    path, needed = snapshot.path, snapshot.manifest.named_folders()
    for copy in (path / VERSIONS).glob("[0-9]*.json"):
        try:
            needed |= Manifest.read_file(copy).named_folders()
        except (AtlasError, OSError):
            continue
    folders = [
        folder
        for kind in (SEGMENTS, SCREENS)
        for folder in (path / kind).glob("*")
        if (kind, folder.name) not in needed
    ]
    return [*folders, *path.glob(".*.json"), *(path / VERSIONS).glob(".*")]
