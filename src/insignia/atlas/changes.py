"""Removing studies and packing segments, as whole changes of an atlas."""

import time
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

from insignia.atlas.change_report import ChangeReport
from insignia.atlas.commit import changing
from insignia.atlas.manifest import Manifest
from insignia.atlas.rewrite import drop_studies, pack_groups, rewrite
from insignia.atlas.snapshot import Snapshot
from insignia.core.errors import InputError

__all__ = ["compact_segments", "remove_studies"]


def remove_studies(path: Path, studies: Collection[str], *, show: bool | None = None) -> tuple[Snapshot, ChangeReport]:
    """Remove studies; segments that they share with others are written anew without them.

    Raises
    ------
    InputError
        The atlas has no such study.
    """
    began = time.perf_counter()
    with changing(path, "remove") as change:
        before = change.manifest
        _check_known(before, studies)
        snapshot = change.commit(drop_studies(change, studies, show=show))
    cells = before.study_cells()
    return snapshot, _report(before, snapshot.manifest, {name: cells[name] for name in studies}, began)


def compact_segments(path: Path, max_cells: int, *, show: bool | None = None) -> tuple[Snapshot, ChangeReport]:
    """Pack neighbouring small segments into larger ones; rows keep their order."""
    if max_cells < 1:
        raise InputError(f"max_cells_per_segment is at least 1; found {max_cells}.")
    began = time.perf_counter()
    with changing(path, "compact") as change:
        before = change.manifest
        groups = pack_groups(Snapshot(path, before), max_cells)
        if groups:
            snapshot = change.commit(rewrite(change, groups, what="packing segments", show=show))
        else:
            snapshot = change.unchanged()
    return snapshot, _report(before, snapshot.manifest, {}, began)


def _check_known(manifest: Manifest, studies: Collection[str]) -> None:
    unknown = [name for name in studies if name not in manifest.studies]
    if unknown or not studies:
        close = get_close_matches(unknown[0], manifest.studies, n=3) if unknown else []
        told = close or list(manifest.studies)[:5]
        raise InputError(
            f"The atlas has no study {unknown[0] if unknown else ''!r}. It has {len(manifest.studies):,}, "
            f"{'close ones' if close else 'e.g.'}: {', '.join(told) or 'none'}."
        )


def _report(before: Manifest, after: Manifest, studies: dict[str, int], began: float) -> ChangeReport:
    old = {entry.id for entry in before.segments}
    return ChangeReport(
        studies=studies,
        segments=(len(before.segments), len(after.segments)),
        bytes=(sum(entry.bytes for entry in before.segments), sum(entry.bytes for entry in after.segments)),
        rewritten=sum(entry.cells for entry in after.segments if entry.id not in old),
        seconds=time.perf_counter() - began,
    )
