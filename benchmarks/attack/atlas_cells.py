"""Small attributed cells with known values, and a dense answer to every search over them."""

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from insignia.atlas import Atlas
from insignia.core import keys
from insignia.data import AttributionRecord
from insignia.genes import GeneVocabulary

N_GENES = 40
GENES = GeneVocabulary.from_names([f"GENE{i}" for i in range(N_GENES)], organism="human")
RECORD = AttributionRecord(
    model="linear",
    fingerprint="f" * 64,
    genes_sha256=GENES.sha256,
    method="integrated_gradients",
    target="self",
    baseline="zero",
    n_steps=50,
    sign="absolute",
    scale=1000.0,
    input_space="counts",
    version="0.1.0",
)


def scaled(values):
    """Scale rows to 1,000."""
    sums = np.abs(values).sum(axis=1, keepdims=True)
    return (1000 * np.divide(values, sums, out=np.zeros_like(values), where=sums > 0)).astype(np.float32)


def cells(study="S1", n=30, *, seed=0, genes=None, density=0.4, values=None, record=RECORD, **obs):
    """Attributed cells of one study; `genes` are the model genes that it measured, in the order of its columns."""
    rng = np.random.default_rng([seed, n, *study.encode()])
    genes = np.arange(N_GENES) if genes is None else np.asarray(genes)
    if values is None:
        values = rng.gamma(0.5, size=(n, genes.size)) * (rng.random((n, genes.size)) < density)
        values = scaled(values)
    index = [f"{study}-{i}" for i in range(n)]
    frame = {
        "study": study,
        "sample": [f"s{i % 3}" for i in range(n)],
        "donor": [f"d{i % 2}" for i in range(n)],
        "tissue": "blood",
        "disease": [("normal", "sepsis")[i % 3 == 0] for i in range(n)],
        "cell_type": rng.choice(["B cell", "monocyte", "T cell"], n),
        keys.gap(): rng.random(n).astype(np.float32),
        keys.row_sum(): rng.random(n).astype(np.float32),
    }
    adata = AnnData(
        obs=pd.DataFrame({**frame, **obs}, index=index),
        var=pd.DataFrame({keys.gene_index(): genes.astype(np.int32)}, index=[f"GENE{g}" for g in genes]),
        layers={keys.ATTRIBUTION: sparse.csr_matrix(values)},
    )
    adata.uns[keys.ATTRIBUTION] = record.to_dict()
    return adata


def dense(adata):
    """Attributions and measured genes in the order of the model's genes."""
    index = adata.var[keys.gene_index()].to_numpy()
    values = np.zeros((adata.n_obs, N_GENES), dtype=np.float64)
    measured = np.zeros((adata.n_obs, N_GENES), dtype=bool)
    values[:, index[index >= 0]] = adata.layers[keys.ATTRIBUTION].toarray()[:, index >= 0]
    measured[:, index[index >= 0]] = True
    return values, measured


def dense_parts(adatas, weights):
    """Weighted values and weights over the genes of a signature, (cells, genes) each, and what was measured."""
    values, measured = (np.concatenate(parts) for parts in zip(*map(dense, adatas), strict=True))
    positions = np.array([int(gene.removeprefix("GENE")) for gene in weights])
    has = measured[:, positions]
    w = np.array(list(weights.values())) * has
    return values[:, positions] * w, w, has


def dense_divisor(adatas, weights, agg):
    """Divisor of each cell's sum for a way to aggregate."""
    _, w, _ = dense_parts(adatas, weights)
    return {"mean": np.abs(w).sum(axis=1), "weighted_mean": w.sum(axis=1), "sum": np.ones(len(w))}[agg]


def dense_scores(adatas, weights, *, agg="mean", min_coverage=0.5):
    """Score by plain numpy, over the genes that each cell's study measured."""
    weighted, _, has = dense_parts(adatas, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = weighted.sum(axis=1) / dense_divisor(adatas, weights, agg)
    return np.where((has.mean(axis=1) >= min_coverage) & has.any(axis=1), scores, np.nan)


def assert_scores(found, adatas, weights, *, agg="mean", min_coverage=0.5):
    """Scores equal those of dense numpy, within the rounding of float16 of what is added up."""
    expected = dense_scores(adatas, weights, agg=agg, min_coverage=min_coverage)
    sizes = np.abs(dense_parts(adatas, weights)[0]).sum(axis=1)
    unit = dense_divisor(adatas, weights, agg)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    scored = ~np.isnan(expected)
    error = np.abs(found - expected)[scored]
    assert (error <= (5e-4 * sizes / np.abs(unit))[scored] + 1e-6).all(), error.max()


def make_atlas(path, *additions, **options):
    """Atlas with one call of `add` for each addition."""
    atlas = Atlas.create(path, genes=GENES, record=RECORD)
    for addition in additions:
        atlas.add(addition, **options)
    return atlas


def listing(path):
    """Every file below a folder, with its size and change time; the lock says who held it last, and so may change."""
    files = [p for p in path.rglob("*") if p.is_file() and p.name != "writer.lock"]
    return {str(p.relative_to(path)): (p.stat().st_size, p.stat().st_mtime_ns) for p in files} | {
        str(p.relative_to(path)): None for p in path.rglob("*") if p.is_dir()
    }
