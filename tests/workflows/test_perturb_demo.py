"""The perturbation demo writes what it says, and what was planted is found again."""

import anndata
import numpy as np
import pytest

from insignia.core.errors import InputError
from insignia.data import read_split
from insignia.perturb import load_model
from insignia.workflows import demos


def test_the_quick_demo(tmp_path):
    out = tmp_path / "out"
    summary = demos["perturb"](out, quick=True, show_progress=False)
    # programs are read from cells, and 0 is chance
    assert summary["programs_agreement"] > 0.6
    scores = {stratum: {name: row["l2"] for name, row in of.items()} for stratum, of in summary["scores"].items()}
    assert set(scores) >= {"unseen single", "seen 2 of 2"}
    for of in scores.values():
        assert of["half, shrunk to the mean"] < min(of["flow"], of["perturbed_mean"])
        assert of["flow"] < of["control"]
    # an embedding tells of genes that were never perturbed; a shuffled one does not
    assert scores["unseen single"]["flow"] < scores["unseen single"]["flow, shuffled embedding"]
    assert scores["seen 2 of 2"]["flow"] < scores["seen 2 of 2"]["perturbed_mean"]
    assert summary["winner"].startswith("Who wins by l2:")
    for name in ("report.html", "program_map.png", "effects.png", "cells.png", "scores.png"):
        assert (out / name).stat().st_size > 1000
    assert (out / "evaluation" / "scoreboard.md").read_text().rstrip().endswith(summary["winner"])
    assert summary["winner"].split("; ")[0] in (out / "report.html").read_text()
    cells = anndata.read_h5ad(out / "predicted.h5ad")
    again = load_model(out / "model").predict(summary["predicted_pair"], n_cells=200)
    np.testing.assert_allclose(cells.X, again.X, atol=1e-5)
    assert summary["predicted_pair"] not in (
        *read_split(out / "split.json").train,
        *read_split(out / "split.json").test,
    )
    with pytest.raises(InputError, match="overwrites nothing"):
        demos["perturb"](out, quick=True, show_progress=False)
