"""The perturbation commands: from a simulated screen to a verdict, and what failing says."""

import json

import pytest

from insignia.core import keys
from insignia.data import read, write_h5ad

SMALL = ("--genes", 60, "--perturbations", 10, "--doubles", 12, "--cells", 20, "--controls", 80)


@pytest.fixture
def result(insignia):
    """Run a command that should succeed, and return what it prints as JSON."""

    def call(*arguments):
        code, out, err = insignia("perturb", *arguments, "--json")
        assert code == 0, err
        return json.loads(out.splitlines()[-1])

    return call


def test_a_screen_is_checked_and_written_so_that_it_needs_no_options(result, insignia, tmp_path):
    result("simulate", tmp_path / "made.h5ad", *SMALL)
    made = read(tmp_path / "made.h5ad")
    del made.uns[keys.PERTURB]
    write_h5ad(made, tmp_path / "theirs.h5ad")
    code, _, err = insignia("perturb", "check", tmp_path / "theirs.h5ad")
    assert (code, "'control' (80 cells)" in err) == (2, True)
    checked = result("check", tmp_path / "theirs.h5ad", "--control", "control", "-o", tmp_path / "ours.h5ad")
    assert (checked["cells"], checked["single"], checked["combined"]) == (520, 10, 12)
    assert [row["stratum"] for row in checked["strata"]] == ["combination, 2 of 2 also alone", "single"]
    assert result("check", tmp_path / "ours.h5ad")["cells"] == 520
    code, out, _ = insignia("perturb", "check", tmp_path / "ours.h5ad")
    assert "fewer than 1,000 controls" in out
