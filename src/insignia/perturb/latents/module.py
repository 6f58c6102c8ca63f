"""A latent space built of gene programs: the gene-cluster-aware autoencoder, on top of principal components."""

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any
from warnings import warn

import numpy as np
import torch
from scipy.sparse import csr_matrix

from insignia.core.errors import InputError, InsigniaWarning
from insignia.data.gene_priors import GenePriors
from insignia.data.perturbation import PerturbationData
from insignia.perturb.latents.autoencoder import ModuleOptions, ProgramAutoencoder, ReconstructCells
from insignia.perturb.latents.blocks import GeneTable
from insignia.perturb.latents.contract import Latent, LatentRequest, latents
from insignia.perturb.latents.pca import PCALatent
from insignia.perturb.programs.record import Programs
from insignia.training import TrainOptions, fit

__all__ = ["ModuleLatent", "fit_module_latent"]

_HELD_OUT = 0.1
_MOST_CELLS = 50_000
_MOST_HELD_OUT = 2_000
_CHUNK = 2048
_NOTICEABLE = 1e-3


@dataclass(frozen=True, eq=False)
class ModuleLatent(Latent):
    """Cells as an autoencoder over program tokens holds them.

    Parameters
    ----------
    network
        In evaluation mode; its genes are in alphabetical order, lest training magnify the rounding of another one.
    base
        The principal components that it starts from.
    programs, genes
        The programs, and the columns of the cells.
    options
        Of the network.
    r2, r2_pca
        Share of the variance of held-out cells that the space and its principal components hold; these cells chose
        nothing.
    """

    network: ProgramAutoencoder
    base: PCALatent
    programs: Programs
    genes: tuple[str, ...]
    options: ModuleOptions
    r2: float
    r2_pca: float

    @property
    def size(self) -> int:
        """Number of dimensions."""
        return self.base.size

    @cached_property
    def _rank(self) -> np.ndarray:
        """(genes,) alphabetical place of each."""
        return np.argsort(np.argsort(self.genes))

    def encode(self, cells: csr_matrix | np.ndarray) -> np.ndarray:
        """(cells, genes) log expression -> (cells, latent) float32."""
        order = np.argsort(self.genes)
        return self._chunked(lambda part: self.network.encode(part[:, order]), cells)

    def decode(self, points: np.ndarray) -> np.ndarray:
        """(cells, latent) -> (cells, genes) log expression."""
        return self._chunked(self.decode_tensor, points)

    def decode_tensor(self, points: torch.Tensor) -> torch.Tensor:
        """Decode with gradients."""
        return self.network.decode(points)[:, self._rank]

    @torch.no_grad()
    def _chunked(self, apply: Any, rows: csr_matrix | np.ndarray) -> np.ndarray:
        parts = [rows[start : start + _CHUNK] for start in range(0, max(rows.shape[0], 1), _CHUNK)]
        dense = (part.toarray() if isinstance(part, csr_matrix) else part for part in parts)
        return np.concatenate([apply(torch.from_numpy(part.astype(np.float32, copy=False))).numpy() for part in dense])

    def describe(self) -> dict[str, Any]:
        """Say how well held-out cells are held, beside principal components."""
        return {"held_out_r2": self.r2, "held_out_r2_pca": self.r2_pca, "programs": self.programs.source}

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Give weights by name; programs, genes, options and scores."""
        arrays = {name: value.numpy() for name, value in self.network.state_dict().items()}
        about = {
            "programs": self.programs.to_dict(),
            "genes": list(self.genes),
            "options": asdict(self.options),
            "r2": self.r2,
            "r2_pca": self.r2_pca,
        }
        return arrays, about

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], about: dict[str, Any]) -> "ModuleLatent":
        """Build the network again and load its weights."""
        programs, options = Programs.from_dict(about["programs"]), ModuleOptions(**about["options"])
        genes = tuple(about["genes"])
        base = PCALatent(arrays["centre"], arrays["components"], arrays["scale"])
        table = GeneTable(programs, tuple(sorted(genes)))
        network = ProgramAutoencoder(base, table, torch.from_numpy(arrays["relations"]), options)
        network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()})
        network.requires_grad_(False).eval()
        return cls(network, _in_order(base, genes), programs, genes, options, about["r2"], about["r2_pca"])


@latents.add("module", source="arXiv:2602.04901, with weights for each program, flat tokens, on principal components")
def fit_module_latent(
    data: PerturbationData, request: LatentRequest, options: ModuleOptions | None = None
) -> ModuleLatent:
    """Train the autoencoder on most cells, and compare it with principal components on cells that it did not see.

    Raises
    ------
    InputError
        The request has no programs.

    Warns
    -----
    InsigniaWarning
        Principal components hold noticeably more of the held-out cells, 0.001 of their variance.
    """
    if request.programs is None:
        raise InputError("The module latent is built of programs: induce them and put them into the request.")
    options = options or ModuleOptions(epochs=request.epochs)
    order = np.argsort(data.genes)
    genes = tuple(data.genes[i] for i in order)
    train, stop, judge = (
        replace(data.take(rows), genes=genes, expression=data.expression[rows][:, order])
        for rows in _divide(data, np.random.default_rng(request.seed))
    )
    base = PCALatent.fit(train, request.n_latent, seed=request.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(request.seed)
        relations = _relations(request.programs, genes, request.priors)
        network = ProgramAutoencoder(base, GeneTable(request.programs, genes), relations, options)
    objective = ReconstructCells(
        train.expression, stop.expression.toarray(), options.batch_size, options.steps_per_epoch
    )
    training = TrainOptions(epochs=options.epochs, learning_rate=options.learning_rate, patience=4)
    fit(network, objective, training, seed=request.seed, show_progress=request.show_progress)
    network.requires_grad_(False)
    made = ModuleLatent(network, base, request.programs, genes, options, 0.0, 0.0)
    r2, r2_pca = made.explained(judge.expression), base.explained(judge.expression)
    made = ModuleLatent(network, _in_order(base, data.genes), request.programs, data.genes, options, r2, r2_pca)
    if made.r2 < made.r2_pca - _NOTICEABLE:
        warn(
            f"The module latent holds {made.r2:.3f} of the variance of held-out cells, principal components of the "
            f"same size {made.r2_pca:.3f}. Use latent='pca' instead.",
            InsigniaWarning,
            stacklevel=2,
        )
    return made


def _divide(data: PerturbationData, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells of every group to learn from, to stop by, and to judge by."""
    order = rng.permutation(len(data))[: round(_MOST_CELLS / (1 - _HELD_OUT))]
    code = data.condition[order].astype(np.int64) * len(data.contexts) + data.context[order]
    by_group = np.argsort(code, kind="stable")
    every = round(1 / _HELD_OUT)
    aside = order[by_group[::every]]
    kept = np.setdiff1d(order, aside)
    aside = aside[: 2 * _MOST_HELD_OUT]
    return kept, np.sort(aside[::2]), np.sort(aside[1::2])


def _relations(programs: Programs, genes: tuple[str, ...], priors: GenePriors | None) -> torch.Tensor:
    """Mean vector of the genes of each program at unit variance; genes without a vector do not count."""
    embedding = None if priors is None else priors.gene_embedding
    if embedding is None:
        return torch.zeros(len(programs), 0)
    values, known = embedding.rows(genes)
    labels = programs.labels(genes)
    means = np.zeros((len(programs), values.shape[1]), dtype=np.float32)
    for k in range(len(programs)):
        if (here := (labels == k) & known).any():
            means[k] = values[here].mean(axis=0)
    return torch.from_numpy(means / max(float(means.std()), 1e-12))


def _in_order(base: PCALatent, genes: tuple[str, ...]) -> PCALatent:
    """Put alphabetical genes into the order of a file."""
    rank = np.argsort(np.argsort(genes))
    return PCALatent(base.centre[rank], base.components[:, rank], base.scale)
