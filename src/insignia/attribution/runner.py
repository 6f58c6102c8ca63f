"""The one runner of all methods: block by block, from a user's cells to sparse rows in the user's genes."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from insignia.attribution.contract import Method, find_target, methods
from insignia.attribution.options import AttributeOptions, check_options, record_of
from insignia.attribution.precision import PrecisionCheck
from insignia.core.device import find_device
from insignia.core.errors import CompletenessWarning, InputError
from insignia.core.keys import SCALE
from insignia.core.progress import progress
from insignia.core.sparse_rows import scaled_rows
from insignia.data import AttributionRecord, Cells, Expression
from insignia.models import Encoder, Inputs, align

__all__ = ["AttributedBlock", "Runner"]

GAP_LIMIT = 0.05


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

    Parameters
    ----------
    encoder, expression, options
        The model, the cells, and how.
    checks_precision
        Whether another precision than float32 is compared with it on 64 cells.

    Raises
    ------
    GeneMatchError, OrganismMismatch
        The data hold too few of the model's genes, or another organism's.
    InputSpaceError
        The model cannot use the data's input space.
    UnknownName
        There is no such method or target.
    InputError
        There is no such device or precision, or options contradict each other.
    """

    def __init__(
        self, encoder: Encoder, expression: Expression, options: AttributeOptions, *, checks_precision: bool = True
    ) -> None:
        encoder.check_space(expression.space)
        self.method = methods[options.method]
        check_options(encoder, self.method, options)
        self.encoder = encoder.to(find_device(options.device), options.precision)
        self.expression, self.options = expression, options
        self.target = find_target(options.target).bind(self.encoder)
        self.method.check(self.encoder, self.target)
        self.alignment = align(expression, encoder, min_overlap=options.min_overlap)
        self._profiles = self._checked_baseline()
        self._shared_baseline = None if self._has_own_baselines else self._baseline(slice(None))
        self._check = self._precision_check(encoder) if checks_precision else None

    @property
    def record(self) -> AttributionRecord:
        """How the cells are attributed; see `record_of`."""
        return record_of(self.encoder, self.options, input_space=self.expression.space)

    @property
    def facts(self) -> dict[str, Any]:
        """The record, the device, and what was measured of the precision in the blocks that are done."""
        return {
            **self.record.to_dict(),
            "device": str(self.encoder.device),
            **({} if self._check is None else self._check.facts()),
        }

    def blocks(self, *, show_progress: bool | None = None) -> Iterator[AttributedBlock]:
        """Attribute all cells, block by block; at the end warn of cells with a wide completeness gap."""
        gaps = []
        with progress("attributing cells", self.expression.n_cells, show=show_progress) as advance:
            for rows, cells in self.expression.blocks(self.options.block_size):
                block = self._block(rows, cells)
                gaps.append(block.gap)
                advance(len(block.gap))
                yield block
        if self.method.is_complete:
            _warn_of_gaps(np.concatenate(gaps), self.method, self.options)

    def _block(self, rows: slice, cells: Cells) -> AttributedBlock:
        baseline = self._baseline(rows) if self._has_own_baselines else self._shared_baseline
        inputs = self._prepare(cells)
        explained = self.method.explain(self.encoder, inputs, baseline, target=self.target, options=self.options.path)
        if self._check is not None:
            self._check.compare(explained, inputs, baseline)
        scaled, total = _scale(explained.attribution, signed=self.options.signed)
        mine = self.alignment.back(scaled, cells.matrix, cells.space)
        return AttributedBlock(rows, mine, explained.gap, total)

    def _prepare(self, cells: Cells) -> Inputs:
        return self.encoder.inputs(cells.aligned(self.alignment))

    def _precision_check(self, encoder: Encoder) -> PrecisionCheck | None:
        if self.options.precision == "float32":
            return None
        plain = encoder.to(self.encoder.device)
        target = find_target(self.options.target).bind(plain)
        n_blocks = -(-self.expression.n_cells // self.options.block_size)
        return PrecisionCheck(plain, self.method, target, self.options.path, n_blocks=n_blocks)

    def _baseline(self, rows: slice) -> Inputs | None:
        if self._profiles is None:
            return None
        profiles = self._profiles[rows]
        obs = self.expression.obs
        # covariates are the cell's own; those of shared profiles are asked for and not used
        mine = obs.iloc[rows] if self._has_own_baselines else obs.iloc[np.zeros(profiles.shape[0], dtype=int)]
        return self._prepare(Cells(profiles, self.expression.space, mine))

    @property
    def _has_own_baselines(self) -> bool:
        """Whether each cell is compared with a baseline of its own."""
        if self._profiles is None or self.method.takes_many_baselines:
            return False
        return bool(self._profiles.shape[0] > 1)

    def _checked_baseline(self) -> csr_matrix | None:
        given = self.options.baseline
        if given is None:
            return None
        profiles = csr_matrix(np.atleast_2d(given) if isinstance(given, np.ndarray) else given, dtype=np.float32)
        n_cells, n_genes = self.expression.n_cells, len(self.expression.genes)
        fits = profiles.shape[1] == n_genes and (self.method.takes_many_baselines or profiles.shape[0] in (1, n_cells))
        if not fits or not np.isfinite(profiles.data).all() or (profiles.data < 0).any():
            raise InputError(
                f"A baseline is one profile of {n_genes:,} finite, non-negative values, one a gene of the data and in "
                f"the same space ({self.expression.space}), or one such profile for each of the {n_cells:,} cells; "
                f"found shape {np.shape(given)}."
            )
        return profiles


def _scale(attribution: csr_matrix, *, signed: bool) -> tuple[csr_matrix, np.ndarray]:
    """Rows whose absolute values add up to `SCALE`, and the sums they had; rows of zeros stay as they are."""
    values, total = scaled_rows(attribution, attribution.data, SCALE)
    values = (values if signed else np.abs(values)).astype(np.float32)
    scaled = csr_matrix((values, attribution.indices, attribution.indptr), attribution.shape)
    scaled.eliminate_zeros()
    return scaled, total


def _warn_of_gaps(gaps: np.ndarray, method: Method, options: AttributeOptions) -> None:
    wide = gaps > GAP_LIMIT
    if wide.any():
        kinks = " Or use target='self', which has no kinks." if options.target == "self_abs" else ""
        warnings.warn(
            f"{wide.sum():,} of {len(gaps):,} cells are off by more than {GAP_LIMIT:.0%} of the change they explain "
            f"(worst {np.nanmax(gaps):.0%}). {method.advice(options.path)}{kinks}",
            CompletenessWarning,
            stacklevel=3,
        )
