"""Speed and sameness of integrated gradients against Captum, a row per family.

Ours against Captum's IntegratedGradients driving the same network in the published shape of a family (SCimilarity:
28,231-1024-1024-128; transformers at a quarter of their width and depth), 50 steps, one thread each, Captum at its best
batch size, in turns in one process, in seconds of the processor, which other work disturbs less than those of the clock
(a GPU is timed by the clock). For transformers Captum moves what we move, binned values, amounts or word embeddings.
Peak memory is that of a fresh process each. Where there is a GPU, ours is timed on it too.

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
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = os.environ["INSIGNIA_THREADS"] = "1"

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.shapes import SHAPES, Shape, cells
from insignia.attribution import AttributedBlock, AttributeOptions, PathOptions, Runner
from insignia.data import Expression
from insignia.models import Encoder, Inputs

STEPS, BATCHES, ATLAS = 50, (1, 2, 4, 8), 22e6


def expression(adata: AnnData) -> Expression:
    """Read cells as the benchmark does."""
    return Expression.from_adata(adata, input_space="counts", organism="human")


def ours(encoder: Encoder, adata: AnnData, **options: object) -> list[AttributedBlock]:
    """Attribute through the public runner, checks and scaling included."""
    made = AttributeOptions(signed=True, path=PathOptions(n_steps=STEPS), **{"device": "cpu", **options})
    return list(Runner(encoder, expression(adata), made).blocks(show_progress=False))


def captums(encoder: Encoder, inputs: Inputs, batch: int) -> np.ndarray:
    """Ask Captum for the same, with rows scaled alike."""
    from captum.attr import IntegratedGradients

    path = encoder.path(inputs, None)
    held = encoder.embedding(encoder.forward(path.end, path.context))
    fixed = list(path.context)

    def score(point: Tensor, weights: Tensor, *context: Tensor) -> Tensor:
        raw = encoder.forward(point, dict(zip(fixed, context, strict=True)))
        return (encoder.embedding(raw) * weights).sum(1)

    engine = IntegratedGradients(score)
    rows = []
    for start in range(0, len(path.end), batch):
        here = slice(start, start + batch)
        given = (held[here], *(path.context[name][here] for name in fixed))
        found = engine.attribute(path.end[here], path.start[here], n_steps=STEPS, additional_forward_args=given)
        context = {name: path.context[name][here] for name in fixed}
        rows.append(encoder.to_genes(found.detach(), context).numpy())
    attribution = np.concatenate(rows)
    return attribution / np.abs(attribution).sum(1, keepdims=True) * 1000


def model_input(encoder: Encoder, adata: AnnData) -> Inputs:
    """Cells as the network reads them; the genes are the model's, in its order."""
    return encoder.inputs(expression(adata).block(0, adata.n_obs))


def compare(shape: Shape, *, n: int, repeats: int, peak: float) -> dict[str, object]:
    """Time both engines in turns on one shape."""
    n_few, batches = (2, (1, 2)) if shape.is_token else (16, BATCHES)
    encoder, few, many = shape.encoder(), cells(shape, n_few), cells(shape, n)
    inputs = model_input(encoder, few)
    reference = captums(encoder, inputs, batches[-1])
    (block,) = ours(encoder, few)
    difference = np.linalg.norm(block.attribution.toarray() - reference) / np.linalg.norm(reference)
    ours_s: list[float] = []
    captum_s: dict[int, list[float]] = {batch: [] for batch in batches}
    for _ in range(repeats):
        ours_s.append(timed(partial(ours, encoder, many), time.process_time) / n)
        for batch in batches:
            captum_s[batch].append(timed(partial(captums, encoder, inputs, batch), time.process_time) / n_few)
    best = min(batches, key=lambda batch: np.median(captum_s[batch]))
    mine, theirs = float(np.median(ours_s)), float(np.median(captum_s[best]))
    return {
        "speedup": round(theirs / mine, 2),
        "relative_difference": float(f"{difference:.3g}"),
        "completeness_gap": float(f"{np.nanmedian(block.gap):.3g}"),
        "captum_cells_per_second": significant(1 / theirs),
        "captum_best_batch": best,
        **at_scale(shape, 1 / mine, peak),
    }


def at_scale(shape: Shape, cells_per_second: float, peak: float) -> dict[str, object]:
    """Say what a speed means: share of the arithmetic peak, and hours for an atlas of 22 million cells."""
    return {
        "cells_per_second": significant(cells_per_second),
        "share_of_peak": float(f"{operations(shape) * cells_per_second / peak:.3g}"),
        "hours_for_22_million_cells": significant(ATLAS / cells_per_second / 3600),
        "network": shape.network,
        "expressed_genes": shape.expressed,
    }


