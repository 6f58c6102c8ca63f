"""What is compared: expression and what is made of it, linear models, and attributions of trained encoders.

A score is fitted on one study and gives (cells, genes) for another that measures the same genes. Labels of the study
that is scored are never read; those of the training study by the scores that say so.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.science.fits import Fits
from benchmarks.science.recipes import Recipe, attributed
from benchmarks.science.studies import Study
from insignia.core import keys

__all__ = ["DEFAULT", "PLAIN", "SCORES", "TUNED", "Score", "scored"]

DEFAULT: Final = "encoder with labels"
TUNED: Final = "tuned attribution"
"""What did best on the tuning pairs; see `benchmarks.science.tried`."""
PLAIN: Final = "expression"


@dataclass(frozen=True)
class Score:
    """One way to score genes.

    Parameters
    ----------
    make
        From what was fitted, a study and a seed to (cells, genes).
    family
        ``"expression"``, ``"linear"`` or ``"encoder"``.
    uses_labels
        Whether it reads the cell types of the training study.
    """

    make: Callable[[Fits, Study, int], np.ndarray]
    family: str
    uses_labels: bool = False

    @property
    def uses_seed(self) -> bool:
        """Whether another seed gives another score."""
        return self.family == "encoder"


def scored(
    fits: Fits, study: Study, seeds: range, names: tuple[str, ...] | None = None
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Score a study in every way, for each seed where one is used: name, seed, (cells, genes)."""
    for name in names or tuple(SCORES):
        for seed in seeds if SCORES[name].uses_seed else seeds[:1]:
            yield name, seed, SCORES[name].make(fits, study, seed)


def _expression(fits: Fits, study: Study, seed: int) -> np.ndarray:  # noqa: ARG001 - one signature for all
    return study.logged


def _scaled_expression(fits: Fits, study: Study, seed: int) -> np.ndarray:  # noqa: ARG001
    total = np.maximum(study.logged.sum(axis=1, keepdims=True), 1e-12)
    return np.asarray(study.logged / total * keys.SCALE)


def _z_score(fits: Fits, study: Study, seed: int) -> np.ndarray:  # noqa: ARG001
    return (study.logged - fits.mean) / fits.sd


def _tf_idf(fits: Fits, study: Study, seed: int) -> np.ndarray:  # noqa: ARG001
    return study.logged * fits.inverse_frequency


def _specificity(fits: Fits, study: Study, seed: int) -> np.ndarray:  # noqa: ARG001
    return study.logged * fits.specificity


def _linear_contrast(fits: Fits, study: Study, seed: int) -> np.ndarray:  # noqa: ARG001
    return study.logged * fits.contrasts[fits.nearest(study)]


def _by(recipe: Recipe, *, uses_labels: bool = False, family: str = "encoder") -> Score:
    def make(fits: Fits, study: Study, seed: int) -> np.ndarray:
        return attributed(recipe, fits, study, seed)

    return Score(make, family, uses_labels)


SCORES: Final[dict[str, Score]] = {
    PLAIN: Score(_expression, "expression"),
    "expression, rows scaled": Score(_scaled_expression, "expression"),
    "z-score": Score(_z_score, "expression"),
    "TF-IDF": Score(_tf_idf, "expression"),
    "expression x specificity": Score(_specificity, "expression", uses_labels=True),
    "linear contrast": Score(_linear_contrast, "linear", uses_labels=True),
    "PCA": _by(Recipe("pca"), family="linear"),
    "untrained encoder": _by(Recipe("untrained")),
    "encoder without labels": _by(Recipe("unlabelled")),
    DEFAULT: _by(Recipe("labelled"), uses_labels=True),
    "from the mean": _by(Recipe("unlabelled", "self", "mean", "positive")),
    TUNED: _by(Recipe("unlabelled, one spread", "contrast"), uses_labels=True),
}
