"""A ranking of perturbations by the signature that they move, and how far it can be believed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from insignia.stats.intervals import conformal_width

__all__ = ["Direction", "SignatureRanking", "made_ranking"]

Direction = Literal["towards", "away"]

_WORDS: Final = {"towards": "towards", "away": "away from"}
_LEVEL: Final = 0.9
_FEW: Final = 3


@dataclass(frozen=True, eq=False)
class SignatureRanking:
    """Perturbations ranked by the change of a signature that they are predicted to bring.

    Parameters
    ----------
    signature
        Its name.
    direction
        ``"towards"`` ranks the largest rise first, ``"away"`` the largest fall.
    table
        One row a condition and context, the best first within each context: ``rank``, ``change`` of the signature's
        score, ``sd`` over the fits of an ensemble (their disagreement, not the whole error; NaN for a single fit),
        ``low`` and ``high`` (90 %, from the errors on measured groups that were not learned from; NaN without them),
        ``status``, whether the model ``learned`` from the condition, its distance in the embedding, the ``measured``
        change where there is one, for pairs ``best_single`` and ``sum_of_singles``, and one column a baseline.
    coverage
        Share of the signature's genes that the screen measured.
    accuracy
        How well changes are predicted for measured groups that were not learned from: for the model and each baseline
        ``groups``, ``spearman`` with the measured changes, and ``error``, the mean absolute one. Empty without such.
    baselines
        Names of the columns with the changes of other models.
    n_controls
        From the change of each gene that of so many genes like it was taken; 0 for none.
    """

    signature: str
    direction: Direction
    table: pd.DataFrame
    coverage: float
    accuracy: pd.DataFrame
    baselines: tuple[str, ...] = ()
    n_controls: int = 0

    def __str__(self) -> str:
        first = self.table.iloc[0]
        moved = (first.change > 0) == (self.direction == "towards") and first.change != 0
        where = f" in {first.context}" if self.table["context"].nunique() > 1 else ""
        lines = [
            f"{first.condition}{where} is predicted to move cells most {_WORDS[self.direction]} {self.signature}: "
            f"{first.change:+.3g} ({len(self.table):,} ranked)."
            if moved
            else f"Nothing of {len(self.table):,} conditions is predicted to move cells {_WORDS[self.direction]} "
            f"{self.signature}."
        ]
        for name, row in self.accuracy.iterrows():
            order = "one value for all" if np.isnan(row.spearman) else f"Spearman {row.spearman:.2f}"
            lines.append(
                f"{name}: {order}, mean error {row.error:.3g}, over {int(row.groups)} measured groups that were not "
                "learned from."
            )
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        """Plain values for JSON: the head of the table, and the accuracy."""
        return {
            "signature": self.signature,
            "direction": self.direction,
            "coverage": self.coverage,
            "n_controls": self.n_controls,
            "ranked": len(self.table),
            "first": json.loads(self.table.head(10).to_json(orient="records")),
            "accuracy": json.loads(self.accuracy.to_json(orient="index")),
        }


def made_ranking(
    signature: str,
    direction: Direction,
    rows: pd.DataFrame,
    baselines: Sequence[str],
    coverage: float,
    *,
    n_controls: int = 0,
) -> SignatureRanking:
    """Rank rows within each context, and measure predictions against what was measured and not learned from.

    Parameters
    ----------
    signature, direction, coverage, n_controls
        As of `SignatureRanking`.
    rows
        Its table without ``rank``, ``low`` and ``high``.
    baselines
        Columns with the changes of other models.
    """
    unseen = rows[rows["measured"].notna() & ~rows["learned"] & (rows["status"] == "ok")]
    scored = ["change", *baselines] if len(unseen) >= _FEW else []
    accuracy = pd.DataFrame(
        {
            "groups": len(unseen),
            "spearman": [_order(unseen[name], unseen["measured"]) for name in scored],
            "error": [float((unseen[name] - unseen["measured"]).abs().mean()) for name in scored],
        },
        index=pd.Index(["model", *baselines][: len(scored)]),
    )
    width = conformal_width((unseen["change"] - unseen["measured"]).to_numpy(), level=_LEVEL)
    rows = rows.assign(low=rows["change"] - width, high=rows["change"] + width)
    value = rows["change"] if direction == "away" else -rows["change"]
    rows.insert(0, "rank", value.groupby(rows["context"]).rank(method="min").astype(int))
    table = rows.sort_values(["context", "rank", "condition"], ignore_index=True)
    return SignatureRanking(signature, direction, table, coverage, accuracy, tuple(baselines), n_controls)


def _order(predicted: pd.Series, measured: pd.Series) -> float:
    """Rank correlation; NaN where all predictions are one."""
    if min(predicted.nunique(), measured.nunique()) < 2:
        return float("nan")
    return float(spearmanr(predicted, measured).statistic)
