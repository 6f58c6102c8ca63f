"""What each piece of ASIGN is worth: the whole against itself with one piece off, beside blend, propagate and ridge.

Simulated cohorts: in each, a target whose first section is known, and other donors measured in full, in whom the same
genes follow the same tissues. Sections lie in their true poses, but for a smooth deformation. Correlation of each gene
over the spots of a hidden section, mean over genes that follow anything (groups A to C), hidden sections and cohorts;
and the share of the known mean's squared error that is gone. `alone` has no other donors, `2d` no known section. The
last line is one JSON object.

    python -m benchmarks.spatial_asign [--quick] [--cohorts N]
"""

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = os.environ["INSIGNIA_THREADS"] = "1"

import numpy as np

from insignia.data import Handling, Pose, SerialOptions, SimulatedStack, simulate_donors
from insignia.spatial.asign import AsignOptions
from insignia.spatial.assemble import assemble
from insignia.spatial.contract import Imputer, StackSpots, imputers
from insignia.spatial.features import features
from insignia.spatial.imputers import Asign
from insignia.spatial.panel import choose_panel
from insignia.stats import column_correlation, mse_skill

WHOLE = AsignOptions(n_members=1)

PIECES: Mapping[str, AsignOptions] = {
    "tile context": replace(WHOLE, inputs=replace(WHOLE.inputs, tile_sides_pitches=())),
    "graph attention": replace(WHOLE, layers=0),
    "layer mixing": replace(WHOLE, mixes_layers=False),
    "correlation loss": replace(WHOLE, losses=replace(WHOLE.losses, correlation=0.0)),
    "consistency loss": replace(WHOLE, losses=replace(WHOLE.losses, consistency=0.0)),
    "network": replace(WHOLE, n_members=0),
}
UNTRAINED = replace(WHOLE, train=replace(WHOLE.train, epochs=1, learning_rate=1e-12))


@dataclass(frozen=True)
class Cohort:
    """A target with its truth, the genes that follow anything, and other donors."""

    truth: StackSpots
    moving: np.ndarray
    donors: tuple[StackSpots, ...]

    @property
    def known(self) -> StackSpots:
        """The target with its first section known."""
        return self.truth.hide(self.truth.section != 0)

    @property
    def unknown(self) -> StackSpots:
        """The target with nothing known."""
        return self.truth.hide(self.truth.is_known)

    def score(self, mean: np.ndarray) -> tuple[float, float]:
        """Return per-gene correlation and skill on all sections but the first."""
        truth, section = self.truth.expression, self.truth.section
        pcc = [
            np.nan_to_num(column_correlation(mean[section == s], truth[section == s])[self.moving]).mean()
            for s in range(1, len(self.truth.sections))
        ]
        profile = truth[section == 0].mean(axis=0)
        return float(np.mean(pcc)), mse_skill(mean[section > 0], truth[section > 0], profile)[1]


def cohort(seed: int, n_donors: int, n_sections: int) -> Cohort:
    """Simulate and describe a target and its other donors."""
    options = SerialOptions(n_sections=n_sections, handling=Handling(deformation_um=14.0))
    made = simulate_donors(1 + n_donors, options, rng=seed)
    stacks = [described(one) for one in made]
    genes = [str(name) for name in stacks[0]["s1"].spots.var_names]
    panel = choose_panel([stacks[0]["s1"].spots], genes)
    spots = [assemble(stack, panel) for stack in stacks]
    return Cohort(spots[0], ~made[0].truth.in_group("D"), tuple(spots[1:]))


def described(simulated: SimulatedStack) -> Any:
    """Lay sections in their true poses, and compute features of their images."""
    posed = {s.name: replace(s, pose=Pose(simulated.truth[s.name].transform, "given")) for s in simulated.stack}
    return features(simulated.stack.with_sections(posed), use_cache=False, show_progress=False)


def rows(one: Cohort) -> dict[str, Callable[[], np.ndarray]]:
    """Name what is tried on a cohort."""

    def impute(imputer: Imputer, spots: StackSpots, training: Sequence[StackSpots] = ()) -> np.ndarray:
        return imputer.impute(spots, training=training).mean

    nowhere = replace(one.known, is_placed=np.zeros(len(one.known), dtype=bool))
    found: dict[str, Callable[[], np.ndarray]] = {
        "asign": lambda: impute(Asign(WHOLE), one.known, one.donors),
        "asign without propagation": lambda: impute(Asign(WHOLE), nowhere, one.donors),
        "asign without training": lambda: impute(Asign(UNTRAINED), one.known, one.donors),
        "asign, three members": lambda: impute(Asign(), one.known, one.donors),
    }
    for piece, options in PIECES.items():
        found[f"asign without {piece}"] = lambda options=options: impute(Asign(options), one.known, one.donors)  # type: ignore[misc]
    for name in ("blend", "propagate", "ridge"):
        found[name] = lambda name=name: impute(imputers[name](), one.known, one.donors)  # type: ignore[misc]
    found["asign alone"] = lambda: impute(Asign(), one.known)
    found["asign 2d"] = lambda: impute(Asign(WHOLE), one.unknown, one.donors)
    for name in ("blend", "ridge"):
        found[f"{name} 2d"] = lambda name=name: impute(imputers[name](), one.unknown, one.donors)  # type: ignore[misc]
    return found


def main(given: Sequence[str] | None = None) -> None:
    """Run all rows on all cohorts, print a table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one cohort")
    parser.add_argument("--cohorts", type=int, default=3)
    arguments = parser.parse_args(given)
    warnings.filterwarnings("ignore", category=UserWarning)
    scores: dict[str, list[tuple[float, float]]] = {}
    seconds: dict[str, list[float]] = {}
    for seed in range(1 if arguments.quick else arguments.cohorts):
        one = cohort(100 + seed, n_donors=2, n_sections=3)
        for name, call in rows(one).items():
            start = time.perf_counter()
            scores.setdefault(name, []).append(one.score(call()))
            seconds.setdefault(name, []).append(time.perf_counter() - start)
            pcc, skill = scores[name][-1]
            print(f"cohort {seed}  {name:34s} {pcc:.4f} {skill:.4f} {seconds[name][-1]:6.1f} s", flush=True)
    record: dict[str, Any] = {"benchmark": "spatial_asign", "quick": arguments.quick}
    print(f"\n{'':34s} per-gene r  (each cohort)              skill")
    for name, found in scores.items():
        pcc, skill = np.array(found).T
        each = " ".join(f"{one:.3f}" for one in pcc)
        print(f"{name:34s} {pcc.mean():.4f}      {each:26s} {skill.mean():.4f}")
        record[name] = {
            "per_gene_pcc": round(float(pcc.mean()), 4),
            "each": [round(float(r), 4) for r in pcc],
            "skill": round(float(skill.mean()), 4),
            "seconds": round(float(np.mean(seconds[name])), 1),
        }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
