"""Whether attributing perturbed cells against controls ranks the genes that truly move better than plain differences.

On simulated screens the truth is the change of mean expression in a large draw of the same world; on Papalexi's screen
(`--papalexi FILE`, read where it is) it is what the cells of the other replicate say, and the rank of the perturbed
gene itself. Rankings: the size of the difference of expression and of its z, attributions (`attribution`, as they are
ranked by default, and their z), and the difference projected onto the principal components, which is what a linear
encoder can know without any attribution. Average precision for the 15 % of genes that move most (simulated) or are
significant in the other replicate; a shuffled ranking gives the share of such genes. One JSON object ends the output.

    python -m benchmarks.perturb_attribution [--quick] [--papalexi FILE]
"""

import argparse
import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = os.environ["INSIGNIA_THREADS"] = "1"

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from insignia.data import PerturbationData, read_screen, screen_to_anndata, simulate_screen
from insignia.models import MLPEncoder, TrainOptions, fit_pca, train
from insignia.perturb import gene_effects
from insignia.workflows import attribute_effects

WORLD = {"n_perturbations": 12, "n_doubles": 0, "n_genes": 256}
STRONG = ("IFNGR1", "IFNGR2", "IRF1", "JAK2", "STAT2")
MEASURED = ("IFNGR2", "JAK2", "NFKBIA", "STAT2", "STAT3", "TNFRSF14", "UBE2L6")


def encoders(data: PerturbationData, seed: int) -> dict[str, MLPEncoder]:
    """Principal components, and a small trained encoder, of all cells of a screen."""
    adata = screen_to_anndata(data)
    options = TrainOptions(epochs=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trained = train(
            adata, options=options, hidden=(128,), latent=32, input_space="log1p", rng=seed, show_progress=False
        )
    return {"pca": fit_pca(adata, n_components=20, input_space="log1p", rng=seed), "trained": trained}


def rankings(table: pd.DataFrame, encoder: MLPEncoder, name: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Scores of the genes, the higher the more they should move, by name of the ranking."""
    found = {
        "difference": table["effect"].abs().to_numpy(),
        "difference, z": table["z"].abs().to_numpy(),
        f"attribution, {name}": table["attribution"].to_numpy(),
        f"attribution z, {name}": table["attribution_z"].to_numpy(),
        "shuffled": rng.permutation(table["attribution"].to_numpy()),
    }
    if name == "pca":
        axes = encoder.first_layer.weight.detach().numpy()
        found["difference in components"] = np.abs(axes.T @ (axes @ table["effect"].to_numpy()))
    return found


def simulated(cells: int, seed: int) -> pd.DataFrame:
    """Score rankings on one simulated screen."""
    screen = simulate_screen(rng=seed, cells_per_condition=cells, n_controls=400, **WORLD)
    large = simulate_screen(rng=seed, cells_per_condition=1000, n_controls=4000, **WORLD)
    true = gene_effects(large.data).matrix()[list(screen.data.genes)].abs()
    rng, rows = np.random.default_rng(seed), []
    for name, encoder in encoders(screen.data, seed).items():
        found = attribute_effects(screen.data, encoder, nulls=[], n_steps=20, show_progress=False)
        for condition in true.index:
            moves = true.loc[condition] >= true.loc[condition].quantile(0.85)
            table = found.of(condition).set_index("gene").loc[list(screen.data.genes)]
            for ranking, score in rankings(table, encoder, name, rng).items():
                rows.append((cells, seed, ranking, average_precision_score(moves, score)))
    return pd.DataFrame(rows, columns=["cells", "seed", "ranking", "precision"])


def papalexi(path: Path, sizes: Sequence[int], seeds: Sequence[int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score rankings by cells of one replicate against the other, and rank the perturbed genes themselves."""
    import anndata

    adata = anndata.read_h5ad(path)
    options = {"control": "non-targeting", "perturbation": "target", "batch": "bio_rep", "scale": "median"}
    data, guides = read_screen(adata, **options), adata.obs["grna"]
    first, other = (data.take(np.flatnonzero(data.replicate == k)) for k in (0, 1))
    true = gene_effects(other, STRONG).table.pivot(index="condition", columns="gene", values="q_cells")
    rows, ranks = [], []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        made = encoders(first, seed)
        for size in sizes:
            few = _fewer(first, size, rng)
            for name, encoder in made.items():
                found = attribute_effects(few, encoder, STRONG, units=guides, nulls=[], n_steps=20, show_progress=False)
                for condition in STRONG:
                    table = found.of(condition).set_index("gene").loc[list(data.genes)]
                    moves = true.loc[condition, list(data.genes)] <= 0.01
                    for ranking, score in rankings(table, encoder, name, rng).items():
                        rows.append((size, seed, ranking, average_precision_score(moves, score)))
    for name, encoder in encoders(data, 0).items():
        found = attribute_effects(data, encoder, MEASURED, units=guides, nulls=[], n_steps=20, show_progress=False)
        for condition in MEASURED:
            table = found.of(condition).set_index("gene").loc[list(data.genes)]
            for ranking, score in rankings(table, encoder, name, np.random.default_rng(0)).items():
                place = int((score > score[table.index.get_loc(condition)]).sum()) + 1
                ranks.append((condition, ranking, place))
    return (
        pd.DataFrame(rows, columns=["cells", "seed", "ranking", "precision"]),
        pd.DataFrame(ranks, columns=["condition", "ranking", "rank"]).drop_duplicates(["condition", "ranking"]),
    )


def _fewer(data: PerturbationData, size: int, rng: np.random.Generator) -> PerturbationData:
    """Keep so many cells of each condition, and all controls."""
    kept = [data.controls(data.contexts[0])]
    for condition in data.conditions:
        rows = data.rows(condition, data.contexts[0])
        if not condition.is_control:
            kept.append(rng.permutation(rows)[:size])
    return data.take(np.sort(np.concatenate(kept)))


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over conditions and seeds, with the range of the means of the seeds."""
    by_seed = rows.groupby(["cells", "ranking", "seed"])["precision"].mean()
    groups = by_seed.groupby(["cells", "ranking"])
    return pd.DataFrame({"mean": groups.mean(), "low": groups.min(), "high": groups.max()}).round(3)


def main() -> None:
    """Run all, and print tables and JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed")
    parser.add_argument("--papalexi", type=Path, help="papalexi2021_dev.h5ad")
    chosen = parser.parse_args()
    seeds = (0,) if chosen.quick else (0, 1, 2)
    found: dict[str, Any] = {}
    table = summary(pd.concat([simulated(cells, seed) for cells in (20, 60) for seed in seeds]))
    print("simulated screens\n", table.to_string(), "\n")
    found["simulated"] = table.reset_index().to_dict("records")
    if chosen.papalexi is not None:
        rows, ranks = papalexi(chosen.papalexi, (25, 100, 1000), seeds)
        table, places = summary(rows), ranks.pivot(index="ranking", columns="condition", values="rank")
        print("Papalexi, one replicate against the other\n", table.to_string(), "\n")
        print("Papalexi, rank of the perturbed gene\n", places.to_string(), "\n")
        found["papalexi"], found["own_gene"] = table.reset_index().to_dict("records"), ranks.to_dict("records")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
