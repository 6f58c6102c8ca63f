"""The interferon response in real monocytes: attribution beside expression, PCA and an untrained encoder.

Kang 2018 (labelled subset, two donors, control and interferon-beta). Models see control cells only. For each score, all
hallmark sets with at least five measured genes are ranked by how well they separate stimulated from control monocytes
of one donor (AUROC); reported are the rank of the interferon alpha response, its AUROC, the same with shuffled
conditions, the share of ribosomal and mitochondrial genes, and how many cell types have a known marker among their
first twenty genes.

    python -m benchmarks.kang [--quick]
"""

import argparse
import json
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from scipy.sparse import csr_matrix

from insignia import genes, models, tl
from insignia.attribution import group_means
from insignia.core import keys
from insignia.data import read
from insignia.models.preprocessing import log_normalise
from insignia.models.scimilarity import SCimilarityNetwork, encoder_from_network
from insignia.models.training_cells import training_cells
from insignia.stats import auroc

RESPONSE = "HALLMARK_INTERFERON_ALPHA_RESPONSE"
MARKERS = {
    "B cells": {"CD79A"},
    "CD14+ Monocytes": {"S100A8", "S100A9"},
    "FCGR3A+ Monocytes": {"FCGR3A"},
    "CD8 T cells": {"NKG7"},
}


def load(folder: Path) -> tuple[AnnData, dict[str, genes.GeneMatch]]:
    """Read the cells and find the hallmark sets in their genes."""
    adata = read(folder / "scrna/kang2018_muscat_example_1556x1267.h5ad")
    adata.obs["donor"] = adata.obs["sample_id"].astype(str).str.extract(r"(\d+)$")[0].to_numpy()
    vocabulary = genes.GeneVocabulary.from_var(adata.var)
    sets = genes.read_gmt(folder / "genesets/h.all.v7.0.symbols.gmt")
    matches = {name: made.match(vocabulary) for name, made in sets.items()}
    return adata, {name: match for name, match in matches.items() if match.n_found >= 5}


def attributions(adata: AnnData, seeds: range) -> dict[str, list[csr_matrix]]:
    """Score matrices of each kind, one a seed where there is one."""
    control = adata[adata.obs["group_id"] == "ctrl"].copy()
    cells = training_cells(control, layer=None, input_space="counts")
    untrained = []
    for seed in seeds:
        torch.manual_seed(seed)
        network = SCimilarityNetwork(len(cells.genes), (256, 256), 64).eval()
        untrained.append(encoder_from_network("untrained", cells.genes, network))
    trained = [models.train(control, labels="cluster_id", rng=seed, show_progress=False) for seed in seeds]
    unlabelled = [models.train(control, rng=seed, show_progress=False) for seed in seeds]
    kinds = {
        "PCA, 30 components": [models.fit_pca(control, n_components=30)],
        "untrained encoder": untrained,
        "trained without labels": unlabelled,
        "trained with labels": trained,
    }
    return {kind: [attributed(adata, model) for model in made] for kind, made in kinds.items()}


def attributed(adata: AnnData, model: models.Encoder) -> csr_matrix:
    """Attribute all cells with one model."""
    result = tl.attribute(adata, model, copy=True, show_progress=False)
    assert result is not None
    return result.layers[keys.ATTRIBUTION]


def expression(adata: AnnData) -> csr_matrix:
    """Log-normalised expression, rows scaled like attributions."""
    from insignia.data import Expression

    logged = log_normalise(Expression.from_adata(adata).block(0, adata.n_obs)).toarray()
    return csr_matrix(logged / logged.sum(1, keepdims=True) * keys.SCALE)


def measure(adata: AnnData, matrix: csr_matrix, matches: dict[str, genes.GeneMatch]) -> dict[str, float]:
    """All figures of one score matrix."""
    monocytes = adata.obs["cluster_id"].isin(["CD14+ Monocytes", "FCGR3A+ Monocytes"]).to_numpy()
    stimulated = (adata.obs["group_id"] == "stim").to_numpy()
    figures: dict[str, float] = {}
    for donor in sorted(adata.obs["donor"].unique()):
        here = monocytes & (adata.obs["donor"] == donor).to_numpy()
        scores = {name: genes.score(matrix[here], match, np.ones(len(match.query))) for name, match in matches.items()}
        areas = {name: auroc(values, stimulated[here]) for name, values in scores.items()}
        shuffled = np.random.default_rng(0).permutation(stimulated[here])
        figures[f"rank_{donor}"] = 1 + sorted(areas, key=lambda name: -areas[name]).index(RESPONSE)
        figures[f"auroc_{donor}"] = areas[RESPONSE]
        figures[f"shuffled_{donor}"] = auroc(scores[RESPONSE], shuffled)
    uninformative = adata.var_names.str.match(r"^(RP[SL]\d|MT-)")
    figures["ribo_mito_share"] = float(matrix[:, uninformative].sum() / matrix.sum())
    figures["types_with_marker"] = markers_found(adata, matrix)
    return figures


def markers_found(adata: AnnData, matrix: csr_matrix) -> int:
    """Count cell types with a known marker among their first twenty genes."""
    types = sorted(adata.obs["cluster_id"].unique())
    means, _ = group_means(matrix, adata.obs["cluster_id"], types)
    symbols = genes.GeneVocabulary.from_var(adata.var).labels
    found = 0
    for group, markers in MARKERS.items():
        i = types.index(group)
        best = np.argsort(-(means[i] - np.delete(means, i, axis=0).mean(0)))[:20]
        found += bool(markers & set(symbols[best]))
    return found


def main() -> None:
    """Print the table, mean and spread over seeds, and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    folder = Path(os.environ.get("INSIGNIA_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "scrna").is_dir():
        sys.exit(f"real data not found in {folder}; set INSIGNIA_DATA")
    adata, matches = load(folder)
    seeds = range(1 if arguments.quick else 5)
    scores = {"expression": [expression(adata)], **attributions(adata, seeds)}
    rows = {kind: pd.DataFrame([measure(adata, matrix, matches) for matrix in made]) for kind, made in scores.items()}
    table = pd.DataFrame({kind: frame.apply(_spread) for kind, frame in rows.items()}).T
    print(f"{len(matches)} hallmark sets, {len(seeds)} seeds; mean (sd)")
    print(table.to_markdown() if "tabulate" in sys.modules else table.to_string())
    trained = rows["trained with labels"]
    print(
        json.dumps(
            {
                "benchmark": "kang",
                "sets": len(matches),
                "seeds": len(seeds),
                "worst_rank": int(trained[["rank_101", "rank_107"]].to_numpy().max()),
                "rows": {kind: frame.mean().round(4).to_dict() for kind, frame in rows.items()},
            }
        )
    )


def _spread(values: pd.Series) -> str:
    if len(values) == 1:
        return f"{values.iloc[0]:.3f}".rstrip("0").rstrip(".")
    return f"{values.mean():.3f} ({values.std():.3f})"


if __name__ == "__main__":
    main()
