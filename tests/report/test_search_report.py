"""The report of a search, from a small atlas on disk to the page."""

import shlex
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from benchmarks.attack.atlas_cells import N_GENES, cells, make_atlas
from tests.report.pages import Page, assert_self_contained

from insignia.core.errors import CoverageWarning, InputError
from insignia.genes import Signature
from insignia.report import search_report

GENES = Signature("my <b>program</b>", ("GENE3", "GENE17", "GENE5", "GENE30", "FOO1"), doi="10.1000/182")


def study(name, n=36, *, genes=None, boost=False, **obs):
    made = cells(name, n, genes=genes, density=0.8)
    if boost:
        values = made.layers["attribution"].toarray()
        values[np.ix_((made.obs["disease"] == "sepsis").to_numpy(), [3, 17, 5, 30])] += 200
        made.layers["attribution"] = type(made.layers["attribution"])(1000 * values / values.sum(axis=1, keepdims=True))
    for column, value in obs.items():
        made.obs[column] = value
    return made


@pytest.fixture
def atlas(tmp_path):
    studies = [study("S1", boost=True), study("S2", boost=True), study("<script>alert(1)</script>", boost=True)]
    studies.append(study("S4", 12, genes=[1, 2, 3]))
    studies.append(study("S5", 9, disease="</td><img src=x onerror=alert(1)>"))
    return make_atlas(tmp_path / "atlas", studies)


@pytest.fixture
def searched(atlas):
    with pytest.warns(CoverageWarning):
        result = atlas.search(GENES, where="cell_type <> 'B cell'")
    return result, result.call("percentile", q=80)


def test_the_page_answers_and_holds_everything(searched, tmp_path):
    result, hits = searched
    table = hits.by_sample(min_cells=4)
    path = tmp_path / "out" / "report.html"
    assert search_report(result, hits, table, path) == path
    made = Page(path)
    assert_self_contained(made)
    said = made.said.replace("\u00a0", " ")
    assert "sepsis has the highest mean fraction of hits for my <b>program</b>" in said
    mean = table.summary()["mean_fraction"][0]
    assert f"{100 * mean:.0f} %" in said
    for part in (
        "No statistical test was made",
        "association, not mechanism",
        "cell_type <> 'B cell'",
        "rule percentile, q = 80",
        repr(hits.cutoff),
        hits.reference,
        "S4 (measured 1 of 5 genes)",
        "FOO1",
        result.signature.sha256,
        result.snapshot.manifest.sha256(),
        "integrated_gradients",
        "f" * 64,
        f"numpy {np.__version__}",
        "<script>alert(1)</script>",
        "</td><img src=x onerror=alert(1)>",
    ):
        assert part in said, part
    assert len(made.all("img")) == 1
    assert "https://doi.org/10.1000/182" in [link["href"] for link in made.all("a")]


def test_the_files_inside_are_the_tables(searched, tmp_path):
    result, hits = searched
    table = hits.by_sample(min_cells=4)
    made = Page(search_report(result, hits, table, tmp_path / "r.html", max_rows=2))
    assert {file.removesuffix(".csv") for file in made.downloads} == {
        f"my-b-program-b-{part}" for part in ("genes", "groups", "put-aside", "samples", "studies")
    }
    files = {file.rsplit("-", 1)[-1]: made.csv(file) for file in made.downloads}
    order = ["study", "sample", "disease", "tissue", "donor"]
    want = table.table.drop(columns="stratum").sort_values(order, ignore_index=True)
    got = files["samples.csv"].sort_values(order, ignore_index=True)
    pd.testing.assert_frame_equal(got, want, check_dtype=False)
    assert len(table.table) > 2
    assert files["groups.csv"]["disease"].tolist() == table.summary()["disease"].tolist()
    assert files["genes.csv"]["status"].tolist() == ["missing", "matched", "matched", "matched", "matched"]
    assert files["genes.csv"]["gene"].tolist() == ["FOO1", "GENE3", "GENE17", "GENE5", "GENE30"]
    assert len(files["studies.csv"]) == 5
    assert len(files["aside.csv"]) == len(table.excluded)


