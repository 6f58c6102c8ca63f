"""The explorer's answers: equal to those of the command line, and refused where the command line refuses."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from tests.serve.atlas_on_disk import attributed, write_atlas

from insignia.atlas import Atlas
from insignia.data import simulate_cohort

pytestmark = pytest.mark.filterwarnings("ignore::insignia.core.errors.CoverageWarning")

A = "/api/atlases/cohort"
MONOCYTES = "cell_type:classical monocyte"
MS1 = {"signature": "MS1", "filter": MONOCYTES, "min_cells": 5}


def ok(client, address, **query):
    response = client.get(address, params=query)
    assert response.status_code == 200, response.text
    return response.json()


def refused(client, status, address, **query):
    response = client.get(address, params=query)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found = response.json()
    assert found["status"] == status
    return found["detail"]


@pytest.fixture(scope="module")
def table(atlas_path):
    """The sample table that the functions behind the command line give."""
    result = Atlas.open(atlas_path).search("MS1", where="cell_type = 'classical monocyte'")
    return result.call("percentile", q=90).by_sample(min_cells=5)


def test_a_search_is_the_one_of_the_command_line(client, table):
    found = ok(client, f"{A}/search", **MS1)
    rows = pd.DataFrame(found["samples"]).sort_values(["study", "sample", "donor", "tissue"], ignore_index=True)
    expected = table.table.sort_values(["study", "sample", "donor", "tissue"], ignore_index=True)
    pd.testing.assert_frame_equal(rows, expected[list(rows.columns)], check_dtype=False)
    assert found["hits"] == table.about["hits"]
    assert found["cutoff"] == table.about["cutoff"]
    summary = table.summary("disease")
    assert [row["group"] for row in found["groups"]] == summary["disease"].tolist()
    assert [row["mean_fraction"] for row in found["groups"]] == pytest.approx(summary["mean_fraction"].tolist())


def test_the_planted_program_is_found_where_it_was_planted(client):
    found = ok(client, f"{A}/search", **MS1)
    ranked = [row["group"] for row in found["groups"] if row["enough"]]
    assert set(ranked[:2]) == {"septic shock", "Kawasaki disease"}
    assert found["answer"][0].startswith(ranked[0])
    other = ok(client, f"{A}/search", signature="housekeeping", filter=MONOCYTES, min_cells=5)
    spread = [row["mean_fraction"] for row in other["groups"] if row["enough"]]
    assert max(spread) < 0.5 * found["groups"][0]["mean_fraction"]


def test_the_heat_map_adds_up_to_all_cells(client, atlas_path):
    found = ok(client, f"{A}/search", signature="MS1", min_cells=1)
    drawn = found["heat_map"]
    assert np.sum(drawn["cells"]) + found["unscored"] == found["cells"]
    assert np.sum(drawn["hits"]) == found["hits"]
    result = Atlas.open(atlas_path).search("MS1")
    obs = result.metadata(["cell_type", "tissue"]).assign(score=result.scores)
    row, column = drawn["rows"][0], drawn["columns"][0]
    here = obs[(obs["cell_type"] == row) & (obs["tissue"] == column)]
    assert drawn["mean_score"][0][0] == pytest.approx(here["score"].mean(), rel=1e-5)
    assert drawn["cells"][0][0] == here["score"].notna().sum()


def test_facets_count_cells_that_pass_the_other_filters(client, atlas_path):
    obs = Atlas.open(atlas_path).obs()
    found = ok(client, f"{A}/facets", filter=["tissue:blood", "disease:normal", "disease:asthma"])
    values = {one["column"]: {value["value"]: value for value in one["values"]} for one in found["facets"]}
    in_blood, healthy = obs["tissue"] == "blood", obs["disease"].isin(["normal", "asthma"])
    assert found["cells"] == (in_blood & healthy).sum()
    for column, passing in {"tissue": healthy, "disease": in_blood, "cell_type": in_blood & healthy}.items():
        expected = obs.loc[passing, column].value_counts()
        assert {name: value["cells"] for name, value in values[column].items()} == expected.to_dict()
    assert [name for name, value in values["disease"].items() if value["chosen"]] != []
    assert "barcode" not in values


def test_filters_of_one_column_are_alternatives_and_columns_must_all_hold(client, atlas_path):
    found = ok(client, f"{A}/search", signature="MS1", filter=["tissue:blood", "tissue:lung", "disease:normal"])
    where = "tissue IN ('blood', 'lung') AND disease = 'normal'"
    assert found["cells"] == len(Atlas.open(atlas_path).search("MS1", where=where))


@pytest.mark.parametrize(
    "hostile",
    ["tissue:blood' OR 1=1 --", "tissue:'; DROP TABLE x", "tissue\" = '' OR 1=1 --:x", "barcode:x", ":blood", "no"],
)  # fmt: skip
def test_filters_never_become_expressions(client, hostile):
    detail = refused(client, 400, f"{A}/search", signature="MS1", filter=hostile)
    assert "There are" in detail or "column:value" in detail


def test_quotes_in_values_and_columns_are_only_text(client_of, tmp_path):
    cohort = simulate_cohort(n_studies=2, samples_per_study=3, cells_per_sample=40, n_genes=300, rng=2)
    studies, genes, record = attributed(cohort)
    name = """Crohn's "disease" OR 1=1 --"""
    for study in studies:
        study.obs["disease"] = [name if i % 2 else "normal" for i in range(study.n_obs)]
        study.obs["odd column's"] = "it's"
    Atlas.create(tmp_path / "odd", genes=genes, record=record).add(studies, extra=["odd column's"], progress=False)
    client = client_of(tmp_path / "odd")
    found = ok(client, f"{A}/search", signature="MS1", filter=[f"disease:{name}", "odd column's:it's"], min_cells=1)
    assert found["cells"] == sum(study.n_obs // 2 for study in studies)
    assert {row["disease"] for row in found["samples"]} == {name}


def test_pasted_genes_with_weights_are_searched_as_such(client, atlas_path):
    found = ok(client, f"{A}/search", genes="S100A8; S100A12:2\n-CD3D", name="mine", min_cells=5)
    result = Atlas.open(atlas_path).search({"S100A8": 1.0, "S100A12": 2.0, "CD3D": -1.0})
    assert found["signature"] == "mine"
    assert float(found["cutoff"]) == pytest.approx(result.call("percentile", q=90).cutoff, rel=1e-3)


def test_what_became_of_each_gene_is_reported(client):
    found = ok(client, f"{A}/match", genes="S100A8, NOTAGENE, 1-Mar")
    assert {row["gene"]: row["status"] for row in found["genes"]} == {
        "S100A8": "matched",
        "NOTAGENE": "missing",
        "1-Mar": "missing",
    }
    assert "spreadsheet" in found["hints"][0]
    assert (found["matched"], found["missing"], found["coverage"]) == (1, 2, pytest.approx(1 / 3))


def test_gene_names_are_completed_in_any_letter_case(client, atlas_path):
    known = sorted(str(gene) for gene in Atlas.open(atlas_path).genes.labels)
    found = ok(client, f"{A}/genes", prefix="s100")["genes"]
    assert found == [gene for gene in known if gene.startswith("S100")]
    assert ok(client, f"{A}/genes", prefix="~")["genes"] == []
    assert ok(client, f"{A}/genes", prefix="S100", limit=2)["genes"] == found[:2]


def test_pages_of_the_table_join_to_the_whole(client, table):
    pages = [
        ok(client, f"{A}/samples", **MS1, sort="cells", page=page, page_size=7) for page in (1, 2, 3, 4, 5, 6, 7, 8)
    ]
    rows = [row for page in pages for row in page["rows"]]
    assert pages[0]["total"] == len(table)
    assert [row["cells"] for row in rows[: len(table)]] == sorted(table.table["cells"], reverse=True)[:56]
    ascending = ok(client, f"{A}/samples", **MS1, sort="study", descending=False)
    assert [row["study"] for row in ascending["rows"]] == sorted(table.table["study"])[:25]


def test_cells_of_a_sample_are_those_of_the_atlas(client, atlas_path, table):
    sample = table.table.iloc[0]
    found = ok(client, f"{A}/cells", **MS1, study=sample["study"], sample=sample["sample"], tissue=sample["tissue"])
    assert (found["cells"], found["hits"]) == (sample["cells"] + sample["unscored"], sample["hits"])
    result = Atlas.open(atlas_path).search("MS1", where="cell_type = 'classical monocyte'")
    obs = result.metadata().assign(score=result.scores)
    here = obs[(obs["study"] == sample["study"]) & (obs["sample"] == sample["sample"])]
    best = here.sort_values("score", ascending=False).iloc[0]
    assert found["rows"][0]["barcode"] == best["barcode"]
    assert found["rows"][0]["score"] == pytest.approx(best["score"], rel=1e-6)
    scores = [row["score"] for row in found["rows"]]
    assert scores == sorted(scores, reverse=True)
    assert "No cell of sample 'y' of study 'x'" in refused(client, 400, f"{A}/cells", **MS1, study="x", sample="y")


def test_genes_that_matter_in_a_sample_and_in_its_cells(client, atlas_path, table):
    sample = table.table.iloc[0]
    chosen = {name: sample[name] for name in ("study", "sample", "tissue")}
    where = " AND ".join(f"{name} = '{value}'" for name, value in chosen.items())
    result = Atlas.open(atlas_path).search("MS1", where=f"cell_type = 'classical monocyte' AND {where}")
    expected = result.cells_of(sample["study"], sample["sample"], n_genes=6)
    rows = ok(client, f"{A}/cells", **MS1, **chosen)["rows"]
    said = [", ".join(f"{gene['gene']} {gene['attribution']:.3g}" for gene in row["top_genes"]) for row in rows]
    assert said == expected["top_genes"].tolist()[: len(rows)]
    assert any(gene["in_signature"] for row in rows for gene in row["top_genes"])
    found = ok(client, f"{A}/sample_genes", **MS1, **chosen)["genes"]
    everything = Atlas.open(atlas_path)
    values, _, match = everything.gene_matrix(list(everything.genes.labels), where=result.where)
    mean = pd.Series(values.toarray().mean(axis=0), index=np.array(match.query)[match.found]).sort_values(
        ascending=False
    )
    assert [row["attribution"] for row in found] == pytest.approx(mean.iloc[:15].tolist(), rel=1e-4)
    assert {row["gene"] for row in found if row["in_signature"]} == {row["gene"] for row in found} & set(
        result.signature.genes
    )


def test_the_reverse_query_is_the_one_of_the_atlas(client, atlas_path):
    sick = ["cell_type:classical monocyte", "disease:septic shock", "disease:Kawasaki disease"]
    found = ok(client, f"{A}/reverse", filter=sick, than=[sick[0], "disease:normal"], min_cells=5)
    where = "cell_type = 'classical monocyte' AND disease"
    expected = Atlas.open(atlas_path).rank_programs(
        f"{where} IN ('septic shock', 'Kawasaki disease')", reference=f"{where} = 'normal'", min_cells=5
    )
    assert [row["signature"] for row in found["programs"]] == expected.programs["signature"].tolist()
    assert found["programs"][0]["signature"] == "MS1"
    assert found["programs"][0]["shift"] == pytest.approx(expected.programs["shift"].iloc[0])
    assert [row["gene"] for row in found["genes"]] == expected.genes["gene"].head(30).tolist()
    rest = ok(client, f"{A}/reverse", filter=sick[0], min_cells=5)
    assert rest["reference"].startswith("NOT (")
    assert "Choose some cells" in refused(client, 400, f"{A}/reverse")


def test_a_sample_of_two_tissues_is_told_apart(client, atlas_path):
    obs = Atlas.open(atlas_path).obs()
    unit = obs.groupby(["study", "sample", "tissue"], observed=True).size().reset_index()
    study, sample, tissue, n = unit.iloc[0]
    query = {"signature": "MS1", "study": study, "sample": sample}
    assert ok(client, f"{A}/cells", **query, tissue=tissue)["cells"] == n
    assert "No cell of this search has" in refused(client, 400, f"{A}/cells", **query, tissue="nowhere")


def test_groups_are_compared_by_donor_as_on_the_command_line(client, table):
    found = ok(client, f"{A}/compare", **MS1, against="normal", test="meta")
    expected = table.compare("disease", reference="normal", test="meta").table
    assert [row["group"] for row in found["rows"]] == expected["group"].tolist()
    p = np.array([np.nan if row["p"] is None else row["p"] for row in found["rows"]])
    np.testing.assert_allclose(p, expected["p"], rtol=1e-9)
    assert np.isfinite(p).any()
    assert "There are:" in refused(client, 400, f"{A}/compare", **MS1, against="nothing")


def test_contributions_add_up_to_the_score_of_the_group(client, atlas_path):
    found = ok(client, f"{A}/contributions", **MS1, group="septic shock")
    result = Atlas.open(atlas_path).search("MS1", where="cell_type = 'classical monocyte'")
    expected = result.contributions("disease").matrix()["septic shock"]
    assert {row["gene"]: row["contribution"] for row in found["genes"]} == pytest.approx(expected.to_dict())
    assert sum(row["contribution"] for row in found["genes"]) == pytest.approx(found["score"])
    values = [row["contribution"] for row in found["genes"]]
    assert values == sorted(values, reverse=True)
    first = ok(client, f"{A}/contributions", **MS1, unit="cell")
    assert first["group"] in {"septic shock", "Kawasaki disease"}
    assert "There is no group 'flu'" in refused(client, 400, f"{A}/contributions", **MS1, group="flu")


def test_two_signatures_are_counted_over_the_same_cells(client, atlas_path):
    found = ok(client, f"{A}/two", signature="MS1", other="IFN_I", min_cells=5)
    atlas = Atlas.open(atlas_path)
    one, two = (atlas.search(name).call("percentile", q=90) for name in ("MS1", "IFN_I"))
    called = one.is_called & two.is_called
    assert found["both"] == (one.is_hit & two.is_hit & called).sum()
    assert found["both"] + found["only_first"] + found["only_second"] + found["neither"] == called.sum()
    same = ok(client, f"{A}/two", signature="MS1", other_genes="S100A8,S100A12", other_name="pair", min_cells=5)
    assert same["shared_genes"] == ["S100A12", "S100A8"]
    itself = ok(client, f"{A}/two", signature="MS1", other="MS1", min_cells=5)
    assert itself["sample_correlation"] == pytest.approx(1)
    assert itself["only_first"] == itself["only_second"] == 0


def test_downloads_hold_the_whole_table(client, table):
    expected = table.table.reset_index(drop=True)
    csv = client.get(f"{A}/samples.csv", params=MS1)
    assert csv.headers["content-disposition"] == 'attachment; filename="MS1-samples.csv"'
    pd.testing.assert_frame_equal(pd.read_csv(io.BytesIO(csv.content)), expected)
    parquet = client.get(f"{A}/samples.parquet", params=MS1)
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(parquet.content)), expected)
    assert client.get(f"{A}/figure.png", params=MS1).content[:8] == b"\x89PNG\r\n\x1a\n"
    assert b"</svg>" in client.get(f"{A}/figure.svg", params=MS1).content
    page = client.get(f"{A}/report.html", params=MS1).text
    assert "insignia search cohort MS1" in page
    assert "septic shock" in page


