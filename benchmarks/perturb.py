"""Responses to perturbations that were held out: every predictor beside every baseline, control and ceiling.

Simulated screens with planted programs, by stratum; the targets of Papalexi's screen, learned from one replicate and
scored on the other by k-fold over targets; the doubles of Norman's subset; the kinases of McFaline's two glioblastoma
lines, unseen or unseen in one line; and, where it is asked for, a simulated screen of Norman's size. Real data are
skipped with a word where they are absent. The last line is one JSON object, in which ``unseen_gain_over_ridge`` is the
share by which the flow's distance of means on unseen singles of the simulator is below that of ridge regression on the
embedding.

    python -m benchmarks.perturb [--quick] [--only simulator papalexi norman glioblastoma norman_size] [--out DIR]
"""

import argparse
import json
import os
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = os.environ["INSIGNIA_THREADS"] = "1"

import numpy as np
import pandas as pd

from benchmarks.parts import real, run_parts
from insignia.data import PerturbationData, Split, read_screen, simulate_screen
from insignia.data.gene_priors import GeneEmbedding, GenePriors
from insignia.data.perturbation_splits import combo_split, single_folds, unseen_context_split
from insignia.perturb import Predictor, Scoreboard, benchmark, from_gene_sets, predictors, read_gene_sets
from insignia.perturb.evaluation import METRICS

MODELS = ("flow", "scbig")
DEFAULT = ("simulator", "papalexi", "norman", "glioblastoma")
SHOWN = ("l2", "pearson_delta", "pearson_from_mean", "edistance", "wasserstein_effect", "pds_l1")
STRONG = frozenset({"IFNGR1", "IFNGR2", "JAK2", "IRF1", "STAT2"})
GENE_SETS = (
    "c2.cp.reactome.v7.5.1.symbols.gmt",
    "enrichr.GO_Biological_Process_2021.gmt",
    "h.all.v7.0.symbols.gmt",
)


def methods_of(arguments: argparse.Namespace, *, simulated: bool = False) -> dict[str, Predictor]:
    """Make the predictors that stand beside the baselines: small ones with --quick."""
    small = {"n_folds": 2, "epochs": 6} if arguments.quick else {}
    names = [name for name in (arguments.methods or MODELS) if name in predictors]
    if arguments.quick:
        names = names[:1]
    if not simulated:
        # what is known about genes there is an embedding of gene sets, without the interactions that scbig reads
        names = [name for name in names if name != "scbig"]
    return {name: made(name, on_missing="mean", **small) for name in names}


def made(name: str, **options: Any) -> Predictor:
    """Make a registered predictor with options."""
    make: Callable[..., Predictor] = predictors[name]
    return make(**options)


def seeds_of(arguments: argparse.Namespace) -> tuple[int, ...]:
    """Seeds of training."""
    return (0,) if arguments.quick else tuple(range(arguments.seeds))


def simulator(arguments: argparse.Namespace) -> tuple[Scoreboard, dict[str, Any]]:
    """Score on simulated screens: 40 genes of which 8 are unseen, and 60 pairs; a second draw is the ceiling."""
    boards, gains = [], []
    for seed in range(1 if arguments.quick else 3):
        screen = simulate_screen(rng=seed)
        board = benchmark(
            screen.data,
            combo_split(screen.data, rng=seed),
            methods=methods_of(arguments, simulated=True),
            priors=screen.priors,
            seeds=seeds_of(arguments),
            shuffled=1,
            learn_from=screen.replicate,
            show_progress=False,
        )
        own = board.summary(["l2", "edistance"])
        of = own.loc["unseen single"]["l2"]
        gains.append(
            1 - of["method", "flow"] / of["baseline", "ridge_embedding"] if ("method", "flow") in of else np.nan
        )
        # a condition of another screen is another condition
        boards.append(replace(board, rows=board.rows.assign(condition=f"screen {seed}: " + board.rows["condition"])))
    return Scoreboard.join(boards), {
        "unseen_gain_over_ridge": round(float(np.mean(gains)), 4),
        "unseen_gain_over_ridge_by_screen": [round(float(gain), 4) for gain in gains],
    }


