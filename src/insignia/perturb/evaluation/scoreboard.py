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
from insignia.perturb.evaluation.metrics import LOWER_IS_BETTER, METRICS
from insignia.stats import paired_test

__all__ = ["Scoreboard"]

_SHOWN = ("l2", "pearson_delta", "pearson_from_mean", "edistance", "wasserstein_effect", "pds_l1")
_ORDER = ("method", "baseline", "control", "ceiling")
_DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Scoreboard:
    """Figures of methods, baselines, controls and the ceiling, never averaged over strata.

    Parameters
    ----------
    rows
        One row a role, method, seed, condition and context, with ``stratum``, ``cells``, ``status`` and the figures of
        `insignia.perturb.evaluation.METRICS`; NaN where a method has no answer.
    notes
        What to be careful with.
    about
        Split, its hash, seeds and seconds.
    """

    rows: pd.DataFrame
    notes: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (self.rows["role"] == "baseline").any():
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
        """Average each figure over seeds and then over conditions, by stratum.

        Returns
        -------
        Indexed by (stratum, role, method): ``n`` conditions, and for each figure its mean, ``<figure>_low`` and
        ``<figure>_high``, a bootstrap interval of 95 % over conditions, and ``<figure>_seed_sd`` over seeds.
        """
        unknown = [name for name in metrics if name not in METRICS]
        if unknown:
            raise InputError(f"There is no figure {unknown}; there are {', '.join(METRICS)}.")
        found = {}
        for key, part in self.rows.groupby(["stratum", "role", "method"], sort=False):
            answered = part[part["status"] != "none"]
            row: dict[str, float] = {"n": answered["condition"].nunique()}
            for name in metrics:
                row |= _spread(answered, name, rng)
            found[key] = row
        table = pd.DataFrame.from_dict(found, orient="index")
        table.index = pd.MultiIndex.from_tuples(found, names=["stratum", "role", "method"])
        rank = table.index.get_level_values("role").map({role: i for i, role in enumerate(_ORDER)})
        return table.assign(_rank=rank).sort_values(["stratum", "_rank", metrics[0]]).drop(columns="_rank")

    def verdicts(self, metric: str = "l2") -> tuple[str, ...]:
        """Say for each method and stratum whether it beats the best baseline that has an answer to everything there."""
        said = []
        for stratum, part in self.rows.groupby("stratum"):
            values = part.groupby(["role", "method", "condition", "context"])[metric].mean().unstack([2, 3])
            baselines = values.loc[["baseline"]].dropna() if "baseline" in values.index else values.iloc[:0]
            methods = values.loc["method"].index if "method" in values.index else ()
            said += [
                _verdict(str(stratum), str(name), values.loc["method", name], baselines, metric) for name in methods
            ]
        return tuple(said)

    def record(self) -> dict[str, Any]:
        """Give averages, verdicts, notes and settings as plain values, fit for JSON."""
        table = self.summary().reset_index()
        rows = [{name: _plain(value) for name, value in row.items()} for row in table.to_dict(orient="records")]
        return {"rows": rows, "verdicts": list(self.verdicts()), "notes": list(self.notes), "about": dict(self.about)}

    def write(self, folder: str | Path) -> tuple[Path, ...]:
        """Write the rows and the averages as CSV, and the record as JSON."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = (folder / "predictions.csv", folder / "scoreboard.csv", folder / "scoreboard.json")
        write_table(self.rows, paths[0])
        write_table(self.summary().reset_index(), paths[1])
        with atomic_file(paths[2]) as temporary:
            temporary.write_text(json.dumps(self.record(), indent=2))
        return paths

    def __str__(self) -> str:
        table = self.summary()[["n", *_SHOWN]]
        lines = [table.to_string(float_format=lambda value: f"{value:.3f}"), *self.notes, *self.verdicts()]
        return "\n".join(lines)


def _spread(answered: pd.DataFrame, name: str, rng: int) -> dict[str, float]:
    by_condition = answered.groupby(["condition", "context"])[name].mean().dropna().to_numpy()
    seeds = answered.groupby("seed")[name].mean()
    if not len(by_condition):
        return {name: np.nan, f"{name}_low": np.nan, f"{name}_high": np.nan, f"{name}_seed_sd": np.nan}
    drawn = np.random.default_rng(rng).integers(len(by_condition), size=(_DRAWS, len(by_condition)))
    low, high = np.percentile(by_condition[drawn].mean(axis=1), [2.5, 97.5])
    sd = float(seeds.std(ddof=1)) if len(seeds) > 1 else np.nan
    return {name: float(by_condition.mean()), f"{name}_low": low, f"{name}_high": high, f"{name}_seed_sd": sd}


def _verdict(stratum: str, method: str, values: pd.Series, baselines: pd.DataFrame, metric: str) -> str:
    if baselines.empty:
        return f"{stratum}: no baseline answers every condition, so {method} cannot be judged."
    sign = 1 if metric in LOWER_IS_BETTER else -1
    means = sign * baselines.mean(axis=1)
    best = means.index[int(means.to_numpy().argmin())]
    gain = (sign * (baselines.loc[best] - values)).dropna().to_numpy()
    test = paired_test(gain)
    better = int((gain > 0).sum())
    change = gain.mean() / max(abs(float(baselines.loc[best].mean())), 1e-12)
    words = "better" if gain.mean() > 0 else "no better"
    return (
        f"{stratum}: {method} is {words} than the best baseline, {best[1]}, in {metric} on {better} of {len(gain)} "
        f"conditions, by {change:+.1%} on average (exact signed-rank p {test.p_rank:.2g})."
    )


def _plain(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else float(value)
    return value.item() if isinstance(value, np.generic) else value
