"""T19 and T20: scoring on expression, and a small atlas of real studies with their different names and values."""

import contextlib
import warnings

import numpy as np
import pytest
import torch

from insignia import genes, tl
from insignia.core.errors import CoverageWarning, InputSpaceError
from insignia.data import read
from insignia.models import fakes
from insignia.models.scimilarity import SCimilarityNetwork, encoder_from_network
from insignia.stats import auroc
from insignia.workflows import add_cells, create_atlas

STUDIES = {
    "kang2018_harmony_2000x9015.h5ad": "counts",
    "pbmc_5k_protein_v3.h5ad": "counts",
    "scmix_sc_dropseq.h5ad": "counts",
    "scmix_sc_celseq2.h5ad": "counts",
    "kang2018_muscat_ctrl_8684x2511.h5ad": "counts",
    "lungT_zilionis_ucell_600x20729_lognorm.h5ad": "log1p",
    "pbmc10x_symphony_1500x1764_lognorm.h5ad": "log1p",
}


@pytest.fixture(scope="module")
def vocabulary(real_data):
    names = real_data("fm_formats/scimilarity/gene_order.tsv").read_text().split("\n")
    assert len(set(names)) == 28_231
    return genes.GeneVocabulary.from_names(names, organism="human")


@pytest.fixture(scope="module")
def encoder(vocabulary):
    """An untrained encoder over the published gene order: this is about names and values, not biology."""
    torch.manual_seed(0)
    return encoder_from_network("untrained", vocabulary, SCimilarityNetwork(28_231, (16,), 8).eval())


def study(real_data, name):
    adata = read(real_data(f"scrna/{name}"))[:150].copy()
    adata.obs_names_make_unique()
    return adata


CONSTANTS = {"tissue": "unknown", "disease": "unknown", "cell_type": "unknown"}


@pytest.fixture(scope="module")
def atlas(real_data, encoder, tmp_path_factory):
    atlas = create_atlas(tmp_path_factory.mktemp("mini") / "atlas", encoder)
    for name in STUDIES:
        adata = study(real_data, name)
        adata.obs = adata.obs[[]]
        with low_coverage_expected():
            add_cells(
                atlas,
                adata,
                model=encoder,
                constants={**CONSTANTS, "study": name, "sample": "s1"},
                show_progress=False,
            )
    return atlas


@contextlib.contextmanager
def low_coverage_expected():
    """Most of these sets measure a part of the 28,231 genes, and say so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CoverageWarning)
        yield


def test_ids_and_symbols_counts_and_log_values_build_one_atlas(atlas):
    assert len(atlas.studies) == len(STUDIES)
    assert len(atlas) == 150 * len(STUDIES)
    with pytest.warns(CoverageWarning):
        result = atlas.search("MS1", min_coverage=0.3)
    coverage = result.coverage.set_index("study")
    assert coverage.loc["pbmc_5k_protein_v3.h5ad", "genes"] >= 81
    assert not coverage.loc["pbmc10x_symphony_1500x1764_lognorm.h5ad", "scored"]
    by_study = result.obs["study"].to_numpy()
    assert np.isnan(result.scores[by_study == "pbmc10x_symphony_1500x1764_lognorm.h5ad"]).all()
    assert np.isfinite(result.scores[by_study == "kang2018_harmony_2000x9015.h5ad"]).all()


def test_a_model_that_needs_counts_refuses_the_log_normalised_studies(real_data, vocabulary):
    model = fakes.TokenEncoder(vocabulary)
    for name, space in STUDIES.items():
        adata = study(real_data, name)[:5].copy()
        if space == "log1p":
            with pytest.raises(InputSpaceError, match="needs counts, and the data are log1p"):
                tl.attribute(adata, model, show_progress=False)
        else:
            with low_coverage_expected():
                tl.attribute(adata, model, show_progress=False, min_overlap=0.01)


def test_interferon_genes_separate_stimulated_cells_on_expression(real_data):
    """T19, a check of scoring, not of attribution."""
    adata = read(real_data("scrna/kang2018_harmony_2000x9015.h5ad"))
    counts = adata.X.toarray() if hasattr(adata.X, "toarray") else adata.X
    adata.X = np.log1p(counts / counts.sum(1, keepdims=True) * 1e4)
    stimulated = (adata.obs["condition"] == "stim").to_numpy()
    isg15 = np.asarray(adata[:, "ISG15"].X).ravel()
    assert isg15[~stimulated].mean() == pytest.approx(0.55, abs=0.01)
    assert isg15[stimulated].mean() == pytest.approx(4.45, abs=0.01)
    with low_coverage_expected():
        tl.score(adata, "IFN_I", layer=None)
    assert auroc(adata.obs["IFN_I"].to_numpy(), stimulated) > 0.95
