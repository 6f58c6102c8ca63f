"""How well other ways to score gene sets tell cell types apart by the same markers, cells and genes.

Every registered scorer that reads expression scores ScType's lists in the studies that `benchmarks.science.markers`
reports; attributions and their controls stand there. Reported: chance that a cell of the type has a higher score of its
list than another cell, and the same with shuffled types.

    python -m benchmarks.science.scorers [--quick]
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from benchmarks.science import results
from benchmarks.science.gene_lists import known_markers
from benchmarks.science.measures import usable
from benchmarks.science.pairs import REPORTED, pair
from benchmarks.science.studies import Study
from insignia.core.errors import MissingDependency
from insignia.genes.scorers import GeneSet, score_sets, scorers
from insignia.stats import auroc


def all_pairs(quick: bool) -> dict[str, Any]:
    """Score every reported study with every scorer whose package is there."""
    rows, absent = [], set()
    for name, (trains, scores) in list(REPORTED.items())[: 1 if quick else None]:
        _, second = pair(trains, scores)
        for scorer in scorers:
            if scorers[scorer].reads == "expression":
                try:
                    rows.append({"score": scorers[scorer].label, "pair": name, **typing(second, scorer)})
                except MissingDependency:
                    absent.add(scorer)
    means = results.spread(pd.DataFrame(rows))
    results.table(means, "scorers, spread over pairs")
    return {"scores": means, "absent": sorted(absent)}


def typing(study: Study, scorer: str) -> dict[str, float]:
    """Mean over types of the AUROC of a type's list, and with shuffled types."""
    own = usable(known_markers(), study.types, study.genes)
    sets = [GeneSet(kind, np.flatnonzero(mine), np.ones(int(mine.sum()))) for kind, mine in own.items()]
    found = score_sets(scorer, csr_matrix(study.logged), sets)
    shuffled = np.random.default_rng(0).permutation(study.types)
    return {
        name: float(np.mean([auroc(found[:, i], types == kind) for i, kind in enumerate(own)]))
        for name, types in (("typing", study.types), ("typing_shuffled", shuffled))
    }


def summary(record: Mapping[str, Any]) -> dict[str, Any]:
    """AUROC of each scorer."""
    return {name: row["typing"][0] for name, row in record["reported"]["scores"].items()}


PARTS: Final[dict[str, Callable[[bool], dict[str, Any]]]] = {"reported": all_pairs}

if __name__ == "__main__":
    results.main("scorers", PARTS, __doc__ or "", summary)
