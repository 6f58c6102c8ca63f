"""`tl.annotate`: cell types by nearest neighbours in a model's embedding."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.core import keys
from insignia.core.errors import InputError, MissingMetadata
from insignia.core.files import sha256_array, sha256_text
from insignia.data import InputSpace
from insignia.models.contract import Encoder
from insignia.models.embed import embed_cells
from insignia.models.neighbours import LabelledCells, LabelledEmbedding, vote
from insignia.models.registry import as_encoder, families
from insignia.models.scimilarity_index import read_annotation_index

__all__ = ["annotate"]


@dataclass(frozen=True)
class _Reading:
    """How expression is read from an AnnData, and where it is embedded."""

    layer: str | None
    input_space: InputSpace | None
    gene_symbols: str | None
    gene_ids: str | None
    device: str


def annotate(
    adata: AnnData,
    model: Encoder | str | Path,
    reference: AnnData | str | Path,
    *,
    labels: str = keys.CELL_TYPE,
    n_neighbors: int = 50,
    layer: str | None = None,
    input_space: InputSpace | None = None,
    gene_symbols: str | None = None,
    gene_ids: str | None = None,
    device: str = "auto",
    key_added: str = "cell_type_predicted",
    copy: bool = False,
) -> AnnData | None:
    """Give each cell the type that most of its nearest labelled cells have, in a model's embedding.

    Parameters
    ----------
    adata
        Cells, (cells, genes).
    model
        A loaded model, or the directory of one.
    reference
        Labelled cells: an AnnData, searched exactly, or an SCimilarity directory with
        `annotation/labelled_kNN.bin` and `annotation/reference_labels.tsv`, searched with hnswlib, approximately. An
        AnnData that holds ``obsm["X_" + model.name]``, as `embed` writes it, is not embedded again.
    labels
        `obs` column of a reference AnnData. Cells without a label (missing, empty or ``"unknown"``) do not vote; how
        many there are stands in `uns`.
    n_neighbors
        How many cells vote, at most as many as the reference has.
    layer, input_space, gene_symbols, gene_ids
        As for `attribute`, for `adata` and for a reference that is still to be embedded.
    device
        Where cells are embedded; as for `attribute`. The search runs on the CPU.
    key_added
        Where results go.
    copy
        Return a changed copy and leave `adata` alone.

    Returns
    -------
    `None`, or a changed copy if `copy=True`. Adds `obs[key_added]`, categorical; `obs[key_added + "_dist"]`, float32,
    the cosine distance to the nearest reference cell, large for cells that the reference does not hold (the published
    atlas kept cells up to 0.02); `obs[key_added + "_share"]`, float32, the share of the neighbours that have the type;
    and `uns[key_added]`, the model, the reference and the options. Among equally frequent types that of the nearest
    cell wins.

    Raises
    ------
    MissingMetadata
        `labels` is not in `reference.obs`, or the layer is absent.
    InputError
        The reference holds no labelled cell, is `adata` itself, or was embedded with another model; or `n_neighbors`
        is below 1.
    ModelFormatError
        The reference directory lacks a file, or a file in it is damaged.
    MissingDependency
        The reference is a directory, and hnswlib is not installed.
    GeneMatchError, OrganismMismatch, InputSpaceError, DuplicateNames
        As `attribute`.

    References
    ----------
    Heimberg et al. 2025 (doi:10.1038/s41586-024-08411-y).
    """
    if n_neighbors < 1:
        raise InputError(f"n_neighbors must be at least 1, found {n_neighbors}.")
    encoder = as_encoder(model)
    reading = _Reading(layer, input_space, gene_symbols, gene_ids, device)
    known, facts = _reference(adata, reference, encoder, labels, reading)
    if known.latent != encoder.latent:
        raise InputError(
            f"{encoder.name} embeds cells into {encoder.latent} dimensions, and the reference has {known.latent}. "
            "Take a reference that was embedded with the same model."
        )
    used = min(n_neighbors, known.n_searchable)
    found = known.search(embed_cells(adata, encoder, **asdict(reading)), used)
    codes, types = pd.factorize(known.labels, sort=True)
    winners, shares = vote(codes[found.indices], found.distances, len(types))
    adata = adata.to_memory(copy=True) if copy else adata
    adata.obs[key_added] = pd.Categorical(types[winners])
    adata.obs[f"{key_added}_dist"] = found.distances.min(axis=1).astype(np.float32)
    adata.obs[f"{key_added}_share"] = shares.astype(np.float32)
    adata.uns[key_added] = {
        "model": encoder.name,
        "model_fingerprint": encoder.fingerprint,
        "reference_sha256": known.sha256,
        "reference_cells": known.n_searchable,
        "n_neighbors": used,
        "layer": layer or "X",
        "metric": "cosine",
        **facts,
    }
    return adata if copy else None


def _reference(
    adata: AnnData, reference: AnnData | str | Path, encoder: Encoder, labels: str, reading: _Reading
) -> tuple[LabelledCells, dict[str, str | int]]:
    if isinstance(reference, str | Path):
        _refuse_other_model(Path(reference), encoder)
        return read_annotation_index(reference), {"search": "hnsw", "unlabelled_cells": 0}
    if reference is adata:
        raise InputError("reference is adata itself: every cell would find itself. Pass other cells as reference.")
    if labels not in reference.obs:
        raise MissingMetadata(
            f"reference.obs has no column {labels!r}; it has {list(reference.obs)[:10]}. "
            "Pass labels= with the column that holds cell types."
        )
    keep = _labelled(reference.obs[labels])
    if not keep.any():
        raise InputError(
            f"reference holds {len(keep):,} cells, and none of them has a label in obs[{labels!r}]. "
            "Pass a reference with at least one labelled cell."
        )
    names = reference.obs[labels].astype(str).to_numpy(dtype=object)[keep]
    embedding = _reference_embedding(reference, keep, encoder, reading)
    digest = sha256_text(sha256_array(embedding) + "\n".join(names))
    facts: dict[str, str | int] = {"search": "exact", "labels": labels, "unlabelled_cells": int((~keep).sum())}
    return LabelledEmbedding(embedding, names, digest), facts


def _refuse_other_model(path: Path, encoder: Encoder) -> None:
    """Refuse a directory that holds another model than the one in use; one with the index alone is trusted."""
    if families["scimilarity"].recognises(path):
        other = families["scimilarity"].load(path)
        if other.fingerprint != encoder.fingerprint:
            raise InputError(
                f"{path} holds another model than {encoder.name}, and distances mean something in one embedding only. "
                "Pass that directory as model too, or another reference."
            )


def _labelled(column: pd.Series) -> np.ndarray:
    named = ~column.astype(str).str.strip().isin([keys.UNKNOWN, "nan", ""])
    return (column.notna() & named).to_numpy(dtype=bool)


def _reference_embedding(reference: AnnData, keep: np.ndarray, encoder: Encoder, reading: _Reading) -> np.ndarray:
    key = f"X_{encoder.name}"
    if key not in reference.obsm:
        return embed_cells(reference if keep.all() else reference[keep], encoder, **asdict(reading))
    embedding: np.ndarray = np.asarray(reference.obsm[key], dtype=np.float32)[keep]
    if embedding.ndim != 2 or not np.isfinite(embedding).all():
        raise InputError(
            f"reference.obsm[{key!r}] should hold finite numbers, (cells, {encoder.latent}), found shape "
            f"{embedding.shape}. Write it again with ins.tl.embed(reference, model)."
        )
    return embedding
