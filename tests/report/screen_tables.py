"""Comparisons of screens with chosen effects and q-values."""

import numpy as np
import pandas as pd

from insignia.atlas import ScreenComparison


def screen_comparison(n=60, *, groups=("sepsis",), strata=("all",), hits=6, seed=0, alpha=0.05, names=None):
    """Make a comparison of `n` signatures, of which the first `hits` differ in every group and stratum."""
    rng = np.random.default_rng(seed)
    rows = []
    for group in groups:
        for stratum in strata:
            for k in range(n):
                effect = rng.normal(0, 0.4) + (rng.choice([-1, 1]) * rng.uniform(1.5, 3) if k < hits else 0)
                q = min(1.0, 10 ** -(abs(effect) ** 2 * rng.uniform(0.7, 1.0)))
                name = names[k] if names else f"SIGNATURE_OF_SOMETHING_{k}"
                rows.append((name, group, stratum, effect, effect * 0.3, np.tanh(effect), q / 3, q, True))
        rows.append((name, group, strata[0], 0.5, 0.1, 0.2, 0.2, np.nan, False))
    columns = ["signature", "group", "stratum", "effect", "shift", "cliffs_delta", "p", "q", "testable"]
    table = pd.DataFrame(rows, columns=columns).sort_values(["testable", "p"], ascending=[False, True])
    return ScreenComparison(table.reset_index(drop=True), "normal", "disease", "van_elteren", alpha, None)