def test_uploaded_sets_can_be_searched(client):
    sent = client.post("/api/signatures?file_name=my.gmt", content=b"ONE\tfirst\tS100A8\tS100A12\nTWO\t\tCD3D\n")
    assert sent.status_code == 200, sent.text
    one, two = sent.json()["sets"]
    assert (one["name"], one["size"], two["genes"]) == ("ONE", 2, "CD3D")
    assert ok(client, f"{A}/match", genes=one["genes"], name=one["name"])["matched"] == 2
    text = client.post("/api/signatures?file_name=list.txt", content=b"S100A8\t2\nCD3D\t-1\n").json()
    assert text["sets"] == [{"name": "list", "size": 2, "genes": "S100A8:2,CD3D:-1", "description": ""}]
    binary = client.post("/api/signatures", content=b"\x1f\x8b\x00\xff")
    assert binary.status_code == 400
    assert "is no text file" in binary.json()["detail"]


def test_errors_are_those_of_the_command_line(client, insignia, atlas_path):
    """Word for word, but for how a command is told what to do next."""
    python, command = (
        "given as a list, ['MS2', ...], and sets of a GMT file with read_gmt(path)[name]",
        "given as IL1B,S100A8,..., and sets of a GMT file as FILE.gmt:SET",
    )
    for query, arguments in (
        ({"signature": "MS2"}, ("MS2",)),
        ({"genes": "FOO,BAR", "name": "custom"}, ("FOO,BAR",)),
        ({"signature": "MS1", "rule": "percentile", "cut": 120}, ("MS1", "--cut", "120")),
    ):
        detail = client.get(f"{A}/search", params=query).json()["detail"]
        code, _, err = insignia("search", atlas_path, *arguments)
        assert code == 2
        assert (python in detail) == (query.get("signature") == "MS2")
        assert err.strip() == f"error: {detail.replace(python, command)}"


