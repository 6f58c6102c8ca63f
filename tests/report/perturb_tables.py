"""Tables of predictions with chosen values, for figures."""

import numpy as np
import pandas as pd

from insignia.perturb import PredictionView, Programs
from insignia.perturb.signature_ranking import made_ranking
from insignia.workflows import AttributedEffects


def effect_table(conditions=("KLF1", "KLF1+MAP2K6"), methods=("flow", "ridge"), n_genes=40):
    rng = np.random.default_rng(0)
    parts = []
    for condition in conditions:
        measured = rng.normal(size=n_genes)
        for place, method in enumerate(methods):
            predicted = measured + (0.1 + place) * rng.normal(size=n_genes)
            parts.append(
                pd.DataFrame(
                    {
                        "condition": condition,
                        "context": "K562",
                        "stratum": "unseen single",
                        "method": method,
                        "gene": [f"GENE{i:04d}" for i in range(n_genes)],
                        "measured": measured,
                        "predicted": predicted,
                        "score": measured / 0.1,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def cell_table(conditions=("KLF1", "KLF1+MAP2K6"), kinds=("control", "measured", "flow", "ridge"), n=300):
    rng = np.random.default_rng(0)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "condition": condition,
                    "context": "K562",
                    "kind": kind,
                    "effect": rng.normal(3 * place, 1, n),
                    "across": rng.normal(0, 1, n),
                }
            )
            for condition in conditions
            for place, kind in enumerate(kinds)
        ],
        ignore_index=True,
    )


def view():
    return PredictionView(effect_table(), cell_table())


def programs(n_genes=40, n_programs=4):
    genes = tuple(f"GENE{i:04d}" for i in range(n_genes))
    labels = np.arange(n_genes) % n_programs
    labels[-1] = -1
    return Programs.from_labels(genes, labels, source="planted")


def program_effects(n_genes=40, n_programs=4, conditions=5):
    """Condition i moves program i and nothing else, by 1 in every gene."""
    found = np.array([(np.arange(n_genes) % n_programs == i % n_programs) * 1.0 for i in range(conditions)])
    index = [f"PERT{i}" for i in range(conditions)]
    return pd.DataFrame(found, index=index, columns=[f"GENE{i:04d}" for i in range(n_genes)])


METHODS = {
    ("method", "flow"): 1.5,
    ("baseline", "control"): 3.0,
    ("baseline", "ridge_embedding"): 2.0,
    ("baseline", "easy"): 0.9,
    ("baseline", "additive"): np.nan,
    ("baseline", "ridge_onehot"): np.nan,
    ("control", "flow, shuffled embedding"): 2.5,
    ("ceiling", "half against half"): 0.7,
}


def summary(strata=("seen 2 of 2", "unseen single"), metrics=("l2", "pearson_from_mean", "edistance"), methods=METHODS):
    rows = {}
    for stratum in strata:
        for (role, method), value in methods.items():
            row = {"n": 0 if np.isnan(value) else 3 if method == "easy" else 8}
            for metric in metrics:
                own = 1 - value / 4 if metric == "pearson_from_mean" else value
                row |= {metric: own, f"{metric}_low": own - 0.2, f"{metric}_high": own + 0.3}
            rows[stratum, role, method] = row
    index = pd.MultiIndex.from_tuples(rows, names=["stratum", "role", "method"])
    return pd.DataFrame(list(rows.values()), index=index)


def ranking(n=6, *, direction="away", contexts=("blood",), measured=True, name="MS1", baselines=("knn",), n_controls=0):
    """A ranking whose first half was learned from."""
    rng = np.random.default_rng(0)
    rows = [
        {"condition": f"GENE{i}" + "+OTHER" * (i % 3 == 0), "context": context, "change": rng.normal(), "sd": 0.1}
        | {"status": "ok" if i % 4 else "fallback", "learned": i < n // 2}
        | {baseline: rng.normal() for baseline in baselines}
        | {"measured": rng.normal() if measured else np.nan}
        for context in contexts
        for i in range(n)
    ]
    return made_ranking(name, direction, pd.DataFrame(rows), list(baselines), 0.8, n_controls=n_controls)


def attributed_effects(names=("JAK2", "STAT2", "CAV1"), *, n_genes=30, testable=True):
    """Attributions of conditions against controls; those named first moved the farthest."""
    rng = np.random.default_rng(0)
    tables, rows = [], []
    for place, name in enumerate(names):
        size = np.sort(rng.exponential(1.0, n_genes))[::-1] * (len(names) - place)
        q = np.linspace(0.001, 1, n_genes)
        table = {"condition": name, "context": "all cells", "gene": [f"{name}-{i}" for i in range(n_genes)]}
        table |= {"attribution": size, "attribution_q": q if testable else np.nan, "attribution_q_cells": q}
        table |= {"testable": testable, "z": rng.normal(0, 4, n_genes), "q": q[::-1], "q_cells": q[::-1]}
        tables.append(pd.DataFrame(table))
        rows.append({"condition": name, "context": "all cells", "shift_z": 9.0 - 4 * place})
    conditions = pd.DataFrame(rows).set_index(["condition", "context"])
    return AttributedEffects(pd.concat(tables), conditions, pd.DataFrame(), "pca", "guide", 0.05)
