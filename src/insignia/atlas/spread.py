"""Writing the segments of an addition on other processes or machines, with the same bytes as in one process."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from insignia.atlas.commit import Change
from insignia.atlas.embeddings import write_embedding
from insignia.atlas.manifest import SegmentEntry
from insignia.atlas.plan import Plan
from insignia.atlas.writer import SegmentWriter, block_starts, count_genes, write_values
from insignia.core.executors import run_tasks
from insignia.core.files import sha256_array
from insignia.core.progress import progress

__all__ = ["spread_segments"]


@dataclass(frozen=True, eq=False)
class _Job:
    """One segment of an addition: its rows, from the sources that hold some."""

    number: int
    plan: Plan
    n_genes: int
    folder: Path = Path()
    counts: np.ndarray | None = None
    ingest: str = ""
    encoding: str = ""


def spread_segments(
    change: Change, plan: Plan, *, encoding: str, executor: object, show: bool | None
) -> tuple[str, list[SegmentEntry]]:
    """Count, then write, each segment as a task of its own; see `insignia.atlas.add.write_segments`.

    Parameters
    ----------
    executor
        As for `insignia.core.executors.run_tasks`. Workers must see the atlas and the sources under the same paths.
    """
    jobs = [_Job(number, _only(plan, number), change.manifest.genes.count) for number in range(len(plan.segments))]
    with progress("adding cells", 2 * plan.n_cells, show=show) as advance:
        first = block_starts(plan)
        counts = np.zeros((first[-1], change.manifest.genes.count), dtype=np.int64)
        for number, found in run_tasks(_count, jobs, executor=executor):
            counts[first[number] : first[number + 1]] = found
            advance(len(jobs[number].plan.segments[0].obs))
        ingest = f"{change.manifest.version + 1:04d}-{sha256_array(counts)[:8]}"
        jobs = [
            replace(
                job,
                # tasks of another machine must not depend on where this process stands
                folder=change.segment(f"{ingest}-{job.number:02d}").resolve(),
                counts=counts[first[job.number] : first[job.number + 1]],
                ingest=ingest,
                encoding=encoding,
            )
            for job in jobs
        ]
        entries: dict[int, SegmentEntry] = {}
        for number, entry in run_tasks(_write, jobs, executor=executor):
            entries[number] = entry
            advance(entry.cells)
    return ingest, [entries[number] for number in range(len(jobs))]


def _only(plan: Plan, number: int) -> Plan:
    """Keep one segment of a plan and the sources that have cells in it."""
    part = plan.segments[number]
    used = [bool(((places >= part.start) & (places < part.stop)).any()) for places in plan.places]

    def kept(things: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(thing for thing, wanted in zip(things, used, strict=True) if wanted)

    return replace(plan, sources=kept(plan.sources), places=kept(plan.places), segments=(part,))


def _count(job: _Job) -> tuple[int, np.ndarray]:
    return job.number, count_genes(job.plan, job.n_genes, _ignore)


def _write(job: _Job) -> tuple[int, SegmentEntry]:
    assert job.counts is not None
    writer = SegmentWriter(job.folder, job.plan.segments[0], job.counts, encoding=job.encoding)
    write_values(job.plan, [writer], _ignore)
    per_cell = write_embedding(job.plan, [job.folder])
    return job.number, writer.finish(ingest=job.ingest, origins=job.plan.origins, per_cell=per_cell)


def _ignore(_: float) -> None:
    """Tell nobody how far it is: the task as a whole is what counts."""
