"""An atlas of the simulated cohort without a model: log expression stands in for attributions."""

import numpy as np
from scipy.sparse import csr_matrix

from insignia.atlas import Atlas
from insignia.core import keys
from insignia.data import AttributionRecord, simulate_cohort
from insignia.genes import GeneVocabulary

PLANTED = ("septic shock", "Kawasaki disease", "COVID-19")
"""MS1 is active in about 70, 63 and 35 % of their classical monocytes, and in 17 to 21 % of their macrophages."""
STRONG = PLANTED[:2]
NULL = ("asthma", "hypertension", "systemic lupus erythematosus")


def cohort_atlas(path, seed, *, change=None, extra=(), **options):
    """Make an atlas of a cohort with the default programs; rows of log1p CP10k are scaled to 1,000."""
    sizes = {"n_studies": 40, "samples_per_study": 5, "cells_per_sample": 50, "n_genes": 300, **options}
    cohort = simulate_cohort(**sizes, rng=seed)
    genes = GeneVocabulary.from_names(list(cohort.truth.loadings.columns), organism="human")
    record = AttributionRecord(
        model="log expression", fingerprint="0" * 64, genes_sha256=genes.sha256, method="integrated_gradients",
        target="self", baseline="zero", n_steps=50, sign="absolute", scale=keys.SCALE, input_space="counts",
        version="0",
    )  # fmt: skip
    place = {gene: position for position, gene in enumerate(genes.symbols)}
    for study in cohort.studies:
        counts = study.X.toarray()
        values = np.log1p(counts / np.maximum(counts.sum(1, keepdims=True), 1) * 1e4)
        values *= keys.SCALE / np.maximum(values.sum(1, keepdims=True), 1e-9)
        study.layers[keys.ATTRIBUTION] = csr_matrix(values.astype(np.float32))
        study.var[keys.gene_index()] = [place[gene] for gene in study.var_names]
        study.obs[keys.gap()], study.obs[keys.row_sum()] = np.float32(0), np.float32(1)
        study.uns[keys.ATTRIBUTION] = record.to_dict()
        if change is not None:
            change(study)
    atlas = Atlas.create(path, genes=genes, record=record)
    atlas.add(cohort.studies, extra=extra, progress=False)
    return atlas, cohort
