"""What single genes do to an answer, the methods in a paragraph, and how to repeat a comparison, on the page."""

import pandas as pd
import pytest
from benchmarks.attack.atlas_cells import make_atlas
from tests.atlas.test_left_out_genes import CARRIER, GENES, study
from tests.report.pages import Page, assert_self_contained

from insignia.atlas import CellFilters
from insignia.report import search_report


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    return make_atlas(tmp_path_factory.mktemp("genes") / "atlas", [study("A"), study("B"), study("C")])


@pytest.fixture(scope="module")
def filtered(atlas):
    kept = CellFilters(max_gap=0.9, custom={"no d11": "donor <> 'd11'"})
    return atlas.search(GENES, filters=kept).call("percentile", q=85)


@pytest.fixture(scope="module")
def made(filtered, tmp_path_factory):
    table = filtered.by_sample(min_cells=5)
    path = tmp_path_factory.mktemp("page") / "r.html"
    return Page(search_report(filtered.result, filtered, table, path, comparison=table.compare(reference="normal")))


def test_the_page_says_which_gene_the_result_hangs_on(made, filtered):
    assert_self_contained(made)
    assert f"The result hangs on one gene for sepsis (without {CARRIER})" in made.said
    found = filtered.by_sample(min_cells=5).compare(reference="normal")
    table = made.csv("custom-without-each-gene.csv")
    want = found.without_each_gene(filtered).drop(columns="stratum").rename(columns={"without": "gene"})
    key = ["group", "gene"]
    pd.testing.assert_frame_equal(
        table.sort_values(key, ignore_index=True), want.sort_values(key, ignore_index=True), check_dtype=False
    )
    assert table["gene"].iloc[0] == CARRIER
    assert set(made.csv("custom-leave-one-gene-out.csv")["hangs_on"]) == {CARRIER}
    assert len(made.all("img")) == 4  # samples, forest, contributions, cell types


def test_the_methods_name_versions_hashes_filters_and_test(made, filtered):
    from importlib.metadata import version

    said = made.said.replace("\u00a0", " ")
    manifest = filtered.result.snapshot.manifest
    steps = filtered.result.filter_table.set_index("name")
    for part in (
        f"atlas sha256 {manifest.sha256()[:12]}",
        f"fingerprint {manifest.record.fingerprint[:12]}",
        "by integrated gradients with 50 steps from the zero baseline, target self, absolute values",
        "rows scaled to 1,000",
        f"max_gap dropped {steps.loc['max_gap', 'dropped']:,} of {steps.loc['max_gap', 'before']:,}",
        "no d11 dropped",
        f"sha256 {filtered.result.signature.sha256[:12]}",
        "mean attribution of the 5 of 5 genes",
        "15 % lie above by construction",
        "the unit being the donor",
        "van Elteren's test",
        f"insignia {version('insignia')}, numpy {version('numpy')} and scipy {version('scipy')}",
    ):
        assert part in said, part


def test_the_python_lines_repeat_filters_and_comparison(made, filtered):
    code = next(text for text in made.text if "import insignia as ins" in text).replace("print(", "shown = (")
    scope = {}
    exec(code, scope)
    pd.testing.assert_frame_equal(scope["table"].table, filtered.by_sample(min_cells=5).table)
    pd.testing.assert_frame_equal(scope["shown"], filtered.by_sample(min_cells=5).compare(reference="normal").table)


def test_leaving_out_can_be_left_out(filtered, tmp_path):
    table = filtered.by_sample(min_cells=5)
    comparison = table.compare(reference="normal")
    path = search_report(filtered.result, filtered, table, tmp_path / "r.html", comparison=comparison, leave_out=False)
    names = " ".join(Page(path).downloads)
    assert "leave-one" not in names
    assert "without-each-gene" not in names


def test_groups_that_do_not_hang_on_a_gene_are_said_to_stand(atlas, tmp_path):
    """Cases have more of one gene, and less of another by as much; either tells them apart."""
    hits = atlas.search({CARRIER: 1.0, "GENE39": -1.0}).call("percentile", q=60)
    table = hits.by_sample(min_cells=5)
    made = Page(search_report(hits.result, hits, table, tmp_path / "r.html", comparison=table.compare()))
    assert "sepsis still differs from normal without any single gene" in made.said
