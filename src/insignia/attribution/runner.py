"""The one runner of all methods: block by block, from a user's cells to sparse rows in the user's genes."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from insignia import __version__
from insignia.attribution.contract import Explained, PathOptions, methods, targets
from insignia.core.errors import CompletenessWarning, InputError
from insignia.core.files import sha256_array
from insignia.core.keys import SCALE
from insignia.core.progress import progress
from insignia.core.sparse_rows import scaled_rows
from insignia.data import AttributionRecord, Cells, Expression
from insignia.genes import GeneAlignment
from insignia.models import Encoder, Inputs

__all__ = ["AttributeOptions", "AttributedBlock", "Runner", "record_of"]

GAP_LIMIT = 0.05


@dataclass(frozen=True)
class AttributeOptions:
    """How cells are attributed.

    Parameters
    ----------
    method, target
        Names of registered entries.
    baseline
        (genes of the data,): the profile from which the path starts, in the data's space; `None` is an empty cell.
    signed
        Keep the sign; otherwise attributions are absolute.
    path
        Steps and memory.
    block_size
        Cells that are read and explained at a time.
    min_overlap
        Share of the model's genes below which the data are refused.
    """

    method: str = "integrated_gradients"
    target: str = "self"
    baseline: np.ndarray | None = None
    signed: bool = False
    path: PathOptions = field(default_factory=PathOptions)
    block_size: int = 256
    min_overlap: float = 0.05


@dataclass(frozen=True)
class AttributedBlock:
    """Attributions of a block of cells, in the genes of the data.

    Parameters
    ----------
    rows
        Which cells.
    attribution
        (cells, genes of the data), CSR float32; absolute rows add up to 1,000.
    gap
        (cells,): ``|sum of attributions - change| / |change|`` from the unscaled values, NaN where nothing changes.
    total
        (cells,): sum of absolute attributions before scaling.
    """

    rows: slice
    attribution: csr_matrix
    gap: np.ndarray
    total: np.ndarray


class Runner:
    """Attribute the cells of one `Expression` with one encoder; everything is checked when it is made.

    Raises
    ------
    GeneMatchError, OrganismMismatch
        The data hold too few of the model's genes, or another organism's.
    InputSpaceError
        The model cannot use the data's input space.
    UnknownName
        There is no such method or target.
    """

    def __init__(self, encoder: Encoder, expression: Expression, options: AttributeOptions) -> None:
        encoder.check_space(expression.space)
        self.encoder, self.expression, self.options = encoder, expression, options
        self.method = methods[options.method]
        self.target = targets[options.target]
        self.alignment = GeneAlignment(expression.genes, encoder.genes, min_overlap=options.min_overlap)
        self.baseline = self._baseline()

    @property
    def record(self) -> AttributionRecord:
        """How the cells are attributed; see `record_of`."""
        return record_of(self.encoder, self.options, input_space=self.expression.space)

    def blocks(self, *, show_progress: bool | None = None) -> Iterator[AttributedBlock]:
        """Attribute all cells, block by block; at the end warn of cells with a wide completeness gap."""
        gaps = []
        with progress("attributing cells", self.expression.n_cells, show=show_progress) as advance:
            for rows, cells in self.expression.blocks(self.options.block_size):
                block = self._block(rows, cells)
                gaps.append(block.gap)
                advance(len(block.gap))
                yield block
        _warn_of_gaps(np.concatenate(gaps), self.options)

    def _block(self, rows: slice, cells: Cells) -> AttributedBlock:
        inputs = self._prepare(cells)
        explained = self.method(self.encoder, inputs, self.baseline, target=self.target, options=self.options.path)
        sums = np.asarray(explained.attribution.sum(axis=1, dtype=np.float64)).ravel()
        scaled, total = _scale(explained.attribution, signed=self.options.signed)
        mine = self.alignment.back(scaled, cells.matrix, cells.space)
        return AttributedBlock(rows, mine, _gap(sums, explained), total)

    def _prepare(self, cells: Cells) -> Inputs:
        return self.encoder.prepare(cells.aligned(self.alignment))

    def _baseline(self) -> Inputs | None:
        given = self.options.baseline
        if given is None:
            return None
        profile = np.asarray(given, dtype=np.float32).reshape(1, -1)
        expected = len(self.expression.genes)
        if profile.shape[1] != expected or not np.isfinite(profile).all() or (profile < 0).any():
            raise InputError(
                f"A baseline is one profile of {expected:,} finite, non-negative values, one a gene of the data and in "
                f"the same space ({self.expression.space}); found shape {np.shape(given)}."
            )
        return self._prepare(Cells(csr_matrix(profile), self.expression.space, pd.DataFrame(index=["baseline"])))


def record_of(encoder: Encoder, options: AttributeOptions, *, input_space: str) -> AttributionRecord:
    """All that is needed to repeat a run, and to tell whether two runs can share an atlas."""
    given = options.baseline
    return AttributionRecord(
        model=encoder.name,
        fingerprint=encoder.fingerprint,
        genes_sha256=encoder.genes.sha256,
        method=options.method,
        target=options.target,
        baseline="zero" if given is None else f"given:{sha256_array(np.asarray(given, dtype=np.float64))[:16]}",
        n_steps=options.path.n_steps,
        sign="signed" if options.signed else "absolute",
        scale=SCALE,
        input_space=input_space,
        version=__version__,
    )


def _scale(attribution: csr_matrix, *, signed: bool) -> tuple[csr_matrix, np.ndarray]:
    """Rows whose absolute values add up to `SCALE`, and the sums they had; rows of zeros stay as they are."""
    values, total = scaled_rows(attribution, attribution.data, SCALE)
    values = (values if signed else np.abs(values)).astype(np.float32)
    scaled = csr_matrix((values, attribution.indices, attribution.indptr), attribution.shape)
    scaled.eliminate_zeros()
    return scaled, total


def _gap(sums: np.ndarray, explained: Explained) -> np.ndarray:
    change: np.ndarray = np.abs(explained.change)
    settled = change > 1e-7 * explained.score
    gap: np.ndarray = np.full_like(change, np.nan)
    np.divide(np.abs(sums - explained.change), change, out=gap, where=settled)
    return gap


def _warn_of_gaps(gaps: np.ndarray, options: AttributeOptions) -> None:
    wide = gaps > GAP_LIMIT
    if wide.any():
        warnings.warn(
            f"{wide.sum():,} of {len(gaps):,} cells are off by more than {GAP_LIMIT:.0%} of the change they explain "
            f"(worst {np.nanmax(gaps):.0%}). Raise n_steps (now {options.path.n_steps})"
            + (", or use target='self', which has no kinks." if options.target == "self_abs" else "."),
            CompletenessWarning,
            stacklevel=3,
        )
