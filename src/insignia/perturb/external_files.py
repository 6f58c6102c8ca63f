"""Predicted cells of other programs, read from their files and brought to the genes and contexts of a screen."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from anndata import AnnData
from scipy.sparse import csr_matrix, vstack

from insignia.core.errors import GeneMatchError, InputError, InputSpaceError
from insignia.data.condition import Condition
from insignia.data.matrix_rows import MatrixRows
from insignia.data.perturbation import PerturbationData
from insignia.data.readers import read
from insignia.data.screen_readers.cell_groups import (
    chosen_cells,
    coded,
    context_columns,
    find_reader,
    joined_columns,
    narrowed,
)
from insignia.data.screen_readers.conditions import conditions_of, kept_cells
from insignia.data.screen_readers.contract import LabelOptions
from insignia.data.screen_readers.log_expression import log_scaled
from insignia.genes import GeneVocabulary, Renames, bundled_renames, match_genes
from insignia.perturb.external import ExternalPredictions

__all__ = ["read_predictions"]

_BLOCK_VALUES: Final = 1 << 20
_COPIED: Final = 0.5
_UNLIKE: Final = 2.0
_LARGEST_LOG: Final = 15.0

Group = tuple[Condition, str]


def read_predictions(
    source: str | Path | AnnData,
    data: PerturbationData,
    *,
    control: str | Sequence[str] | None = None,
    layout: str | None = None,
    perturbation: str | None = None,
    separator: str | None = None,
    context: str | Sequence[str] | None = None,
    kind: str | None = None,
    dose: str | None = None,
    where: Mapping[str, str] | None = None,
    leave_out: Sequence[str] = (),
    layer: str | None = None,
    against: Literal["screen", "own"] = "screen",
    renames: Renames | None = None,
) -> ExternalPredictions:
    """Read predicted cells, or one mean a condition, from a file of any program.

    Parameters
    ----------
    source
        A file that `read` knows, or an AnnData; labels as for `read_screen`. Expression is log1p of counts scaled as in
        the screen, or counts. Values below 0, which some programs predict, become 0, and it is said how many.
    data
        The screen that is predicted. Its genes must all be there, under older or newer symbols too.
    control
        Name of control cells, or of an empty place in labels such as ``A+ctrl``; not needed where there are none.
    layout, perturbation, separator, context, kind, dose, where, leave_out, renames
        See `read_screen`. A file of one context serves a screen of one context, whatever its name.
    layer
        Where expression is; `None` reads `X`.
    against
        ``"own"`` measures effects against the control cells of the file, for programs that scale expression in a way of
        their own.

    Raises
    ------
    GeneMatchError
        Genes of the screen are not in the file.
    InputError
        Labels cannot be read, none of its conditions is in the screen, contexts do not fit, or the predicted cells are
        measured cells of the screen.
    InputSpaceError
        Values are neither counts nor logs.
    """
    adata = source if isinstance(source, AnnData) else read(source, backed=True)
    _, reader = find_reader(adata.obs, layout)
    labels = reader.labels(adata.obs, LabelOptions(perturbation, separator, kind, dose))
    adata, labels = narrowed(adata, labels, chosen_cells(adata.obs, where) & kept_cells(labels, leave_out))
    known = bundled_renames() if renames is None else renames
    found, notes = conditions_of(labels, control, known, needs_control=False)
    columns = _columns(adata, data, renames)
    contexts, place = coded(*joined_columns(adata.obs, context_columns(adata.obs, context, reader), ""))
    contexts = _matched_contexts(contexts, data)
    values, said = _expression(MatrixRows.from_adata(adata, layer), columns, data)
    groups = _groups(values, [(found[i], contexts[j]) for i, j in zip(labels.code, place, strict=True)])
    _refuse_strangers(groups, data)
    _refuse_measured_cells(groups, data)
    return ExternalPredictions(groups, against=against, notes=(*notes, *said, *_unlike(groups, data)))


def _groups(values: csr_matrix, of_cell: Sequence[Group]) -> dict[Group, csr_matrix]:
    rows: dict[Group, list[int]] = {}
    for row, group in enumerate(of_cell):
        rows.setdefault(group, []).append(row)
    return {group: csr_matrix(values[here]) for group, here in rows.items()}


def _columns(adata: AnnData, data: PerturbationData, renames: Renames | None) -> np.ndarray:
    """Place of each gene of the screen in the file."""
    match = match_genes(list(data.genes), GeneVocabulary.from_var(adata.var), renames=renames)
    if match.n_found < len(data.genes):
        raise GeneMatchError(
            f"{match.summary('Genes of the screen in the predictions')}. To score the genes that both have, narrow the "
            "screen first: data.with_genes(...)."
        )
    return match.index


def _matched_contexts(contexts: tuple[str, ...], data: PerturbationData) -> tuple[str, ...]:
    if len(contexts) == 1 and len(data.contexts) == 1:
        return data.contexts
    unknown = [context for context in contexts if context not in data.contexts]
    if unknown:
        raise InputError(
            f"The predictions are of the contexts {', '.join(map(repr, contexts[:5]))}, the screen has "
            f"{', '.join(map(repr, data.contexts[:5]))}. Name the columns with context=, or choose cells with where=."
        )
    return contexts


def _expression(rows: MatrixRows, columns: np.ndarray, data: PerturbationData) -> tuple[csr_matrix, list[str]]:
    """(cells, genes of the screen) log expression, and what was changed."""
    _, sample = rows.sample(512)
    space = _space_of(_clipped(sample)[0])
    if space == "counts" and np.isnan(data.scale):
        raise InputSpaceError(
            "The predictions hold counts, and it is not known to what the logs of the screen were scaled. Read the "
            "screen with scale=, or log the predictions alike."
        )
    parts, n_negative = [], 0
    step = max(1, _BLOCK_VALUES // max(1, rows.shape[1]))
    for start in range(0, rows.shape[0], step):
        block, negative = _clipped(rows.read(start, min(start + step, rows.shape[0])))
        n_negative += negative
        if space == "counts":
            total = np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()
            block = log_scaled(block, total, data.scale)
        parts.append(csr_matrix(block[:, columns], dtype=np.float32))
    share = n_negative / max(1, np.prod(rows.shape))
    notes = [f"{share:.1%} of the predicted values were below 0 and were set to 0"] if n_negative else []
    return vstack(parts, format="csr"), [*notes, f"the predictions hold {space}"]


def _space_of(sample: csr_matrix) -> str:
    """Tell counts from logs; predicted logs may pass what counts of a cell could reach, but not by much."""
    if (sample.data == np.rint(sample.data)).all():
        return "counts"
    if sample.data.max() > _LARGEST_LOG:
        raise InputSpaceError(
            f"The predictions hold neither counts nor log1p of counts (max {sample.data.max():.4g}): scaled, TPM or "
            "CPM? Choose a layer with one of the two."
        )
    return "log1p"


def _clipped(block: Any) -> tuple[csr_matrix, int]:
    block = csr_matrix(block)
    if not np.isfinite(block.data).all():
        raise InputSpaceError("The predictions hold values that are NaN or infinite. Leave these conditions out.")
    negative = int((block.data < 0).sum())
    if negative:
        block = block.maximum(0)
    return csr_matrix(block), negative


def _refuse_strangers(groups: Mapping[Group, csr_matrix], data: PerturbationData) -> None:
    perturbed = {condition for condition, _ in groups if not condition.is_control}
    if not perturbed & set(data.conditions):
        raise InputError(
            f"None of the {len(perturbed)} predicted conditions, e.g. {', '.join(sorted(map(str, perturbed))[:5])}, "
            f"is in the screen, which has e.g. {', '.join(sorted(map(str, data.conditions))[:5])}."
        )


def _refuse_measured_cells(groups: Mapping[Group, csr_matrix], data: PerturbationData) -> None:
    """Refuse predictions that are the truth: the wrong one of two files, or a column of both."""
    for (condition, context), cells in groups.items():
        rows = data.rows(condition, context)
        if condition.is_control or not len(rows):
            continue
        measured = set(_row_bytes(data.expression[rows]))
        predicted = _row_bytes(cells)
        copied = sum(row in measured for row in predicted)
        if copied > _COPIED * cells.shape[0]:
            raise InputError(
                f"{copied:,} of {cells.shape[0]:,} predicted cells of {condition} are measured cells of the screen. Is "
                "this the file with the truth, or one that holds both? Choose the predicted cells with where=."
            )


def _row_bytes(cells: csr_matrix) -> list[bytes]:
    cells = csr_matrix(cells)
    cells.sort_indices()
    bounds = zip(cells.indptr, cells.indptr[1:], strict=False)
    return [cells.indices[a:b].astype(np.int32).tobytes() + np.round(cells.data[a:b], 4).tobytes() for a, b in bounds]


def _unlike(groups: Mapping[Group, csr_matrix], data: PerturbationData) -> list[str]:
    """Say if predicted cells add up to something else than cells of the screen, as logs of another scale do."""
    contexts = {context for _, context in groups}
    controls = np.concatenate([data.rows(Condition(), context) for context in sorted(contexts)])
    if not len(controls):
        return []
    ours = float(data.expression[controls].expm1().sum(axis=1).mean())
    theirs = float(np.mean([cells.expm1().sum(axis=1).mean() for cells in groups.values()]))
    if ours / _UNLIKE < theirs < ours * _UNLIKE:
        return []
    return [
        f"predicted cells add up to {theirs:,.0f} before the logarithm and control cells of the screen to {ours:,.0f}: "
        "are both logs of counts that are scaled alike?"
    ]
