"""Groups against a reference: donors are the units, studies are accounted for, and what cannot be told is not told."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from insignia.atlas.samples import SampleTable
from insignia.core.errors import InputError, UnknownName
from insignia.data import DonorHitOptions, simulate_donor_hits


def samples(table):
    return SampleTable(table, table.iloc[:0], None, 1, {})


def donors(*rows):
    """One row a donor of (study, donor, disease, hits of 100 cells)."""
    table = pd.DataFrame(rows, columns=["study", "donor", "disease", "hits"])
    table = table.assign(sample=table["donor"], tissue="blood", stratum="all", cells=100, fraction=table["hits"] / 100)
    return table.assign(mean_score=0.0, coverage=1.0, unscored=0)


def study(name, disease, cases, healthy):
    return [(name, f"{name}-c{i}", disease, hits) for i, hits in enumerate(cases)] + [
        (name, f"{name}-h{i}", "normal", hits) for i, hits in enumerate(healthy)
    ]


@pytest.fixture(scope="module")
def planted():
    options = DonorHitOptions(n_studies=18, effects={"disease 1": 1.6})
    return samples(simulate_donor_hits(options, rng=1))


def test_a_planted_disease_comes_first(planted):
    found = planted.compare()
    first = found.table.iloc[0]
    assert first["group"] == "disease 1"
    assert first["q"] < 0.01
    assert 0 < first["low"] < first["shift"] < first["high"]
    assert first["cliffs_delta"] > 0.5
    assert (found.table["q"][1:].dropna() > 0.05).all()
    assert first["donors"] == (planted.table["disease"] == "disease 1").sum()


@pytest.mark.parametrize("test", ["meta", "beta_binomial", "mann_whitney"])
def test_other_tests_put_it_first_too(planted, test):
    assert planted.compare(test=test).table.loc[0, "group"] == "disease 1"


def test_false_discoveries_are_few_and_cells_would_make_many():
    """Acceptance test T11, at a size for every day; `benchmarks.statistics` runs 2,000."""
    wrong = {"van_elteren": 0, "cells_as_if_independent": 0}
    runs = 60
    for seed in range(runs):
        null = samples(simulate_donor_hits(rng=seed))
        for test in wrong:
            wrong[test] += bool((null.compare(test=test, n_boot=1).table["q"] <= 0.05).any())
    # a binomial of 60 runs at 0.05 stays below 9 in 999 of 1,000
    assert wrong["van_elteren"] <= 9
    assert wrong["cells_as_if_independent"] > 0.9 * runs


def test_shuffled_labels_agree_with_the_test(planted):
    found = planted.compare()
    shuffled = found.permuted(499)
    assert shuffled[0] == pytest.approx(1 / 500)
    alone = samples(donors(*study("a", "x", [5, 6], []), *study("b", "x", [], [1, 2]))).compare()
    assert np.isnan(alone.permuted(9)[0])


def test_shuffles_converge_to_all_labellings_within_studies():
    rows = [*study("a", "x", [9, 14, 30], [3, 10, 12]), *study("b", "x", [60, 71], [58, 66])]
    values = [np.array([hits for name, *_, hits in rows if name == wanted]) for wanted in ("a", "b")]
    sums = [
        [sum(part[list(chosen)]) - n * part.mean() for chosen in combinations(range(len(part)), n)]
        for part, n in zip(values, (3, 2), strict=True)
    ]
    all_sums = np.abs(np.add.outer(*sums).ravel())
    exact = np.mean(all_sums >= all_sums[0] - 1e-9)
    assert samples(donors(*rows)).compare().permuted(2000, rng=1)[0] == pytest.approx(exact, abs=0.04)


def test_three_against_three_is_not_testable_and_not_ranked():
    rows = [*study("a", "x", [90, 91, 92], [1, 2, 3]), *study("b", "y", range(50, 56), range(6))]
    found = samples(donors(*rows)).compare().table.set_index("group")
    assert not found.loc["x", "testable"]
    assert np.isnan(found.loc["x", "q"])
    assert found.loc["x", "smallest_p"] == pytest.approx(0.1)
    assert "not testable: the smallest reachable p is 0.1" in found.loc["x", "note"]
    assert "all cases from one study" in found.loc["x", "note"]
    assert found.loc["y", "testable"]
    assert found.loc["y", "q"] == pytest.approx(found.loc["y", "p"])
    assert list(found.index) == ["y", "x"]


def test_a_disease_without_controls_of_its_own_study_is_not_called():
    rows = [*study("a", "x", [90, 91, 92, 93, 94], []), *study("b", "y", [1, 2], [1, 2, 3, 4, 5])]
    found = samples(donors(*rows)).compare().table.set_index("group")
    assert not found.loc["x", "testable"]
    assert "no study has both groups" in found.loc["x", "note"]
    ignoring = samples(donors(*rows)).compare(test="mann_whitney").table.set_index("group")
    assert ignoring.loc["x", "p"] < 0.05
    assert "studies are not accounted for" in ignoring.loc["x", "note"]


def test_samples_and_tissues_of_a_donor_are_one_unit():
    table = donors(*study("a", "x", [50, 60, 70, 80], [1, 2, 3, 4]))
    twice = pd.concat([table, table.assign(sample=table["sample"] + "-2", tissue="lung")], ignore_index=True)
    one, two = samples(table).compare(), samples(twice).compare()
    assert two.table.loc[0, "donors"] == 4
    assert two.table.loc[0, "p"] == one.table.loc[0, "p"]
    by_tissue = samples(twice).compare("tissue", reference="blood").table
    assert "8 donors stand in both groups" in by_tissue.loc[0, "note"]


def test_equal_names_in_two_studies_are_two_donors():
    table = donors(*study("a", "x", [50, 60], [1, 2]), *study("b", "x", [50, 60], [1, 2]))
    table["donor"] = table["sample"] = ["D1", "D2", "D3", "D4"] * 2
    assert samples(table).compare().table.loc[0, "donors"] == 4


def test_a_donor_with_two_diseases_is_a_case_of_both():
    rows = [*study("a", "x", [50, 60, 70], [1, 2, 3, 4]), ("a", "both", "x || y", 80), ("a", "odd", "unknown", 9)]
    found = samples(donors(*rows)).compare().table.set_index("group")
    assert found.loc["x", "donors"] == 4
    assert found.loc["y", "donors"] == 1
    assert "unknown" not in found.index


def test_leaving_a_study_out_says_what_hangs_on_it():
    rows = [*study("a", "x", range(80, 86), range(6)), *study("b", "x", [3, 5, 8], [4, 6, 7])]
    left = samples(donors(*rows)).compare().leave_one_study_out().set_index("group")
    assert left.loc["x", "hangs_on"] == "a"
    assert left.loc["x", "p_highest"] > 0.5
    assert left.loc["x", "shift_lowest"] < 0.05 < left.loc["x", "shift_highest"]


def test_refusals(planted):
    with pytest.raises(InputError, match=r"No donor has disease 'healthy' to compare with\. There are: disease 1"):
        planted.compare(reference="healthy")
    with pytest.raises(UnknownName, match="van_elteren"):
        planted.compare(test="cells")
    with pytest.raises(InputError, match="can be grouped by"):
        planted.compare("celltype")
    with pytest.raises(InputError, match="At least one shuffle"):
        planted.compare(n_boot=1).permuted(0)
    with pytest.raises(InputError, match="cannot hold 9 diseases"):
        DonorHitOptions(n_studies=3, n_diseases=9)
    with pytest.raises(InputError, match=r"Effects of \['gout'\]"):
        DonorHitOptions(effects={"gout": 1.0})
