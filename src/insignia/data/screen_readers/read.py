"""`read_screen`: recognise the labels of a screen, take its controls from the caller, and read its expression."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.sparse import csr_matrix

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.data.condition import Condition
from insignia.data.expression import Expression
from insignia.data.input_space import InputSpace
from insignia.data.perturbation import PerturbationData
from insignia.data.readers import read
from insignia.data.screen_file import number_in, stated_in
from insignia.data.screen_readers.cell_groups import (
    chosen_cells,
    coded,
    context_columns,
    find_reader,
    joined_columns,
    narrowed,
)
from insignia.data.screen_readers.conditions import conditions_of, kept_cells
from insignia.data.screen_readers.contract import LabelOptions, column_of
from insignia.data.screen_readers.log_expression import (
    Totals,
    gene_names,
    read_log_expression,
    screen_scale,
    select_genes,
)
from insignia.genes import Renames, bundled_renames

__all__ = ["read_screen"]

_FEWEST_CONTROLS = 2
_ONE_CONTEXT = "all cells"
_ONE_BATCH = "all"


def read_screen(
    source: str | Path | AnnData,
    *,
    control: str | Sequence[str] | None = None,
    layout: str | None = None,
    perturbation: str | None = None,
    separator: str | None = None,
    context: str | Sequence[str] | None = None,
    batch: str | None = None,
    dose: str | None = None,
    kind: str | None = None,
    where: Mapping[str, str] | None = None,
    leave_out: Sequence[str] = (),
    genes: Sequence[str] | int | None = None,
    layer: str | None = None,
    input_space: InputSpace | None = None,
    scale: float | Literal["median"] | None = None,
    total: str | None = None,
    gene_symbols: str | None = None,
    renames: Renames | None = None,
) -> PerturbationData:
    """Read a perturbation screen.

    Parameters
    ----------
    source
        A file that `read` knows, or an AnnData, in memory or backed. It is left as it is; a h5ad file is read block by
        block, so that memory holds the sparse result and one block.
    control
        Label, or labels, of cells in which nothing was perturbed; in labels of several genes, the name that stands in
        an empty place. It is never guessed: without it, the error lists what it may be.
    layout
        Convention of the labels, one of `screen_readers`: ``"gears"``, ``"scperturb"``, ``"pairs"``, ``"cell_eval"`` or
        ``"plain"``. `None` recognises it.
    perturbation, separator
        Column of the labels and what joins perturbed genes, where they are not those of the layout.
    context
        Column of `obs`, or several, whose values divide cells into contexts with controls of their own, e.g. the cell
        type. `None` takes the usual column where it is there, ``()`` makes one context of all cells.
    batch
        Column with replicates or batches.
    dose, kind
        Columns with the dose, and with the kind of perturbation (``perturbation_type`` by default); ``"none"`` takes
        neither. Kinds stand in conditions only where there are several.
    where
        Column -> the one value that cells to read have there.
    leave_out
        Labels whose cells are left out; ``"nan"`` stands for cells without a label.
    genes
        Genes to keep, or how many, those with the highest mean in control cells. `None` keeps all.
    layer, input_space, gene_symbols
        See `Expression.from_adata`: where expression is, whether it is counts or log1p, and which column of `var` holds
        symbols.
    scale
        Total to which counts are scaled before the logarithm, 10,000 by default; ``"median"`` takes the median of the
        control cells, which suits panels of few genes. For logs, the total to which they were scaled.
    total
        Column of `obs` with the total counts of the cells, where the file holds a part of the genes only.
    renames
        Old symbols of perturbed genes; `None` uses the bundled table, ``Renames()`` none.

    Raises
    ------
    InputError
        No convention is recognised, the control is not named or not there, labels cannot be read, or a context with
        perturbed cells has fewer than two control cells.
    InputSpaceError
        The values are neither counts nor logs.
    DuplicateNames, MissingMetadata, FileFormatError
        As their names say.
    """
    adata = source if isinstance(source, AnnData) else read(source, backed=True)
    stated = stated_in(adata)
    if stated is not None:
        control, layout, batch = control or str(stated["control"]), layout or "plain", batch or keys.REPLICATE
        input_space = input_space or "log1p"
        said = number_in(stated, "scale")
        scale = said if scale is None and np.isfinite(said) else scale
    name, reader = find_reader(adata.obs, layout)
    labels = reader.labels(adata.obs, LabelOptions(perturbation, separator, kind, dose))
    adata, labels = narrowed(adata, labels, chosen_cells(adata.obs, where) & kept_cells(labels, leave_out))
    found, renamed = conditions_of(labels, control, bundled_renames() if renames is None else renames)
    cells = _Cells.make(adata.obs, found, labels.code, context_columns(adata.obs, context, reader), batch)
    expression = Expression.from_adata(adata, layer=layer, input_space=input_space, gene_symbols=gene_symbols)
    totals = _totals(adata.obs, total)
    scale = screen_scale(expression, totals, scale, cells.is_control)
    columns = select_genes(expression, totals, genes, cells.is_control, scale)
    logged, n_empty = read_log_expression(expression, totals, columns, scale)
    names = gene_names(expression)
    notes = [f"labels of the layout {name}", cells.note, f"{expression.what} holds {expression.space}", *renamed]
    if n_empty:
        notes.append(f"{n_empty:,} cells have no counts at all")
    data = cells.screen(
        logged,
        names if columns is None else tuple(names[i] for i in columns),
        scale=scale,
        notes=tuple(notes) if stated is None else tuple(map(str, stated["notes"])),
    )
    _refuse_few_controls(data)
    return data


@dataclass(frozen=True, eq=False)
class _Cells:
    """Condition, context and replicate of every cell, each as sorted values and (cells,) places in them."""

    conditions: tuple[Condition, ...]
    condition: np.ndarray
    contexts: tuple[str, ...]
    context: np.ndarray
    replicates: tuple[str, ...]
    replicate: np.ndarray
    names: np.ndarray
    note: str

    @classmethod
    def make(
        cls, obs: pd.DataFrame, found: Sequence[Condition], code: np.ndarray, context: Sequence[str], batch: str | None
    ) -> "_Cells":
        by_text = {str(one): one for one in found}
        texts, condition = coded([str(one) for one in found], code)
        contexts, place = coded(*joined_columns(obs, context, _ONE_CONTEXT))
        replicates, replicate = coded(*joined_columns(obs, [batch] if batch else [], _ONE_BATCH))
        note = f"contexts from {' and '.join(context)}" if context else "one context"
        conditions = tuple(by_text[text] for text in texts)
        return cls(conditions, condition, contexts, place, replicates, replicate, obs.index.to_numpy(), note)

    @property
    def is_control(self) -> np.ndarray:
        found: np.ndarray = np.array([one.is_control for one in self.conditions])[self.condition]
        return found

    def screen(
        self, expression: csr_matrix, genes: tuple[str, ...], *, scale: float, notes: tuple[str, ...]
    ) -> PerturbationData:
        return PerturbationData(
            genes=genes,
            expression=expression,
            conditions=self.conditions,
            condition=self.condition,
            contexts=self.contexts,
            context=self.context,
            replicates=self.replicates,
            replicate=self.replicate,
            cells=self.names,
            scale=scale,
            notes=notes,
        )


def _totals(obs: pd.DataFrame, total: str | None) -> Totals:
    if total is None:
        return lambda _, block: np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()
    column_of(obs, total)
    values = pd.to_numeric(obs[total], errors="coerce").to_numpy(np.float64)
    if not (np.isfinite(values) & (values > 0)).all():
        raise InputError(f"obs[{total!r}] must hold the total counts of each cell, positive numbers.")

    def of(here: slice, block: csr_matrix) -> np.ndarray:  # noqa: ARG001 - all genes of the cells, not those here
        return np.asarray(values[here])

    return of


def _refuse_few_controls(data: PerturbationData) -> None:
    perturbed = sorted({context for condition, context in data.groups if not condition.is_control})
    if not perturbed:
        raise InputError("All cells of the screen are controls: nothing was perturbed. Is control= right?")
    few = [context for context in perturbed if len(data.rows(Condition(), context)) < _FEWEST_CONTROLS]
    if few:
        have = [context for context in data.contexts if context not in few]
        raise InputError(
            f"{len(few)} contexts with perturbed cells have fewer than {_FEWEST_CONTROLS} control cells, e.g. "
            f"{', '.join(few[:5])}; contexts with controls: {', '.join(have[:5]) or 'none'}. Controls of one context "
            "never serve another: choose other columns with context=, or leave these cells out with where=."
        )
