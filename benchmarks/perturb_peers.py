"""GEARS and CellFlow on the same simulated split as our own predictors, by the same figures and on the same machine.

    python -m benchmarks.perturb_peers [--gears PYTHON] [--cellflow PYTHON] [--quick]

PYTHON is that of an environment of its own with `cell-gears` and `torch_geometric`, or with `cellflow-tools`; both pin
other versions than ours. Each gets the training cells that ours get, and the same embedding of the perturbed genes:
CellFlow as it is, GEARS as the graph of the nearest genes in place of its gene ontology, which simulated genes have
not. Their predictions come back as h5ad files and are read like anyone's. One thread each. The last line is JSON.
"""

import argparse
import json
import os
import pickle
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = os.environ["INSIGNIA_THREADS"] = "1"

import anndata
import numpy as np
import pandas as pd

from benchmarks.parts import surroundings
from insignia.data import Condition, PerturbationData, SimulatedScreen, Split, simulate_screen
from insignia.data.perturbation_splits import combo_split, training_cells
from insignia.perturb import ExternalPredictions, PerturbationModel, evaluate, fit, read_predictions
from insignia.perturb.evaluation.yardstick import divide_controls

SIZE = {"n_genes": 100, "n_programs": 8, "n_perturbations": 20, "n_doubles": 24, "cells_per_condition": 40}
QUICK_SIZE = {"n_genes": 60, "n_programs": 6, "n_perturbations": 12, "n_doubles": 14, "cells_per_condition": 30}
CONTROLS = 300
EFFORT = {"gears": {"epochs": 5}, "cellflow": {"iterations": 2000}}
QUICK_EFFORT = {"gears": {"epochs": 1}, "cellflow": {"iterations": 100}}

GEARS = """
import json, pickle, sys, warnings
from importlib.metadata import version
from pathlib import Path
warnings.filterwarnings("ignore")
import anndata, numpy, pandas, torch
from gears import GEARS, PertData
pandas.Series.nonzero = lambda series: series.to_numpy().nonzero()  # gone from pandas, and asked for by GEARS 0.1.2
torch.set_num_threads(1)
folder, epochs = Path(sys.argv[1]), json.loads(sys.argv[2])["epochs"]
table = json.loads((folder / "conditions.json").read_text())
cells = anndata.read_h5ad(folder / "train.h5ad")
cells.obs["condition"], cells.obs["cell_type"] = cells.obs["gears"].astype("category"), "simulated"
cells.var["gene_name"] = cells.var_names
data = PertData(str(folder / "gears"), gene_set_path=str(folder / "perturbed.pkl"), default_pert_graph=False)
data.new_data_process("simulated", adata=cells)
data.prepare_split(split="custom", split_dict_path=str(folder / "split.pkl"))
data.get_dataloader(batch_size=32, test_batch_size=128)
vectors = numpy.load(folder / "embedding.npz")
place = {gene: i for i, gene in enumerate(vectors["genes"])}
matrix = vectors["matrix"][[place[gene] for gene in data.pert_names]]
matrix = matrix / numpy.linalg.norm(matrix, axis=1, keepdims=True)
near = matrix @ matrix.T
numpy.fill_diagonal(near, -1)
chosen = numpy.argsort(-near, axis=1)[:, :5]
source, target = chosen.ravel(), numpy.repeat(numpy.arange(len(near)), 5)
weight = torch.tensor(numpy.maximum(near[target, source], 0), dtype=torch.float32)
model = GEARS(data, device="cpu")
model.model_initialize(hidden_size=64, G_go=torch.tensor(numpy.stack([source, target])), G_go_weight=weight)
model.train(epochs=epochs, lr=1e-3)
asked = [one["genes"] for one in table]
found = model.predict(asked)
means = numpy.stack([found["_".join(genes)] for genes in asked]).astype("float32")
made = anndata.AnnData(means, var=cells.var[[]])
made.obs["condition"] = ["+".join(genes) for genes in asked]
made.write_h5ad(folder / "gears.h5ad")
print(json.dumps({name: version(name) for name in ("cell-gears", "torch", "torch_geometric")}))
"""

CELLFLOW = """
import json, sys, warnings
from importlib.metadata import version
from pathlib import Path
warnings.filterwarnings("ignore")
import anndata, numpy, optax, pandas
from cellflow.model import CellFlow
folder, iterations = Path(sys.argv[1]), json.loads(sys.argv[2])["iterations"]
table = json.loads((folder / "conditions.json").read_text())
cells = anndata.read_h5ad(folder / "train.h5ad")
dense = cells.X.toarray()
centre = dense.mean(axis=0)
axes = numpy.linalg.svd(dense - centre, full_matrices=False)[2][:30]
cells.obsm["X_pca"] = ((dense - centre) @ axes.T).astype("float32")
vectors = numpy.load(folder / "embedding.npz")
cells.uns["genes"] = dict(zip(vectors["genes"].tolist(), vectors["matrix"]))
cells.uns["genes"]["none"] = numpy.zeros(vectors["matrix"].shape[1], dtype="float32")
for column in ("pert1", "pert2"):
    cells.obs[column] = cells.obs[column].astype("category")
cells.obs["is_control"] = (cells.obs["pert1"].astype(str) == "none").to_numpy()
model = CellFlow(cells, solver="otfm")
model.prepare_data(
    sample_rep="X_pca", control_key="is_control", perturbation_covariates={"genes": ["pert1", "pert2"]},
    perturbation_covariate_reps={"genes": "genes"}, max_combination_length=2, null_value=0.0,
)
model.prepare_model(
    condition_embedding_dim=64, time_encoder_dims=(256, 256), hidden_dims=(256, 256), decoder_dims=(256, 256),
    cond_output_dropout=0.1, time_freqs=128, optimizer=optax.adam(5e-4), seed=0,
)
model.train(num_iterations=iterations, batch_size=128, valid_freq=iterations + 1)
controls = cells[cells.obs["is_control"].to_numpy()][:200].copy()
asked = pandas.DataFrame(
    {"pert1": [one["genes"][0] for one in table], "pert2": [(one["genes"] + ["none"])[1] for one in table],
     "is_control": False, "condition": ["+".join(one["genes"]) for one in table]}
)
found = model.predict(controls, asked, sample_rep="X_pca", condition_id_key="condition")
made = anndata.AnnData(
    numpy.concatenate([numpy.asarray(part) @ axes + centre for part in found.values()]).astype("float32"),
    var=cells.var[[]],
)
made.obs["condition"] = numpy.repeat(list(found), [len(part) for part in found.values()])
made.write_h5ad(folder / "cellflow.h5ad")
print(json.dumps({name: version(name) for name in ("cellflow-tools", "jax", "ott-jax")}))
"""