def test_the_command_line_that_is_shown_gives_the_same_hits(client, insignia, atlas_path):
    import shlex

    found = ok(client, f"{A}/search", **MS1, cut=80, within="tissue", reference="disease:normal", rule="percentile")
    words = shlex.split(found["command"])
    words = [str(atlas_path) if word == "cohort" else word for word in words[1:]]
    code, out, err = insignia(*words[: words.index("-o")], "--json")
    assert code == 0, err
    assert json.loads(out)["hits"] == found["hits"]


def test_limits_are_kept(client_of):
    client = client_of(max_genes=3, max_upload_bytes=1000, max_sets=2)
    assert "at most 3 can" in refused(client, 400, f"{A}/search", signature="MS1")
    assert client.post("/api/signatures", content=b"A" * 1001).status_code == 413
    stream = client.post("/api/signatures", content=iter([b"A" * 600, b"B" * 600]))
    assert stream.status_code == 413
    assert stream.headers["content-type"] == "application/problem+json"
    sets = client.post("/api/signatures?file_name=a.gmt", content=b"A\t\tX1\nB\t\tX1\nC\t\tX1\n")
    assert "holds 3 sets" in sets.json()["detail"]
    assert "min_cells" in refused(client, 422, f"{A}/search", signature="MS1", min_cells=0)
    assert "not permitted" in refused(client, 422, f"{A}/search", signature="MS1", where="1=1")
    assert "not both" in refused(client, 400, f"{A}/search", signature="MS1", genes="CD3D")
    assert "no atlas 'none' here" in refused(client, 404, "/api/atlases/none/search", signature="MS1")


