"""A mini atlas of real studies whose gene lists differ; expression stands in for attributions."""

import warnings
from dataclasses import replace

import anndata as ad
import numpy as np
import pytest
from benchmarks.attack.atlas_cells import RECORD
from scipy import sparse

from insignia.atlas import Atlas
from insignia.core import keys
from insignia.core.errors import CoverageWarning
from insignia.genes import GeneVocabulary, match_genes

STUDIES = {
    "kang": "scrna/kang2018_harmony_2000x9015.h5ad",
    "pbmc5k": "scrna/pbmc_5k_protein_v3.h5ad",
    "zilionis": "scrna/lungT_zilionis_ucell_600x20729_lognorm.h5ad",
    "dropseq": "scrna/scmix_sc_dropseq.h5ad",
    "symphony": "scrna/pbmc10x_symphony_1500x1764_lognorm.h5ad",
    "hnscc": "scrna/hnscc_puram_chetah_180x7943.h5ad",
}


def read_old(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ad.read_h5ad(path)


def as_attributed(path, study, genes):
    data = read_old(path)
    match = match_genes(GeneVocabulary.from_var(data.var), genes)
    found = match.index >= 0
    values = np.log1p(sparse.csr_matrix(data.X, dtype=np.float32))[:, found]
    values = sparse.diags(1000 / np.maximum(np.asarray(values.sum(axis=1)).ravel(), 1e-9)) @ values
    cell_type = data.obs["cell_type"].astype(str) if "cell_type" in data.obs else "unknown"
    obs = data.obs[[]].assign(
        study=study, sample=study, tissue="unknown", disease="unknown", cell_type=cell_type
    )  # fmt: skip
    adata = ad.AnnData(
        obs=obs, var=data.var[[]][found], layers={keys.ATTRIBUTION: sparse.csr_matrix(values, dtype=np.float32)}
    )
    adata.var[keys.gene_index()] = match.index[found].astype(np.int32)
    return adata


@pytest.fixture
def atlas(tmp_path, real_data):
    genes = GeneVocabulary.from_names(real_data("fm_formats/scimilarity/gene_order.tsv").read_text().split())
    record = replace(RECORD, genes_sha256=genes.sha256)
    sources = []
    for study, relative in STUDIES.items():
        adata = as_attributed(real_data(relative), study, genes)
        adata.uns[keys.ATTRIBUTION] = record.to_dict()
        sources.append(adata)
    atlas = Atlas.create(tmp_path / "a", genes=genes, record=record)
    atlas.add(sources[:3])
    atlas.add(sources[3:])
    return atlas


def test_studies_with_other_genes_are_searched_as_one(atlas):
    with pytest.warns(CoverageWarning, match="symphony"):
        result = atlas.search("MS1")
    coverage = result.coverage.set_index("study")["coverage"]
    assert coverage.min() < 0.5 < coverage["zilionis"] < coverage.max() + 1e-9 < 1
    assert set(result.obs["study"][np.isnan(result.scores)]) == set(coverage.index[coverage < 0.5])
    assert atlas.info()["studies"] == len(STUDIES)


def test_interferon_genes_find_the_stimulated_cells(atlas, real_data):
    kang = read_old(real_data(STUDIES["kang"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CoverageWarning)
        result = atlas.search(["IFI27", "IFI44L", "IFIT1", "ISG15", "RSAD2", "SIGLEC1"], where="study = 'kang'")
    stimulated = (kang.obs["condition"] == "stim").to_numpy()
    hits = result.call("quantile", q=0.5)
    assert hits.is_hit[stimulated].mean() > 0.9
    assert hits.is_hit[~stimulated].mean() < 0.1