def papalexi(arguments: argparse.Namespace) -> tuple[Scoreboard, dict[str, Any]]:
    """Learn from replicate 1 without a fifth of the targets, and score these on replicate 2 with its own controls."""
    data = read_screen(
        real("perturb/papalexi2021_dev.h5ad"), control="non-targeting", perturbation="target", batch="bio_rep",
        scale="median",
    )  # fmt: skip
    first, second = (data.take(np.flatnonzero(data.replicate == place)) for place in (0, 1))
    priors = gene_set_priors(data)
    folds = single_folds(data, 5, rng=0)
    boards = [
        benchmark(
            second, fold, methods=methods_of(arguments), priors=priors, seeds=seeds_of(arguments), shuffled=1,
            learn_from=first, show_progress=False,
        )
        for fold in (folds[:1] if arguments.quick else folds)
    ]  # fmt: skip
    board = Scoreboard.join(boards)
    kind = np.where(board.rows["condition"].isin(STRONG), "strong effect", "weak or no effect")
    both = [board.rows.assign(stratum=kind), board.rows.assign(stratum="all targets")]
    return replace(board, rows=pd.concat(both, ignore_index=True)), {"embedding": priors.embedding.source}


def norman(arguments: argparse.Namespace) -> tuple[Scoreboard, dict[str, Any]]:
    """Learn from the singles of the K562 subset, and score its eleven doubles by how many genes were seen."""
    data = read_screen(
        real("perturb/norman19_mcfaline23_perturbench_dev.h5ad"), control="control", where={"dataset": "norman19"}
    )
    doubles = [one for one in data.conditions if len(one.genes) > 1]
    singles = [one for one in data.conditions if len(one.genes) == 1]
    board = benchmark(
        data,
        Split("Norman subset, all doubles", tuple(map(str, singles)), tuple(map(str, doubles))),
        methods=methods_of(arguments),
        priors=gene_set_priors(data),
        seeds=seeds_of(arguments),
        shuffled=1,
        show_progress=False,
    )
    return board, {}


def glioblastoma(arguments: argparse.Namespace) -> tuple[Scoreboard, dict[str, Any]]:
    """Predict kinases that neither of two cell lines shows, and what one line shows in the other; 100 controls each."""
    data = read_screen(
        real("perturb/norman19_mcfaline23_perturbench_dev.h5ad"), control="control", where={"dataset": "mcfaline23"}
    )
    # the third line of the file has control cells only
    lines = sorted({context for condition, context in data.groups if not condition.is_control})
    splits = (*single_folds(data, 3, rng=0), *(unseen_context_split(data, line) for line in lines))
    priors = gene_set_priors(data)
    boards = [
        benchmark(
            data, split, methods=methods_of(arguments), priors=priors, seeds=seeds_of(arguments), shuffled=1,
            show_progress=False,
        )
        for split in (splits[:1] if arguments.quick else splits)
    ]  # fmt: skip
    return Scoreboard.join(boards), {"lines": lines}


def norman_size(arguments: argparse.Namespace) -> tuple[Scoreboard, dict[str, Any]]:
    """Simulate 91,000 cells of 5,000 genes, 105 singles and 131 doubles, and time the flow on them."""
    scale = 0.02 if arguments.quick else 1.0
    start = time.process_time()
    screen = simulate_screen(
        n_genes=5000, n_programs=32, n_perturbations=105, n_doubles=131, depth=3000.0, scale=1e4,
        n_controls=round(7500 * max(scale, 0.05)), cells_per_condition=max(20, round(354 * scale)), rng=0,
    )  # fmt: skip
    simulated = time.process_time() - start
    data, priors = screen.data, screen.priors
    del screen
    small = {"n_folds": 0, "epochs": 2} if arguments.quick else {}
    flow = {"flow": made("flow", on_missing="mean", **small)}
    board = benchmark(
        data, combo_split(data, rng=0), methods=flow, priors=priors, seeds=(0,), shuffled=0, show_progress=False
    )
    facts = {"cells": len(data), "genes": len(data.genes), "values": int(data.expression.nnz)}
    return board, facts | {"seconds_cpu_simulate": round(simulated, 1)}


