"""docs/science.md is what the script makes of the results."""

import re

import pytest
from benchmarks.science.page import PAGE, number, page, table
from benchmarks.science.verdicts import Question, verdict


def test_the_page_is_made_from_the_results():
    assert PAGE.read_text() == page(), "run python -m benchmarks.science.page"


def test_its_figures_are_there_and_it_is_in_the_contents():
    figures = re.findall(r"images/\w+\.png", PAGE.read_text())
    assert len(figures) >= 3
    for figure in figures:
        assert (PAGE.parent / figure).stat().st_size < 200_000
    assert re.search(r"^science$", (PAGE.parent / "index.md").read_text(), re.MULTILINE)


def test_tables_show_means_with_their_spread():
    assert number([0.91234, 0.0123]) == "0.912 (0.012)"
    assert number([0.5, None]) == "0.500"
    assert number([12.34, 1.0]) == "12.3 (1.0)"
    assert number([None, None]) == number(None) == ""
    made = table({"one": {"share": [2.0, None]}}, {"share": "share, %", "absent": "absent"})
    assert made.splitlines() == ["| score | share, % | absent |", "|---|---|---|", "| one | 2.0 |  |"]


@pytest.mark.parametrize(
    ("mine", "lower", "is_amount", "word"),
    [
        (0.92, False, False, "ahead"),
        (0.905, False, False, "level"),
        (0.88, False, False, "behind"),
        (0.88, True, False, "ahead"),
        (0.92, True, False, "behind"),
        (0.98, False, True, "level"),
        (1.1, False, True, "ahead"),
    ],
)
def test_a_verdict_follows_the_rule(mine, lower, is_amount, word):
    values = {"expression": 0.9, "encoder with labels": mine}
    question = Question("which?", values, lower_is_better=lower, is_amount=is_amount)
    assert verdict(question, "encoder with labels", "expression") == word


def test_the_best_without_a_network_is_no_encoder_and_minds_the_direction():
    values = {"expression": 0.5, "PCA": 0.7, "tuned attribution": 0.9}
    assert Question("which?", values).best_without_network() == "PCA"
    assert Question("which?", values, lower_is_better=True).best_without_network() == "expression"
