"""Methods held against baselines on the same conditions: differences, their intervals, exact tests, and who wins."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from insignia.perturb.evaluation.metrics import LOWER_IS_BETTER, check_metric
from insignia.stats import paired_test

__all__ = ["bootstrap_interval", "by_condition", "differences", "dynamic_range", "verdict_lines", "winner_line"]

_DRAWS = 2000


def by_condition(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Average a figure over seeds and then over contexts: one row a (stratum, role, method), one column a condition."""
    keys = ["stratum", "role", "method", "condition"]
    values = rows.groupby([*keys, "context"], sort=False)[metric].mean().groupby(keys, sort=False).mean()
    return values.unstack("condition")


def bootstrap_interval(values: np.ndarray, *, rng: int = 0) -> tuple[float, float]:
    """Give the interval of 95 % of the mean over conditions, by drawing conditions again; NaN for fewer than two."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return float("nan"), float("nan")
    drawn = np.random.default_rng(rng).integers(len(values), size=(_DRAWS, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def differences(rows: pd.DataFrame, metric: str = "l2", *, rng: int = 0) -> pd.DataFrame:
    """Hold each method against each baseline, stratum by stratum, on the conditions that both answer.

    Parameters
    ----------
    rows
        Of a scoreboard.
    metric
        Which figure.
    rng
        Seed of the bootstrap.

    Returns
    -------
    One row a stratum, method and baseline: the means of both, ``difference`` in favour of the method with its
    bootstrap interval of 95 % over conditions (``low``, ``high``), ``share`` of the baseline's figure, ``n``
    conditions and how many are ``better``, exact ``p_rank`` and ``p_sign``, and ``complete``: whether the baseline
    answers every condition that the method does.
    """
    values = by_condition(rows, check_metric(metric))
    sign = 1.0 if metric in LOWER_IS_BETTER else -1.0
    found = []
    for stratum in sorted(values.index.get_level_values("stratum").unique()):
        here = values.loc[stratum]
        roles = here.index.get_level_values("role")
        for method, of_method in here[roles == "method"].droplevel("role").iterrows():
            for baseline, of_baseline in here[roles == "baseline"].droplevel("role").iterrows():
                pair = pd.DataFrame({"method": of_method, "baseline": of_baseline}).dropna()
                if len(pair):
                    complete = len(pair) == of_method.notna().sum()
                    found.append(_difference(pair, sign, rng) | {"complete": bool(complete)})
                    found[-1] |= {"stratum": stratum, "method": method, "baseline": baseline}
    columns = ["stratum", "method", "baseline", "n", "mean_method", "mean_baseline", "difference", "low", "high"]
    return pd.DataFrame(found, columns=[*columns, "share", "better", "p_rank", "p_sign", "complete"])


def _difference(pair: pd.DataFrame, sign: float, rng: int) -> dict[str, object]:
    gain = sign * (pair["baseline"] - pair["method"]).to_numpy()
    test = paired_test(gain)
    low, high = bootstrap_interval(gain, rng=rng)
    baseline = float(pair["baseline"].mean())
    return {
        "n": len(pair),
        "mean_method": float(pair["method"].mean()),
        "mean_baseline": baseline,
        "difference": float(gain.mean()),
        "low": low,
        "high": high,
        "share": float(gain.mean()) / max(abs(baseline), 1e-12),
        "better": test.better,
        "p_rank": test.p_rank,
        "p_sign": test.p_sign,
    }


def best_baselines(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Keep, for each stratum and method, the row of the best baseline that answers all that the method does."""
    complete = table[table["complete"].astype(bool)]
    ranked = complete.sort_values("mean_baseline", ascending=metric in LOWER_IS_BETTER, kind="stable")
    return ranked.drop_duplicates(["stratum", "method"]).sort_values(["stratum", "method"], kind="stable")


def verdict_lines(rows: pd.DataFrame, metric: str = "l2") -> tuple[str, ...]:
    """Say for each method and stratum whether it beats the best baseline that answers everything there."""
    table = differences(rows, metric)
    best = best_baselines(table, metric)
    said = [_verdict(row, metric) for row in best.itertuples()]
    answered = set(zip(best["stratum"], best["method"], strict=True))
    methods = rows[(rows["role"] == "method") & rows[metric].notna()]
    for stratum, method in sorted(set(zip(methods["stratum"], methods["method"], strict=True)) - answered):
        said.append(f"{stratum}: no baseline answers every condition, so {method} cannot be judged.")
    return tuple(sorted(said))