def test_the_python_lines_repeat_the_table(searched, tmp_path):
    result, hits = searched
    tables = [hits.by_sample(min_cells=4), hits.by_sample("cell_type", min_cells=2).pool_donors()]
    for number, table in enumerate(tables):
        made = Page(search_report(result, hits, table, tmp_path / f"{number}.html"))
        code = next(text for text in made.text if "import insignia as ins" in text).replace("print(", "shown = (")
        scope = {}
        with pytest.warns(CoverageWarning):
            exec(code, scope)
        pd.testing.assert_frame_equal(scope["table"].table, table.table)
        pd.testing.assert_frame_equal(scope["shown"], table.summary())


def test_a_cutoff_from_elsewhere_is_repeated_as_a_number(searched, tmp_path):
    result, hits = searched
    frozen = result.call("percentile", q=50).apply_to(result)
    other = hits.of(
        result,
        replace(
            hits.cutoffs,
            strata={"": replace(hits.cutoffs.strata[""], cutoff=1.25)},
            reference="other cells",
            n_reference=10,
        ),
    )
    for called, line in ((frozen, "'percentile', q=50"), (other, "'value', value=1.25")):
        made = Page(search_report(result, called, called.by_sample(min_cells=4), tmp_path / "r.html"))
        assert f"result.call({line})" in made.said


def test_the_command_line_is_given_for_bundled_signatures(tmp_path):
    from benchmarks.attack.atlas_cells import RECORD

    from insignia.atlas import Atlas
    from insignia.data import AttributionRecord
    from insignia.genes import GeneVocabulary, signature

    genes = GeneVocabulary.from_names(signature("CYT").genes + tuple(f"GENE{i}" for i in range(N_GENES)))
    record = AttributionRecord(**{**RECORD.to_dict(), "genes_sha256": genes.sha256})
    atlas = Atlas.create(tmp_path / "an atlas", genes=genes, record=record)
    atlas.add(cells("S1", 90, record=record), progress=False)
    result = atlas.search("CYT", where="tissue = 'blood'")
    hits = result.call("percentile", q=90)
    path = search_report(result, hits, hits.by_sample(min_cells=10), tmp_path / "cyt.html", by="tissue")
    line = next(text for text in Page(path).text if text.startswith("insignia search"))
    options = ["--where", "tissue = 'blood'", "--by", "tissue", "--cut", "90", "--min-cells", "10", "-o", "cyt.html"]
    assert shlex.split(line) == ["insignia", "search", str(tmp_path / "an atlas"), "CYT", *options]
    own = Page(search_report(result, hits, hits.by_sample(), path, command="insignia <mine>")).said
    assert "insignia <mine>" in own
    assert "--where" not in own


def test_strata_add_the_heat_map(searched, tmp_path):
    result, hits = searched
    table = hits.by_sample("cell_type", min_cells=2)
    made = Page(search_report(result, hits, table, tmp_path / "r.html", by="tissue", title="A <title>"))
    assert len(made.all("img")) == 2
    assert "A <title>" in made.said
    assert "split by cell type" in made.said


def test_a_search_without_samples_or_hits_is_reported_too(searched, tmp_path):
    result, hits = searched
    none = hits.by_sample(min_cells=1000)
    said = Page(search_report(result, hits, none, tmp_path / "none.html")).said
    assert "No sample has enough scored cells" in said
    assert "fewer than 1000" in said
    high = result.call("value", value=1e6)
    said = Page(search_report(result, high, high.by_sample(min_cells=4), tmp_path / "zero.html")).said
    assert "is a hit for my <b>program</b>" in said


def test_it_is_bit_equal_in_every_run(searched, tmp_path):
    result, hits = searched
    table = hits.by_sample(min_cells=4)
    pages = [search_report(result, hits, table, tmp_path / name / "r.html").read_bytes() for name in "ab"]
    assert pages[0] == pages[1]


def test_refusals(searched, tmp_path):
    result, hits = searched
    with pytest.raises(InputError, match="grouped by"):
        search_report(result, hits, hits.by_sample(min_cells=4), tmp_path / "r.html", by="age")
    assert not (tmp_path / "r.html").exists()


def test_importing_is_light():
    heavy = "{'matplotlib', 'torch', 'anndata', 'scanpy', 'duckdb'}"
    code = f"import sys, insignia.report, insignia.pl; print({heavy} & set(sys.modules) or 'light')"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "light"
