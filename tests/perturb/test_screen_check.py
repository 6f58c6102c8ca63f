"""What `check` says of a screen."""

import numpy as np
from scipy.sparse import csr_matrix

from insignia.data import Condition, PerturbationData, Split
from insignia.perturb import check


def screen():
    rows = [("control", "k")] * 3 + [("A", "k"), ("B", "k"), ("A+B", "k"), ("A+C", "k"), ("C+D", "k"), ("control", "t")]
    conditions = tuple(sorted({Condition.parse(name) for name, _ in rows}, key=str))
    return PerturbationData(
        genes=("A", "g2"),
        expression=csr_matrix(np.eye(len(rows), 2, dtype=np.float32)),
        conditions=conditions,
        condition=np.array([conditions.index(Condition.parse(name)) for name, _ in rows]),
        contexts=("k", "t"),
        context=np.array(["kt".index(context) for _, context in rows]),
        replicates=("r",),
        replicate=np.zeros(len(rows), dtype=int),
        cells=np.arange(len(rows)),
    )


def test_cells_contexts_and_strata_are_counted():
    found = check(screen())
    assert (found.facts["cells"], found.facts["controls"], found.facts["conditions"]) == (9, 4, 5)
    assert (found.facts["perturbed_genes"], found.facts["perturbed_genes_measured"]) == (4, 1)
    assert found.contexts.loc["k"].to_dict() == {"cells": 8, "controls": 3, "conditions": 5, "smallest": 1}
    assert found.strata["conditions"].to_dict() == {
        "combination, 0 of 2 also alone": 1,
        "combination, 1 of 2 also alone": 1,
        "combination, 2 of 2 also alone": 1,
        "single": 2,
    }
    said = " ".join(found.warnings)
    assert "7 conditions have fewer than 20 cells" in said
    assert "1 contexts have control cells only: t" in said


def test_with_a_split_the_strata_are_those_of_its_sides():
    found = check(screen(), Split("s", ("A", "A+B"), ("A+C", "C+D")))
    assert found.strata["conditions"].to_dict() == {
        ("test", "seen 0 of 2"): 1,
        ("test", "seen 1 of 2"): 1,
        ("train", "combined"): 1,
        ("train", "single"): 2,
    }
    assert found.record()["strata"][0]["side"] == "test"
    assert "seen 1 of 2" in str(found)
