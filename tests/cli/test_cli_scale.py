"""The command line at scale: shards, what they will cost, and the array script that ends as one process does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import anndata
import numpy as np
import pytest
from tests.attribution.conftest import make_cells

from insignia.core import keys
from insignia.data import read
from insignia.models import train


@pytest.fixture
def insignia(insignia):
    """Run the command: exit code, standard output, read if it is JSON, and standard error."""

    def call(*arguments):
        code, out, err = insignia(*arguments)
        return code, json.loads(out) if "--json" in arguments and code == 0 else out, err

    return call


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Cells, with a blank in the name of the folder, a model of them, and what one process makes of them."""
    folder = tmp_path_factory.mktemp("at scale") / "my cells"
    folder.mkdir()
    cells = make_cells(60)
    cells.write_h5ad(folder / "cells.h5ad")
    train(cells[:-1].copy(), output=folder / "model", latent=8, rng=0, show_progress=False)
    return folder


def attributed(path):
    paths = sorted(path.glob("*.h5ad")) if path.is_dir() else [path]
    joined = anndata.concat([read(item) for item in paths])
    return list(joined.obs_names), joined.layers[keys.ATTRIBUTION].toarray()


def assert_same(path, other):
    (cells, values), (expected_cells, expected) = attributed(path), attributed(other)
    assert cells == expected_cells
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-3)


def files(folder):
    return sorted(str(item.relative_to(folder)) for item in folder.rglob("*"))


def test_a_folder_of_parts_goes_into_an_atlas_as_it_is(insignia, work, tmp_path):
    cells, model = work / "cells.h5ad", work / "model"
    assert insignia("attribute", cells, "-m", model, "-o", tmp_path / "parts", "--shards", 3, "--json")[0] == 0
    assert insignia("atlas", "create", tmp_path / "atlas", "-m", model)[0] == 0
    places = ("study=GSE1", "sample=S1", "tissue=blood", "disease=normal", "cell_type=monocyte")
    constants = [word for place in places for word in ("--constant", place)]
    code, report, err = insignia("atlas", "add", tmp_path / "atlas", tmp_path / "parts", *constants, "--json")
    assert code == 0, err
    assert report["studies"] == {"GSE1": 60}
    parts = tmp_path / "parts"
    code, report, err = insignia("atlas", "replace", tmp_path / "atlas", parts, *constants, "--json")
    assert code == 0, err
    assert report["replaced"] == ["GSE1"]


def test_shards_end_as_one_process_does_and_are_not_done_twice(insignia, work, tmp_path):
    cells, model = work / "cells.h5ad", work / "model"
    code, _, err = insignia("attribute", cells, "-m", model, "-o", tmp_path / "one.h5ad", "--json")
    assert code == 0, err
    code, part, err = insignia("attribute", cells, "-m", model, "-o", tmp_path / "parts", "--shard", "2/4", "--json")
    assert code == 0, err
    assert part == {
        "output": str(tmp_path / "parts" / "part-00002-of-00004.h5ad"),
        "shard": 2,
        "cells": 15,
        "is_new": True,
    }
    _, part, _ = insignia("attribute", cells, "-m", model, "-o", tmp_path / "parts", "--shard", "2/4", "--json")
    assert part["is_new"] is False
    code, found, err = insignia("attribute", cells, "-m", model, "-o", tmp_path / "parts", "--shards", "4", "--json")
    assert code == 0, err
    assert (found["cells"], found["shards"], found["written"], found["kept"]) == (60, 4, 3, 1)
    assert_same(tmp_path / "parts", tmp_path / "one.h5ad")
    code, _, err = insignia("attribute", cells, "-m", model, "-o", tmp_path / "parts", "--shards", "5")
    assert code == 2
    assert "part-00001-of-00004.h5ad" in err


def test_a_dry_run_says_cells_hours_and_disk_and_writes_nothing(insignia, work, tmp_path):
    common = ("attribute", work / "cells.h5ad", "-m", work / "model", "-o", tmp_path / "parts", "--dry-run")
    code, found, err = insignia(*common, "--shards", "6", "--json")
    assert code == 0, err
    assert set(found) == {"cells", "shards", "hours", "hours_per_shard", "disk_gb", "device", "precision_error"}
    assert (found["cells"], found["shards"]) == (60, 6)
    assert 0 < found["hours"] < 1
    assert 0 < found["disk_gb"] < 1
    lean, whole = (insignia(*common, *more, "--json")[1]["disk_gb"] for more in (("--lean",), ()))
    assert whole - lean == pytest.approx((work / "cells.h5ad").stat().st_size / 1e9)
    code, text, _ = insignia(*common)
    assert code == 0
    assert "hours" in text
    assert files(tmp_path) == []


