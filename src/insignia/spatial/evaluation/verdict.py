"""Whether an imputer is better than what comes for free, said with the exact test that the sections allow."""

from dataclasses import dataclass
from typing import Final

import pandas as pd

from insignia.spatial.evaluation.summary import by_section, over_samples
from insignia.stats import PairedTest, paired_test

__all__ = ["Verdict", "verdicts"]

_JUDGED: Final = {"skill": "squared error", "pcc_mean": "per-gene correlation"}
_TOLERANCE: Final = 1e-6


@dataclass(frozen=True)
class Verdict:
    """How an imputer stands against the best baseline on one figure.

    Parameters
    ----------
    method
        The imputer.
    metric
        ``"skill"`` or ``"pcc_mean"``.
    value
        Its average over samples.
    against
        The baseline with the best average, chosen in hindsight, which favours the baseline.
    value_against
        Average of that baseline.
    sections
        Paired test over sections.
    samples
        Paired test over samples; `None` for a single sample. Sections of one sample are not independent, so with
        several samples this is the one to quote.
    """

    method: str
    metric: str
    value: float
    against: str
    value_against: float
    sections: PairedTest
    samples: PairedTest | None

    @property
    def is_better_than_mean(self) -> bool:
        """Whether the figure is above what the mean profile gets, 0 for skill and for per-gene correlation alike."""
        return self.value > _TOLERANCE

    def __str__(self) -> str:
        what = f"{self.method}, {_JUDGED[self.metric]}"
        if not self.is_better_than_mean:
            return f"{what}: no better than the mean ({self.metric} {_signed(self.value)})."
        test, unit = (self.sections, "sections") if self.samples is None else (self.samples, "samples")
        also = "" if self.samples is None else f", on {test.better} of {test.pairs} samples"
        caution = ", of one sample and so not independent" if self.samples is None else ""
        return (
            f"{what}: better than the best baseline ({self.against}) on {self.sections.better} of "
            f"{self.sections.pairs} sections{also} ({_signed(self.value)} against {_signed(self.value_against)}); "
            f"paired test over {unit}{caution}: sign p = {test.p_sign:.2g}, signed rank p = {test.p_rank:.2g}; "
            f"the smallest p that {test.pairs} {unit} can reach is {test.smallest_p:.2g}."
        )


def verdicts(sections: pd.DataFrame) -> tuple[Verdict, ...]:
    """Judge every imputer of a table against its best baseline, by skill and by per-gene correlation.

    Parameters
    ----------
    sections
        One row a method, sample, known sections, section and seed.
    """
    found = []
    for metric in _JUDGED:
        averages = over_samples(sections, [metric])[0][metric]
        if "baseline" not in averages.index.get_level_values("role"):
            continue
        baselines = averages["baseline"].dropna()
        against = str(baselines.idxmax())
        per_section = by_section(sections, [metric]).set_index(["role", "method", "sample", "known", "section"])[metric]
        reference = per_section["baseline"][against]
        for method in averages.get("imputer", pd.Series(dtype=float)).index:
            difference = (per_section["imputer"][method] - reference).dropna()
            if difference.empty:
                continue  # a figure without a value, e.g. correlation over a single spot, stands as such in the table
            found.append(_verdict(str(method), metric, averages, against, difference))
    return tuple(found)


def _verdict(method: str, metric: str, averages: pd.Series, against: str, difference: pd.Series) -> Verdict:
    per_sample = difference.groupby(["sample", "known"]).mean().groupby("sample").mean()
    return Verdict(
        method=method,
        metric=metric,
        value=float(averages["imputer"][method]),
        against=against,
        value_against=float(averages["baseline"][against]),
        sections=paired_test(difference.to_numpy(), tolerance=_TOLERANCE),
        samples=paired_test(per_sample.to_numpy(), tolerance=_TOLERANCE) if len(per_sample) > 1 else None,
    )


def _signed(value: float) -> str:
    # adding zero turns -0.000 into 0.000
    return f"{round(value, 3) + 0.0:.3f}"
