"""Models written here, opened in the `scimilarity` package, and whether both embed and annotate cells alike.

    python -m benchmarks.interop --python PATH

PATH is the Python of an environment that holds `scimilarity` 0.4 (its requirements pin other versions than ours, so it
is kept apart). Needs the extra `[scimilarity]` here. The last line is JSON.
"""

import argparse
import json
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

import anndata
import hnswlib
import numpy as np
import pandas as pd
import torch

from insignia import models, tl
from insignia.data import simulate_planted
from insignia.models import MLPEncoder

HIDDEN, LATENT, GENES, REFERENCE, QUERY = (64, 48), 24, 300, 800, 200
NEIGHBOURS = 50

THERE = """
import json, sys
from importlib.metadata import version
import anndata, numpy, torch
from scimilarity import CellAnnotation, align_dataset, lognorm_counts
folder = sys.argv[1]
theirs = CellAnnotation(model_path=folder + "/model")
cells = anndata.read_h5ad(folder + "/query.h5ad")
cells.layers["counts"] = cells.X.copy()
cells = lognorm_counts(align_dataset(cells, theirs.gene_order, gene_overlap_threshold=1))
embedding = theirs.get_embeddings(cells.X)
types, _, distances, _ = theirs.get_predictions_knn(embedding, k=int(sys.argv[2]), disable_progress=True)
numpy.savez(
    folder + "/theirs.npz", embedding=embedding, types=types.to_numpy(dtype=str), distance=distances.min(axis=1)
)
versions = {name: version(name) for name in ("scimilarity", "torch", "anndata", "scanpy", "hnswlib", "numpy")}
print(json.dumps(versions))
"""


def write_model(folder: Path) -> tuple[MLPEncoder, anndata.AnnData, anndata.AnnData]:
    """Train on simulated cells, write the directory, and return the encoder, reference and query cells."""
    cells = simulate_planted(n_cells=REFERENCE + QUERY, n_genes=GENES, rng=0).adata
    reference, query = cells[:REFERENCE].copy(), cells[REFERENCE:].copy()
    options = models.TrainOptions(epochs=2)
    encoder = models.train(
        reference,
        labels="cell_type",
        output=folder / "model",
        hidden=HIDDEN,
        latent=LATENT,
        options=options,
        show_progress=False,
    )
    query.write_h5ad(folder / "query.h5ad")
    return encoder, reference, query


def write_annotation(folder: Path, embedding: np.ndarray, labels: pd.Series) -> None:
    """Add the labelled reference cells to a model directory, as the package's own script does."""
    folder.mkdir()
    index = hnswlib.Index(space="cosine", dim=embedding.shape[1])
    index.init_index(max_elements=len(embedding), ef_construction=200, M=16)
    index.add_items(embedding, np.arange(len(embedding)), num_threads=1)
    index.save_index(str(folder / "labelled_kNN.bin"))
    (folder / "reference_labels.tsv").write_text("".join(f"{label}\tsimulated\n" for label in labels))


def compare(folder: Path, python: str) -> dict[str, object]:
    """Embed and annotate the same cells on both sides."""
    encoder, reference, query = write_model(folder)
    tl.embed(reference, encoder, key_added="mine")
    write_annotation(folder / "model" / "annotation", reference.obsm["mine"], reference.obs["cell_type"])
    tl.embed(query, encoder, key_added="mine")
    tl.annotate(query, folder / "model", folder / "model", n_neighbors=NEIGHBOURS)
    command = [python, "-c", THERE, str(folder), str(NEIGHBOURS)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{python} could not use the model:\n{done.stderr[-3000:]}")
    versions = json.loads(done.stdout.strip().splitlines()[-1])
    theirs = np.load(folder / "theirs.npz")
    distance = query.obs["cell_type_predicted_dist"].to_numpy()
    same = query.obs["cell_type_predicted"].astype(str).to_numpy() == theirs["types"]
    return {
        "benchmark": "interop",
        "scimilarity_version": versions["scimilarity"],
        "scimilarity_max_difference": float(np.abs(query.obsm["mine"] - theirs["embedding"]).max()),
        "scimilarity_same_cell_types": float(same.mean()),
        "scimilarity_max_distance_difference": float(np.abs(distance - theirs["distance"]).max()),
        "cells": len(same),
        "genes": len(encoder.genes),
        "mean_share_of_votes": round(float(query.obs["cell_type_predicted_share"].mean()), 3),
        "versions": {name: version(name) for name in versions if name != "scimilarity" and name != "scanpy"},
        "scimilarity_versions": versions,
    }


def main() -> None:
    """Run the comparison and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True, help="Python of an environment that holds scimilarity")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(compare(Path(folder), arguments.python)))


if __name__ == "__main__":
    main()
