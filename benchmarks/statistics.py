"""Whether the tests of `SampleTable.compare` hold what they promise: false discoveries and power, test by test.

Hits per donor are simulated, with differences between studies and between donors and with unequal numbers. Without any
effect, every discovery is false. With an effect of EFFECT on the log odds in one of six diseases (a tenth of the cells
being hits becomes a quarter), power is how often it is found. Testing cells as if they were donors stands beside it.

    python -m benchmarks.statistics [--quick]
"""

import argparse
import json
import os
import time
import warnings
from typing import Any, Final

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = os.environ["INSIGNIA_THREADS"] = "1"

import numpy as np
import pandas as pd
import scipy
from scipy.stats import binom

from benchmarks.parts import surroundings
from insignia.atlas.samples import SampleTable
from insignia.data import DonorHitOptions, simulate_donor_hits

# written down before the first run
LEVEL: Final = 0.05
EFFECT: Final = 1.1
PLANTED: Final = "disease 1"
FEWER: Final = {"van_elteren": 1, "beta_binomial": 20}
"""The default test takes all runs, others a fifth, the slow model a twentieth."""

TESTS: Final = ("van_elteren", "meta", "beta_binomial", "mann_whitney", "cells_as_if_independent")


def discoveries(options: DonorHitOptions, test: str, seed: int) -> pd.DataFrame:
    """Compare all diseases of one simulated atlas."""
    table = simulate_donor_hits(options, rng=seed)
    samples = SampleTable(table, table.iloc[:0], None, 1, {})
    found = samples.compare(test=test, alpha=LEVEL, n_boot=1).table
    return found.assign(found=found["q"] <= LEVEL)


def rates(test: str, runs: int) -> dict[str, Any]:
    """Measure the false discovery rate without effects and beside one, and power."""
    null, planted = DonorHitOptions(), DonorHitOptions(effects={PLANTED: EFFECT})
    false_null, false_beside, power, testable = [], [], [], []
    for seed in range(runs):
        false_null.append(discoveries(null, test, seed)["found"].any())
        found = discoveries(planted, test, 1_000_000 + seed)
        right = found["group"] == PLANTED
        n_found = int(found["found"].sum())
        false_beside.append(int(found["found"][~right].sum()) / max(n_found, 1))
        power.append(bool(found["found"][right].any()))
        testable.append(float(found["testable"].mean()))
    return {
        "runs": runs,
        "fdr": float(np.mean(false_null)),
        "fdr_beside_effect": float(np.mean(false_beside)),
        "power": float(np.mean(power)),
        "testable": float(np.mean(testable)),
    }


def bound(runs: int) -> float:
    """Largest share of runs with a discovery that a true rate of LEVEL gives in 99.5 of 100 benchmarks."""
    return float(binom.ppf(0.995, runs, LEVEL) / runs)


def main() -> None:
    """Print the table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="120 runs a test instead of 2,000")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    runs = 120 if arguments.quick else 2_000
    start = time.perf_counter()
    rows = {test: rates(test, max(20, runs // FEWER.get(test, 5))) for test in TESTS}
    print(pd.DataFrame(rows).T.to_string(float_format="%.3f"))
    record = {
        "benchmark": "statistics",
        "quick": arguments.quick,
        "fdr": rows["van_elteren"]["fdr"],
        "fdr_bound": round(bound(runs), 4),
        "power": rows["van_elteren"]["power"],
        "effect": EFFECT,
        "level": LEVEL,
        "tests": rows,
        "seconds": round(time.perf_counter() - start, 1),
        **surroundings(),
    }
    record["software"]["scipy"] = scipy.__version__
    print(json.dumps(record))


if __name__ == "__main__":
    main()
