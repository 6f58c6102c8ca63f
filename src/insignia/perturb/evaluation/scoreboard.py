"""What a benchmark found: one row a prediction, averages by stratum with their intervals, and who wins."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from insignia.core.errors import InputError
from insignia.core.files import atomic_file
from insignia.data.tables import write_table
from insignia.perturb.evaluation.ceiling import HALVES, OTHER, SHRUNK
from insignia.perturb.evaluation.comparisons import (
    bootstrap_interval,
    by_condition,
    differences,
    dynamic_range,
    verdict_lines,
    winner_line,
)
from insignia.perturb.evaluation.metrics import LOWER_IS_BETTER, METRICS

__all__ = ["Scoreboard"]

_SHOWN = ("l2", "pearson_delta", "pearson_from_mean", "edistance", "wasserstein_effect", "pds_l1")
_ORDER = ("method", "baseline", "control", "ceiling")
_CEILINGS = (OTHER, SHRUNK, HALVES)


@dataclass(frozen=True, eq=False)
class Scoreboard:
    """Figures of methods, baselines, controls and the ceiling, never averaged over strata.

    Parameters
    ----------
    rows
        One row a role, method, seed, condition and context, with ``stratum``, ``cells``, ``status``, ``note`` and the
        figures of `insignia.perturb.METRICS`; NaN where a method has no answer.
    notes
        What to be careful with.
    about
        Split, its hash, seeds, sizes and seconds.
    """

    rows: pd.DataFrame
    notes: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        is_baseline = self.rows["role"] == "baseline"
        if not is_baseline.any() or (self.rows.loc[is_baseline, "status"] == "none").all():
            raise InputError("A scoreboard without a baseline cannot be made: none could be computed.")

    @classmethod
    def join(cls, parts: Sequence["Scoreboard"]) -> "Scoreboard":
        """Put scoreboards of several splits, such as folds, into one."""
        if not parts:
            raise InputError("There is no scoreboard to join.")
        notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
        rows = pd.concat([part.rows for part in parts], ignore_index=True)
        return cls(rows, notes, {"parts": [dict(part.about) for part in parts]})

    def summary(self, metrics: Sequence[str] = _SHOWN, *, rng: int = 0) -> pd.DataFrame:
        """Average each figure over seeds and contexts, and then over conditions, by stratum.

        Returns
        -------
        Indexed by (stratum, role, method): ``n`` conditions that were answered, ``fallbacks``, the share of answers
        that are a declared fall-back, and for each figure its mean, ``<figure>_low`` and ``<figure>_high``, a
        bootstrap interval of 95 % over conditions, and ``<figure>_seed_sd`` over seeds.
        """
        unknown = [name for name in metrics if name not in METRICS]
        if unknown:
            raise InputError(f"There is no figure {unknown}; there are {', '.join(METRICS)}.")
        answered = self.rows[self.rows["status"] != "none"]
        groups = self.rows.groupby(["stratum", "role", "method"], sort=False)
        table = pd.DataFrame(index=groups.size().index)
        of = answered.groupby(["stratum", "role", "method"], sort=False)
        table["n"] = of["condition"].nunique().reindex(table.index, fill_value=0)
        table["fallbacks"] = of["status"].agg(lambda status: float((status == "fallback").mean()))
        for name in metrics:
            table = table.join(_spread(answered, name, rng))
        rank = table.index.get_level_values("role").map({role: i for i, role in enumerate(_ORDER)})
        first = table[metrics[0]] * (1 if metrics[0] in LOWER_IS_BETTER else -1)
        ordered = table.assign(_rank=rank, _first=first).sort_values(["stratum", "_rank", "_first"], kind="stable")
        return ordered.drop(columns=["_rank", "_first"])

    def differences(self, metric: str = "l2", *, rng: int = 0) -> pd.DataFrame:
        """Hold each method against each baseline on the conditions that both answer.

        Returns
        -------
        One row a stratum, method and baseline: means, ``difference`` in favour of the method with its bootstrap
        interval over conditions, exact tests, and whether the baseline answers all that the method does.
        """
        return differences(self.rows, metric, rng=rng)

    def dynamic_range(self, metric: str = "l2") -> pd.DataFrame:
        """Place methods and baselines between the mean of all perturbations, 0, and another measurement, 1.

        The other measurement is a replicate where there is one, else half of the cells shrunk to the mean.
        """
        return dynamic_range(self.rows, metric, ceilings=_CEILINGS)

    def verdicts(self, metric: str = "l2") -> tuple[str, ...]:
        """Say for each method and stratum whether it beats the best baseline that has an answer to everything there."""
        return verdict_lines(self.rows, metric)

    def winner(self, metric: str = "l2") -> str:
        """Say in one line who has the best figure in each stratum, be it a baseline."""
        return winner_line(self.rows, metric)

    def record(self) -> dict[str, Any]:
        """Give averages, differences, verdicts, notes and settings as plain values, fit for JSON."""
        tables = {
            "rows": self.summary().reset_index(),
            "differences": self.differences(),
            "dynamic_range": self.dynamic_range().reset_index(),
        }
        plain = {
            name: [{key: _plain(value) for key, value in row.items()} for row in table.to_dict(orient="records")]
            for name, table in tables.items()
        }
        return plain | {
            "verdicts": list(self.verdicts()),
            "winner": self.winner(),
            "notes": list(self.notes),
            "about": dict(self.about),
        }

    def write(self, folder: str | Path) -> tuple[Path, ...]:
        """Write the rows, the averages and the differences as CSV, the record as JSON, and a page as Markdown."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tables = {
            "predictions.csv": self.rows,
            "scoreboard.csv": self.summary(list(METRICS)).reset_index(),
            "differences.csv": self.differences(),
        }
        for name, table in tables.items():
            write_table(table, folder / name)
        texts = {"scoreboard.json": json.dumps(self.record(), indent=2), "scoreboard.md": self.markdown()}
        for name, text in texts.items():
            with atomic_file(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
        return tuple(folder / name for name in (*tables, *texts))

    def markdown(self) -> str:
        """Write the table of each stratum, what to be careful with, the verdicts and, last, who wins."""
        table = self._shown()
        lines = []
        for stratum in table.index.get_level_values("stratum").unique():
            part = table.loc[stratum].reset_index()
            head = "| " + " | ".join(name.replace("_", " ") for name in part.columns) + " |"
            rows = ["| " + " | ".join(map(str, row)) + " |" for row in part.itertuples(index=False)]
            lines += [f"## {stratum}", "", head, "|" + " --- |" * part.shape[1], *rows, ""]
        bullets = [f"- {line}" for line in (*self.notes, *self.verdicts())]
        return "\n".join([*lines, *bullets, "", self.winner(), ""])

    def __str__(self) -> str:
        return "\n".join([self._shown().to_string(), *self.notes, *self.verdicts(), self.winner()])

    def _shown(self) -> pd.DataFrame:
        """Numbers as people read them, the first figure with its interval and its spread over seeds."""
        table = self.summary()
        first = _SHOWN[0]
        shown = pd.DataFrame({"n": table["n"].astype(int)})
        shown[first] = [
            _with_interval(*values)
            for values in table[[first, f"{first}_low", f"{first}_high", f"{first}_seed_sd"]].itertuples(index=False)
        ]
        for name in _SHOWN[1:]:
            shown[name] = ["-" if np.isnan(value) else f"{value:.3f}" for value in table[name]]
        return shown


def _with_interval(value: float, low: float, high: float, seed_sd: float) -> str:
    if np.isnan(value):
        return "-"
    between = "" if np.isnan(low) else f" ({low:.3f} to {high:.3f})"
    return f"{value:.3f}{between}" + ("" if np.isnan(seed_sd) else f" sd {seed_sd:.3f}")


def _spread(answered: pd.DataFrame, name: str, rng: int) -> pd.DataFrame:
    """Mean, interval over conditions, and standard deviation over seeds of one figure."""
    values = by_condition(answered, name)
    bounds = [bootstrap_interval(row[~np.isnan(row)], rng=rng) for row in values.to_numpy()]
    seeds = answered.groupby(["stratum", "role", "method", "seed"], sort=False)[name].mean()
    sd = seeds.groupby(level=[0, 1, 2], sort=False).std(ddof=1)
    found = pd.DataFrame({name: values.mean(axis=1)})
    found[[f"{name}_low", f"{name}_high"]] = bounds
    return found.assign(**{f"{name}_seed_sd": sd.reindex(found.index)})


def _plain(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else float(value)
    return value.item() if isinstance(value, np.generic) else value