PARTS: dict[str, Callable[[argparse.Namespace], tuple[Scoreboard, dict[str, Any]]]] = {
    "simulator": simulator,
    "papalexi": papalexi,
    "norman": norman,
    "glioblastoma": glioblastoma,
    "norman_size": norman_size,
}


def gene_set_priors(data: PerturbationData) -> GenePriors:
    """Embed the perturbed genes by the gene sets that they share; needs no download of weights."""
    embedding = from_gene_sets(read_gene_sets(*(real(f"genesets/{name}") for name in GENE_SETS)))
    perturbed = {gene for condition in data.conditions for gene in condition.genes}
    kept = [i for i, gene in enumerate(embedding.genes) if gene in perturbed]
    source = f"gene sets, {len(kept)} of {len(perturbed)} perturbed genes"
    return GenePriors(GeneEmbedding(tuple(embedding.genes[i] for i in kept), embedding.matrix[kept], source))


def figures(board: Scoreboard) -> dict[str, dict[str, dict[str, Any]]]:
    """Give the figures that are shown, each as mean, interval over conditions, and spread over seeds."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for (stratum, role, method), row in board.summary(list(SHOWN)).iterrows():
        parts = {name: [row[f"{name}{end}"] for end in ("", "_low", "_high", "_seed_sd")] for name in SHOWN}
        values = {
            name: [None if np.isnan(value) else round(float(value), 3) for value in part]
            for name, part in parts.items()
            if pd.notna(part[0])
        }
        found.setdefault(stratum, {})[f"{role}: {method}"] = {"n": int(row["n"]), **values}
    return found


def run_part(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one part, print its table, and give its record."""
    start, worked = time.perf_counter(), time.process_time()
    board, extra = PARTS[name](arguments)
    seconds, cpu = round(time.perf_counter() - start, 1), round(time.process_time() - worked, 1)
    print(f"\n== {name}: {PARTS[name].__doc__} ({seconds} s)\n\n{board}\n", flush=True)
    if arguments.out:
        board.write(Path(arguments.out) / name)
    against = board.differences("l2")
    floors = against[against["baseline"].isin(["control", "perturbed_mean"])]
    return {
        "seconds": seconds,
        "seconds_cpu": cpu,
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "strata": figures(board),
        "against_the_floors": [{k: plain(v) for k, v in row.items()} for row in floors.to_dict(orient="records")],
        "dynamic_range": {
            f"{stratum}: {method}": plain(value)
            for (stratum, role, method), value in board.dynamic_range()["fraction"].items()
            if role == "method"
        },
        "winner": board.winner(),
        "winner_by_edistance": board.winner("edistance"),
        "verdicts": list(board.verdicts()),
        "seconds_of_methods": seconds_of(board.about),
        **extra,
    }


def seconds_of(about: Mapping[str, Any]) -> dict[str, float]:
    """Add up the seconds of fitting each method, over parts and seeds."""
    total: dict[str, float] = {}
    for part in about.get("parts", [about]):
        for name, seconds in part["seconds_fit"].items():
            method = name.rsplit(", seed ", 1)[0]
            total[method] = round(total.get(method, 0.0) + seconds, 2)
    return total


def plain(value: Any) -> Any:
    """Make a value fit for JSON."""
    value = value.item() if isinstance(value, np.generic) else value
    return (
        None if isinstance(value, float) and np.isnan(value) else round(value, 5) if isinstance(value, float) else value
    )


def main(given: Sequence[str] | None = None) -> None:
    """Run the parts and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one screen, one fold, one seed, a short flow")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=DEFAULT)
    parser.add_argument("--methods", nargs="+", help=f"predictors, by default {', '.join(MODELS)}")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of training")
    parser.add_argument("--out", help="folder for the tables of each part")
    arguments = parser.parse_args(given)
    record = run_parts("perturb", arguments.only, partial(run_part, arguments=arguments), quick=arguments.quick)
    if "simulator" in record:
        record["unseen_gain_over_ridge"] = record["simulator"]["unseen_gain_over_ridge"]
    record["metrics"] = {name: METRICS[name] for name in SHOWN}
    print(json.dumps(record, default=float))


if __name__ == "__main__":
    main()
