"""Changes that write some segments anew: removing studies, and packing small segments into large ones."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from insignia.atlas.commit import Change
from insignia.atlas.layout import MAX_CELLS_PER_SEGMENT
from insignia.atlas.manifest import Manifest, SegmentEntry, StudyRange
from insignia.atlas.merge import Piece, merge
from insignia.atlas.segment import PanelRange, Segment
from insignia.atlas.snapshot import Snapshot
from insignia.core.errors import AtlasDamaged
from insignia.core.files import sha256_text
from insignia.core.progress import progress

__all__ = ["Group", "drop_studies", "pack_groups", "rewrite"]


@dataclass(frozen=True)
class Group:
    """Neighbouring segments that become one, or none if no row of them is kept."""

    pieces: tuple[Piece, ...]

    @property
    def n_cells(self) -> int:
        """Cells that are kept."""
        return sum(piece.n_cells for piece in self.pieces)


def rewrite(change: Change, groups: Sequence[Group], *, what: str, show: bool | None) -> Manifest:
    """Write a new segment for each group, and return the manifest that names them in place of the old ones."""
    manifest = change.manifest
    snapshot = Snapshot(change.path, manifest)
    group_of = {piece.entry.id: group for group in groups for piece in group.pieces}
    written: dict[int, tuple[SegmentEntry, tuple[PanelRange, ...]]] = {}
    total = sum(piece.entry.values for group in groups if group.n_cells for piece in group.pieces)
    with progress(what, total, show=show) as advance:
        for number, group in enumerate(groups):
            if group.n_cells:
                kept = tuple(piece for piece in group.pieces if piece.n_cells)
                folder = change.segment(_name(manifest, group, number))
                encoding = snapshot.segments.get(kept[0].entry.id).encoding
                written[id(group)] = merge(snapshot, kept, folder, encoding=encoding, advance=advance)
    segments: list[SegmentEntry] = []
    ranges: dict[str, tuple[PanelRange, ...]] = {}
    new_of: dict[str, str] = {}
    for entry in manifest.segments:
        if entry.id not in group_of:
            segments.append(entry)
        elif id(group_of[entry.id]) in written:
            new, parts = written[id(group_of[entry.id])]
            new_of[entry.id] = new.id
            if new.id not in ranges:
                segments.append(new)
                ranges[new.id] = parts
    return _renamed(manifest, tuple(segments), ranges, new_of)


def _renamed(
    manifest: Manifest,
    segments: tuple[SegmentEntry, ...],
    ranges: dict[str, tuple[PanelRange, ...]],
    new_of: dict[str, str],
) -> Manifest:
    """Bring studies and additions to the new segments; `new_of` says what became of an old one."""
    here: dict[str, list[tuple[str, int, int]]] = {
        entry.id: [(part.study, part.start, part.stop) for part in ranges.get(entry.id, ())] for entry in segments
    }
    for name, parts in manifest.studies.items():
        for part in parts:
            if part.segment in here and part.segment not in ranges:
                here[part.segment].append((name, part.start, part.stop))
    found: dict[str, list[StudyRange]] = {name: [] for name in manifest.studies}
    for entry in segments:
        for study, start, stop in sorted(here[entry.id], key=lambda part: part[1]):
            if study not in found:
                raise AtlasDamaged(
                    f"Segment {entry.id} holds cells of a study {study[:60]!r} that the manifest does not name. Put "
                    "back the manifest and the segments of one and the same copy of the atlas."
                )
            before = found[study][-1] if found[study] else None
            if before and (before.segment, before.stop) == (entry.id, start):
                found[study][-1] = replace(before, stop=stop)
            else:
                found[study].append(StudyRange(entry.id, start, stop))
    left = {entry.id for entry in segments}
    ingests = []
    for ingest in manifest.ingests:
        names = dict.fromkeys(new_of.get(name, name) for name in ingest.segments)
        ingests.append(replace(ingest, segments=tuple(name for name in names if name in left)))
    studies = {name: tuple(parts) for name, parts in found.items() if parts}
    return replace(manifest, segments=segments, studies=studies, ingests=tuple(ingests))


def drop_studies(change: Change, studies: Collection[str], *, show: bool | None) -> Manifest:
    """Write the segments that hold some studies anew without them, and return the manifest without them."""
    gone: dict[str, list[tuple[int, int]]] = {}
    for name in studies:
        for part in change.manifest.studies[name]:
            gone.setdefault(part.segment, []).append((part.start, part.stop))
    groups = [
        Group((Piece(entry, _complement(sorted(gone[entry.id]), entry.cells)),))
        for entry in change.manifest.segments
        if entry.id in gone
    ]
    return rewrite(change, groups, what="removing studies", show=show).without(studies)


def pack_groups(snapshot: Snapshot, max_cells: int = MAX_CELLS_PER_SEGMENT) -> list[Group]:
    """Group neighbouring segments of less than half the wanted size; the larger ones are left alone.

    So a cell is copied about as often as its segment can double, however often small studies are added and packed.
    Segments of different encodings stay apart, because values would change, and so do those of which only some keep
    embeddings, or others.
    """
    groups: list[Group] = []
    open_pieces: list[Piece] = []
    kind = None
    for entry in (*snapshot.manifest.segments, None):
        is_small = entry is not None and 2 * entry.cells <= max_cells
        own = _kind(snapshot.segments.get(entry.id)) if entry is not None and is_small else None
        size = sum(piece.n_cells for piece in open_pieces)
        if entry is None or own != kind or size + entry.cells > max_cells:
            groups.append(Group(tuple(open_pieces)))
            open_pieces, kind = [], own
        if entry is not None and is_small:
            open_pieces.append(Piece(entry, ((0, entry.cells),)))
    return [group for group in groups if len(group.pieces) > 1]


def _kind(segment: Segment) -> tuple[object, ...]:
    """Tell what segments that join must share."""
    arrays = sorted((name, str(array.dtype), array.shape[1:]) for name, array in segment.per_cell().items())
    return segment.encoding, *arrays


def _complement(gone: Sequence[tuple[int, int]], cells: int) -> tuple[tuple[int, int], ...]:
    edges = [0, *(edge for part in gone for edge in part), cells]
    return tuple((start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True) if start < stop)


def _name(manifest: Manifest, group: Group, number: int) -> str:
    told = repr([(piece.entry.sha256, piece.kept) for piece in group.pieces])
    return f"{manifest.version + 1:04d}-{sha256_text(told)[:8]}-{number:02d}"
