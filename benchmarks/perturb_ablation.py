"""Which pieces of scBIG help: each one switched on beside the flow, on simulated screens whose truth is known.

Every row is one method on one seed (a screen of its own, and the training of its own): L2 and Pearson correlation of
the mean effect, and energy distance of the cells, for unseen single genes and for pairs, over all three seeds. The
last lines say by how much each piece changes L2, with the range over seeds, and one JSON object ends the output.

    python -m benchmarks.perturb_ablation [--quick] [--only NAME ...]
"""

import argparse
import json
import os
import time
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = os.environ["INSIGNIA_THREADS"] = "1"

import numpy as np
import pandas as pd

from insignia.data import simulate_screen
from insignia.data.perturbation_splits import combo_split
from insignia.perturb import benchmark, predictors
from insignia.perturb.predictors.scbig import PIECES

FIGURES = ("l2", "pearson_delta", "edistance")
BASE = "flow"
SIZE = {"n_perturbations": 40, "n_doubles": 60, "cells_per_condition": 50, "n_controls": 500}
FLOW = {"n_latent": 20, "width": 96, "epochs": 6, "n_folds": 2, "latent_epochs": 4}
QUICK_SIZE = {"n_genes": 96, "n_programs": 8, "n_perturbations": 16, "n_doubles": 20, "cells_per_condition": 30}
QUICK_FLOW = {"n_latent": 12, "width": 48, "epochs": 2, "steps_per_epoch": 20, "n_folds": 2, "latent_epochs": 1}
QUICK = (*PIECES, "all pieces")


def variants() -> dict[str, dict[str, Any]]:
    """Options of the flow by name: nothing, each piece alone, all of scBIG, and programs from other sources."""
    alone = {name: options | {"programs": "grc"} for name, options in PIECES.items()}
    together = {name: value for piece in alone.values() for name, value in piece.items()}
    others = {
        f"{name}, {source}": PIECES[name] | {"programs": source}
        for name in ("module_latent", "program_energy", "program_correlation")
        for source in ("expression", "random")
    }
    return {BASE: {}} | alone | {"all pieces": together} | others


def run(seed: int, names: list[str], *, quick: bool) -> pd.DataFrame:
    """Score the variants on one screen, all on the same split."""
    screen = simulate_screen(rng=seed, **(QUICK_SIZE if quick else SIZE))
    split = combo_split(screen.data, rng=seed)
    size = (QUICK_FLOW if quick else FLOW) | {"n_programs": screen.truth.options.n_programs}
    chosen = {name: options for name, options in variants().items() if name in names}
    methods = {name: predictors["flow"](**(size | options)) for name, options in chosen.items()}
    board = benchmark(
        screen.data, split, methods=methods, priors=screen.priors, seeds=(seed,), shuffled=0, show_progress=False
    )
    rows = board.rows[board.rows["role"].isin(["method", "baseline"])]
    table = rows.groupby(["stratum", "role", "method"])[list(FIGURES)].mean().reset_index()
    seconds = board.about["seconds_fit"]
    table["seconds"] = [seconds.get(f"{method}, seed {seed}", np.nan) for method in table["method"]]
    return table.assign(seed=seed)


def gains(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Share by which each piece lowers L2 and energy distance below the flow's, by stratum: mean, least and most."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    methods = table[table["role"] == "method"]
    for figure in ("l2", "edistance"):
        wide = methods.pivot_table(index=["stratum", "seed"], columns="method", values=figure)
        share = 1 - wide.div(wide[BASE], axis=0)
        for name in share.columns.drop(BASE):
            for stratum, part in share[name].groupby("stratum"):
                found.setdefault(name, {})[f"{stratum}, {figure}"] = {
                    "mean": float(part.mean()),
                    "least": float(part.min()),
                    "most": float(part.max()),
                }
    return found


def main() -> None:
    """Print a table, the gains and, last, JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small screens, short training and the pieces only")
    parser.add_argument(
        "--only", nargs="+", choices=sorted(variants()), metavar="NAME", help="some variants; the flow is always there"
    )
    arguments = parser.parse_args()
    names = [BASE, *(arguments.only or (QUICK if arguments.quick else variants()))]
    started = time.perf_counter()
    parts = []
    for seed in range(3):
        parts.append(run(seed, names, quick=arguments.quick))
        print(parts[-1].to_string(index=False, float_format=lambda value: f"{value:.3f}"), flush=True)
    table = pd.concat(parts, ignore_index=True)
    mean = table.groupby(["stratum", "role", "method"])[[*FIGURES, "seconds"]].mean()
    print("\nmean of three seeds\n" + mean.to_string(float_format=lambda value: f"{value:.3f}"))
    found = gains(table)
    for name, strata in found.items():
        for stratum, gain in strata.items():
            print(f"{name}: {stratum} lower by {gain['mean']:+.1%} ({gain['least']:+.1%} to {gain['most']:+.1%})")
    record = {
        "gains": found,
        "mean": {" | ".join(key): row for key, row in mean.to_dict(orient="index").items()},
        "seconds": time.perf_counter() - started,
        "quick": arguments.quick,
    }
    print(json.dumps(record, default=float))


if __name__ == "__main__":
    main()