def operations(shape: Shape) -> float:
    """Floating-point operations for one cell when the path is followed node by node after the first layer.

    Those of the first layer count for expressed genes only. Walking through a piecewise-linear activation takes fewer,
    so that its share of the peak may pass 1; a GPU multiplies dense blocks, which counts for nothing here.
    """
    encoder = shape.encoder()
    inputs = model_input(encoder, cells(shape, 1))
    path = encoder.path(inputs, None)
    point, network, extra = path.end, encoder.forward, 0.0
    if encoder.first_layer is not None:
        point, network = encoder.first_layer.rows(inputs.values).project() + encoder.first_layer.bias, encoder.tail
        extra = 4.0 * inputs.values.nnz * len(encoder.first_layer.weight)
    # the counter knows the products of attention written out
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        network(point.clone().requires_grad_(), path.context).sum().backward()
    return extra + STEPS * counter.get_total_flops()


def arithmetic_peak(device: str, dtype: torch.dtype = torch.float32, size: int = 2048) -> float:
    """Floating-point operations a second of a large matrix product, the best of some."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))

    clock = time.process_time if device == "cpu" else time.perf_counter

    def multiply() -> float:
        return float((a @ b)[0, 0])

    return 2.0 * size**3 / min(timed(multiply, clock) for _ in range(6))


def on_gpu(*, quick: bool) -> dict[str, object]:
    """Time ours on a GPU, in float32 and with bfloat16; say why not where there is none."""
    if not torch.cuda.is_available():
        reason = f"no CUDA device here (torch {torch.__version__})"
        print(f"GPU rows are left out: {reason}")
        return {"left_out": reason}
    peaks = {"float32": torch.float32, "bf16": torch.bfloat16}
    peak = {name: arithmetic_peak("cuda", dtype, 8192) for name, dtype in peaks.items()}
    rows = {}
    for family, shape in SHAPES.items():
        encoder, adata = shape.encoder(), cells(shape, (256 if quick else 2048) if shape.is_token else 8192)
        for precision in peak:
            run = partial(ours, encoder, adata, device="cuda", precision=precision)
            run()
            seconds = min(timed(run) for _ in range(3)) / adata.n_obs
            rows[f"{family} {precision}"] = at_scale(shape, 1 / seconds, peak[precision]) | error_of(
                encoder, cells(shape, 64), precision
            )
    print(f"{torch.cuda.get_device_name()}, measured peak in Tflop/s: {[round(p / 1e12, 1) for p in peak.values()]}")
    print(pd.DataFrame(rows).T.to_string())
    return {"device": torch.cuda.get_device_name(), "peak_tflops": {n: p / 1e12 for n, p in peak.items()}, "rows": rows}


def error_of(encoder: Encoder, adata: AnnData, precision: str) -> dict[str, float]:
    """Tell how far a GPU is from the CPU, as the sum of differences over a cell's genes, rows scaled to 1."""
    there, here = (ours(encoder, adata, **how) for how in ({"device": "cuda", "precision": precision}, {}))
    moved = np.abs(there[0].attribution.toarray() - here[0].attribution.toarray()).sum(1) / 1000
    return {"difference_from_cpu": float(f"{np.median(moved):.3g}"), "worst_difference": float(f"{moved.max():.3g}")}


def peak_memory(engine: str, n: int) -> float:
    """MiB that a fresh process needs beyond network and cells, for the SCimilarity shape."""
    command = [sys.executable, "-m", "benchmarks.attribution", "--memory", engine, "--cells", str(n)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(printed.strip().splitlines()[-1])


def measure_memory(engine: str, n: int) -> None:
    """Print the growth of the peak resident set over one run."""
    shape = SHAPES["scimilarity"]
    encoder, adata = shape.encoder(), cells(shape, n)
    inputs = model_input(encoder, adata)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    if engine == "ours":
        ours(encoder, adata)
    else:
        captums(encoder, inputs, int(engine.removeprefix("captum-")))
    print(resident("VmHWM") - before)


def resident(field: str) -> float:
    """Resident set of this process in MiB: now (VmRSS), or the most since it was cleared (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def timed(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that `work` takes."""
    start = clock()
    work()
    return clock() - start


def significant(value: float) -> float:
    """Round to four significant digits."""
    return float(f"{value:.4g}")


def main() -> None:
    """Run the benchmark and print its tables and one JSON line."""
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

    load = os.getloadavg()
    sizes = {False: (128, 2), True: (2, 1)} if arguments.quick else {False: (4096, 5), True: (8, 3)}
    peak = arithmetic_peak("cpu")
    rows = {}
    for name, shape in SHAPES.items():
        n, repeats = sizes[shape.is_token]
        rows[name] = compare(shape, n=n, repeats=repeats, peak=peak)
    print(f"{STEPS} steps, one thread each, {peak / 1e9:.0f} Gflop/s in a large matrix product")
    print(f"load average before and after: {load[0]:.1f}, {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(pd.DataFrame(rows).T.to_string())
    main_row = rows["scimilarity"]
    memory = {"ours": peak_memory("ours", 256), "captum": peak_memory(f"captum-{main_row['captum_best_batch']}", 16)}
    result = {
        "benchmark": "attribution",
        "speedup_vs_captum": main_row["speedup"],
        **main_row,
        "peak_mib": {name: round(value) for name, value in memory.items()},
        "rows": rows,
        "gpu": on_gpu(quick=arguments.quick),
        "load_average": [round(load[0], 2), round(os.getloadavg()[0], 2)],
        "versions": {"torch": torch.__version__, "captum": captum.__version__},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
