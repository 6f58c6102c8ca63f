"""`tl.attribute`: attributions into an AnnData."""

from pathlib import Path
from typing import Literal

import numpy as np
from anndata import AnnData
from scipy.sparse import csr_matrix, vstack

from insignia.attribution.contract import Interpolate, PathOptions, Target
from insignia.attribution.options import AttributeOptions
from insignia.attribution.runner import Runner
from insignia.core import keys
from insignia.data import Expression, InputSpace
from insignia.models import Encoder, Precision, as_encoder, check_logs

__all__ = ["attribute"]


def attribute(
    adata: AnnData,
    model: Encoder | str | Path,
    *,
    method: str = "integrated_gradients",
    target: str | Target = "self",
    baseline: np.ndarray | csr_matrix | None = None,
    n_steps: int | Literal["auto"] = 50,
    interpolate: Interpolate = "values",
    signed: bool = False,
    layer: str | None = None,
    input_space: InputSpace | None = None,
    gene_symbols: str | None = None,
    gene_ids: str | None = None,
    organism: str | None = None,
    min_overlap: float = 0.05,
    device: str = "auto",
    precision: Precision = "float32",
    key_added: str = keys.ATTRIBUTION,
    copy: bool = False,
    show_progress: bool | None = None,
) -> AnnData | None:
    """Score how much each gene moves each cell's embedding.

    Parameters
    ----------
    adata
        Cells to score, (cells, genes). May be backed; then only the result is held in memory.
    model
        A loaded model, or the directory of one.
    method
        ``"integrated_gradients"``, ``"deeplift"`` (plain networks only), ``"input_x_gradient"`` (which need not add up)
        or ``"expected_gradients"`` (several baselines).
    target
        ``"self"``: the signed self-weighted target. ``"self_abs"``: its absolute form, as in the published atlas.
        ``"self_raw"``: before normalisation. ``"dim:5"``, ``"label:B cell"``: one dimension, one logit. Or
        `insignia.attribution.Centroid` and `Contrast`: towards a population, or from one to another.
    baseline
        Where the path starts, in the genes and the space of the data: one profile, (genes,), e.g. a mean; one for each
        cell, (cells, genes), e.g. matched controls; any number for ``"expected_gradients"``; or `None` for an empty
        cell. With `None`, genes that a cell does not express get exactly 0.
    n_steps
        Gauss-Legendre nodes on the path; ``"auto"`` takes as many as each cell needs for a gap below 1 %.
    interpolate
        What moves on a straight line from the baseline to the cell: ``"values"`` that the network reads, such as
        log1p of counts, or ``"amounts"`` before the model's element-wise function: counts for scVI, counts per 10,000
        for models that scale cells. Models without such a function refuse it.
    signed
        Keep the sign of attributions; otherwise they are absolute.
    layer, input_space
        Where to read expression, and whether it is ``"counts"`` or ``"log1p"``. `None` reads `adata.X` and looks.
    gene_symbols, gene_ids
        `var` columns with symbols and Ensembl ids, where `var_names` are not enough.
    organism
        ``"human"`` or ``"mouse"``; `None` reads it off the names.
    min_overlap
        Share of the model's genes that the data must measure; for a model over tokens, of the genes that the cells
        express, which the model must know. Below it, the data are refused.
    device
        ``"auto"`` takes CUDA, then Apple's MPS, else the CPU; or one by name, such as ``"cuda:1"``. All give the same
        within 0.001 of the row sum.
    precision
        ``"float32"``; ``"float64"``, to check it; or ``"bf16"``, faster on a GPU: the network, after an affine first
        layer if it has one, in bfloat16. For the last two, 64 cells are attributed in float32 too, and `uns` says how
        far apart they are.
    key_added
        Where results go.
    copy
        Return a changed copy and leave `adata` alone.
    show_progress
        `None` shows a bar when standard error is a terminal.

    Returns
    -------
    `None`, or a changed copy if `copy=True`. Adds `layers[key_added]`, (cells, genes), sparse float32, rows scaled to
    1,000; `obs[key_added + "_gap"]`, the completeness gap, a fraction; `obs[key_added + "_sum"]`, the sum before
    scaling; `var[key_added + "_index"]`, the position in the model's gene table or -1; and `uns[key_added]`, all that
    is needed to repeat the run, the device, and with another precision than float32 `precision_error` and
    `precision_error_worst`: median and largest sum of differences from float32 over a cell's genes, rows scaled to 1.

    Raises
    ------
    GeneMatchError
        The data hold too few of the model's genes.
    OrganismMismatch
        The data are of another organism.
    InputSpaceError
        Values are neither counts nor log1p, or not what the model needs.
    DuplicateNames
        Genes or cells are not unique.
    InputError, ModelError
        There is no such device, or method, target, precision and what moves do not go together.

    Warns
    -----
    CompletenessWarning
        Attributions of some cells miss the change they explain by more than 5 %.

    References
    ----------
    Integrated gradients: Sundararajan et al. 2017 (arXiv:1703.01365), eq. 1. Self-weighted target and scaling:
    Gold et al. 2025 (doi:10.1101/2025.06.14.659567).
    """
    path = PathOptions(n_steps=0 if n_steps == "auto" else n_steps, interpolate=interpolate)
    options = AttributeOptions(
        method,
        target,
        baseline,
        signed=signed,
        path=path,
        min_overlap=min_overlap,
        device=device,
        precision=precision,
    )
    expression = Expression.from_adata(
        adata,
        layer=layer,
        input_space=input_space,
        gene_symbols=gene_symbols,
        gene_ids=gene_ids,
        organism=organism,
    )
    runner = Runner(as_encoder(model), expression, options)
    check_logs(expression, runner.encoder.name)
    blocks = list(runner.blocks(show_progress=show_progress))
    adata = adata.to_memory(copy=True) if copy else adata
    adata.layers[key_added] = vstack([block.attribution for block in blocks], format="csr")
    adata.obs[keys.gap(key_added)] = np.concatenate([block.gap for block in blocks])
    adata.obs[keys.row_sum(key_added)] = np.concatenate([block.total for block in blocks])
    adata.var[keys.gene_index(key_added)] = runner.alignment.index
    adata.uns[key_added] = runner.facts
    return adata if copy else None
