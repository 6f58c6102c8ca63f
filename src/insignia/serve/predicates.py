"""Filters as expressions: only values that the atlas holds, quoted, ever reach the database."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import numpy as np

from insignia.core.errors import FilterError
from insignia.serve.shelf import OpenAtlas

__all__ = ["facet_counts", "mask", "where_of"]


def where_of(atlas: OpenAtlas, filters: Mapping[str, Sequence[str]]) -> str | None:
    """Write filters as one expression for `Atlas.search`; `None` where there is none.

    Raises
    ------
    FilterError
        A column is no facet, or a value does not occur.
    """
    parts = []
    for column, values in filters.items():
        _check(atlas, column, values)
        chosen = f"{_name(column)} IN ({', '.join(_literal(value) for value in values)})"
        if "unknown" in values:
            chosen = f"({chosen} OR {_name(column)} IS NULL)"
        parts.append(chosen)
    return " AND ".join(parts) or None


def mask(atlas: OpenAtlas, filters: Mapping[str, Sequence[str]], *, but: str | None = None) -> np.ndarray:
    """Which cells of the atlas pass the filters, those of the column `but` left aside."""
    passing = np.ones(atlas.snapshot.manifest.cells, dtype=bool)
    for column, values in filters.items():
        _check(atlas, column, values)
        if column != but:
            labels = atlas.labels(column)
            wanted = np.zeros(len(labels.categories) + 1, dtype=bool)
            wanted[labels.categories.isin(list(values)).nonzero()[0]] = True
            wanted[-1] = False
            passing &= wanted[labels.codes]
    return passing


def facet_counts(atlas: OpenAtlas, filters: Mapping[str, Sequence[str]]) -> dict[str, dict[str, int]]:
    """Cells of each value of each facet, among the cells that pass the filters of all other columns."""
    found = {}
    for column in atlas.facets:
        labels = atlas.labels(column)
        passing = mask(atlas, filters, but=column) if set(filters) - {column} else slice(None)
        counts = np.bincount(labels.codes[passing], minlength=len(labels.categories))
        found[column] = dict(zip(labels.categories.tolist(), counts.tolist(), strict=True))
    return found


def _check(atlas: OpenAtlas, column: str, values: Sequence[str]) -> None:
    if column not in atlas.facets:
        raise FilterError(f"There is no column {column!r} to filter by. There are: {', '.join(atlas.facets)}.")
    known = set(atlas.labels(column).categories)
    for value in values:
        if value not in known:
            close = get_close_matches(value, known, n=3) or sorted(known)[:5]
            raise FilterError(f"No cell has {column} {value!r}. There are, for example: {', '.join(close)}.")


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
