"""Preparation: look at data before anything long is started."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from anndata import AnnData

from insignia.data import Expression, InputSpace, pseudobulk
from insignia.data import standardise_obs as standard_table
from insignia.genes import GeneMatch
from insignia.models import Encoder, align, as_encoder, check_logs

__all__ = ["CheckReport", "check", "pseudobulk", "standardise_obs"]


@dataclass(frozen=True)
class CheckReport:
    """What `check` found: sizes, input space, organism, and which of the model's genes the data measure."""

    n_cells: int
    n_genes: int
    input_space: str
    organism: str
    match: GeneMatch

    def __str__(self) -> str:
        return (
            f"{self.n_cells:,} cells x {self.n_genes:,} {self.organism} genes of {self.input_space}; "
            f"of the model's genes, {self.match.summary()}"
        )


def check(
    adata: AnnData,
    model: Encoder | str | Path,
    *,
    layer: str | None = None,
    input_space: InputSpace | None = None,
    gene_symbols: str | None = None,
    gene_ids: str | None = None,
    min_overlap: float = 0.05,
) -> CheckReport:
    """Check whether a model can attribute these cells, without attributing them.

    Parameters
    ----------
    adata, model, layer, input_space, gene_symbols, gene_ids, min_overlap
        As for `insignia.tl.attribute`.

    Returns
    -------
    A report that prints as one line; `report.match.frame()` is the table of the model's genes.

    Raises
    ------
    GeneMatchError, OrganismMismatch, InputSpaceError, DuplicateNames
        As `insignia.tl.attribute` would.
    """
    encoder = as_encoder(model)
    expression = Expression.from_adata(
        adata, layer=layer, input_space=input_space, gene_symbols=gene_symbols, gene_ids=gene_ids
    )
    encoder.check_space(expression.space)
    check_logs(expression, encoder.name)
    alignment = align(expression, encoder, min_overlap=min_overlap)
    return CheckReport(
        expression.n_cells, len(expression.genes), expression.space, expression.genes.organism, alignment.match
    )


def standardise_obs(
    adata: AnnData,
    *,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, str] | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Write the metadata columns of an atlas into `obs`: study, sample, donor, tissue, disease, cell_type, barcode.

    Parameters
    ----------
    adata
        Cells whose `obs` holds the metadata, under CELLxGENE, SCimilarity, GEO or other names.
    columns
        Further names, from the caller's column to ours, e.g. ``{"patient": "donor"}``.
    constants
        One value for all cells, e.g. ``{"study": "GSE158055"}``.
    copy
        Return a changed copy and leave `adata` alone.

    Returns
    -------
    `None`, or a changed copy if `copy=True`. Missing values become ``"unknown"``.

    Raises
    ------
    MissingMetadata
        A needed column is absent.
    DuplicateNames
        A barcode repeats within a study.
    """
    table = standard_table(adata.obs, columns=columns, constants=constants)
    adata = adata.copy() if copy else adata
    for name in table:
        adata.obs[name] = table[name].astype("category") if table[name].nunique() < len(table) else table[name]
    return adata if copy else None
