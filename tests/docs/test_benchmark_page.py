"""The tables of the benchmark pages are what the script makes of the kept results."""

import json
import re

import pytest
from benchmarks import page
from benchmarks.page_tables import TABLES

PLACES = re.findall(r"<!-- results: (\w+) -->", "".join(path.read_text() for path in page.PAGES))


@pytest.mark.parametrize("path", page.PAGES, ids=lambda path: path.name)
def test_the_page_is_made_from_the_results(path):
    text = path.read_text()
    assert text == page.filled(text), "run python -m benchmarks.page"
    assert text.count("<!-- results: ") == text.count("<!-- end of results -->") > 0


def test_every_kept_result_has_one_table_on_one_page():
    kept = {path.stem for path in page.FOLDER.glob("*.json")}
    assert sorted(PLACES) == sorted(kept) == sorted(TABLES)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_table_is_whole_and_says_where_its_figures_come_from(name):
    made = page.table(name)
    lines = [line for line in made.splitlines() if line.startswith("|")]
    assert len(lines) >= 4
    assert len({line.count("|") for line in lines}) == 1, "rows have as many cells as the head"
    assert re.search(rf"^\*Measured on 20\d\d-\d\d-\d\d, .+`docs/benchmarks/{name}\.json`\.\*$", made, re.MULTILINE)


def test_a_figure_changed_by_hand_is_found():
    text = page.PAGES[0].read_text()
    assert page.filled(text.replace("| 811 |", "| 911 |")) == text != text.replace("| 811 |", "| 911 |")


def test_another_result_gives_another_table(monkeypatch, tmp_path):
    result = page.load("statistics")
    result["tests"]["meta"]["power"] = 0.77
    (tmp_path / "statistics.json").write_text(json.dumps(result))
    before = page.table("statistics")
    monkeypatch.setattr(page, "FOLDER", tmp_path)
    assert page.table("statistics") == before.replace("| 0.000 | 0.05 |", "| 0.000 | 0.77 |") != before


def test_the_last_line_of_a_log_is_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(page, "FOLDER", tmp_path / "kept")
    log = tmp_path / "run.log"
    log.write_text(
        'a table\n{"kills": 1}\n{"kills": 95, "lost": 0, "flips": 3, "flips_missed": 0, "crashes": 0, "seconds": 2.5}\n'
    )
    page.keep("faults", log, "two borrowed cores")
    assert "| 95 |" in page.table("faults")
    assert re.search(r"\*Measured on 20\d\d-\d\d-\d\d, two borrowed cores: ", page.table("faults"))
    log.write_text("nothing but a table\n")
    with pytest.raises(SystemExit, match="no line of JSON"):
        page.keep("faults", log, "one core")
