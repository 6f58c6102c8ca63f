"""Filters with names: quality and in-vivo rules of a search, and how many cells each of them dropped."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from insignia.atlas.filters import evaluate
from insignia.atlas.layout import GAP_COLUMN
from insignia.atlas.snapshot import Snapshot
from insignia.core.errors import FilterError, InputError, MissingMetadata

__all__ = ["CELL_COLUMNS", "CellFilters", "FilterStep", "apply_filters", "find_column"]

CELL_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "n_genes": ("n_genes", "n_genes_by_counts", "nFeature_RNA", "detected_genes", "nnz"),
    "n_counts": ("n_counts", "total_counts", "nCount_RNA", "raw_sum"),
    "pct_mito": ("pct_mito", "pct_counts_mt", "percent_mito", "percent_mt", "percent.mt", "pct_counts_mito"),
    "gap": (GAP_COLUMN,),
    "pred_distance": ("pred_distance", "prediction_nn_dist", "min_dist"),
    "in_vivo": ("in_vivo",),
    "tissue_type": ("tissue_type",),
    "is_primary_data": ("is_primary_data",),
}
"""What columns that describe a cell are called; the first that the atlas has is used, whatever its letter case."""

_YES: Final = "('true', 'yes', '1', '1.0', 'in vivo', 'in_vivo')"
_NO: Final = "('false', 'no', '0', '0.0', 'in vitro', 'in_vitro', 'ex vivo', 'ex_vivo')"


class FilterStep(NamedTuple):
    """What one filter did: cells before it, those it dropped, those of them whose value is unknown, and after it."""

    name: str
    expression: str
    before: int
    dropped: int
    unknown: int
    after: int


@dataclass(frozen=True)
class CellFilters:
    """Which cells a search takes, by rules with names.

    A cell passes when it is known to pass: where a value is missing it is dropped, and counted apart, unless
    `keep_unknown` is set.

    Parameters
    ----------
    min_genes, max_genes
        Detected genes of a cell.
    min_counts
        Counts (UMIs) of a cell.
    max_pct_mito
        Mitochondrial counts in percent, 0 to 100.
    max_gap
        Completeness gap of the attribution, a fraction.
    max_distance
        Distance to the nearest annotated cell, where cell types were predicted.
    in_vivo
        Take cells that come straight from a body: ``in_vivo`` is true, or ``tissue_type`` is ``"tissue"``.
    primary
        Take each cell once: ``is_primary_data`` is true, as in CELLxGENE.
    custom
        Further rules: name -> expression, as for ``where``.
    keep_unknown
        Keep cells whose value is missing.
    """

    min_genes: float | None = None
    max_genes: float | None = None
    min_counts: float | None = None
    max_pct_mito: float | None = None
    max_gap: float | None = None
    max_distance: float | None = None
    in_vivo: bool = False
    primary: bool = False
    custom: Mapping[str, str] = field(default_factory=dict)
    keep_unknown: bool = False

    def __post_init__(self) -> None:
        for name in ("min_genes", "max_genes", "min_counts", "max_pct_mito", "max_gap", "max_distance"):
            bound = getattr(self, name)
            if bound is not None and not (np.isfinite(bound) and bound >= 0):
                raise InputError(f"{name} is a number of at least 0; found {bound}.")
        if self.max_pct_mito is not None and not 0 < self.max_pct_mito <= 100:
            raise InputError(f"max_pct_mito is in percent, above 0 and up to 100; found {self.max_pct_mito}.")

    def rules(self, columns: Sequence[str]) -> dict[str, str]:
        """Name and expression of each rule, over the columns of an atlas.

        Raises
        ------
        MissingMetadata
            The atlas has no column that a rule needs.
        """
        return dict(self._rules(columns))

    def _rules(self, columns: Sequence[str]) -> Iterator[tuple[str, str]]:
        bounds = (
            ("min_genes", "n_genes", ">=", self.min_genes),
            ("max_genes", "n_genes", "<=", self.max_genes),
            ("min_counts", "n_counts", ">=", self.min_counts),
            ("max_pct_mito", "pct_mito", "<=", self.max_pct_mito),
            ("max_gap", "gap", "<=", self.max_gap),
            ("max_distance", "pred_distance", "<=", self.max_distance),
        )
        for name, kind, sign, bound in bounds:
            if bound is not None:
                # DuckDB holds NaN to be larger than every number; here it is a missing value
                value = f"nullif(TRY_CAST({_quoted(_column(columns, kind, name))} AS DOUBLE), 'NaN'::DOUBLE)"
                yield name, f"{value} {sign} {bound:.12g}"
        if self.in_vivo:
            yield "in_vivo", _in_vivo(columns)
        if self.primary:
            yield "primary", _is_true(_column(columns, "is_primary_data", "primary"))
        yield from self.custom.items()

    def to_dict(self) -> dict[str, Any]:
        """Give what is set, as plain values."""
        return {name: value for name, value in asdict(self).items() if value not in (None, False, {})}


def apply_filters(
    snapshot: Snapshot, rows: np.ndarray | None, filters: CellFilters | None
) -> tuple[np.ndarray | None, tuple[FilterStep, ...]]:
    """Keep the rows that pass every rule, and say what each rule dropped of what the one before it left.

    Raises
    ------
    MissingMetadata
        The atlas has no column that a rule needs.
    FilterError
        A custom rule is no expression over the metadata, or no cell is left.
    """
    rules = {} if filters is None else filters.rules(snapshot.columns)
    if filters is None or not rules:
        return rows, ()
    answers = evaluate(snapshot, list(rules.values()), rows)
    passes = (answers == 1) | (filters.keep_unknown & (answers == -1))
    kept = np.ones(len(answers), dtype=bool)
    steps = []
    for (name, expression), answer, ok in zip(rules.items(), answers.T, passes.T, strict=True):
        before, lost = int(kept.sum()), kept & ~ok
        kept &= ok
        unknown = int((lost & (answer == -1)).sum())
        steps.append(FilterStep(name, expression, before, int(lost.sum()), unknown, int(kept.sum())))
    if not kept.any():
        told = "; ".join(f"{step.name} dropped {step.dropped:,} of {step.before:,}" for step in steps if step.dropped)
        unknown = sum(step.unknown for step in steps)
        hint = " Values are missing; keep_unknown=True keeps such cells." if unknown else " Loosen a rule."
        raise FilterError(f"No cell is left after the filters: {told}.{hint}")
    return (np.flatnonzero(kept) if rows is None else rows[kept]), tuple(steps)


def find_column(columns: Sequence[str], kind: str) -> str | None:
    """Find the column of an atlas that holds ``"n_genes"``, ``"n_counts"``, ...; `None` where there is none."""
    lower = {name.lower(): name for name in reversed(columns)}
    return next((lower[name.lower()] for name in CELL_COLUMNS[kind] if name.lower() in lower), None)


def _column(columns: Sequence[str], kind: str, rule: str) -> str:
    found = find_column(columns, kind)
    if found is None:
        raise MissingMetadata(
            f"The filter {rule} needs a column {' or '.join(CELL_COLUMNS[kind][:3])}, and the atlas has "
            f"{', '.join(columns)}. Keep it when adding studies: extra=[{CELL_COLUMNS[kind][0]!r}]."
        )
    return found


def _in_vivo(columns: Sequence[str]) -> str:
    told, kind = find_column(columns, "in_vivo"), find_column(columns, "tissue_type")
    if told is None and kind is None:
        _column(columns, "in_vivo", "in_vivo")
    parts = [] if told is None else [_is_true(told)]
    if kind is not None:
        text = f"nullif(lower({_quoted(kind)}::VARCHAR), 'unknown')"
        parts.append(f"{text} = 'tissue'")
    return parts[0] if len(parts) == 1 else f"coalesce({', '.join(parts)})"


def _is_true(column: str) -> str:
    text = f"lower({_quoted(column)}::VARCHAR)"
    return f"CASE WHEN {text} IN {_YES} THEN true WHEN {text} IN {_NO} THEN false END"


def _quoted(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