THERE = {"gears": GEARS, "cellflow": CELLFLOW}


def write_inputs(folder: Path, train: PerturbationData, screen: SimulatedScreen, split: Split) -> None:
    """Write training cells under the labels of both programs, the embedding, and what is to be predicted."""
    groups = [(condition, train.rows(condition, context)) for condition, context in train.groups]
    order = np.concatenate([rows for _, rows in groups])
    sizes = [len(rows) for _, rows in groups]
    genes = [[*condition.genes, "none", "none"][:2] for condition, _ in groups]
    labels = [gears_label(condition) for condition, _ in groups]
    obs = pd.DataFrame(np.repeat(np.array(genes), sizes, axis=0), columns=["pert1", "pert2"])
    obs["gears"] = np.repeat(labels, sizes)
    obs.index = pd.Index([f"c{i}" for i in range(len(obs))])
    var = pd.DataFrame(index=pd.Index(train.genes))
    anndata.AnnData(train.expression[order], obs=obs, var=var).write_h5ad(folder / "train.h5ad")
    asked = [Condition.parse(unit) for unit in split.test]
    (folder / "conditions.json").write_text(json.dumps([{"genes": list(one.genes)} for one in asked]))
    embedding = screen.priors.embedding
    assert embedding is not None
    np.savez(folder / "embedding.npz", genes=np.array(embedding.genes), matrix=embedding.matrix)
    # GEARS wants pickles of its own, and would else download them
    perturbed = sorted({gene for one in screen.data.conditions for gene in one.genes})
    (folder / "gears").mkdir()
    (folder / "gears" / "gene2go_all.pkl").write_bytes(pickle.dumps({gene: {gene} for gene in perturbed}))
    (folder / "perturbed.pkl").write_bytes(pickle.dumps(perturbed))
    known = [label for label in labels if label != "ctrl"]
    kept = {"train": ["ctrl", *known[2:]], "val": known[:2], "test": known[:2]}
    (folder / "split.pkl").write_bytes(pickle.dumps(kept))


def gears_label(condition: Condition) -> str:
    """Write a condition as GEARS does."""
    return "+".join([*condition.genes, "ctrl"][: max(2, len(condition.genes))]) if condition.genes else "ctrl"


def predict_there(name: str, python: str, folder: Path, effort: dict[str, int]) -> dict[str, Any]:
    """Train and predict in the other environment; say what it took, or why it failed."""
    started = time.perf_counter()
    command = [python, "-c", THERE[name], str(folder), json.dumps(effort)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed in {python}:\n{done.stderr[-3000:]}")
    versions = json.loads(done.stdout.strip().splitlines()[-1])
    return {"seconds": round(time.perf_counter() - started, 1), "versions": versions, **effort}


def main() -> None:
    """Run the comparison and print the table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in THERE:
        parser.add_argument(f"--{name}", help=f"Python of an environment that holds {name}")
    parser.add_argument("--quick", action="store_true", help="a tiny screen and hardly any training")
    arguments = parser.parse_args()
    size, effort = (QUICK_SIZE, QUICK_EFFORT) if arguments.quick else (SIZE, EFFORT)
    screen = simulate_screen(rng=0, n_controls=CONTROLS, **size)
    split = combo_split(screen.data, rng=0)
    rest, _, _ = divide_controls(screen.data, rng=np.random.default_rng(0))
    started = time.perf_counter()
    short = {"epochs": 1, "n_folds": 2} if arguments.quick else {}
    flow = fit(screen.data, split, method="flow", priors=screen.priors, show_progress=False, **short)
    facts: dict[str, Any] = {"flow": {"seconds": round(time.perf_counter() - started, 1)}}
    found: dict[str, PerturbationModel | ExternalPredictions] = {"flow": flow}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_inputs(folder, training_cells(rest, split), screen, split)
        for name in THERE:
            if python := getattr(arguments, name):
                facts[name] = predict_there(name, python, folder, effort[name])
                found[name] = read_predictions(folder / f"{name}.h5ad", screen.data)
    board = evaluate(screen.data, split, found, priors=screen.priors, show_progress=False)
    print(board)
    table = board.summary(["l2", "pearson_delta", "edistance", "pds_l1"]).reset_index()
    record = {"benchmark": "perturb_peers", "quick": arguments.quick, "there": facts, "size": size} | surroundings()
    rows = table[["stratum", "role", "method", "n", "l2", "pearson_delta", "edistance", "pds_l1"]]
    print(json.dumps(record | {"rows": json.loads(rows.round(3).to_json(orient="records"))}))


if __name__ == "__main__":
    main()
