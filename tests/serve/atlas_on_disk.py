"""A simulated atlas whose truth is known, written without training a model."""

import numpy as np
from scipy import sparse

from insignia.atlas import Atlas
from insignia.core import keys
from insignia.data import AttributionRecord, simulate_cohort
from insignia.genes import GeneVocabulary


def attributed(cohort):
    """Studies whose log counts, rows scaled to 1,000, stand for attributions; and their gene table and record."""
    genes = GeneVocabulary.from_names(list(cohort.truth.loadings.columns), organism="human")
    record = AttributionRecord(
        "simulated", "0" * 64, genes.sha256, "integrated_gradients", "self", "zero", 50, "absolute", 1000.0, "counts",
        "0",
    )  # fmt: skip
    place = {gene: position for position, gene in enumerate(genes.labels)}
    for study in cohort.studies:
        logged = sparse.csr_matrix(study.X, dtype=np.float32).log1p()
        total = np.maximum(np.asarray(logged.sum(axis=1)).ravel(), 1e-6)
        study.layers[keys.ATTRIBUTION] = sparse.csr_matrix(sparse.diags(1000 / total) @ logged, dtype=np.float32)
        study.var[keys.gene_index()] = np.array([place[gene] for gene in study.var_names], dtype=np.int32)
        study.obs[keys.gap()] = np.float32(0.01)
        study.obs[keys.row_sum()] = np.float32(1)
        study.uns[keys.ATTRIBUTION] = record.to_dict()
    return cohort.studies, genes, record


def write_atlas(path, *, n_studies=21, n_genes=500, cells_per_sample=60, rng=1):
    """Write a simulated atlas."""
    cohort = simulate_cohort(
        n_studies=n_studies, samples_per_study=4, cells_per_sample=cells_per_sample, n_genes=n_genes, difficulty=0.3,
        rng=rng,
    )  # fmt: skip
    studies, genes, record = attributed(cohort)
    atlas = Atlas.create(path, genes=genes, record=record)
    atlas.add(studies, progress=False)
    return atlas
