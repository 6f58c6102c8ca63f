"""The command line: the main job from raw cells to a report, and exit codes that scripts can rely on."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from tests.attribution.conftest import make_cells

from insignia.data import simulate_cohort


@pytest.fixture(scope="module")
def study_file(tmp_path_factory):
    cohort = simulate_cohort(n_studies=2, samples_per_study=4, cells_per_sample=50, n_genes=300, difficulty=0.2, rng=0)
    path = tmp_path_factory.mktemp("cells") / "study.h5ad"
    cohort.studies[0].write_h5ad(path)
    return path


def test_the_main_job_from_raw_cells_to_a_report(insignia, study_file, tmp_path):
    def result(*arguments):
        code, out, err = insignia(*arguments, "--json")
        assert code == 0, err
        return json.loads(out.splitlines()[-1])

    model, attributed, atlas = tmp_path / "model", tmp_path / "attributed.h5ad", tmp_path / "atlas"
    trained = result("model", "train", study_file, "--labels", "cell_type", "-o", model, "--epochs", "3")
    assert result("model", "inspect", model)["fingerprint"] == trained["fingerprint"]
    facts = result("attribute", study_file, "-m", model, "-o", attributed)
    assert facts["median_gap"] < 0.05
    assert facts["genes_in_model"] == facts["genes"]
    scored = result("score", attributed, "MS1", "-o", tmp_path / "scores.csv")
    assert len(pd.read_csv(scored["output"])) == facts["cells"]
    assert result("atlas", "create", atlas, "-m", model)["cells"] == 0
    added = result("atlas", "add", atlas, attributed)
    assert added["cells"] == facts["cells"]
    assert result("atlas", "info", atlas)["studies"] == 1
    found = result(
        "search", atlas, "MS1", "--where", "tissue IS NOT NULL", "--min-cells", "5", "-o", tmp_path / "ms1.html",
        "--table", tmp_path / "samples.csv", "--compare", "normal", "--by", "disease",
    )  # fmt: skip
    assert {row["group"] for row in found["comparison"]} == {row["disease"] for row in found["groups"]} - {"normal"}
    assert found["cells"] == facts["cells"]
    assert found["groups"][0]["mean_fraction"] >= found["groups"][-1]["mean_fraction"]
    assert "<html" in (tmp_path / "ms1.html").read_text()
    assert len(pd.read_csv(tmp_path / "samples.csv")) == found["samples"]


def test_people_get_text_and_no_json(insignia, study_file, tmp_path):
    code, out, _ = insignia("model", "train", study_file, "-o", tmp_path / "model", "--epochs", "1")
    assert code == 0
    assert "fingerprint" in out
    assert "{" not in out


def test_exit_codes_tell_the_families_of_errors_apart(insignia, study_file, tmp_path):
    def refused(code, *arguments):
        found, out, err = insignia(*arguments)
        assert (found, out) == (code, ""), err
        assert err.startswith("error: ")
        assert "Traceback" not in err
        return err

    assert "There is nothing at" in refused(2, "model", "train", tmp_path / "absent.h5ad", "-o", tmp_path / "m")
    assert "no column 'kind'" in refused(2, "model", "train", study_file, "--labels", "kind", "-o", tmp_path / "m")
    assert "A model is a directory" in refused(3, "model", "inspect", tmp_path / "absent")
    assert "A model is a directory" in refused(
        3, "attribute", study_file, "-m", tmp_path / "x", "-o", tmp_path / "y.h5ad"
    )
    (tmp_path / "empty").mkdir()
    assert "atlas" in refused(4, "atlas", "info", tmp_path / "empty")
    assert "atlas" in refused(4, "search", tmp_path / "empty", "MS1")
    assert "There is no demo 'nothing'" in refused(2, "demo", "nothing", "-o", tmp_path / "demo")
    assert [item.name for item in tmp_path.iterdir()] == ["empty"]


def test_scaled_values_are_refused_with_the_way_out(insignia, tmp_path):
    cells = make_cells(30)
    code, _, err = insignia("--version")
    assert (code, err) == (0, "")
    scaled = cells.copy()
    scaled.layers["counts"] = cells.X
    scaled.X = cells.X.toarray() - np.float32(0.3)
    scaled.write_h5ad(tmp_path / "scaled.h5ad")
    code, _, err = insignia("model", "train", tmp_path / "scaled.h5ad", "-o", tmp_path / "m", "--epochs", "1")
    assert code == 2
    assert "layer 'counts' holds counts" in err


@pytest.mark.parametrize("signature", ["nothing", "sets.gmt:ABSENT"])
def test_signatures_that_are_not_there_say_what_is(insignia, study_file, tmp_path, monkeypatch, signature):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sets.gmt").write_text("ONE\t\tCD79A\tMS4A1\nTWO\t\tNKG7\tGNLY\n")
    code, _, err = insignia("score", study_file, signature, "-o", "scores.csv")
    assert code == 2
    assert "MS1" in err or "ONE" in err


def test_gene_lists_and_gmt_sets_are_signatures(tmp_path):
    from insignia.cli.signatures import parse_signature

    (tmp_path / "sets.gmt").write_text("ONE\t\tCD79A\tMS4A1\nTWO\t\tNKG7\tGNLY\n")
    assert parse_signature("CD79A, MS4A1").genes == ("CD79A", "MS4A1")
    assert parse_signature(f"{tmp_path / 'sets.gmt'}:TWO").genes == ("NKG7", "GNLY")
    assert len(parse_signature("ms1").genes) == 99


def test_the_demo_runs_and_its_last_line_is_json(tmp_path):
    command = [sys.executable, "-m", "insignia", "demo", "-o", str(tmp_path / "demo"), "--quick", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    summary = json.loads(done.stdout.splitlines()[-1])
    for name in ("report", "ms1_report", "top_genes_figure", "samples_table", "attributed_cells", "atlas"):
        assert (tmp_path / "demo" / summary[name].split("/demo/")[-1]).exists(), name
    assert summary["atlas_studies"] == 8
    assert summary["pbmc_median_gap"] < 0.02
    again = subprocess.run(command, check=False, capture_output=True, text=True)
    assert again.returncode == 2
    assert "is not empty" in again.stderr