def test_a_newer_version_is_taken_up_and_a_query_in_flight_keeps_its_own(client_of, tmp_path):
    cohort = simulate_cohort(n_studies=4, samples_per_study=3, cells_per_sample=40, n_genes=300, rng=2)
    studies, genes, record = attributed(cohort)
    Atlas.create(tmp_path / "growing", genes=genes, record=record).add(studies[:2], progress=False)
    client = client_of(tmp_path / "growing")
    before = ok(client, f"{A}/search", signature="MS1")
    held = client.app.state.insignia.shelf.get("cohort")
    Atlas.open(tmp_path / "growing").add(studies[2:], progress=False)
    after = ok(client, f"{A}/search", signature="MS1")
    assert after["version"] != before["version"]
    assert after["cells"] == sum(study.n_obs for study in studies)
    assert len(held.atlas.search("MS1")) == before["cells"] == sum(study.n_obs for study in studies[:2])


def test_several_atlases_are_opened_by_name(client):
    names = [one["name"] for one in client.get("/api/atlases").json()]
    assert names == ["cohort", "second one"]
    assert ok(client, "/api/atlases/second%20one/search", **MS1)["atlas"] == "second one"


def test_nothing_is_written_and_no_place_is_told(client, atlas_path):
    from benchmarks.attack.atlas_cells import listing

    before = listing(atlas_path)
    texts = [client.get("/api/atlases").text, client.get(f"{A}/search", params=MS1).text]
    texts += [client.get(f"{A}/report.html", params=MS1).text, client.get("/").text]
    assert listing(atlas_path) == before
    assert not any(str(atlas_path.parent) in text for text in texts)


def test_an_empty_result_is_an_answer(client):
    found = ok(client, f"{A}/search", signature="MS1", rule="value", cut=1e6)
    assert found["hits"] == 0
    assert "no score is above the cut-off" in found["answer"][0]
    aside = ok(client, f"{A}/search", signature="MS1", min_cells=100_000)
    assert "No sample has enough scored cells" in aside["answer"][0]
    assert (aside["samples"], aside["groups"]) == ([], [])
    assert ok(client, f"{A}/samples", signature="MS1", min_cells=100_000)["rows"] == []


def test_an_atlas_that_is_gone_is_a_problem_that_says_so(client_of, tmp_path):
    import shutil

    write_atlas(tmp_path / "gone", n_studies=2, n_genes=300, cells_per_sample=30)
    client = client_of(tmp_path / "gone")
    shutil.rmtree(tmp_path / "gone")
    detail = refused(client, 503, f"{A}/search", signature="MS1")
    assert "atlas" in detail
    assert str(tmp_path) not in detail
