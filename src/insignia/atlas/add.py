"""Adding studies: the atlas changes as a whole, or not at all."""

import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from insignia.atlas.add_report import AddReport
from insignia.atlas.layout import MAX_CELLS_PER_SEGMENT, SEGMENTS, check_encoding
from insignia.atlas.manifest import Ingest, Manifest, SegmentEntry, StudyRange
from insignia.atlas.plan import Plan, plan_addition
from insignia.atlas.sources import Source
from insignia.atlas.writer import SegmentWriter, block_starts, count_genes, write_values
from insignia.core.errors import AtlasError
from insignia.core.files import atomic_folder, sha256_array
from insignia.core.progress import progress
from insignia.data import MetadataMap

__all__ = ["add_sources"]


def add_sources(
    path: Path,
    manifest: Manifest,
    sources: Sequence[Source],
    *,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, str] | None = None,
    extra: Sequence[str] = (),
    mapping: MetadataMap | None = None,
    max_cells_per_segment: int = MAX_CELLS_PER_SEGMENT,
    encoding: str | None = None,
    show: bool | None = None,
) -> tuple[Manifest, AddReport]:
    """Write the sources as new segments beside the old ones, then replace the manifest.

    Raises
    ------
    AtlasError
        Another process changed the atlas meanwhile.
    """
    began = time.perf_counter()
    plan = plan_addition(
        manifest,
        sources,
        columns=columns,
        constants=constants,
        extra=extra,
        max_cells=max_cells_per_segment,
        mapping=mapping,
    )
    with progress("adding cells", 2 * plan.n_cells, show=show) as advance:
        counts = count_genes(plan, manifest.genes.count, advance)
        ingest = f"{len(manifest.ingests) + 1:04d}-{sha256_array(counts)[:8]}"
        names = [_free_name(path / SEGMENTS, f"{ingest}-{number:02d}") for number in range(len(plan.segments))]
        try:
            first = block_starts(plan)
            with ExitStack() as folders:
                writers = [
                    SegmentWriter(
                        folders.enter_context(atomic_folder(path / SEGMENTS / name)),
                        part,
                        counts[first[k] : first[k + 1]],
                        encoding=manifest.encoding if encoding is None else check_encoding(encoding),
                    )
                    for k, (name, part) in enumerate(zip(names, plan.segments, strict=True))
                ]
                write_values(plan, writers, advance)
                entries = [
                    writer.finish(name, ingest=ingest, origins=plan.origins)
                    for name, writer in zip(names, writers, strict=True)
                ]
            changed = _grown(manifest, plan, ingest, entries)
            if Manifest.read(path).sha256() != manifest.sha256():
                raise AtlasError(f"Another process changed {path.name} meanwhile. Open it again, then add again.")
            changed.write(path)
        except BaseException:
            _remove_unnamed(path, names)
            raise
    cells = changed.study_cells()
    report = AddReport(
        ingest=ingest,
        studies={name: cells[name] for name in plan.studies},
        cells=plan.n_cells,
        values=sum(entry.values for entry in entries),
        segments=tuple(names),
        bytes=sum(entry.bytes for entry in entries),
        seconds=time.perf_counter() - began,
    )
    return changed, report


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


def _free_name(folder: Path, name: str) -> str:
    # a killed process may have left a folder of the same content
    while (folder / name).exists():
        name += "r"
    return name


def _remove_unnamed(path: Path, names: Sequence[str]) -> None:
    """Remove new segments, unless the manifest that names them is in place."""
    named = {entry.id for entry in Manifest.read(path).segments}
    for name in names:
        if name not in named:
            shutil.rmtree(path / SEGMENTS / name, ignore_errors=True)
