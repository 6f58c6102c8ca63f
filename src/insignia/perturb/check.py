"""What a screen holds, and what can be asked of it: said before anything is learned."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from insignia.data.condition import Condition
from insignia.data.perturbation import PerturbationData
from insignia.data.perturbation_splits import held_groups, stratum
from insignia.data.splits import Split
from insignia.genes import GeneVocabulary, match_genes
from insignia.perturb.evaluation.yardstick import MANY_CONTROLS

__all__ = ["ScreenSummary", "check"]

_FEW_CELLS = 20
_SHOWN = 6


@dataclass(frozen=True, eq=False)
class ScreenSummary:
    """What `check` found.

    Parameters
    ----------
    facts
        Numbers of cells, genes and conditions, and what the reader assumed.
    contexts
        One row a context: ``cells``, ``controls``, ``conditions``, ``smallest`` (cells of its smallest condition).
    strata
        One row a stratum: ``conditions``, ``cells``, and with a split the ``side``.
    warnings
        What to be careful with.
    """

    facts: dict[str, Any]
    contexts: pd.DataFrame
    strata: pd.DataFrame
    warnings: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Give everything as plain values, fit for JSON."""
        tables = {"contexts": self.contexts, "strata": self.strata}
        plain = {name: table.reset_index().to_dict(orient="records") for name, table in tables.items()}
        return self.facts | plain | {"warnings": list(self.warnings)}

    def __str__(self) -> str:
        width = max(map(len, self.facts))
        lines = [f"{name.replace('_', ' '):{width}}  {_text(value)}" for name, value in self.facts.items()]
        lines += ["", self.contexts.to_string(), "", self.strata.to_string()]
        return "\n".join([*lines, *(["", *self.warnings] if self.warnings else [])])


def check(data: PerturbationData, split: Split | None = None) -> ScreenSummary:
    """Say what a screen holds: cells by context and stratum, which perturbed genes are measured, what is too small.

    Parameters
    ----------
    data
        The screen.
    split
        Which conditions are to be learned from and predicted. Without it, combinations are divided by how many of
        their genes were also perturbed alone.
    """
    perturbed = sorted({condition for condition, _ in data.groups if not condition.is_control}, key=str)
    genes = sorted({gene for condition in perturbed for gene in condition.genes})
    measured = match_genes(genes, GeneVocabulary.from_names(data.genes)) if genes else None
    sizes = {group: len(data.rows(*group)) for group in data.groups}
    facts = {
        "cells": len(data),
        "genes": len(data.genes),
        "controls": sum(size for (condition, _), size in sizes.items() if condition.is_control),
        "conditions": len(perturbed),
        "single": sum(len(condition.genes) == 1 for condition in perturbed),
        "combined": sum(len(condition.genes) > 1 for condition in perturbed),
        "perturbed_genes": len(genes),
        "perturbed_genes_measured": 0 if measured is None else measured.n_found,
        "scale": None if np.isnan(data.scale) else float(data.scale),
        "expressed_share": float(data.expression.nnz / max(1, np.prod(data.expression.shape))),
        "replicates": list(data.replicates),
        "notes": list(data.notes),
    }
    warnings = _warnings(data, perturbed, sizes)
    return ScreenSummary(facts, _contexts(data, sizes), _strata(data, perturbed, sizes, split), warnings)


def _contexts(data: PerturbationData, sizes: dict[tuple[Condition, str], int]) -> pd.DataFrame:
    rows = {}
    for context in data.contexts:
        here = {condition: size for (condition, where), size in sizes.items() if where == context}
        others = [size for condition, size in here.items() if not condition.is_control]
        rows[context] = {
            "cells": sum(here.values()),
            "controls": here.get(Condition(), 0),
            "conditions": len(others),
            "smallest": min(others, default=0),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("context")


def _strata(
    data: PerturbationData, perturbed: list[Condition], sizes: dict[tuple[Condition, str], int], split: Split | None
) -> pd.DataFrame:
    groups = [group for group in sizes if not group[0].is_control]
    alone = [condition for condition in perturbed if len(condition.genes) == 1]
    if split is None:
        sides = ["" for _ in groups]
        strata = ["single" if one in alone else _combination(one, alone) for one, _ in groups]
    else:
        held = held_groups(data, split)
        train = [one for one, where in groups if (one, where) not in held]
        sides = ["test" if group in held else "train" for group in groups]
        strata = [
            stratum(one, train) if side == "test" else "single" if one in alone else "combined"
            for side, (one, _) in zip(sides, groups, strict=True)
        ]
    table = pd.DataFrame(
        {
            "side": sides,
            "stratum": strata,
            "conditions": [str(one) for one, _ in groups],
            "cells": [sizes[group] for group in groups],
        }
    )
    by = ["stratum"] if split is None else ["side", "stratum"]
    return table.groupby(by).agg({"conditions": "nunique", "cells": "sum"})


def _combination(condition: Condition, alone: list[Condition]) -> str:
    seen = sum(single in alone for single in condition.singles)
    return f"combination, {seen} of {len(condition.singles)} also alone"


def _warnings(
    data: PerturbationData, perturbed: list[Condition], sizes: dict[tuple[Condition, str], int]
) -> tuple[str, ...]:
    said = []
    few = [f"{one} in {where} ({size})" for (one, where), size in sizes.items() if size < _FEW_CELLS]
    if few:
        said.append(f"{len(few)} conditions have fewer than {_FEW_CELLS} cells: {', '.join(few[:_SHOWN])}.")
    contexts = {where for one, where in sizes if not one.is_control}
    scarce = [where for where in sorted(contexts) if sizes.get((Condition(), where), 0) < MANY_CONTROLS]
    if scarce:
        said.append(
            f"{len(scarce)} contexts have fewer than {MANY_CONTROLS:,} controls ({', '.join(scarce[:_SHOWN])}): a "
            "benchmark keeps half of them aside as reference, since truth and prediction that share few controls agree "
            "through their noise."
        )
    idle = [where for where in data.contexts if where not in contexts]
    if idle:
        said.append(f"{len(idle)} contexts have control cells only: {', '.join(idle[:_SHOWN])}.")
    if len(perturbed) < 2:
        said.append("One condition alone cannot be divided into what is learned and what is predicted.")
    return tuple(said)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else f"{value:,}"
