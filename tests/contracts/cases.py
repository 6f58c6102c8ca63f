"""Every registered family with every registered method, and the numbers that they should give, computed in another way.

A new family or method is a case by being registered.
"""

import importlib
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import nn

from insignia import models
from insignia.attribution import AttributeOptions, PathOptions, Runner, find_target, methods
from insignia.attribution.deeplift import ACTIVATIONS
from insignia.data import Expression
from insignia.models import align, families

__all__ = ["CASES", "REFUSED", "VARIANTS", "Case", "oracle", "shifted"]

VARIANTS = {
    "geneformer": {"": {}, "V1": {"special": False}},
    "scgpt": {"": {}, "norm first": {"args": {"pre_norm": True}}},
    "ssl_sctab": {"": {}, "classifier": {"kind": "classifier"}, "contrastive": {"kind": "contrastive"}},
}
"""Look-alikes beside the usual one of a family."""

# pairs that are refused by name: DeepLIFT has rules for plain networks, and Geneformer has no amounts in its path
REFUSED = {
    *((family, "deeplift") for family in ("geneformer", "scfoundation", "scgpt")),
    ("geneformer", "expected_gradients"),
}


@dataclass(frozen=True)
class Case:
    """A look-alike of a family, and a method."""

    family: str
    variant: str
    method: str

    def __str__(self):
        return "-".join(part for part in (self.family, self.variant, self.method) if part)

    @property
    def lookalike(self):
        return importlib.import_module(f"tests.lookalikes.{self.family}")

    @cached_property
    def encoder(self):
        with TemporaryDirectory() as folder:
            options = VARIANTS.get(self.family, {}).get(self.variant, {})
            return models.load(self.lookalike.build(Path(folder) / "model", **options))

    @cached_property
    def cells(self):
        return self.lookalike.cells()

    @property
    def target(self):
        """One that the method takes: its own embedding's, before normalisation where that has no gradient."""
        is_flat = self.encoder.is_normalised and self.method in ("deeplift", "input_x_gradient")
        return "self_raw" if is_flat else "self"

    @property
    def baseline(self):
        return self.starts.X if methods[self.method].takes_many_baselines else None

    @cached_property
    def starts(self):
        """Two other cells, to compare with."""
        return self.lookalike.cells(seed=8)[:2].copy()

    @property
    def expression(self):
        return Expression.from_adata(self.cells, input_space="counts")

    def inputs(self, encoder=None, expression=None):
        encoder, expression = encoder or self.encoder, expression or self.expression
        block = expression.block(0, expression.n_cells).aligned(align(expression, encoder))
        return encoder.inputs(block)

    def run(self, expression=None, *, target=None, encoder=None, **options):
        """Attribute through the runner: rows of 1,000, signed, (cells, genes), and the block."""
        path = PathOptions(options.pop("n_steps", 50), interpolate=options.pop("interpolate", "values"))
        baseline = options.pop("baseline", self.baseline)
        made = AttributeOptions(self.method, target or self.target, baseline, signed=True, path=path, **options)
        runner = Runner(encoder or self.encoder, expression or self.expression, made)
        (block,) = runner.blocks(show_progress=False)
        return block.attribution.toarray(), block, runner


CASES = [
    Case(family, variant, method)
    for family in sorted(families)
    for variant in VARIANTS.get(family, {"": {}})
    for method in sorted(methods)
]


@cache
def oracle(case, *, n_steps=50, interpolate="values"):
    """Attribute in float64 by plain autograd through the whole network, node by node: rows of 1,000, signed."""
    encoder = case.encoder.to(torch.device("cpu"), "float64")
    inputs = case.inputs(encoder)
    starts = [None]
    if methods[case.method].takes_many_baselines:
        profiles = Expression.from_adata(case.starts, input_space="counts")
        starts = [case.inputs(encoder, profiles.rows(k, k + 1)) for k in range(2)]
    if case.method == "deeplift":
        (found,) = [_rescaled(encoder, inputs, start) for start in starts]
    else:
        found = sum(_along(case, encoder, inputs, start, n_steps, interpolate) for start in starts) / len(starts)
    sums = found.abs().sum(1, keepdim=True)
    index = align(case.expression, encoder).index
    return (found / torch.where(sums > 0, sums, 1.0) * 1000).numpy()[:, index]


def _along(case, encoder, inputs, baseline, n_steps, interpolate):
    path, target = encoder.path(inputs, baseline), find_target(case.target).bind(encoder)
    start, end = path.start, path.end
    if interpolate == "amounts":
        start, end = torch.expm1(start), torch.expm1(end)

    def read(point):
        values = torch.log1p(point) if interpolate == "amounts" else point
        raw = encoder.forward(values, path.context)
        return raw if target.is_raw else encoder.embedding(raw)

    nodes, weights = np.polynomial.legendre.leggauss(n_steps)
    nodes, weights = (nodes + 1) / 2, weights / 2
    if case.method == "input_x_gradient":
        nodes, weights = np.ones(1), np.ones(1)
    held = target.weights(read(end).detach())
    total = torch.zeros_like(end)
    for node, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
        point = (start + node * (end - start)).requires_grad_()
        total += weight * torch.autograd.grad(target.score(read(point), held).sum(), point)[0]
    return encoder.to_genes((end - start) * total, path.context)


def _rescaled(encoder, inputs, baseline):
    """DeepLIFT with the rescale rule of Shrikumar et al., layer by layer of the whole network."""
    path = encoder.path(inputs, baseline)
    layers = [layer for layer in encoder.module if not isinstance(layer, nn.Dropout)]
    cell, start = [path.end], [path.start]
    for layer in layers:
        cell.append(layer(cell[-1]))
        start.append(layer(start[-1]))
    multiplier = cell[-1]
    for i in reversed(range(len(layers))):
        if isinstance(layers[i], ACTIVATIONS):
            way = cell[i] - start[i]
            point = cell[i].clone().requires_grad_()
            slope = torch.autograd.grad(layers[i](point).sum(), point)[0]
            ratio = (cell[i + 1] - start[i + 1]) / torch.where(way == 0, 1.0, way)
            multiplier = multiplier * torch.where(way.abs() < 1e-9, slope, ratio)
        else:
            multiplier = multiplier @ layers[i].weight
    return (path.end - path.start) * multiplier


def shifted(inputs, rng):
    """The same inputs with values that differ by about 1e-6."""
    values = inputs.values.copy()
    values.data = values.data + 1e-6 * rng.normal(size=values.nnz).astype(np.float32)
    return type(inputs)(csr_matrix(values), inputs.context)
