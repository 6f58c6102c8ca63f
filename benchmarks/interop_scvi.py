"""Compare embeddings of scVI and scANVI directories with those of scvi-tools itself, over its options.

scvi-tools is not a dependency: name the python of an environment that has it. There, tiny models are trained for two
epochs and saved with their latent representations and label probabilities; here they are loaded and compared.

    python -m benchmarks.interop_scvi PYTHON

The last line is one JSON object.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import anndata
import numpy as np
import torch

from insignia import models, tl

TOLERANCE = 1e-5

TRAIN = """
import sys
import warnings
import anndata
import numpy as np
import pandas as pd
import scvi
from scipy.sparse import csr_matrix

warnings.filterwarnings("ignore")
folder = sys.argv[1]
rng = np.random.default_rng(0)
shape = cells, genes = 300, 120
obs = pd.DataFrame(
    {
        "batch": rng.choice(["b1", "b2", "b3"], cells),
        "site": rng.choice([1, 2], cells),
        "lane": rng.choice(["x", "y", "z"], cells),
        "age": rng.normal(size=cells),
        "cell_type": rng.choice(["B", "T", "Unknown"], cells),
    },
    index=[f"c{i}" for i in range(cells)],
)
counts = rng.poisson(rng.gamma(0.5, 2, size=shape)).astype(np.float32)
adata = anndata.AnnData(csr_matrix(counts), obs=obs, var=pd.DataFrame(index=[f"GENE{i}" for i in range(genes)]))
adata.write_h5ad(f"{folder}/cells.h5ad")

batch = {"batch_key": "batch"}
everything = batch | {"categorical_covariate_keys": ["site", "lane"], "continuous_covariate_keys": ["age"]}
encoded = {"n_layers": 2, "encode_covariates": True}
labels = batch | {"labels_key": "cell_type", "unlabeled_category": "Unknown"}
layer_norm = {"use_layer_norm": "both", "use_batch_norm": "none"}
MODELS = {
    "defaults": ("SCVI", {}, {}),
    "three_layers": ("SCVI", batch, {"n_layers": 3}),
    "no_norm": ("SCVI", {}, {"use_batch_norm": "none"}),
    "both_norms": ("SCVI", {}, {"use_layer_norm": "both"}),
    "no_logarithm": ("SCVI", {}, {"log_variational": False}),
    "covariates": ("SCVI", everything, encoded),
    "covariates_first": ("SCVI", everything, encoded | layer_norm | {"deeply_inject_covariates": False}),
    "batch_embedding": ("SCVI", everything, encoded | {"batch_representation": "embedding"}),
    "scanvi": ("SCANVI", labels, {"n_layers": 2}),
    "scanvi_linear": ("SCANVI", labels, {"linear_classifier": True} | layer_norm),
}
found = {}
for name, (kind, setup, options) in MODELS.items():
    data = adata.copy()
    cls = getattr(scvi.model, kind)
    cls.setup_anndata(data, **setup)
    model = cls(data, **options)
    model.train(max_epochs=2, accelerator="cpu", enable_progress_bar=False)
    model.save(f"{folder}/{name}", overwrite=True)
    found[name] = model.get_latent_representation(data)
    if kind == "SCANVI":
        found[f"{name}/labels"] = model.predict(data, soft=True).to_numpy()
np.savez(f"{folder}/latent.npz", version=scvi.__version__, **found)
"""


def compare(folder: Path) -> dict[str, tuple[float, float]]:
    """Largest difference of each model's embeddings, and of scANVI's probabilities, beside their spread over cells."""
    adata = anndata.read_h5ad(folder / "cells.h5ad")
    expected = np.load(folder / "latent.npz")
    differences = {}
    for name in expected.files:
        if name == "version" or name.endswith("/labels"):
            continue
        model = models.load(folder / name)
        tl.embed(adata, model, key_added=name)
        differences[name] = _difference(adata.obsm[name], expected[name])
        if model.labels:
            found = torch.softmax(model.classify(torch.from_numpy(adata.obsm[name])), dim=1).numpy()
            differences[f"{name}/labels"] = _difference(found, expected[f"{name}/labels"])
    return differences


def _difference(found: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    return float(np.abs(found - expected).max()), float(np.std(expected, axis=0).max())


def main() -> None:
    """Train there, compare here."""
    with tempfile.TemporaryDirectory() as name:
        subprocess.run(
            [sys.argv[1], "-c", TRAIN, name], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        differences = compare(Path(name))
        version = str(np.load(Path(name) / "latent.npz")["version"])
    for label, (difference, spread) in differences.items():
        print(f"{label:24} {difference:.1e} of a spread of {spread:.1e}")
    print(json.dumps({"scvi-tools": version, "differences": differences}))
    if max(difference for difference, _ in differences.values()) > TOLERANCE:
        raise SystemExit(f"Some differ by more than {TOLERANCE}.")


if __name__ == "__main__":
    main()
