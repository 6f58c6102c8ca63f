"""One comparison of perturbed cells with their controls, attributed: the contrast of their embeddings, gene by gene."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.sparse import csr_matrix, diags

from insignia.attribution import AttributeOptions, Contrast, Runner
from insignia.core.errors import CompletenessWarning
from insignia.core.keys import SCALE
from insignia.data import Expression, InputSpace
from insignia.models import Encoder
from insignia.perturb.unit_sums import UnitComparison, UnitSums, compare_units
from insignia.workflows.contrast_cells import ContrastCells, folds_of
from insignia.workflows.contrast_shift import shift_p

__all__ = ["ContrastJob", "ContrastResult", "run_contrast"]


@dataclass(frozen=True, eq=False)
class ContrastJob:
    """A comparison with all that it needs, so that any process can do it.

    Parameters
    ----------
    cells
        Which cells, perturbed and controls.
    matrix, space, genes
        Their expression, (cells, genes), what it holds, and the names of the genes.
    embedding
        (cells, latent).
    options
        How they are attributed.
    start
        Where paths start: ``"controls"``, the mean profile of the matched controls, or ``"zero"``.
    min_cells, seed
        As for `attribute_effects`.
    """

    cells: ContrastCells
    matrix: csr_matrix
    space: InputSpace
    genes: tuple[str, ...]
    embedding: np.ndarray
    options: AttributeOptions
    start: str
    min_cells: int
    seed: int


@dataclass(frozen=True, eq=False)
class ContrastResult:
    """What a comparison found.

    Parameters
    ----------
    genes
        Attribution of perturbed cells against that of controls, gene by gene.
    shift
        The same for the sum over genes: the squared distance that the population moved in the embedding, without bias.
    shift_p
        Of the distance, over arrangements of the labels; see `insignia.workflows.contrast_shift.shift_p`.
    gap
        Median completeness gap of the perturbed cells, a fraction.
    divided
        What was divided so that no cell chose its own direction; see `folds_of`.
    """

    genes: UnitComparison
    shift: UnitComparison
    shift_p: float
    gap: float
    divided: str


def run_contrast(encoder: Encoder, job: ContrastJob) -> ContrastResult | None:
    """Attribute one comparison; `None` where it cannot be divided into two sides of perturbed cells and controls."""
    cells = job.cells
    side, divided = folds_of(cells, np.random.default_rng(job.seed))
    # sides have directions of their own, so that cells are compared with the controls of their side
    stratum = np.array([f"{name} {one}" for name, one in zip(cells.replicate, side, strict=True)], dtype=object)
    targets = {}
    for name in dict.fromkeys(stratum):
        here = stratum == name
        target = _direction(job, side != side[here][0])
        if target is not None and all((here & kind).any() for kind in _kinds(cells)):
            targets[name] = target
    sums = [
        _Sums.make(kind & np.isin(stratum, list(targets)), cells, stratum, len(job.genes)) for kind in _kinds(cells)
    ]
    expression, gaps = _expression(job), []
    for name, target in targets.items():
        rows = np.flatnonzero(stratum == name)
        for block, gap, part in _attributed(encoder, expression.take(rows), _options(job, rows, target)):
            for one in sums:
                one.add(rows[block], part)
            gaps.append(gap[cells.is_case[rows[block]]])
    genes, shift = (
        compare_units(case, control, has_units=cells.has_units, min_cells=job.min_cells)
        for case, control in zip(sums[0].parts, sums[1].parts, strict=True)
    )
    if genes is None or shift is None:
        return None
    moved = shift_p(cells, side, divided, job.embedding, np.random.default_rng(job.seed))
    return ContrastResult(genes, shift, moved, _median(gaps), divided)


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums over one kind of cells: of every gene, and of all genes together."""

    place: np.ndarray
    parts: tuple[UnitSums, UnitSums]

    @classmethod
    def make(cls, chosen: np.ndarray, cells: ContrastCells, stratum: np.ndarray, n_genes: int) -> "_Sums":
        place = np.where(chosen, np.cumsum(chosen) - 1, -1)
        unit, replicate = cells.unit[chosen], stratum[chosen]
        return cls(place, (UnitSums(unit, replicate, n_genes), UnitSums(unit, replicate, 1)))

    def add(self, rows: np.ndarray, attribution: csr_matrix) -> None:
        """Add those of some cells that are of this kind."""
        own = self.place[rows] >= 0
        if own.any():
            mine = attribution[own]
            self.parts[0].add(self.place[rows][own], mine)
            self.parts[1].add(self.place[rows][own], csr_matrix(mine.sum(axis=1)))


def _expression(job: ContrastJob) -> Expression:
    obs = pd.DataFrame(index=[f"cell{place}" for place in job.cells.rows])
    adata = AnnData(job.matrix, obs=obs, var=pd.DataFrame(index=list(job.genes)))
    return Expression.from_adata(adata, input_space=job.space)


def _options(job: ContrastJob, rows: np.ndarray, target: Contrast) -> AttributeOptions:
    controls = rows[~job.cells.is_case[rows]]
    profile = None if job.start == "zero" else np.asarray(job.matrix[controls].mean(axis=0)).ravel()
    return replace(job.options, target=target, baseline=profile, signed=True)


def _median(gaps: list[np.ndarray]) -> float:
    known = np.concatenate(gaps)
    known = known[np.isfinite(known)]
    return float(np.median(known)) if len(known) else float("nan")


def _kinds(cells: ContrastCells) -> tuple[np.ndarray, np.ndarray]:
    return cells.is_case, ~cells.is_case


def _direction(job: ContrastJob, teachers: np.ndarray) -> Contrast | None:
    """Contrast the centroids of the other side, each replicate within itself."""
    ends, weights = [], []
    for name in dict.fromkeys(job.cells.replicate[teachers]):
        here = teachers & (job.cells.replicate == name)
        groups = [job.embedding[here & kind] for kind in _kinds(job.cells)]
        if all(map(len, groups)):
            ends.append([group.mean(axis=0, dtype=np.float64) for group in groups])
            weights.append(1 / sum(1 / len(group) for group in groups))
    if not ends:
        return None
    towards, against = np.average(np.array(ends), axis=0, weights=weights)
    return Contrast(towards, against)


def _attributed(
    encoder: Encoder, expression: Expression, options: AttributeOptions
) -> Iterator[tuple[slice, np.ndarray, csr_matrix]]:
    """Blocks of unscaled attributions: they add up to what the contrast changes."""
    runner = Runner(encoder, expression, options, checks_precision=False)
    with warnings.catch_warnings():
        # cells that hardly move have wide gaps of nothing; the median stands in the table
        warnings.simplefilter("ignore", CompletenessWarning)
        for block in runner.blocks(show_progress=False):
            yield block.rows, block.gap, csr_matrix(diags(block.total / SCALE) @ block.attribution)
