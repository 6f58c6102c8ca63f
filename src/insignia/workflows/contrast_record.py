"""What attributing perturbed cells against controls found, beside plain differences of expression and nulls."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from insignia.perturb.effect_record import rows_of

__all__ = ["AttributedEffects"]


@dataclass(frozen=True, eq=False)
class AttributedEffects:
    """Genes that carry what each perturbation does to cells in the embedding of a model.

    Parameters
    ----------
    table
        One row a condition, context and gene, those that carry most first: ``attribution``, the part of the gene in
        the squared distance that the population moved, negative where the gene pulls the other way, NaN where the
        model does not know it;
        ``attribution_z``, in standard errors over cells; ``attribution_q_cells`` and ``attribution_q``, over cells and
        over units, 1 where the gene pulls the other way; ``attribution_rank``. And the same of plain expression:
        ``effect``, ``z``, ``q_cells``, ``q``, ``rank``, as in `insignia.perturb.GeneEffects`.
    conditions
        One row a condition and context: ``cells``, ``controls``, ``units``, ``control_units``, ``divided`` (what was
        divided so that no cell chose its own direction), ``shift`` (the squared distance, which is 0 on average where
        nothing happens), ``shift_z``, in standard errors over cells, ``shift_p``, exact, over all ways to hand the
        labels to guides or to swap them in replicates, ``p_null``, the share of comparisons of controls with
        controls that moved as far, ``gap``, ``genes`` and ``genes_by_expression``, those called over units, or over
        cells where ``by`` says so.
    nulls
        The same for comparisons with nothing to find, with their ``kind``.
    model, unit, alpha
        What attributed, what the units are, and the false discovery rate.
    left_out
        Conditions that could not be compared, with the reason.
    """

    table: pd.DataFrame
    conditions: pd.DataFrame
    nulls: pd.DataFrame
    model: str
    unit: str
    alpha: float
    left_out: Mapping[str, str] = field(default_factory=dict)

    def of(self, condition: str, context: str | None = None) -> pd.DataFrame:
        """Rows of one condition, those that carry most first; of all its contexts where none is named.

        Raises
        ------
        InputError
            It is not in the table.
        """
        return rows_of(self.table, condition, context)

    def record(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "model": self.model,
            "unit": self.unit,
            "conditions": self.conditions.reset_index().to_dict("records"),
            "nulls": self.null_summary().reset_index().to_dict("records"),
            "left_out": dict(self.left_out),
        }

    def null_summary(self) -> pd.DataFrame:
        """One row a kind of null: ``comparisons``, and means of ``shift_z``, ``genes`` and ``genes_by_expression``."""
        if not len(self.nulls):
            return pd.DataFrame(columns=["comparisons", "shift_z", "genes", "genes_by_expression"])
        groups = self.nulls.groupby("kind")
        means = groups[["shift_z", "genes", "genes_by_expression"]].mean()
        return means.assign(comparisons=groups.size())[["comparisons", *means.columns]]

    def __str__(self) -> str:
        moved = self.conditions.sort_values("shift_z", ascending=False)
        lines = [f"{len(moved):,} perturbations in the embedding of {self.model}, those that move cells most first:"]
        for row in moved.head(5).reset_index().to_dict("records"):
            first = self.of(row["condition"], row["context"])["gene"].head(4)
            p = "" if np.isnan(row["p_null"]) else f", p = {row['p_null']:.2g} against controls"
            lines.append(
                f"  {row['condition']} in {row['context']}: {', '.join(first)} carry most (z {row['shift_z']:.1f}{p}); "
                f"called by {row['by']}: {row['genes']:,} genes, {row['genes_by_expression']:,} by expression"
            )
        lines += [
            f"With nothing to find ({kind}, {int(row['comparisons'])} comparisons): z {row['shift_z']:.1f}, "
            f"{row['genes']:.1f} genes called, {row['genes_by_expression']:.1f} by expression."
            for kind, row in self.null_summary().iterrows()
        ]
        unknown = self.table.loc[self.table["attribution"].isna(), "gene"].nunique()
        if unknown:
            lines.append(f"{self.model} does not know {unknown:,} of {self.table['gene'].nunique():,} genes.")
        lines += [f"Left out: {name}, {why}." for name, why in list(self.left_out.items())[:5]]
        return "\n".join(lines)
