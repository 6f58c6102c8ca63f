"""`insignia ms1`: the ranking in the terminal, everything else in a folder."""

import json

from tests.report.pages import Page
from tests.workflows.ms1_atlas import NULL, PLANTED, cohort_atlas


def test_the_command_prints_the_ranking(tmp_path, insignia):
    small, _ = cohort_atlas(tmp_path / "atlas", 3, n_studies=10)
    code, out, err = insignia("ms1", small.path, "-o", tmp_path / "out", "--min-cells", 10, "--no-leave-out")
    assert code == 0, err
    assert "septic shock" in out
    assert "not done: uncertain cell types" in out
    said = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert said["ranking"][0]["group"] in PLANTED
    assert not set(said["called"]) & set(NULL)
    assert "insignia ms1" in Page(tmp_path / "out" / "report.html").said
