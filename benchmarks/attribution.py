"""Speed and sameness of integrated gradients against Captum.

Ours against Captum's IntegratedGradients driving the same network in the published shape of a family (SCimilarity:
28,231-1024-1024-128), 50 steps, one thread each, Captum at its best batch size, timed in turns in one process. Peak
memory is that of a fresh process each.

    python -m benchmarks.attribution [--quick]
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = os.environ["INSIGNIA_THREADS"] = "1"

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from insignia.attribution import AttributedBlock, AttributeOptions, PathOptions, Runner
from insignia.data import Expression
from insignia.genes import GeneVocabulary
from insignia.models import MLPEncoder
from insignia.models.scimilarity import SCimilarityNetwork, encoder_from_network

STEPS, BATCHES = 50, (1, 2, 4, 8)


@dataclass(frozen=True)
class Shape:
    """Sizes of a family's published network, and how many genes its cells express."""

    genes: int
    widths: tuple[int, ...]
    activation: type[nn.Module]
    expressed: int
    is_normalised: bool = False


SHAPES = {
    "scimilarity": Shape(28_231, (1024, 1024, 128), nn.PReLU, 1_700, is_normalised=True),
    "ssl_sctab": Shape(19_331, (512, 512, 256, 256, 64), nn.SELU, 1_500),
    "scvi": Shape(8_000, (512, 512, 50), nn.ReLU, 900),
    "pca": Shape(28_231, (50,), nn.Identity, 1_700),
}


def network(shape: Shape) -> MLPEncoder:
    """Make a random network; SCimilarity's with batch norms of non-trivial statistics, folded as when loaded."""
    torch.manual_seed(0)
    genes = GeneVocabulary.from_names([f"GENE{i}" for i in range(shape.genes)], organism="human")
    if shape.is_normalised:
        module = SCimilarityNetwork(shape.genes, shape.widths[:-1], shape.widths[-1]).eval().requires_grad_(False)
        for part in module.modules():
            if isinstance(part, nn.BatchNorm1d):
                part.running_mean.normal_(0, 0.1)
                part.running_var.uniform_(0.5, 2.0)
        return encoder_from_network("benchmark", genes, module)
    layers: list[nn.Module] = []
    for size_in, size_out in pairwise((shape.genes, *shape.widths)):
        layers += [nn.Linear(size_in, size_out), shape.activation()]
    return MLPEncoder("benchmark", genes, layers[:-1], is_normalised=False, fingerprint="benchmark")


def cells(shape: Shape, n: int) -> AnnData:
    """Draw counts."""
    rng = np.random.default_rng(0)
    places = np.concatenate([np.sort(rng.choice(shape.genes, shape.expressed, replace=False)) for _ in range(n)])
    counts = rng.geometric(0.4, size=len(places)).astype(np.float32)
    matrix = csr_matrix((counts, places, np.arange(n + 1) * shape.expressed), shape=(n, shape.genes))
    names = [f"GENE{i}" for i in range(shape.genes)]
    return AnnData(matrix, obs=pd.DataFrame(index=[f"c{i}" for i in range(n)]), var=pd.DataFrame(index=names))


def ours(encoder: MLPEncoder, adata: AnnData) -> list[AttributedBlock]:
    """Attribute through the public runner, checks and scaling included."""
    expression = Expression.from_adata(adata, input_space="counts", organism="human")
    options = AttributeOptions(signed=True, path=PathOptions(n_steps=STEPS))
    return list(Runner(encoder, expression, options).blocks(show_progress=False))


