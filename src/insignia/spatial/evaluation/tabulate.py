"""From predictions to tables: a row for each method and section, beside what only the truth could say."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from insignia.spatial.evaluation.evaluation import Evaluation
from insignia.spatial.evaluation.harness import Predicted
from insignia.spatial.evaluation.scores import HiddenSection, Prediction, Scores, score
from insignia.stats import coverage_by_bin

__all__ = ["constant", "oracles", "scored"]

_SUPPORT: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 5.0, float("inf"))


def oracles(hidden: Sequence[HiddenSection]) -> list[Predicted]:
    """Give what only the truth can give: each section's own mean, and the mean of each spot's eight neighbours."""
    return [
        Predicted("oracle", "own mean", 0, [Prediction(_constant(s.expression.mean(axis=0), s)) for s in hidden]),
        Predicted("oracle", "8 true neighbours", 0, [Prediction(s.neighbour_mean) for s in hidden]),
    ]


def constant(label: str, profile: np.ndarray, hidden: Sequence[HiddenSection]) -> Predicted:
    """Predict the same profile, (genes,), everywhere."""
    return Predicted("baseline", label, 0, [Prediction(_constant(profile, section)) for section in hidden])


def scored(
    hidden: Sequence[HiddenSection],
    predicted: Iterable[Predicted],
    *,
    known: Sequence[str],
    notes: Sequence[str] = (),
    about: Mapping[str, Any],
    seed: int = 0,
) -> Evaluation:
    """Score predictions, and add the ceiling that counting leaves."""
    rows: list[dict[str, Any]] = []
    genes: list[pd.DataFrame] = []
    coverage: list[pd.DataFrame] = []
    for method in predicted:
        for section, prediction in zip(hidden, method.sections, strict=True):
            place = _place(section, known, method)
            found = score(section, prediction)
            rows.append(_row(section, place, found))
            genes.append(found.genes.assign(**place))
            if method.role == "imputer":
                coverage.append(_by_support(section, prediction).assign(**place))
    rows += [_ceiling(section, known, seed) for section in hidden]
    return Evaluation(
        pd.DataFrame(rows),
        pd.concat(genes, ignore_index=True),
        pd.concat(coverage, ignore_index=True) if coverage else pd.DataFrame(columns=["method", "from", "to"]),
        tuple(notes),
        about,
    )


def _place(section: HiddenSection, known: Sequence[str], method: Predicted) -> dict[str, Any]:
    return {
        "role": method.role,
        "method": method.label,
        "sample": section.sample,
        "known": "+".join(known) or "none",
        "section": section.name,
        "seed": method.seed,
    }


def _row(section: HiddenSection, place: dict[str, Any], found: Scores) -> dict[str, Any]:
    return {
        **place,
        "spots": len(section),
        "genes": int(section.is_counted.sum()),
        "distance_um": section.distance_um,
        "registration": section.registration,
        **{f"quality_{name}": value for name, value in section.quality.items()},
        **found.figures,
    }


def _ceiling(section: HiddenSection, known: Sequence[str], seed: int) -> dict[str, Any]:
    ceiling = pd.Series(section.ceiling(rng=seed)[section.is_counted]).dropna()
    figures = {"pcc_mean": ceiling.mean(), "pcc_median": ceiling.median(), "pcc_above_0.2": (ceiling > 0.2).mean()}
    place = _place(section, known, Predicted("oracle", "ceiling by thinning", 0, ()))
    return _row(section, place, Scores({name: float(value) for name, value in figures.items()}, pd.DataFrame()))


def _by_support(section: HiddenSection, prediction: Prediction) -> pd.DataFrame:
    if prediction.lower is None or prediction.upper is None or prediction.support is None:
        return pd.DataFrame(columns=["from", "to", "rows", "coverage", "width"])
    kept = section.is_counted
    return coverage_by_bin(
        prediction.lower[:, kept],
        prediction.upper[:, kept],
        section.expression[:, kept],
        prediction.support,
        _SUPPORT,
    )


def _constant(profile: np.ndarray, section: HiddenSection) -> np.ndarray:
    return np.tile(np.asarray(profile, dtype=np.float32), (len(section), 1))
