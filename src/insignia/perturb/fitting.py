"""`fit`: take the test side away, fit a predictor, and keep what predictions start from."""

from typing import Any, Final

import numpy as np
from scipy.sparse import csr_matrix

from insignia.data.condition import Condition
from insignia.data.gene_priors import GenePriors
from insignia.data.perturbation import PerturbationData
from insignia.data.perturbation_splits import check_leaks, held_groups, training_cells, unit_of
from insignia.data.splits import Split
from insignia.perturb.contract import make_predictor
from insignia.perturb.evaluation.yardstick import divide_controls
from insignia.perturb.model import ControlCells, PerturbationModel

__all__ = ["fit"]

_MOST_CONTROLS: Final = 1000


def fit(
    data: PerturbationData,
    split: Split | None = None,
    *,
    method: str = "flow",
    priors: GenePriors | None = None,
    seed: int = 0,
    show_progress: bool | None = None,
    **options: Any,
) -> PerturbationModel:
    """Fit a predictor.

    Parameters
    ----------
    data
        The screen.
    split
        Its test side is taken away first, and so is half of the controls where they are few, as in `benchmark`: the
        same half serves `evaluate` as reference. `None` learns from everything.
    method
        Registered predictor.
    priors
        What is known about genes.
    seed
        Of whatever is random; equal seeds give equal models.
    show_progress
        `None` shows a bar when standard error is a terminal.
    options
        Of the predictor.

    Raises
    ------
    UnknownName
        There is no such predictor.
    InputError
        Options or priors are not what the predictor needs, or nothing is left to learn from.
    """
    predictor = make_predictor(method, options)
    train = data
    aside: tuple[str, ...] = ()
    if split is not None:
        rest, _, aside = divide_controls(data, rng=np.random.default_rng(0))
        train = training_cells(rest, split)
        check_leaks(split, train)
    predictor.fit(train, priors=priors, seed=seed, show_progress=show_progress)
    about = {
        "scale": float(data.scale),
        "seed": seed,
        "split": "" if split is None else split.name,
        "split_hash": "" if split is None else split.fingerprint,
        "controls_halved": list(aside),
        "held_out": 0 if split is None else len(held_groups(data, split)),
        "trained": [unit_of(*group) for group in train.groups],
        "priors": {} if priors is None else _sources(priors),
        "notes": list(data.notes),
    }
    return PerturbationModel(method, predictor, data.genes, _controls(train), about)


def _controls(data: PerturbationData) -> dict[str, ControlCells]:
    found = {}
    for context in data.contexts:
        rows = data.rows(Condition(), context)
        if len(rows):
            rows = rows[np.linspace(0, len(rows) - 1, min(_MOST_CONTROLS, len(rows))).astype(int)]
            names = tuple(map(str, data.cells[rows]))
            found[context] = ControlCells(csr_matrix(data.expression[rows]), names)
    return found


def _sources(priors: GenePriors) -> dict[str, str]:
    named = {name: getattr(priors, name) for name in ("embedding", "gene_embedding", "network")}
    found = {name: str(prior.source) for name, prior in named.items() if prior is not None}
    return found | ({"gene_sets": f"{len(priors.gene_sets):,} sets"} if priors.gene_sets else {})
