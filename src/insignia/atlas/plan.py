"""Planning an addition: everything is checked, and every cell gets its place, before anything is written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from insignia.atlas.layout import GAP_COLUMN, SUM_COLUMN
from insignia.atlas.manifest import Manifest
from insignia.atlas.segment import PanelRange
from insignia.atlas.sources import Source
from insignia.core import keys
from insignia.core.errors import AtlasMismatch, DuplicateNames, DuplicateStudy, InputError, MissingMetadata
from insignia.data import Attributed, MetadataMap, standardise_obs

__all__ = ["Plan", "SegmentPlan", "plan_addition"]


@dataclass(frozen=True, eq=False)
class SegmentPlan:
    """Rows of the addition, `start` to before `stop`, that make one segment.

    `measured` is bool, (ranges, genes); `obs` holds the metadata in row order.
    """

    start: int
    stop: int
    ranges: tuple[PanelRange, ...]
    measured: np.ndarray
    obs: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Plan:
    """Where every cell of every source goes.

    `places` holds, for each source, the row in the addition of each of its cells. Rows are sorted by study, and
    within a study by the genes that were measured, in the order in which they are first met. `embedding` is the key of
    the embeddings that are kept, which have `width` dimensions.
    """

    sources: tuple[Source, ...]
    places: tuple[np.ndarray, ...]
    segments: tuple[SegmentPlan, ...]
    studies: tuple[str, ...]
    columns: Mapping[str, str]
    origins: tuple[dict[str, Any], ...]
    embedding: str | None = None
    width: int = 0

    @property
    def n_cells(self) -> int:
        """Cells of the addition."""
        return sum(place.size for place in self.places)


def plan_addition(
    manifest: Manifest,
    sources: Sequence[Source],
    *,
    columns: Mapping[str, str] | None,
    constants: Mapping[str, str] | None,
    extra: Sequence[str],
    max_cells: int,
    replaces: bool = False,
    mapping: MetadataMap | None = None,
) -> Plan:
    """Check the sources against the atlas and each other, and give every cell its place.

    With `replaces`, studies of the sources that the atlas has count as gone from it.

    Raises
    ------
    AtlasMismatch
        A source was attributed by another model, method or target.
    DuplicateStudy
        A study, or the very same file, is in the atlas already.
    DuplicateNames
        Two cells of one study share a barcode.
    MissingMetadata
        A needed or an extra column is absent.
    """
    frames, measured = [], []
    for source in sources:
        with source.opened() as cells:
            _check_record(manifest, cells, source.name)
            frames.append(_metadata(cells.obs, source, columns, constants, extra, mapping or MetadataMap()))
            measured.append(np.asarray(cells.measured, dtype=bool))
    origins = tuple(
        {**source.origin(), "studies": frame[keys.STUDY].unique().tolist()}
        for source, frame in zip(sources, frames, strict=True)
    )
    obs = pd.concat(frames, ignore_index=True)
    if not len(obs):
        raise InputError("There is nothing to add: the sources hold no cells.")
    _check_studies(manifest.without(obs[keys.STUDY].unique()) if replaces else manifest, obs, origins)
    kept = [str(name) for name in obs if name not in (*keys.METADATA, GAP_COLUMN, SUM_COLUMN)]
    kinds = _check_columns(manifest, obs, kept)

    study, names = pd.factorize(obs[keys.STUDY])
    panel = _panels(study, measured, [len(frame) for frame in frames])
    order = np.lexsort((panel, study))
    places = np.empty(order.size, dtype=np.int64)
    places[order] = np.arange(order.size)
    owner = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    ordered = _Ordered(
        obs.iloc[order].reset_index(drop=True), study[order], panel[order], owner[order], names, measured
    )
    return Plan(
        sources=tuple(sources),
        places=tuple(np.split(places, np.cumsum([len(frame) for frame in frames])[:-1])),
        segments=tuple(ordered.segments(max_cells)),
        studies=tuple(str(name) for name in names),
        columns={**manifest.columns, **kinds},
        origins=origins,
    )


@dataclass(frozen=True, eq=False)
class _Ordered:
    """All cells of an addition in their final order."""

    obs: pd.DataFrame
    study: np.ndarray
    panel: np.ndarray
    owner: np.ndarray
    names: pd.Index
    measured: list[np.ndarray]

    def segments(self, max_cells: int) -> Iterator[SegmentPlan]:
        """Cut into segments of equal size, at most `max_cells` cells each."""
        n_cells = len(self.obs)
        size = -(-n_cells // -(-n_cells // max_cells))
        for start in range(0, n_cells, size):
            stop = min(start + size, n_cells)
            here = slice(start, stop)
            change = np.flatnonzero(np.diff(self.study[here]) | np.diff(self.panel[here])) + 1
            edges = [0, *change.tolist(), stop - start]
            ranges = [
                PanelRange(str(self.names[self.study[start + a]]), int(self.panel[start + a]), a, b)
                for a, b in pairwise(edges)
            ]
            measured = np.stack([self.measured[self.owner[start + a]] for a in edges[:-1]])
            yield SegmentPlan(start, stop, tuple(ranges), measured, self.obs.iloc[here])


def _panels(study: np.ndarray, measured: list[np.ndarray], sizes: list[int]) -> np.ndarray:
    """Give, for every cell, the number that its set of measured genes has within its study."""
    numbers: dict[tuple[int, bytes], int] = {}
    seen: dict[int, int] = {}
    panel = np.empty(study.size, dtype=np.int64)
    start = 0
    for genes, size in zip(measured, sizes, strict=True):
        packed, here = np.packbits(genes).tobytes(), study[start : start + size]
        for one in pd.unique(here).tolist():
            if (one, packed) not in numbers:
                numbers[one, packed] = seen.get(one, 0)
                seen[one] = numbers[one, packed] + 1
            panel[start : start + size][here == one] = numbers[one, packed]
        start += size
    return panel


def _check_record(manifest: Manifest, cells: Attributed, name: str) -> None:
    differences = manifest.record.differences(cells.record)
    if differences:
        ours, theirs = manifest.record, cells.record
        told = [f"{one} {str(getattr(ours, one))[:24]!r} and {str(getattr(theirs, one))[:24]!r}" for one in differences]
        raise AtlasMismatch(
            f"The atlas was made with model {ours.model!r} and {name} with {theirs.model!r}, and they differ in "
            f"{', '.join(told)}. Attribute the cells the way of the atlas (Atlas.record), or build a second atlas."
        )


def _metadata(
    given: pd.DataFrame,
    source: Source,
    columns: Mapping[str, str] | None,
    constants: Mapping[str, str] | None,
    extra: Sequence[str],
    mapping: MetadataMap,
) -> pd.DataFrame:
    name = source.name
    try:
        obs = standardise_obs(given, columns=columns, constants=constants, mapping=mapping).reset_index(drop=True)
    except InputError as error:
        error.add_note(f"While reading {name}.")
        raise
    obs = pd.DataFrame(obs[list(keys.METADATA)])
    for stored, theirs in ((GAP_COLUMN, keys.gap(source.key)), (SUM_COLUMN, keys.row_sum(source.key))):
        obs[stored] = _numbers(given, theirs, name) if theirs in given else np.float32("nan")
    absent = [column for column in extra if column not in given]
    if absent:
        raise MissingMetadata(f"{name} has no obs column {absent[0]!r}, named in extra. It has {list(given)[:12]}.")
    taken = [column for column in extra if column in obs]
    if taken:
        raise InputError(f"The extra column {taken[0]!r} is one that every atlas has; rename it in obs first.")
    kept = {
        **{ours: theirs for theirs, ours in mapping.extra.items() if theirs in given},
        **{one: one for one in extra},
    }
    for ours, theirs in kept.items():
        # nullable, so that truth values stay what they are beside sources that lack the column
        is_bool = pd.api.types.is_bool_dtype(given[theirs])
        obs[ours] = pd.array(given[theirs].to_numpy(), dtype="boolean") if is_bool else given[theirs].to_numpy()
    return obs


def _numbers(given: pd.DataFrame, column: str, name: str) -> np.ndarray:
    try:
        return given[column].to_numpy(np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"obs[{column!r}] of {name} must hold numbers and does not ({error}). Attribute the cells again."
        ) from error


def _check_studies(manifest: Manifest, obs: pd.DataFrame, origins: Sequence[dict[str, Any]]) -> None:
    known = [name for name in obs[keys.STUDY].unique() if name in manifest.studies]
    if known:
        raise DuplicateStudy(
            f"{len(known)} of the studies are in the atlas already, e.g. {known[:5]}. A study is added in one call of "
            "add(), with all its parts in one list; give a new study another name, or "
            "put it in place of the old one with replace()."
        )
    files = {entry.get("sha256"): ingest for ingest in manifest.ingests for entry in ingest.sources}
    for origin in origins:
        if "sha256" in origin and origin["sha256"] in files:
            studies = list(files[origin["sha256"]].studies)[:5]
            raise DuplicateStudy(f"{origin['name']} is in the atlas already, added for {studies}.")
    double = obs.duplicated([keys.STUDY, keys.BARCODE])
    if double.any():
        first = obs.loc[double, [keys.STUDY, keys.BARCODE]].iloc[:3].agg("/".join, axis=1).tolist()
        raise DuplicateNames(
            f"{int(double.sum()):,} cells have the study and barcode of another cell in this addition, e.g. {first}. "
            "Check that no file is given twice, and make obs_names unique within a study (e.g. add the sample)."
        )


def _check_columns(manifest: Manifest, obs: pd.DataFrame, extra: Sequence[str]) -> dict[str, str]:
    kinds = {column: _kind(obs[column]) for column in extra}
    for column, kind in kinds.items():
        before = manifest.columns.get(column, kind)
        if before != kind:
            raise InputError(
                f"The extra column {column!r} holds {kind} here and {before} in the atlas. "
                "Convert it in obs, or add it under another name."
            )
    return kinds


def _kind(column: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(column):
        return "bool"
    return "number" if pd.api.types.is_numeric_dtype(column) else "text"