def _verdict(row: object, metric: str) -> str:
    found = row._asdict()  # type: ignore[attr-defined]
    words = "better" if found["difference"] > 0 else "no better"
    between = "" if np.isnan(found["low"]) else f", interval {found['low']:.3g} to {found['high']:.3g}"
    return (
        f"{found['stratum']}: {found['method']} is {words} than the best baseline, {found['baseline']}, in {metric} on "
        f"{found['better']} of {found['n']} conditions: {found['mean_method']:.3g} against "
        f"{found['mean_baseline']:.3g}, by {found['share']:+.1%} (difference {found['difference']:.3g}{between}; exact "
        f"signed-rank p {found['p_rank']:.2g})."
    )


def winner_line(rows: pd.DataFrame, metric: str = "l2") -> str:
    """Say in one line who has the best figure in each stratum, a baseline or a method, and whether that is told apart.

    Only who answers every condition of the stratum takes part.
    """
    values = by_condition(rows[rows["role"].isin(["method", "baseline"])], check_metric(metric))
    parts = {str(stratum): part.droplevel(0).dropna(axis=1, how="all") for stratum, part in values.groupby(level=0)}
    said = [_winner(stratum, part.dropna(), metric) for stratum, part in parts.items()]
    return f"Who wins by {metric}: {'; '.join(said)}."


def _winner(stratum: str, values: pd.DataFrame, metric: str) -> str:
    if not len(values):
        return f"{stratum}: nobody answers every condition"
    sign = 1.0 if metric in LOWER_IS_BETTER else -1.0
    means = (sign * values.mean(axis=1)).sort_values(kind="stable")
    role, name = means.index[0]
    said = f"{stratum}: {'the baseline ' if role == 'baseline' else ''}{name} {abs(means.iloc[0]):.3g}"
    rivals = [key for key in means.index if key[0] != role]
    if not rivals:
        return f"{said}, nothing beside it"
    rival = rivals[0]
    gain = sign * (values.loc[[rival]].to_numpy()[0] - values.loc[[(role, name)]].to_numpy()[0])
    low, _ = bootstrap_interval(gain)
    apart = "" if low > 0 else ", not told apart"
    kind = "the baseline " if rival[0] == "baseline" else ""
    return f"{said} against {kind}{rival[1]} {abs(means.loc[[rival]].iloc[0]):.3g}{apart}"


def dynamic_range(
    rows: pd.DataFrame, metric: str = "l2", *, floor: str = "perturbed_mean", ceilings: Sequence[str]
) -> pd.DataFrame:
    """Place every method and baseline between the mean of all perturbations, 0, and another measurement, 1.

    Parameters
    ----------
    rows
        Of a scoreboard.
    metric
        Which figure.
    floor
        The baseline that counts 0.
    ceilings
        Names of measurements that count 1, of which the first that is there is taken.

    Returns
    -------
    Indexed by (stratum, role, method): ``fraction`` and ``n``, the conditions that have all three; NaN where floor and
    ceiling are equal.
    """
    values = by_condition(rows, check_metric(metric))
    known = {tuple(map(str, key)): row for key, row in values.iterrows()}  # type: ignore[call-overload]
    found: dict[tuple[str, ...], dict[str, float]] = {}
    for (stratum, role, method), own in known.items():
        top = next((name for name in ceilings if (stratum, "ceiling", name) in known), None)
        if role == "ceiling" or top is None or (stratum, "baseline", floor) not in known:
            continue
        low, high = known[stratum, "baseline", floor], known[stratum, "ceiling", top]
        table = pd.DataFrame({"own": own, "low": low, "high": high}).dropna()
        span = table["high"].mean() - table["low"].mean() if len(table) else 0.0
        fraction = (table["own"].mean() - table["low"].mean()) / span if span else float("nan")
        found[stratum, role, method] = {"fraction": fraction, "n": len(table)}
    index = pd.MultiIndex.from_tuples(list(found), names=["stratum", "role", "method"])
    return pd.DataFrame(list(found.values()), index=index, columns=["fraction", "n"])
