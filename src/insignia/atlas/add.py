"""Adding studies: the atlas changes as a whole, or not at all."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from insignia.atlas.add_report import AddReport
from insignia.atlas.commit import Change, changing
from insignia.atlas.embeddings import check_width, plan_embedding, write_embedding
from insignia.atlas.layout import MAX_CELLS_PER_SEGMENT, check_encoding
from insignia.atlas.manifest import Ingest, Manifest, SegmentEntry, StudyRange
from insignia.atlas.plan import Plan, plan_addition
from insignia.atlas.rewrite import drop_studies
from insignia.atlas.snapshot import Snapshot
from insignia.atlas.sources import Source
from insignia.atlas.spread import spread_segments
from insignia.atlas.writer import SegmentWriter, block_starts, count_genes, write_values
from insignia.core.files import sha256_array
from insignia.core.progress import progress
from insignia.data import MetadataMap

__all__ = ["add_sources", "write_segments"]


def add_sources(
    path: Path,
    sources: Sequence[Source],
    *,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, str] | None = None,
    extra: Sequence[str] = (),
    mapping: MetadataMap | None = None,
    max_cells_per_segment: int = MAX_CELLS_PER_SEGMENT,
    encoding: str | None = None,
    embedding: str | None = None,
    replaces: bool = False,
    executor: object = 1,
    show: bool | None = None,
) -> tuple[Snapshot, AddReport]:
    """Write the sources as new segments beside the old ones, then replace the manifest.

    With `replaces`, studies that the atlas has already give way to those of the sources, in the same step.
    """
    began = time.perf_counter()
    with changing(path, "replace" if replaces else "add") as change:
        manifest = change.manifest
        plan = plan_addition(
            manifest,
            sources,
            columns=columns,
            constants=constants,
            extra=extra,
            max_cells=max_cells_per_segment,
            mapping=mapping,
            replaces=replaces,
        )
        if embedding is not None:
            plan = plan_embedding(plan, embedding)
            check_width(Snapshot(path, manifest), plan.width)
        replaced = tuple(name for name in plan.studies if name in manifest.studies)
        ingest, entries = write_segments(change, plan, encoding=encoding, executor=executor, show=show)
        kept = drop_studies(change, replaced, show=show) if replaced else manifest
        snapshot = change.commit(_grown(kept, plan, ingest, entries))
    cells = snapshot.manifest.study_cells()
    report = AddReport(
        ingest=ingest,
        studies={name: cells[name] for name in plan.studies},
        cells=plan.n_cells,
        values=sum(entry.values for entry in entries),
        segments=tuple(entry.id for entry in entries),
        bytes=sum(entry.bytes for entry in entries),
        replaced=replaced,
        seconds=time.perf_counter() - began,
    )
    return snapshot, report


def write_segments(
    change: Change, plan: Plan, *, encoding: str | None, executor: object = 1, show: bool | None
) -> tuple[str, list[SegmentEntry]]:
    """Write the segments of a plan; return the name of the addition, and their entries of the manifest."""
    manifest = change.manifest
    encoding = manifest.encoding if encoding is None else check_encoding(encoding)
    if executor != 1:
        return spread_segments(change, plan, encoding=encoding, executor=executor, show=show)
    with progress("adding cells", 2 * plan.n_cells, show=show) as advance:
        counts = count_genes(plan, manifest.genes.count, advance)
        ingest = f"{manifest.version + 1:04d}-{sha256_array(counts)[:8]}"
        first = block_starts(plan)
        folders = [change.segment(f"{ingest}-{number:02d}") for number in range(len(plan.segments))]
        writers = [
            SegmentWriter(
                folder,
                part,
                counts[first[k] : first[k + 1]],
                encoding=encoding,
            )
            for k, (folder, part) in enumerate(zip(folders, plan.segments, strict=True))
        ]
        write_values(plan, writers, advance)
        per_cell = write_embedding(plan, folders)
        return ingest, [writer.finish(ingest=ingest, origins=plan.origins, per_cell=per_cell) for writer in writers]


def _grown(manifest: Manifest, plan: Plan, ingest: str, entries: Sequence[SegmentEntry]) -> Manifest:
    ranges: dict[str, list[StudyRange]] = {name: [] for name in plan.studies}
    for entry, part in zip(entries, plan.segments, strict=True):
        for piece in part.ranges:
            before = ranges[piece.study]
            if before and before[-1].segment == entry.id:
                before[-1] = replace(before[-1], stop=piece.stop)
            else:
                before.append(StudyRange(entry.id, piece.start, piece.stop))
    return replace(
        manifest,
        segments=(*manifest.segments, *entries),
        studies={**manifest.studies, **{name: tuple(parts) for name, parts in ranges.items()}},
        ingests=(*manifest.ingests, Ingest(ingest, tuple(entry.id for entry in entries), plan.studies, plan.origins)),
        columns=plan.columns,
    )
