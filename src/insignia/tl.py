"""Tools: verbs that write into an AnnData object."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from anndata import AnnData

from insignia.attribution import attribute, compare_scores, match_or_warn, rank_genes, scorable_genes
from insignia.core import keys
from insignia.core.errors import MissingMetadata
from insignia.data import InputSpace
from insignia.genes import Signature
from insignia.genes import score as score_matrix
from insignia.genes import signature as to_signature
from insignia.models import Encoder, as_encoder
from insignia.models.annotate import annotate
from insignia.models.embed import embed_cells

__all__ = ["annotate", "attribute", "compare_scores", "embed", "rank_genes", "score"]


def score(
    adata: AnnData,
    signature: str | Signature | Sequence[str] | Mapping[str, float],
    *,
    layer: str | None = keys.ATTRIBUTION,
    agg: str = "mean",
    min_coverage: float = 0.5,
    gene_symbols: str | None = None,
    gene_ids: str | None = None,
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Score a signature in every cell.

    Parameters
    ----------
    adata
        Cells, (cells, genes).
    signature
        Name of a bundled signature such as ``"MS1"``, a gene list, a mapping of genes to weights, or a `Signature`.
    layer
        What is scored: the attributions by default; `None` scores `adata.X`, e.g. log-normalised expression.
    agg
        Over the genes that are there: ``"mean"``, sum(w a) / sum(abs(w)); ``"sum"``, sum(w a); ``"weighted_mean"``,
        sum(w a) / sum(w).
    min_coverage
        Share of the signature's genes below which it is refused.
    gene_symbols, gene_ids
        `var` columns with symbols and Ensembl ids, where `var_names` are not enough.
    key_added
        `obs` column to write; `None` takes the signature's name.
    copy
        Return a changed copy and leave `adata` alone.

    Returns
    -------
    `None`, or a changed copy if `copy=True`. Adds `obs[key_added]`, float32, and `uns[key_added]` with the signature's
    hash and which of its genes were matched, renamed, ambiguous or missing. Genes that the model does not know are
    missing, not zero.

    Raises
    ------
    MissingMetadata
        The layer is absent.
    GeneMatchError
        Less than `min_coverage` of the genes are there.
    SignatureError
        The signature is empty or degenerate.

    Warns
    -----
    CoverageWarning
        Some genes of the signature are not there.
    """
    made = to_signature(signature)
    if layer is not None and layer not in adata.layers:
        raise MissingMetadata(
            f"adata has no layer {layer!r} (layers: {list(adata.layers)}). Run ins.tl.attribute first, or "
            "pass layer=None to score adata.X."
        )
    genes = scorable_genes(adata, layer, gene_symbols=gene_symbols, gene_ids=gene_ids)
    match = match_or_warn(made, genes, min_coverage, stacklevel=2)
    scores = score_matrix(adata.X if layer is None else adata.layers[layer], match, made.weight_array, agg=agg)
    adata = adata.to_memory(copy=True) if copy else adata
    name = key_added or made.name
    adata.obs[name] = scores
    adata.uns[name] = {
        "signature": made.name,
        "sha256": made.sha256,
        "layer": layer or "X",
        "agg": agg,
        "genes": match.frame(),
    }
    return adata if copy else None


def embed(
    adata: AnnData,
    model: Encoder | str | Path,
    *,
    layer: str | None = None,
    input_space: InputSpace | None = None,
    gene_symbols: str | None = None,
    gene_ids: str | None = None,
    device: str = "auto",
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Embed every cell with a model.

    Parameters
    ----------
    adata
        Cells, (cells, genes).
    model
        A loaded model, or the directory of one.
    layer, input_space, gene_symbols, gene_ids, device
        As for `attribute`.
    key_added
        Entry of `obsm` to write; `None` takes ``X_`` and the model's name.
    copy
        Return a changed copy and leave `adata` alone.

    Returns
    -------
    `None`, or a changed copy if `copy=True`. Adds `obsm[key_added]`, (cells, latent), float32.

    Raises
    ------
    GeneMatchError, OrganismMismatch, InputSpaceError, DuplicateNames
        As `attribute`.
    """
    encoder = as_encoder(model)
    embedding = embed_cells(
        adata,
        encoder,
        layer=layer,
        input_space=input_space,
        gene_symbols=gene_symbols,
        gene_ids=gene_ids,
        device=device,
    )
    adata = adata.to_memory(copy=True) if copy else adata
    adata.obsm[key_added or f"X_{encoder.name}"] = embedding
    return adata if copy else None
