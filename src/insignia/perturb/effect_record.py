"""The effects of perturbations on genes or programs, and the signatures that they make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.data.condition import Condition
from insignia.genes import Signature

__all__ = ["GROUP", "GeneEffects", "rows_of"]

GROUP: Final = (keys.CONDITION, keys.CONTEXT)


@dataclass(frozen=True, eq=False)
class GeneEffects:
    """What each perturbation does to every gene, or to every program.

    Parameters
    ----------
    table
        One row a condition, context and gene (or ``program``), the clearest first within a condition: ``effect``, the
        change of mean log expression; ``z``, the effect in standard errors over cells; ``p_cells`` and ``q_cells``, by
        Welch's test of cells within replicates; ``p``, over units, exact; ``testable``, whether so many units can
        reach `alpha`; ``q``, of the testable ones; ``rank`` by the size of z. q-values are over one condition.
    conditions
        One row a condition and context: ``cells``, ``controls``, ``units``, ``control_units``, ``smallest_p``,
        ``changed`` and ``changed_by_cells``, the genes called by units and by cells.
    unit
        What was tested: the column of the guides, ``"replicate"``, or ``"prediction"`` where nothing was measured.
    alpha
        False discovery rate.
    left_out
        Conditions that could not be compared, with the reason.
    programs
        The signatures, where rows are programs.
    """

    table: pd.DataFrame
    conditions: pd.DataFrame
    unit: str
    alpha: float
    left_out: Mapping[str, str] = field(default_factory=dict)
    programs: tuple[Signature, ...] = ()

    def of(self, condition: str, context: str | None = None) -> pd.DataFrame:
        """Rows of one condition, the clearest first; of all its contexts where none is named.

        Raises
        ------
        InputError
            It is not in the table.
        """
        return rows_of(self.table, condition, context)

    def matrix(self, value: str = "effect") -> pd.DataFrame:
        """Spread one column of the table: one row a condition (and context, where there are several), columns genes."""
        index = list(GROUP) if self.table[keys.CONTEXT].nunique() > 1 else [keys.CONDITION]
        noun = keys.PROGRAM if self.programs else "gene"
        return self.table.pivot(index=index, columns=noun, values=value)

    def called(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Keep rows of a condition that pass the false discovery rate: by units where these can, else by cells.

        Of a prediction, which has no test, all are kept.
        """
        if self.unit == "prediction":
            return rows
        column = "q" if rows["testable"].any() else "q_cells"
        return rows[rows[column] <= self.alpha]

    def signatures(
        self,
        *,
        n_genes: int = 50,
        min_genes: int = 5,
        opposite: bool = False,
        prefix: str = "",
        organism: str | None = None,
    ) -> list[Signature]:
        """Give what each perturbation moves as a signed signature: genes that go up weigh +1, genes that go down -1.

        Of the genes that pass the false discovery rate, the largest effects are taken; the perturbed genes themselves,
        whose change only says that the perturbation worked, are not. Where rows are programs, the genes of those that
        pass are taken, with the direction of their program.

        Parameters
        ----------
        n_genes
            How many genes; of programs, how many programs.
        min_genes
            Conditions with fewer genes make no signature.
        opposite
            Turn all signs round: what the cell looks like where the gene does too much.
        prefix
            What stands before each name.
        organism
            ``"human"`` or ``"mouse"``; `None` tells it from the names.

        Returns
        -------
        One signature a condition, named after it (and its context, where there are several). `Atlas.search`,
        `Atlas.screen`, `tl.score` and `write_gmt` take them as they are.

        Raises
        ------
        InputError
            No condition moves enough genes.
        """
        found = []
        several = self.table[keys.CONTEXT].nunique() > 1
        for (condition, context), rows in self.table.groupby(list(GROUP), sort=False):
            weights = self._signs(rows, str(condition), n_genes)
            if len(weights) < min_genes:
                continue
            ordered = dict(sorted(weights.items(), key=lambda one: -one[1]))
            name = f"{prefix}{condition}" + (f" in {context}" if several else "")
            made = Signature.from_genes(
                ordered,
                name,
                weights=[-sign if opposite else sign for sign in ordered.values()],
                organism=organism,
                description=f"{'opposite of ' if opposite else ''}{condition} against controls, {self._how(rows)}",
            )
            found.append(replace(made, source="insignia perturb effects"))
        if not found:
            raise InputError(
                f"None of {len(self.conditions):,} conditions moves {min_genes} genes at a false discovery rate of "
                f"{self.alpha:g}. Lower min_genes, or accept that they do little."
            )
        return found

    def _signs(self, rows: pd.DataFrame, condition: str, n_genes: int) -> dict[str, float]:
        kept = self.called(rows)
        kept = kept[kept["effect"] != 0]
        kept = kept.loc[kept["effect"].abs().sort_values(ascending=False, kind="stable").index].head(n_genes)
        if not self.programs:
            own = _perturbed(condition)
            return {
                gene: float(np.sign(effect))
                for gene, effect in zip(kept["gene"], kept["effect"], strict=True)
                if gene not in own
            }
        return _expanded(self.programs, kept)

    def _how(self, rows: pd.DataFrame) -> str:
        if self.unit == "prediction":
            return "predicted"
        return (
            f"tested over {self.unit}s" if rows["testable"].any() else f"tested over cells ({self.unit}s are too few)"
        )

    def record(self) -> dict[str, Any]:
        """Plain values for JSON: what was compared, and how much of it moves."""
        return {
            "unit": self.unit,
            "conditions": self.conditions.reset_index().to_dict("records"),
            "left_out": dict(self.left_out),
        }

    def __str__(self) -> str:
        noun = keys.PROGRAM if self.programs else "gene"
        if self.unit == "prediction":
            return f"{len(self.conditions):,} predicted effects on {self._size():,} {noun}s."
        table = self.conditions.sort_values("changed_by_cells", ascending=False)
        possible = int((table["smallest_p"] <= self.alpha).sum())
        lines = [f"{len(table):,} perturbations, {self._size():,} {noun}s, false discovery rate {self.alpha:g}."]
        if possible:
            lines.append(
                f"Over {self.unit}s, {int(table['changed'].sum()):,} changes in {possible:,} that can be tested."
            )
        else:
            most = int(table["units"].max())
            lines.append(f"There are too few {self.unit}s to test ({most} at most): what follows is by cells.")
        lines += [
            f"  {row.condition} in {row.context}: {row.changed:,} {noun}s by {self.unit}s, {row.changed_by_cells:,} by "
            f"cells ({row.cells:,} cells, {row.units} {self.unit}s)"
            for row in table.head(5).reset_index().itertuples()
        ]
        lines += [f"Left out: {name}, {why}." for name, why in list(self.left_out.items())[:5]]
        return "\n".join(lines)

    def _size(self) -> int:
        return int(self.table[keys.PROGRAM if self.programs else "gene"].nunique())


