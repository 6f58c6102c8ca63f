"""What the report says about a table is what the table holds."""

import numpy as np
import pandas as pd
import pytest
from tests.report.sample_tables import sample_table

from insignia.report import answer
from insignia.report.answers import cautions, warnings_of

GROUPS = {
    "septic shock": [0.5, 0.6, 0.4, 0.3],
    "normal": [0.01, 0.02, 0.03],
    "asthma": [0.1, 0.1, 0.1],
    "rare": [0.9, 0.9],
}


def said(*args, **options):
    return " ".join(answer(*args, **options)).replace("\u00a0", " ")


def test_the_answer_names_the_group_and_its_numbers():
    text = said(sample_table(GROUPS))
    assert text.startswith("septic shock has the highest mean fraction of hits for MS1 among 3 groups by disease")
    assert "45 % (median 45 %, range 30 % to 60 %; 4 samples, 4 donors, 4 studies)" in text
    assert "Next: asthma (10 %); normal (2.0 %)." in text
    assert "For comparison, normal: 2.0 % (3 samples, 3 donors, 3 studies)." in text
    assert "rare" not in text


def test_the_answer_follows_the_summary_whatever_the_numbers():
    rng = np.random.default_rng(3)
    for _ in range(20):
        table = sample_table({f"d{i}": rng.random(rng.integers(1, 6)) for i in range(8)})
        summary = table.summary()
        first = answer(table)[0]
        if summary["enough"].any():
            assert first.startswith(f"{summary['disease'][0]} has the highest")
        else:
            assert first.startswith("No disease has 3 samples")


def test_a_median_that_disagrees_and_a_single_study_are_told():
    table = sample_table({"a": [0.1, 0.1, 1.0], "b": [0.3, 0.3, 0.3]}, studies=["S"])
    text = said(table)
    assert text.startswith("a has the highest")
    assert "By the median, b would be first (30 %): the order depends on a few samples." in text
    assert "All samples of a come from one study" in text
    assert "from one study" not in said(table, by="study", min_samples=1)
    assert "By the median" not in said(sample_table(GROUPS))


def test_donors_and_strata_are_called_by_name():
    assert "at least 3 donors: 45 %" in said(sample_table(GROUPS, pooled=True))
    layers = {("a", "T cell"): [0.1] * 3, ("a", "B cell"): [0.4] * 3, ("normal", "T cell"): [0.0] * 3}
    layers["normal", "B cell"] = [0.2] * 3
    text = said(sample_table(layers, stratum="cell_type"))
    assert text.startswith("a, B cell has the highest")
    assert "groups by disease and cell type" in text
    assert "For comparison, normal, B cell: 20 %" in text
    assert "comparison, normal, T cell" not in text


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({}, "No sample has enough scored cells"),
        ({"a": [0.0, 0.0, 0.0]}, "None of the 300 cells is a hit"),
        ({"a": [0.5, 0.2], "b": [0.1]}, "The 2 groups with fewer stand in the table below"),
        ({"a": [np.nan] * 3, "b": [0.1, 0.1, 0.2]}, "b has the highest mean fraction of hits for MS1 among 1 group"),
    ],
)
def test_tables_without_a_ranking(groups, expected):
    assert expected in said(sample_table(groups))


def test_cautions_are_always_there():
    text = " ".join(cautions(sample_table(GROUPS), "disease")).replace("\u00a0", " ")
    assert "No statistical test was made" in text
    assert "association, not mechanism" in text
    assert "taken from 1,000 cells of 4 studies (all cells), and" in text
    fixed = " ".join(cautions(sample_table(GROUPS, rule="value", params={"value": 1.5}), "disease"))
    assert "another selection" not in fixed


def test_what_was_left_out_is_told_by_name():
    table = sample_table({"unknown": [0.1, 0.2], "a": [0.1]})
    table.table.loc[0, "donor"] = "Pooled"
    coverage = pd.DataFrame(
        {"study": ["S1", "S2"], "cells": [5, 70], "scored": [True, False], "reason": ["", "measured 1 of 9"]}
    )
    text = " ".join(warnings_of(table, coverage))
    assert "S2 (measured 1 of 9); 70 cells have no score" in text
    assert "S1" not in text
    assert "1 of 3 rows name no single donor" in text
    assert "2 of 3 rows have no known disease" in text
    assert not warnings_of(sample_table(GROUPS), coverage.head(1))
