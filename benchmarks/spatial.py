"""Imputed expression on hidden sections: every imputer beside every baseline, control and ceiling.

Simulated blocks with planted gene groups; patient C of HER2ST with images, each choice of the known section; all HER2ST
patients without images; mouse olfactory bulb. Real data are skipped with a word where they are absent. Each table has
per-gene correlation within section and skill over the known section's mean; the last line is one JSON object.

    python -m benchmarks.spatial [--quick] [--only simulator patient_c her2st mob graph] [--out DIR]
"""

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = os.environ["INSIGNIA_THREADS"] = "1"

import numpy as np
import pandas as pd

from benchmarks.parts import real, run_parts
from benchmarks.spatial_graph import graph_speed
from insignia.data import SectionStack, read_stack, read_stacks, simulate_sections
from insignia.spatial.contract import imputers
from insignia.spatial.evaluation import Evaluation, predict_hidden
from insignia.spatial.features import features
from insignia.spatial.protocols import run_stacks
from insignia.spatial.registration import register

MODELS = ("blend", "ensemble", "asign")
QUICK = ("blend",)


def methods_of(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Name the imputers that stand beside the baselines: all that are registered, the quick ones with --quick."""
    found = [name for name in (QUICK if arguments.quick else MODELS) if name in imputers]
    return tuple(found)


def simulator(arguments: argparse.Namespace) -> tuple[Evaluation, dict[str, Any]]:
    """Score against counts and against the true rates of three simulated blocks, by gene group."""
    seeds = range(1 if arguments.quick else 3)
    clock: dict[str, float] = {}
    blocks = [simulated_block(seed, clock) for seed in seeds]
    measured, true, by_group = [], [], []
    for simulated, stack in blocks:
        comparison = predict_hidden(
            stack,
            known=["s1"],
            methods=methods_of(arguments),
            genes=[str(gene) for gene in stack["s1"].spots.var_names],
            seeds=[0] if arguments.quick else [0, 1, 2],
        )
        measured.append(comparison.evaluate())
        true.append(comparison.evaluate(with_true_rates(simulated, stack)))
        genes = measured[-1].genes.merge(simulated.truth.genes[["group"]], left_on="gene", right_index=True)
        by_group.append(genes.groupby(["method", "group"])["pcc"].mean().unstack())
    groups = pd.concat(by_group).groupby(level=0, sort=False).mean()
    evaluation = Evaluation.join(measured)
    against_truth = Evaluation.join(true).summary(["pcc_mean"])["pcc_mean"]
    extra = {
        "by_group": {method: row.round(4).to_dict() for method, row in groups.iterrows()},
        "against_true_rate": {f"{role}: {method}": round(r, 4) for (role, method), r in against_truth.items()},
        "seconds_of_steps": {name: round(value / len(seeds), 2) for name, value in clock.items()},
    }
    return evaluation, extra


def simulated_block(seed: int, clock: dict[str, float]) -> tuple[Any, SectionStack]:
    """Simulate a block, register it by its images alone, and describe them."""
    simulated = timed(clock, "simulate", lambda: simulate_sections(name=f"block{seed}", rng=seed))
    placed = timed(clock, "registration", lambda: register(simulated.stack, reference="s1", show_progress=False))
    return simulated, timed(clock, "features", lambda: features(placed, use_cache=False, show_progress=False))


def with_true_rates(simulated: Any, stack: SectionStack) -> SectionStack:
    """Replace the counts of a simulated stack by what is expected of 100,000 of them."""
    changed = {}
    for section in stack:
        spots = section.spots.copy()
        spots.X = np.round(1e5 * simulated.truth[section.name].rates).astype(np.float32)
        changed[section.name] = replace(section, spots=spots)
    return stack.with_sections(changed)


def patient_c(arguments: argparse.Namespace) -> tuple[Evaluation, dict[str, Any]]:
    """C2 to C4, which have images; each section known in turn, from file to prediction."""
    start = time.perf_counter()
    stack = read_stack(real("her2st"), name="C", sections=["C2", "C3", "C4"])
    described = features(stack, use_cache=False, show_progress=False)
    evaluation = run_stacks(
        [described],
        known={"C": "C2"} if arguments.quick else "each",
        learn_from_others=False,
        methods=methods_of(arguments),
        seeds=[0] if arguments.quick else [0, 1, 2],
        show_progress=False,
    )
    return evaluation, {"seconds_of_all": round(time.perf_counter() - start, 1), **end_to_end()}


def end_to_end() -> dict[str, Any]:
    """Time patient C once as a user would run it: read, register, describe, fit and predict 250 genes by blend."""
    from insignia.spatial.impute import impute

    clock: dict[str, float] = {}
    stack = timed(clock, "read", lambda: read_stack(real("her2st"), name="C", sections=["C2", "C3", "C4"]))
    placed = timed(clock, "registration", lambda: register(stack, reference="C2", show_progress=False))
    placed = timed(clock, "features", lambda: features(placed, use_cache=False, show_progress=False))
    timed(clock, "fit_and_predict", lambda: impute(placed, known=["C2"], method="blend", baselines=False))
    steps = {name: round(seconds, 2) for name, seconds in clock.items()}
    cpu = sum(seconds for name, seconds in steps.items() if name.endswith(", cpu"))
    return {"end_to_end_blend": {**steps, "total, cpu": round(cpu, 2), "total": round(sum(steps.values()) - cpu, 2)}}


def her2st(arguments: argparse.Namespace) -> tuple[Evaluation, dict[str, Any]]:
    """All patients, first section known, spots alone."""
    stacks = read_stacks(real("her2st"), kind="her2st")
    without = [s.with_sections({x.name: replace(x, image=None) for x in s}) for s in stacks]
    evaluation = run_stacks(
        without,
        donors=["A", "C"] if arguments.quick else None,
        features=None,
        methods=methods_of(arguments),
        seeds=[0] if arguments.quick else [0, 1, 2],
        show_progress=False,
    )
    return evaluation, {"seconds_of_steps": evaluation.about["seconds_of_steps"]}


def mob(arguments: argparse.Namespace) -> tuple[Evaluation, dict[str, Any]]:
    """Three sections of mouse olfactory bulb with images; two are of one animal, the third of another."""
    clock: dict[str, float] = {}
    stack = timed(clock, "read", lambda: read_stack(real("mob_stutility"), kind="stutility"))
    stack = timed(clock, "features", lambda: features(stack, use_cache=False, show_progress=False))
    evaluation = run_stacks(
        [stack],
        known={stack.name: stack.names[0]} if arguments.quick else "each",
        learn_from_others=False,
        methods=methods_of(arguments),
        seeds=[0] if arguments.quick else [0, 1, 2],
        show_progress=False,
    )
    steps = {**clock, "registration, once for each known section": evaluation.about["seconds_of_steps"]["registration"]}
    return evaluation, {"seconds_of_steps": {name: round(seconds, 2) for name, seconds in steps.items()}}


PARTS: dict[str, Callable[[argparse.Namespace], tuple[Evaluation, dict[str, Any]]]] = {
    "simulator": simulator,
    "patient_c": patient_c,
    "her2st": her2st,
    "mob": mob,
}


def timed(clock: dict[str, float], step: str, call: Callable[[], Any]) -> Any:
    """Add the seconds of a call to a step, and those that the processor worked, which other work does not change."""
    start, worked = time.perf_counter(), time.process_time()
    result = call()
    clock[step] = clock.get(step, 0.0) + time.perf_counter() - start
    clock[f"{step}, cpu"] = clock.get(f"{step}, cpu", 0.0) + time.process_time() - worked
    return result


def figures(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """Give the two figures that count, their spread, and the coverage of each method."""
    summary = evaluation.summary()
    named = {"pcc_mean": "per_gene_pcc", "skill": "skill", "mse": "mse", "coverage": "coverage"}
    named |= {"pcc_mean_sd": "per_gene_pcc_sd", "pcc_mean_seed_sd": "per_gene_pcc_seed_sd"}
    return {
        f"{role}: {method}": {new: round(float(row[old]), 4) for old, new in named.items() if pd.notna(row[old])}
        for (role, method), row in summary.iterrows()
    }


def run_part(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one part, print its table, and give its record."""
    if name == "graph":
        return graph_speed(2_000 if arguments.quick else 14_400)
    start = time.perf_counter()
    evaluation, extra = PARTS[name](arguments)
    seconds = round(time.perf_counter() - start, 1)
    print(f"\n== {name}: {PARTS[name].__doc__} ({seconds} s)\n\n{evaluation}\n", flush=True)
    if "by_group" in extra:
        print(pd.DataFrame(extra["by_group"]).T.to_string(float_format="%.3f"), flush=True)
    if arguments.out:
        evaluation.write(Path(arguments.out) / name)
    return {
        "seconds": seconds,
        "methods": figures(evaluation),
        "verdicts": [str(verdict) for verdict in evaluation.verdicts],
        "seconds_of_methods": evaluation.about["seconds"],
        **extra,
    }


def main(given: Sequence[str] | None = None) -> None:
    """Run the parts and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, one known section, no networks")
    parser.add_argument("--only", nargs="+", choices=[*PARTS, "graph"], default=[*PARTS, "graph"])
    parser.add_argument("--out", help="folder for the tables of each part")
    arguments = parser.parse_args(given)
    warnings.filterwarnings("ignore", category=UserWarning)
    record = run_parts("spatial", arguments.only, partial(run_part, arguments=arguments), quick=arguments.quick)
    if "graph" in record:
        record["speedup_graph"] = round(record["graph"]["speedup_graph"], 1)
    print(json.dumps(record, default=float))


if __name__ == "__main__":
    main()
