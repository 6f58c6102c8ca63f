"""All priors of a screen from the files that a user names."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from insignia.core.errors import InputError
from insignia.data.gene_priors import GenePriors
from insignia.perturb.priors.embedding_files import read_embedding
from insignia.perturb.priors.gene_sets import from_gene_sets, read_gene_sets
from insignia.perturb.priors.prior_folder import load_priors
from insignia.perturb.priors.string_network import read_string

__all__ = ["read_priors"]


def read_priors(
    *,
    folder: str | Path | None = None,
    embedding: str | Path | None = None,
    gene_embedding: str | Path | None = None,
    gene_sets: Sequence[str | Path] = (),
    string_links: str | Path | None = None,
    string_info: str | Path | None = None,
    min_score: int = 700,
) -> GenePriors:
    """Read priors from files; nothing is downloaded.

    Parameters
    ----------
    folder
        Written by `save_priors`; what else is named takes the place of what it holds.
    embedding
        Of the perturbed genes, see `read_embedding`. Where it is not named and `gene_sets` are, it is made from them by
        `from_gene_sets`, and its source says so.
    gene_embedding
        Of the measured genes.
    gene_sets
        GMT files.
    string_links, string_info, min_score
        See `read_string`.

    Raises
    ------
    InputError
        One of the two files of STRING is named without the other.
    """
    if (string_links is None) != (string_info is None):
        raise InputError(
            "A network of STRING needs both files: the links, and the info with the genes of the proteins."
        )
    priors = GenePriors() if folder is None else load_priors(folder)
    if gene_sets:
        sets = read_gene_sets(*gene_sets)
        source = f"gene sets of {', '.join(Path(path).name for path in gene_sets)}"
        priors = replace(priors, gene_sets=sets)
        if embedding is None and priors.embedding is None:
            priors = replace(priors, embedding=from_gene_sets(sets, source=source))
    if embedding is not None:
        priors = replace(priors, embedding=read_embedding(embedding))
    if gene_embedding is not None:
        priors = replace(priors, gene_embedding=read_embedding(gene_embedding))
    if string_links is not None and string_info is not None:
        priors = replace(priors, network=read_string(string_links, string_info, min_score=min_score))
    return priors
