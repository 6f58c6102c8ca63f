"""What a reader of each how-to has before its first line: one function a page, which writes it into a folder."""

import zlib

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from scipy import sparse
from tests.lookalikes import census as census_on_disk
from tests.lookalikes import her2st as her2st_download
from tests.lookalikes import scimilarity
from torch import nn

from insignia import models
from insignia.data import (
    simulate_cohort,
    simulate_screen,
)

__all__ = ["PAGES"]

SIZES = {"n_studies": 8, "samples_per_study": 12, "cells_per_sample": 40, "n_genes": 400}
SCREEN = {
    "n_genes": 120,
    "n_perturbations": 24,
    "n_doubles": 24,
    "n_controls": 300,
    "cells_per_condition": 40,
}


def _studies(**changes):
    return simulate_cohort(**SIZES | changes, rng=0).studies


def checkpoint(folder):
    """A look-alike of SCimilarity, weights and genes of a network, and cells."""
    (folder / "scimilarity").mkdir()
    scimilarity.build(folder / "scimilarity")
    study = _studies()[0]
    study.write_h5ad(folder / "cells.h5ad")
    (folder / "my_model").mkdir()
    (folder / "my_model" / "genes.txt").write_text("\n".join(study.var_names))
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(study.n_vars, 64), nn.ReLU(), nn.Linear(64, 16))
    torch.save(network.state_dict(), folder / "my_model" / "weights.pt")


def slurm(folder):
    """Cells, a trained model, and an environment to activate."""
    study = _studies()[0]
    study.write_h5ad(folder / "cells.h5ad")
    _train(study, folder / "model")
    (folder / "env" / "bin").mkdir(parents=True)
    (folder / "env" / "bin" / "activate").touch()


def census(folder):
    """A dataset under the names of the CELLxGENE schema, and a Census on disk in the layout of the real one."""
    pytest.importorskip("tiledbsoma", reason="the extra 'census' is not installed")
    study = _studies(samples_per_study=5)[0]
    _train(study, folder / "model")
    obs = study.obs.rename(columns={"donor": "donor_id"})[["donor_id", "tissue", "disease", "cell_type"]].astype(str)
    obs.insert(0, "dataset_id", "dataset-a")
    obs["is_primary_data"] = True
    var = pd.DataFrame({"feature_id": map(_ensembl, study.var_names), "feature_name": study.var_names})
    counts = sparse.csr_matrix(study.X, dtype=np.float32)
    AnnData(counts, obs=obs, var=var.set_index("feature_id")).write_h5ad(folder / "slice.h5ad")
    obs.loc[obs.index[len(obs) // 2 :], "dataset_id"] = "dataset-b"
    census_on_disk.build(folder / "census", counts.toarray(), obs, var, {"dataset-a": (), "dataset-b": range(20)})


def her2st(folder):
    """Three patients in the layout of HER2ST, without pictures."""
    (folder / "her2st").mkdir()
    her2st_download.build(folder / "her2st", genes=40)


def norman(folder):
    """A screen as GEARS shares one, and gene sets of the perturbed genes."""
    _write_screen(simulate_screen(**SCREEN, rng=0), folder, "norman.h5ad")


def nothing(folder):
    """The page makes what it needs."""


PAGES = {
    "census": census,
    "checkpoint": checkpoint,
    "geo": nothing,
    "her2st": her2st,
    "norman": norman,
    "ranking": nothing,
    "slurm": slurm,
    "tissue_signatures": nothing,
}


def _ensembl(gene):
    return f"ENSG{zlib.crc32(gene.encode()):011d}"


def _train(cells, folder):
    options = models.TrainOptions(epochs=3)
    models.train(cells, labels="cell_type", output=folder, options=options, rng=0, show_progress=False)


def _gears(genes):
    return "ctrl" if not genes else f"{genes[0]}+ctrl" if len(genes) == 1 else "+".join(genes)


def _write_screen(made, folder, name):
    data = made.data
    labels = [_gears(data.conditions[i].genes) for i in data.condition]
    obs = pd.DataFrame({"condition": labels, "cell_type": "K562"}, index=data.cells)
    AnnData(data.expression, obs=obs, var=pd.DataFrame(index=list(data.genes))).write_h5ad(folder / name)
    _write_sets(_sets_of_perturbed(made.truth), folder / "sets.gmt")


def _sets_of_perturbed(truth):
    """The perturbed genes that raise and that lower each program: what curated gene sets are at their best."""
    moved = {
        f"{name}{k + 1:02d}": sign * truth.single[:, k] > 0.3
        for k in range(truth.single.shape[1])
        for name, sign in (("raises", 1), ("lowers", -1))
    }
    return {name: np.array(truth.targets)[these] for name, these in moved.items() if these.any()}


def _write_sets(sets, path):
    path.write_text("".join(f"{name}\tsimulated\t" + "\t".join(genes) + "\n" for name, genes in sets.items()))
