"""Simulated hits per donor, for the calibration of tests: studies differ, donors differ, some diseases may act."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from insignia.core import keys
from insignia.core.errors import InputError

__all__ = ["DonorHitOptions", "simulate_donor_hits"]


@dataclass(frozen=True)
class DonorHitOptions:
    """How hits per donor are simulated.

    Parameters
    ----------
    n_studies
        Studies; each holds healthy donors and one or two of the diseases, one in six no healthy donors.
    n_diseases
        Named ``"disease 1"`` and so on.
    donors
        Fewest and most donors of a group in a study.
    cells
        Fewest and most cells of a donor, even on a log scale.
    fraction
        Of hits in a healthy donor of a middling study.
    study_sd, donor_sd
        Standard deviations of studies and of donors on the log odds.
    effects
        Added to the log odds of donors of a disease, by its name; others do nothing.
    """

    n_studies: int = 14
    n_diseases: int = 6
    donors: tuple[int, int] = (2, 7)
    cells: tuple[int, int] = (30, 600)
    fraction: float = 0.1
    study_sd: float = 0.8
    donor_sd: float = 0.6
    effects: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if not 1 <= self.n_diseases <= self.n_studies:
            raise InputError(f"{self.n_studies} studies cannot hold {self.n_diseases} diseases, one at least each.")
        if unknown := set(self.effects) - set(self.diseases):
            raise InputError(f"Effects of {sorted(unknown)}, which are not among {', '.join(self.diseases)}.")
        if not 0 < self.fraction < 1:
            raise InputError(f"A fraction of hits lies between 0 and 1, not at {self.fraction}.")

    @property
    def diseases(self) -> tuple[str, ...]:
        """Names of the diseases."""
        return tuple(f"disease {number + 1}" for number in range(self.n_diseases))


def simulate_donor_hits(options: DonorHitOptions | None = None, *, rng: int | np.random.Generator = 0) -> pd.DataFrame:
    """Simulate the hits of donors of several studies.

    Parameters
    ----------
    options
        How.
    rng
        Seed or generator.

    Returns
    -------
    One row a donor, as in a sample table: ``study``, ``sample``, ``donor``, ``tissue``, ``disease``, ``stratum``,
    ``cells``, ``hits``, ``fraction``, ``mean_score``, ``coverage``, ``unscored``.
    """
    options, generator = options or DonorHitOptions(), np.random.default_rng(rng)
    rows = [row for study in range(options.n_studies) for row in _study(study, options, generator)]
    table = pd.DataFrame(rows, columns=[keys.STUDY, keys.DONOR, keys.DISEASE, "cells", "hits"])
    fraction = table["hits"] / table["cells"]
    table = table.assign(
        sample=table[keys.DONOR], tissue="blood", stratum="all", fraction=fraction, mean_score=fraction
    ).assign(coverage=1.0, unscored=0)
    order = [keys.STUDY, keys.SAMPLE, keys.DONOR, keys.TISSUE, keys.DISEASE, "stratum", "cells", "hits", "fraction"]
    return table[[*order, "mean_score", "coverage", "unscored"]]


def _study(number: int, options: DonorHitOptions, rng: np.random.Generator) -> list[tuple[str, str, str, int, int]]:
    diseases = [options.diseases[number % options.n_diseases]]
    if rng.random() < 1 / 3:
        diseases.append(str(rng.choice(options.diseases)))
    groups = [*dict.fromkeys(diseases)] if number % 6 == 5 else ["normal", *dict.fromkeys(diseases)]
    study = logit(options.fraction) + rng.normal(0, options.study_sd)
    rows: list[tuple[str, str, str, int, int]] = []
    for group in groups:
        n = int(rng.integers(options.donors[0], options.donors[1] + 1))
        odds = study + options.effects.get(group, 0.0) + rng.normal(0, options.donor_sd, n)
        fewest, most = np.log(options.cells)
        cells = np.exp(rng.uniform(fewest, most, n)).astype(int)
        hits = rng.binomial(cells, expit(odds))
        names = [f"D{len(rows) + place}" for place in range(n)]
        rows += list(zip([f"study {number + 1}"] * n, names, [group] * n, cells.tolist(), hits.tolist(), strict=True))
    return rows
