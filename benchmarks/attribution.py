"""Speed and sameness of integrated gradients against Captum.

Ours against Captum's IntegratedGradients driving the same network (28,231-1024-1024-128, 50 steps), one thread each,
Captum at its best batch size, timed in turns in one process. Peak memory is that of a fresh process each.

    python -m benchmarks.attribution [--quick]
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = os.environ["INSIGNIA_THREADS"] = "1"

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from insignia.attribution import AttributeOptions, PathOptions, Runner
from insignia.data import Expression
from insignia.genes import GeneVocabulary
from insignia.models import MLPEncoder
from insignia.models.scimilarity import SCimilarityNetwork, encoder_from_network

GENES, HIDDEN, LATENT, STEPS, EXPRESSED = 28_231, (1024, 1024), 128, 50, 1_700
BATCHES = (1, 2, 4, 8)


def network() -> tuple[SCimilarityNetwork, MLPEncoder]:
    """Make one random network, as published and as insignia loads it; batch norms with non-trivial statistics."""
    torch.manual_seed(0)
    module = SCimilarityNetwork(GENES, HIDDEN, LATENT).eval().requires_grad_(False)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2.0)
    genes = GeneVocabulary.from_names([f"GENE{i}" for i in range(GENES)], organism="human")
    return module, encoder_from_network("benchmark", genes, module)


def cells(n: int) -> AnnData:
    """Draw counts with about 1,700 expressed genes a cell."""
    rng = np.random.default_rng(0)
    places = np.concatenate([np.sort(rng.choice(GENES, EXPRESSED, replace=False)) for _ in range(n)])
    counts = rng.geometric(0.4, size=len(places)).astype(np.float32)
    matrix = csr_matrix((counts, places, np.arange(n + 1) * EXPRESSED), shape=(n, GENES))
    names = [f"GENE{i}" for i in range(GENES)]
    return AnnData(matrix, obs=pd.DataFrame(index=[f"c{i}" for i in range(n)]), var=pd.DataFrame(index=names))


def ours(encoder: MLPEncoder, adata: AnnData) -> csr_matrix:
    """Signed attributions through the public runner, checks and scaling included."""
    expression = Expression.from_adata(adata, input_space="counts", organism="human")
    options = AttributeOptions(signed=True, path=PathOptions(n_steps=STEPS))
    blocks = Runner(encoder, expression, options).blocks(show_progress=False)
    return csr_matrix(np.concatenate([block.attribution.toarray() for block in blocks]))


def captums(module: SCimilarityNetwork, values: Tensor, batch: int) -> np.ndarray:
    """Ask Captum for the same, with rows scaled alike."""
    from captum.attr import IntegratedGradients

    held = module(values)

    def score(x: Tensor, weights: Tensor) -> Tensor:
        return (module(x) * weights).sum(1)

    engine = IntegratedGradients(score)
    rows = []
    for start in range(0, len(values), batch):
        here = slice(start, start + batch)
        rows.append(engine.attribute(values[here], n_steps=STEPS, additional_forward_args=(held[here],)).numpy())
    attribution = np.concatenate(rows)
    return attribution / np.abs(attribution).sum(1, keepdims=True) * 1000


def peak_memory(engine: str, n: int) -> float:
    """MiB that a fresh process needs beyond network and cells."""
    command = [sys.executable, "-m", "benchmarks.attribution", "--memory", engine, "--cells", str(n)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(printed.strip().splitlines()[-1])


def measure_memory(engine: str, n: int) -> None:
    """Print the growth of the peak resident set over one run."""
    module, encoder = network()
    adata = cells(n)
    values = model_input(encoder, adata)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    if engine == "ours":
        ours(encoder, adata)
    else:
        captums(module, values, int(engine.removeprefix("captum-")))
    print(resident("VmHWM") - before)


def resident(field: str) -> float:
    """Resident set of this process in MiB: now (VmRSS), or the most since it was cleared (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def model_input(encoder: MLPEncoder, adata: AnnData) -> Tensor:
    """Log-normalised values, dense, as Captum takes them."""
    expression = Expression.from_adata(adata, input_space="counts", organism="human")
    return torch.from_numpy(encoder.prepare(expression.block(0, adata.n_obs)).values.toarray())


def main() -> None:
    """Run the benchmark and print its table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--memory", default="")
    parser.add_argument("--cells", type=int, default=0)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    torch.set_num_threads(1)
    if arguments.memory:
        measure_memory(arguments.memory, arguments.cells)
        return
    print(json.dumps(compare(n=128 if arguments.quick else 1024, repeats=3 if arguments.quick else 5)))


def compare(*, n: int, repeats: int) -> dict[str, object]:
    """Time both engines in turns."""
    import captum

    module, encoder = network()
    few = cells(16)
    values = model_input(encoder, few)
    many = cells(n)
    reference = captums(module, values, 4)
    difference = np.linalg.norm(ours(encoder, few).toarray() - reference) / np.linalg.norm(reference)
    ours_s: list[float] = []
    captum_s: dict[int, list[float]] = {batch: [] for batch in BATCHES}
    for _ in range(repeats):
        ours_s.append(timed(lambda: ours(encoder, many)) / n)
        for batch in BATCHES:
            captum_s[batch].append(timed(lambda batch=batch: captums(module, values, batch)) / len(few))
    best = min(BATCHES, key=lambda batch: np.median(captum_s[batch]))
    mine, theirs = float(np.median(ours_s)), float(np.median(captum_s[best]))
    memory = {"ours": peak_memory("ours", 256), "captum": peak_memory(f"captum-{best}", 16)}
    print(f"network {GENES}-{HIDDEN}-{LATENT}, {STEPS} steps, {EXPRESSED} expressed genes, one thread")
    print(f"{'':10}{'ms/cell':>10}{'cells/s':>10}{'peak MiB':>10}")
    print(f"{'insignia':10}{mine * 1e3:10.2f}{1 / mine:10.1f}{memory['ours']:10.0f}")
    print(f"{'captum':10}{theirs * 1e3:10.2f}{1 / theirs:10.1f}{memory['captum']:10.0f}   (batch {best})")
    return {
        "benchmark": "attribution",
        "speedup_vs_captum": round(theirs / mine, 2),
        "relative_difference": float(f"{difference:.3g}"),
        "cells_per_second": round(1 / mine, 1),
        "captum_cells_per_second": round(1 / theirs, 1),
        "captum_best_batch": best,
        "peak_mib": {name: round(value) for name, value in memory.items()},
        "versions": {"torch": torch.__version__, "captum": captum.__version__},
    }


def timed(work: object) -> float:
    """Seconds that `work` takes."""
    start = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
