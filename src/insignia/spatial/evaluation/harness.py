"""Run imputers on copies of a stack without the truth, and keep what they say of each hidden section."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from anndata import AnnData

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.data import SectionStack
from insignia.spatial.contract import Imputer, imputers
from insignia.spatial.evaluation.scores import HiddenSection, Prediction
from insignia.spatial.impute import impute

__all__ = ["Entry", "Job", "Predicted", "predictions", "run"]


@dataclass(frozen=True, eq=False)
class Entry:
    """One method to run.

    Parameters
    ----------
    role
        ``"imputer"``, ``"baseline"``, ``"control"`` or ``"oracle"``.
    label
        Its name in the table.
    method
        Registered imputer, or one that is made.
    stack
        What it sees; the counts of hidden sections are gone.
    seeds
        Seeds to run it on; `None` for those of the comparison.
    """

    role: str
    label: str
    method: str | Imputer
    stack: SectionStack
    seeds: Sequence[int] | None = None


@dataclass(frozen=True, eq=False)
class Job:
    """What all methods of one comparison share.

    Parameters
    ----------
    known
        Sections that may be seen.
    genes
        The panel.
    training
        Stacks of other donors.
    features
        Encoder whose features are used.
    gene_symbols
        Column of `var` with the names of genes.
    hidden
        The truth, which only the scoring reads.
    """

    known: tuple[str, ...]
    genes: tuple[str, ...]
    training: Sequence[SectionStack]
    features: str | None
    gene_symbols: str | None
    hidden: tuple[HiddenSection, ...]

    def impute(self, entry: Entry, seed: int) -> AnnData:
        """Run one method on what it may see."""
        return impute(
            entry.stack,
            known=self.known,
            method=entry.method,
            genes=self.genes,
            sections=[section.name for section in self.hidden],
            features=self.features,
            training=self.training,
            gene_symbols=self.gene_symbols,
            baselines=False,
            seed=seed,
        )


@dataclass(frozen=True, eq=False)
class Predicted:
    """What one method said of every hidden section.

    Parameters
    ----------
    role, label, seed
        What it is in the table.
    sections
        A prediction for each hidden section, in their order.
    """

    role: str
    label: str
    seed: int
    sections: Sequence[Prediction]


def run(
    job: Job, entries: Iterable[Entry], seeds: Sequence[int]
) -> tuple[list[Predicted], dict[str, float], list[str]]:
    """Run every method on every seed.

    A method that says the same for two seeds is not run on more; one that cannot work with what there is, e.g. for want
    of images, is named in the notes with its reason.

    Returns
    -------
    Predictions; seconds of one run of each method; notes.
    """
    predicted: list[Predicted] = []
    seconds: dict[str, float] = {}
    notes: list[str] = []
    for entry in entries:
        if job.features is None and _made(entry.method).needs_features:
            notes.append(f"{entry.label} is left out: it needs features of the image, and features is None")
            continue
        start = time.perf_counter()
        try:
            made, n_runs = _run_seeds(job, entry, seeds if entry.seeds is None else entry.seeds)
        except InputError as error:
            notes.append(f"{entry.label} is left out: {error}")
            continue
        seconds[entry.label] = round((time.perf_counter() - start) / n_runs, 3)
        predicted += made
    return predicted, seconds, notes


def _made(method: str | Imputer) -> Imputer:
    return imputers[method]() if isinstance(method, str) else method


def _run_seeds(job: Job, entry: Entry, seeds: Sequence[int]) -> tuple[list[Predicted], int]:
    made: list[Predicted] = []
    for n_runs, seed in enumerate(seeds, start=1):
        made.append(Predicted(entry.role, entry.label, seed, predictions(job.impute(entry, seed), job.hidden)))
        if len(made) == 2 and _same(made[0].sections, made[1].sections):
            return made[:1], n_runs
    return made, len(seeds)


def predictions(imputed: AnnData, hidden: Sequence[HiddenSection]) -> list[Prediction]:
    """Take from imputed expression what it says of each hidden section, spot by spot.

    Raises
    ------
    InputError
        A spot of the truth was not imputed.
    """
    place = {str(name): row for row, name in enumerate(imputed.obs_names)}
    found = []
    for section in hidden:
        if missing := [name for name in section.spots if name not in place]:
            raise InputError(
                f"{len(missing):,} of {len(section):,} spots that were measured on section {section.name!r} were not "
                f"imputed, e.g. {missing[:3]}; imputed names are like {list(imputed.obs_names[:2])}. "
                "Impute at the measured spots, and keep their names."
            )
        rows = [place[name] for name in section.spots]
        layers = {
            name: np.asarray(imputed.layers[name])[rows] for name in (keys.LOWER, keys.UPPER) if name in imputed.layers
        }
        support = imputed.obs[keys.SUPPORT].to_numpy()[rows] if keys.SUPPORT in imputed.obs else None
        found.append(Prediction(np.asarray(imputed.X)[rows], layers.get(keys.LOWER), layers.get(keys.UPPER), support))
    return found


def _same(one: Sequence[Prediction], other: Sequence[Prediction]) -> bool:
    return all(np.array_equal(a.mean, b.mean) for a, b in zip(one, other, strict=True))
