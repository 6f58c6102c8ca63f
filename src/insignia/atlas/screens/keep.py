"""Keeping group means with an atlas: for every new segment as it is added, and for other columns on request."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from insignia.atlas.filters import select
from insignia.atlas.manifest import Manifest
from insignia.atlas.screens.grouping import GROUP_COLUMNS, check_columns, computed_means
from insignia.atlas.screens.stored import KIND, find_stored, stored_name, write_means
from insignia.atlas.snapshot import Snapshot
from insignia.core.progress import progress

if TYPE_CHECKING:
    from insignia.atlas.commit import Change

__all__ = ["RegroupReport", "keep_groups", "regroup"]


@dataclass(frozen=True)
class RegroupReport:
    """What one call of `Atlas.regroup` wrote.

    Attributes
    ----------
    groups
        Groups, counted in each segment.
    replaced
        Segments that had such means before.
    """

    columns: tuple[str, ...]
    where: str | None
    segments: int
    groups: int
    bytes: int
    replaced: int


def keep_groups(change: "Change", manifest: Manifest) -> Manifest:
    """Write the group means of segments that a change adds, and forget those of segments that it removes."""
    named = {entry.id for entry in manifest.segments}
    before = {entry.id for entry in change.manifest.segments}
    screens = {
        name: entry
        for name, entry in manifest.screens.items()
        if entry.get("kind") != KIND or entry["segment"] in named
    }
    snapshot = Snapshot(change.path, replace(manifest, screens=screens))
    for number, segment in enumerate(manifest.segments):
        if segment.id in before or find_stored(screens, segment.id, GROUP_COLUMNS, None):
            continue
        means = computed_means(snapshot, number, GROUP_COLUMNS, None)
        folder = change.screen(stored_name(segment.id, GROUP_COLUMNS, None))
        screens[folder.name] = write_means(folder, means, segment=segment.id, where=None)
    return replace(manifest, screens=screens)


def regroup(
    path: Path, *, columns: Sequence[str] | None, where: str | None, show: bool | None
) -> tuple[Snapshot, RegroupReport]:
    """Compute group means again from the cells and store them; see `Atlas.regroup`."""
    from insignia.atlas.commit import changing

    with changing(path, "regroup") as change:
        snapshot = Snapshot(path, change.manifest)
        named = check_columns(snapshot, columns)
        rows = None if where is None else select(snapshot, where)
        screens, made, replaced = dict(change.manifest.screens), {}, 0
        with progress("grouping cells", len(snapshot.manifest.segments), show=show) as advance:
            for number, segment in enumerate(snapshot.manifest.segments):
                first = int(snapshot.first_rows[number])
                here = None
                if rows is not None:
                    here = rows[slice(*np.searchsorted(rows, [first, first + segment.cells]))] - first
                means = computed_means(snapshot, number, named, here)
                old = find_stored(screens, segment.id, named, where)
                replaced += old is not None and screens.pop(old[0]) is not None
                folder = change.screen(stored_name(segment.id, named, where))
                made[folder.name] = write_means(folder, means, segment=segment.id, where=where)
                advance(1)
        new = change.commit(replace(change.manifest, screens={**screens, **made}))
    report = RegroupReport(
        columns=named,
        where=where,
        segments=len(made),
        groups=sum(entry["pieces"] for entry in made.values()),
        bytes=sum(file["bytes"] for entry in made.values() for file in entry["files"].values()),
        replaced=replaced,
    )
    return new, report
