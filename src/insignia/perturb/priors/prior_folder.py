"""Priors in a folder of JSON and safetensors, so that what is slow to read is read once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.sparse import csr_matrix

from insignia.core.array_folder import read_array_folder, write_array_folder
from insignia.core.errors import FileFormatError
from insignia.data.gene_priors import GeneEmbedding, GeneNetwork, GenePriors

__all__ = ["load_priors", "save_priors"]

FORMAT: Final = "insignia-priors/1"
RECORD: Final = "priors.json"


def save_priors(priors: GenePriors, path: str | Path) -> None:
    """Write priors to a new folder, whole or not at all.

    Raises
    ------
    InputError
        There is something at `path` already.
    """
    record: dict[str, Any] = {"gene_sets": {name: list(genes) for name, genes in priors.gene_sets.items()}}
    arrays: dict[str, np.ndarray] = {}
    for name in ("embedding", "gene_embedding"):
        embedding: GeneEmbedding | None = getattr(priors, name)
        if embedding is not None:
            record[name] = {"genes": list(embedding.genes), "source": embedding.source}
            arrays[f"{name}.matrix"] = embedding.matrix
    if priors.network is not None:
        record["network"] = {"genes": list(priors.network.genes), "source": priors.network.source}
        adjacency = csr_matrix(priors.network.adjacency)
        for part in ("data", "indices", "indptr"):
            arrays[f"network.{part}"] = getattr(adjacency, part)
    write_array_folder(path, RECORD, record, arrays, form=FORMAT)


def load_priors(path: str | Path) -> GenePriors:
    """Read priors that `save_priors` wrote.

    Raises
    ------
    FileFormatError
        A file is absent, or is not the one that was written.
    """
    record, arrays = read_array_folder(path, RECORD, form=FORMAT)
    try:
        return GenePriors(
            embedding=_embedding(record, arrays, "embedding"),
            gene_embedding=_embedding(record, arrays, "gene_embedding"),
            network=_network(record, arrays),
            gene_sets={name: tuple(genes) for name, genes in record["gene_sets"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(
            f"{path} holds no priors of this version: {type(error).__name__} {error}. Save them again."
        ) from error


def _embedding(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray], name: str) -> GeneEmbedding | None:
    if name not in record:
        return None
    return GeneEmbedding(tuple(record[name]["genes"]), arrays[f"{name}.matrix"], record[name]["source"])


def _network(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> GeneNetwork | None:
    if "network" not in record:
        return None
    genes = tuple(record["network"]["genes"])
    parts = (arrays["network.data"], arrays["network.indices"], arrays["network.indptr"])
    return GeneNetwork(genes, csr_matrix(parts, shape=(len(genes), len(genes))), record["network"]["source"])