def captums(encoder: MLPEncoder, values: Tensor, batch: int) -> np.ndarray:
    """Ask Captum for the same, with rows scaled alike."""
    from captum.attr import IntegratedGradients

    def embed(x: Tensor) -> Tensor:
        return encoder.embedding(encoder.module(x))

    def score(x: Tensor, weights: Tensor) -> Tensor:
        return (embed(x) * weights).sum(1)

    held = embed(values)
    engine = IntegratedGradients(score)
    rows = []
    for start in range(0, len(values), batch):
        here = slice(start, start + batch)
        rows.append(engine.attribute(values[here], n_steps=STEPS, additional_forward_args=(held[here],)).numpy())
    attribution = np.concatenate(rows)
    return attribution / np.abs(attribution).sum(1, keepdims=True) * 1000


def peak_memory(engine: str, n: int) -> float:
    """MiB that a fresh process needs beyond network and cells, for the SCimilarity shape."""
    command = [sys.executable, "-m", "benchmarks.attribution", "--memory", engine, "--cells", str(n)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(printed.strip().splitlines()[-1])


def measure_memory(engine: str, n: int) -> None:
    """Print the growth of the peak resident set over one run."""
    shape = SHAPES["scimilarity"]
    encoder, adata = network(shape), cells(shape, n)
    values = model_input(encoder, adata)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    if engine == "ours":
        ours(encoder, adata)
    else:
        captums(encoder, values, int(engine.removeprefix("captum-")))
    print(resident("VmHWM") - before)


def resident(field: str) -> float:
    """Resident set of this process in MiB: now (VmRSS), or the most since it was cleared (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def model_input(encoder: MLPEncoder, adata: AnnData) -> Tensor:
    """Log-normalised values, dense, as Captum takes them."""
    expression = Expression.from_adata(adata, input_space="counts", organism="human")
    return torch.from_numpy(encoder.prepare(expression.block(0, adata.n_obs)).values.toarray())


def compare(shape: Shape, *, n: int, repeats: int) -> dict[str, float]:
    """Time both engines in turns on one shape."""
    encoder, few, many = network(shape), cells(shape, 16), cells(shape, n)
    values = model_input(encoder, few)
    reference = captums(encoder, values, 4)
    (block,) = ours(encoder, few)
    difference = np.linalg.norm(block.attribution.toarray() - reference) / np.linalg.norm(reference)
    ours_s: list[float] = []
    captum_s: dict[int, list[float]] = {batch: [] for batch in BATCHES}
    for _ in range(repeats):
        ours_s.append(timed(partial(ours, encoder, many)) / n)
        for batch in BATCHES:
            captum_s[batch].append(timed(partial(captums, encoder, values, batch)) / len(few))
    best = min(BATCHES, key=lambda batch: np.median(captum_s[batch]))
    mine, theirs = float(np.median(ours_s)), float(np.median(captum_s[best]))
    return {
        "speedup": round(theirs / mine, 2),
        "relative_difference": float(f"{difference:.3g}"),
        "completeness_gap": float(f"{np.nanmedian(block.gap):.3g}"),
        "cells_per_second": round(1 / mine, 1),
        "captum_cells_per_second": round(1 / theirs, 1),
        "captum_best_batch": best,
    }


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Run the benchmark and print its table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--memory", default="", help=argparse.SUPPRESS)
    parser.add_argument("--cells", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    torch.set_num_threads(1)
    if arguments.memory:
        measure_memory(arguments.memory, arguments.cells)
        return
    import captum

    n, repeats = (128, 2) if arguments.quick else (1024, 5)
    rows = {name: compare(shape, n=n, repeats=repeats) for name, shape in SHAPES.items()}
    print(f"{STEPS} steps, one thread each")
    print(pd.DataFrame(rows).T.to_string())
    main_row = rows["scimilarity"]
    memory = {"ours": peak_memory("ours", 256), "captum": peak_memory(f"captum-{main_row['captum_best_batch']}", 16)}
    result = {
        "benchmark": "attribution",
        "speedup_vs_captum": main_row["speedup"],
        **main_row,
        "peak_mib": {name: round(value) for name, value in memory.items()},
        "rows": rows,
        "versions": {"torch": torch.__version__, "captum": captum.__version__},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
