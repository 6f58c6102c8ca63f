"""Scorers that other packages of the field provide: scanpy's, UCell, AUCell and the univariate linear model."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.sparse import csr_matrix

from insignia.core.errors import InputError
from insignia.core.optional import need
from insignia.genes.scorers.contract import GeneSet, Scorer, scorers

__all__ = ["aucell", "scanpy_score_genes", "ucell", "ulm"]

_MAX_RANK = 1500
_GENES_PER_BIN = 10


def scanpy_score_genes(matrix: csr_matrix, sets: Sequence[GeneSet]) -> np.ndarray:
    """Score with `scanpy.tl.score_genes`: genes for the set minus genes against it, (cells, sets).

    Its defaults, with fewer bins where there are fewer than 250 genes to fill them.
    """
    import scanpy

    adata = _nameless(matrix)
    bins = int(np.clip(matrix.shape[1] // _GENES_PER_BIN, 2, 25))

    def one_side(positions: np.ndarray) -> np.ndarray:
        if not positions.size:
            return np.zeros(matrix.shape[0])
        try:
            scanpy.tl.score_genes(adata, list(adata.var_names[positions]), score_name="score", n_bins=bins)
        except RuntimeError as error:
            raise InputError(f"scanpy's score_genes found no genes to compare with: {error}") from error
        return np.asarray(adata.obs["score"], dtype=np.float64)

    return np.column_stack([one_side(made.up) - one_side(made.down) for made in sets])


def ucell(matrix: csr_matrix, sets: Sequence[GeneSet]) -> np.ndarray:
    """Score with `pyucell`: its defaults, genes that were not found left out of the set, (cells, sets).

    Genes that count against the set are subtracted, and what falls below 0 is 0. Ranks are cut at 1,500, or at the
    number of genes if there are fewer.
    """
    pyucell = need("pyucell", extra="scorers", purpose="Scoring with UCell")
    largest = max(len(made.positions) for made in sets)
    adata = _nameless(matrix)
    names = {str(i): [f"g{j}+" for j in made.up] + [f"g{j}-" for j in made.down] for i, made in enumerate(sets)}
    max_rank = min(max(_MAX_RANK, largest), matrix.shape[1])
    pyucell.compute_ucell_scores(adata, names, max_rank=max_rank, missing_genes="skip", suffix="", n_jobs=1)
    return np.asarray(adata.obs[list(names)], dtype=np.float64)


def aucell(matrix: csr_matrix, sets: Sequence[GeneSet]) -> np.ndarray:
    """Score with decoupler's `aucell`: up minus down, over the first 5 % of the ranked genes, (cells, sets)."""
    up = _decoupler("aucell", matrix, [(made.up, np.ones(len(made.up))) for made in sets])
    down = _decoupler("aucell", matrix, [(made.down, np.ones(len(made.down))) for made in sets])
    return np.asarray(up - down)


def ulm(matrix: csr_matrix, sets: Sequence[GeneSet]) -> np.ndarray:
    """Score with decoupler's `ulm`: the t of a cell's expression regressed on the weights, (cells, sets)."""
    return _decoupler("ulm", matrix, [(made.positions, made.weights) for made in sets])


def _decoupler(method: str, matrix: csr_matrix, sets: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Run a method of decoupler on all genes; empty sets and cells without any value score 0."""
    decoupler = need("decoupler", extra="scorers", purpose=f"Scoring with {method}")
    scores = np.zeros((matrix.shape[0], len(sets)))
    filled = [i for i, (positions, _) in enumerate(sets) if len(positions)]
    expressed = np.flatnonzero(np.diff(matrix.indptr) > 0)
    if not filled or not expressed.size:
        return scores
    rows = [
        pd.DataFrame({"source": str(i), "target": [f"g{j}" for j in sets[i][0]], "weight": sets[i][1]}) for i in filled
    ]
    adata = _nameless(matrix[expressed])
    getattr(decoupler.mt, method)(adata, pd.concat(rows, ignore_index=True), tmin=1, empty=False)
    scores[np.ix_(expressed, np.array(filled))] = adata.obsm[f"score_{method}"][[str(i) for i in filled]]
    return scores


def _nameless(matrix: csr_matrix) -> AnnData:
    """Cells and genes by number, since the packages know genes by name and names may be missing or repeat."""
    cells = pd.DataFrame(index=[f"c{i}" for i in range(matrix.shape[0])])
    return AnnData(matrix.copy(), obs=cells, var=pd.DataFrame(index=[f"g{j}" for j in range(matrix.shape[1])]))


scorers.add("score_genes", source="doi:10.1186/s13059-017-1382-0")(
    Scorer(scanpy_score_genes, "score_genes", weights="signs", package="scanpy")
)
scorers.add("ucell", source="doi:10.1016/j.csbj.2021.06.043")(
    Scorer(ucell, "UCell", weights="signs", package="pyucell")
)
scorers.add("aucell", source="doi:10.1038/nmeth.4463")(Scorer(aucell, "AUCell", weights="signs", package="decoupler"))
scorers.add("ulm", source="doi:10.1093/bioadv/vbac016")(Scorer(ulm, "ULM", package="decoupler"))