def rows_of(table: pd.DataFrame, condition: str, context: str | None) -> pd.DataFrame:
    """Rows of one condition in one context, or in all.

    Raises
    ------
    InputError
        There are none.
    """
    here = table[keys.CONDITION] == condition
    if context is not None:
        here &= table[keys.CONTEXT] == context
    if not here.any():
        known = list(dict.fromkeys(table[keys.CONDITION]))
        where = "" if context is None else f" in {context!r}"
        raise InputError(f"There is no {condition!r}{where} among {len(known):,} conditions, e.g. {known[:5]}.")
    return table[here].reset_index(drop=True)


def _perturbed(condition: str) -> set[str]:
    return set(Condition.parse(condition).genes)


def _expanded(programs: Sequence[Signature], rows: pd.DataFrame) -> dict[str, float]:
    """Genes of the moved programs with the direction in which they go; those pulled both ways are left out."""
    direction = dict(zip(rows[keys.PROGRAM], np.sign(rows["effect"]), strict=True))
    total: dict[str, float] = {}
    for one in programs:
        for gene, weight in zip(one.genes, one.weight_array.tolist(), strict=True):
            total[gene] = total.get(gene, 0.0) + weight * direction.get(one.name, 0.0)
    return {gene: float(np.sign(value)) for gene, value in total.items() if value}
