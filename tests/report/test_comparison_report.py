"""Comparisons in words, as a forest plot and on the page of a search."""

import pytest
from benchmarks.attack.atlas_cells import make_atlas
from tests.report.pages import Page
from tests.report.sample_tables import sample_table, texts
from tests.report.test_search_report import GENES, study

from insignia import pl
from insignia.core.errors import InputError
from insignia.report import forest_figure, search_report, verdict

HEALTHY = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06]


def compared(**groups):
    names = {name.replace("_", " "): fractions for name, fractions in groups.items()}
    return sample_table({"normal": HEALTHY, **names}, studies=["GSE1"]).compare()


def test_the_sentence_names_what_differs_and_by_how_much():
    found = compared(sepsis=[0.5, 0.6, 0.7, 0.55, 0.65, 0.6], asthma=[0.02, 0.03, 0.04, 0.05])
    said = verdict(found)
    row = found.table.iloc[0]
    assert said.startswith("Of 2 testable comparisons with normal, 1 differs: sepsis (+")
    assert f"{100 * row['shift']:+.3g} points" in said
    assert verdict(compared(asthma=[0.02, 0.03, 0.04, 0.05])).startswith("None of 1 testable comparison with normal")
    assert "too few donors" in verdict(compared(asthma=[0.9, 0.8]))


def test_the_forest_shows_intervals_and_what_is_not_testable():
    found = compared(sepsis=[0.5, 0.6, 0.7, 0.55, 0.65, 0.6], odd_disease=[0.9])
    figure = forest_figure(found)
    (ax,) = figure.axes
    segments = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2]
    row = found.table.iloc[0]
    assert any(tuple(ends) == pytest.approx((row["low"], row["high"])) for ends in segments)
    said = texts(figure)
    assert "odd disease" in said
    assert "1 donor, 1 study" in said
    assert any(text.startswith("not testable (p ≥ ") for text in said)
    assert any(text.startswith("q = ") for text in said)
    assert "disease against normal, by donor, 1 of 2 rows" in texts(forest_figure(found, top=1))
    assert pl.forest(found) is not None


def test_without_a_hit_on_either_side_the_donors_are_not_to_blame():
    found = sample_table({"normal": [0.0] * 6, "asthma": [0.0] * 6, "gout": [0.4]}, studies=["GSE1"]).compare()
    said = texts(forest_figure(found))
    assert said.count("no hits to compare") == 1
    assert sum(text.startswith("not testable (p ≥ ") for text in said) == 1


def test_refusals():
    with pytest.raises(InputError, match="no group but 'normal'"):
        forest_figure(compared())
    with pytest.raises(InputError, match="at least 1; found 0"):
        forest_figure(compared(asthma=[0.1]), top=0)


def test_the_page_leads_with_the_test(tmp_path):
    atlas = make_atlas(tmp_path / "atlas", [study(f"S{n}", 120, boost=True) for n in range(3)])
    hits = atlas.search(GENES).call("percentile", q=80)
    table = hits.by_sample(min_cells=4)
    found = table.compare(reference="normal")
    made = Page(search_report(hits.result, hits, table, tmp_path / "r.html", comparison=found))
    said = made.said.replace("\u00a0", " ")
    assert verdict(found).replace("\u00a0", " ") in said
    assert "No statistical test was made" not in said
    assert "Against normal" in said
    assert "van Elteren's test" in said
    assert any("comparison" in name for name in made.downloads)
    assert any("leave-one-study-out" in name for name in made.downloads)
