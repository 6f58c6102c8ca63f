"""What the tests of pipelines share: small studies, and commands called `insignia` that stand in for it."""

import os
import stat
import sys
from pathlib import Path

STAND_IN = """#!/bin/sh
# Writes down how it is called, and makes the files that it is told to make.
[ "$1" = --version ] && { echo 1.2.3; exit; }
echo "$@" >> "$CALLS"
[ "$1 $2" = "atlas create" ] && { mkdir -p "$3"; touch "$3/atlas.json"; }
while [ $# -gt 0 ]; do
    case "$1" in --output|--table) touch "$2" ;; esac
    shift
done
"""
REAL = f"""#!/bin/sh
exec "{sys.executable}" -m insignia "$@"
"""


def command(folder, text):
    """Put a command called `insignia` into a folder, and return an environment that finds it first."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "insignia"
    file.write_text(text)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PATH": path, "CALLS": str(folder / "calls.txt")}


def calls(environment):
    """How the stand-in was called, one line a call."""
    return Path(environment["CALLS"]).read_text().splitlines()


def studies(folder):
    """Write two studies of simulated cells and a model of them."""
    from insignia import models
    from insignia.data import simulate_cohort, write_h5ad

    made = simulate_cohort(n_studies=2, samples_per_study=3, cells_per_sample=40, rng=0).studies
    (folder / "studies").mkdir()
    for cells in made:
        write_h5ad(cells, folder / "studies" / f"{cells.obs['study'].iloc[0]}.h5ad")
    models.train(
        made[0],
        labels="cell_type",
        output=folder / "model",
        hidden=(16,),
        latent=8,
        options=models.TrainOptions(epochs=1),
        show_progress=False,
    )
