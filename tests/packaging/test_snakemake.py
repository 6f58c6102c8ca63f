"""The Snakemake workflow and its wrappers, run by Snakemake where it is installed; `insignia` is stood in for."""

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.packaging.pipelines import REAL, STAND_IN, calls, command, studies

SNAKEFILE = Path(__file__).parents[2] / "integrations" / "snakemake" / "Snakefile"


@pytest.fixture(scope="module")
def snakemake():
    found = shutil.which("snakemake")
    if found is None:
        pytest.skip("Snakemake is not installed: pip install snakemake, in an environment of its own")
    return found


def run(snakemake, folder, environment):
    command = [snakemake, "-s", SNAKEFILE, "--cores", "1", "--quiet", "--config", "cells=studies", "model=model",
               "atlas=atlas", "signatures=MS1 IFN_I"]  # fmt: skip
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_every_rule_calls_what_it_should(snakemake, tmp_path):
    environment = command(tmp_path / "bin", STAND_IN)
    (tmp_path / "model").mkdir()
    (tmp_path / "studies").mkdir()
    for study in ("a", "b"):
        (tmp_path / "studies" / f"{study}.h5ad").touch()
    run(snakemake, tmp_path, environment)
    made = calls(environment)
    assert sorted(made[:2]) == [
        f"attribute studies/{study}.h5ad --model model --output results/attributed/{study}.h5ad" for study in "ab"
    ]
    assert made[2:5] == [
        "atlas create atlas --model model",
        "atlas add atlas results/attributed/a.h5ad",
        "atlas add atlas results/attributed/b.h5ad",
    ]
    assert sorted(made[5:]) == [
        f"search atlas {name} --output results/{name}.html --by disease" for name in ("IFN_I", "MS1")
    ]


@pytest.mark.full
def test_the_workflow_ends_in_reports(snakemake, tmp_path):
    studies(tmp_path)
    run(snakemake, tmp_path, command(tmp_path / "bin", REAL))
    for name in ("MS1", "IFN_I"):
        assert name in (tmp_path / "results" / f"{name}.html").read_text()