REFUSED = {
    "A shard is I/N": ("--shard", "5/4"),
    "--shards takes a number from 1; found 0": ("--shards", "0"),
    "--shard 1/4 is one of 4 and --shards says 5": ("--shard", "1/4", "--shards", "5"),
    "--scheduler shares out all shards": ("--scheduler", "tcp://127.0.0.1:1"),
    "--processes shares out all shards": ("--processes", "2", "--shard", "1/4"),
    "found both": ("--scheduler", "tcp://127.0.0.1:1", "--processes", "2", "--shards", "2"),
    "from 1 to 60 shards": ("--shards", "61"),
    "executor takes a number of processes from 1": ("--shards", "2", "--processes", "0"),
}


@pytest.mark.parametrize("match", REFUSED)
def test_options_that_do_not_fit_are_refused(insignia, work, tmp_path, match):
    code, out, err = insignia(
        "attribute", work / "cells.h5ad", "-m", work / "model", "-o", tmp_path / "parts", *REFUSED[match]
    )
    assert (code, out) == (2, "")
    assert match in err
    assert files(tmp_path) == []


def test_the_array_script_ends_as_one_process_does(insignia, work, tmp_path):
    parts = tmp_path / "my parts"
    options = ("--target", "self_raw", "--n-steps", "30", "--signed", "--interpolate", "amounts")
    options += ("--device", "cpu", "--precision", "float64")
    code, script, err = insignia(
        "slurm", work / "cells.h5ad", "-m", work / "model", "-o", parts, "--shards", "2", *options,
        "--time", "01:00:00", "--mem", "8G", "--cpus", "1", "--partition", "short", "--setup", "export SET_UP=yes",
        "--gpus", "1",
    )  # fmt: skip
    assert code == 0, err
    lines = script.splitlines()
    assert lines[0] == "#!/bin/bash"
    for line in ("array=1-2", "cpus-per-task=1", "mem=8G", "time=01:00:00", "partition=short", "gres=gpu:1"):
        assert f"#SBATCH --{line}" in lines
    assert "export SET_UP=yes" in lines
    (tmp_path / "array.sh").write_text(script)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for task in ("2", "1"):
        environment = {**os.environ, "PATH": path, "SLURM_ARRAY_TASK_ID": task, "SLURM_CPUS_PER_TASK": "1"}
        done = subprocess.run(
            ["bash", str(tmp_path / "array.sh")],
            env=environment, cwd=tmp_path, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    code, _, err = insignia(
        "attribute", work / "cells.h5ad", "-m", work / "model", "-o", tmp_path / "one.h5ad", *options, "--json"
    )
    assert code == 0, err
    assert_same(parts, tmp_path / "one.h5ad")
    after = next(line for line in lines if line.endswith("--shards 2")).removeprefix("#").strip()
    done = subprocess.run(
        ["bash", "-c", f"{after} --json"],
        env={**os.environ, "PATH": path}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["kept"] == 2
    missing = subprocess.run(["bash", str(tmp_path / "array.sh")], check=False, capture_output=True, text=True)
    assert missing.returncode != 0
    assert "SLURM_ARRAY_TASK_ID" in missing.stderr


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (("--shards", "0"), "--shards and --cpus take numbers from 1"),
        (("--shards", "2", "--cpus", "0"), "--shards and --cpus take numbers from 1"),
        (("--shards", "2", "--mem", "16G\nrm -r x"), "--mem takes one word"),
        (("--shards", "2", "--partition", "a b"), "--partition takes one word"),
        (("--shards", "2", "--n-steps", "many"), "--n-steps takes a number"),
        (("--shards", "2", "--gpus", "-1"), "--gpus from 0"),
        (("--shards", "2", "--precision", "half"), "--precision is one of float32, float64, bf16; found 'half'"),
        (("--shards", "2", "--interpolate", "counts"), "--interpolate is one of values, amounts; found 'counts'"),
    ],
)
def test_scripts_that_sbatch_would_misread_are_refused(insignia, options, match):
    code, out, err = insignia("slurm", "cells.h5ad", "-m", "model", "-o", "parts", *options)
    assert (code, out) == (2, "")
    assert match in err


def test_the_script_can_be_had_as_json(insignia):
    code, found, _ = insignia("slurm", "cells.h5ad", "-m", "model", "-o", "parts", "--shards", "2", "--json")
    assert code == 0
    assert found["script"].startswith("#!/bin/bash\n#SBATCH")
