"""What importing and opening costs, and where compiled code goes."""

import os
import subprocess
import sys

from benchmarks.attack.atlas_cells import cells, make_atlas


def run(code, **env):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **env})
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_and_opening_load_neither_numba_nor_duckdb(tmp_path):
    path = make_atlas(tmp_path / "a", cells("S1", 5)).path
    code = (
        "import sys; from insignia.atlas import Atlas\n"
        f"Atlas.open({str(path)!r}).info()\n"
        "print('torch' in sys.modules, 'duckdb' in sys.modules, 'insignia.atlas.kernels' in sys.modules)"
    )
    assert run(code) == ["False", "False", "False"]


def test_compiled_code_goes_to_the_cache_folder(tmp_path):
    path = make_atlas(tmp_path / "a", cells("S1", 5)).path
    code = (
        "import numba; from insignia.atlas import Atlas\n"
        f"Atlas.open({str(path)!r}).search(['GENE3'])\n"
        "print(repr(numba.config.CACHE_DIR))"
    )
    environment = {"INSIGNIA_CACHE": str(tmp_path / "cache"), "NUMBA_CACHE_DIR": ""}
    assert run(code, **environment) == ["''"]
    assert list((tmp_path / "cache" / "numba").rglob("*.nbi"))
