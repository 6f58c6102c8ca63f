"""The main job on the Kang 2018 set: does an encoder that saw control cells only find the interferon response?"""

import numpy as np
import pytest

from insignia import genes, models, tl
from insignia.core import keys
from insignia.data import read
from insignia.stats import auroc
from insignia.workflows import create_atlas

FILE = "scrna/kang2018_muscat_example_1556x1267.h5ad"
MARKERS = {
    "B cells": {"CD79A"},
    "CD14+ Monocytes": {"S100A8", "S100A9"},
    "FCGR3A+ Monocytes": {"FCGR3A"},
    "CD8 T cells": {"NKG7"},
}
RESPONSE = "HALLMARK_INTERFERON_ALPHA_RESPONSE"


@pytest.fixture(scope="module")
def cells(real_data):
    """All cells with attributions of an encoder trained on the control cells, and the metadata of an atlas."""
    adata = read(real_data(FILE))
    control = adata[adata.obs["group_id"] == "ctrl"].copy()
    encoder = models.train(
        control, labels="cluster_id", options=models.TrainOptions(epochs=30), rng=0, show_progress=False
    )
    tl.attribute(adata, encoder, show_progress=False)
    adata.obs["donor"] = adata.obs["sample_id"].astype(str).str.extract(r"(\d+)$")[0].to_numpy()
    return adata, encoder


@pytest.fixture(scope="module")
def atlas(cells, tmp_path_factory):
    """One study per donor, one sample per condition."""
    adata, encoder = cells
    atlas = create_atlas(tmp_path_factory.mktemp("kang") / "atlas", encoder)
    for donor in ("101", "107"):
        atlas.add(
            adata[adata.obs["donor"] == donor].copy(),
            columns={"sample_id": "sample", "group_id": "disease", "cluster_id": "cell_type"},
            constants={"study": f"donor {donor}", "tissue": "blood"},
            progress=False,
        )
    return atlas


@pytest.fixture(scope="module")
def hallmarks(real_data, atlas):
    """Hallmark sets with at least five genes in the atlas."""
    sets = genes.read_gmt(real_data("genesets/h.all.v7.0.symbols.gmt"))
    return {name: made for name, made in sets.items() if made.match(atlas.genes).n_found >= 5}


def separation(atlas, made, donor, *, rng=None):
    """AUROC of a signature between stimulated and control monocytes of one donor."""
    where = f"study = 'donor {donor}' AND cell_type IN ('CD14+ Monocytes', 'FCGR3A+ Monocytes')"
    result = atlas.search(made, where=where, min_coverage=0)
    stimulated = (result.obs["disease"] == "stim").to_numpy()
    return auroc(result.scores, stimulated if rng is None else rng.permutation(stimulated))


@pytest.mark.parametrize("donor", ["101", "107"])
def test_the_interferon_response_separates_stimulated_monocytes_best_or_second(atlas, hallmarks, donor):
    assert len(hallmarks) > 40
    areas = {name: separation(atlas, made, donor) for name, made in hallmarks.items()}
    ranking = sorted(areas, key=lambda name: -areas[name])
    assert ranking.index(RESPONSE) <= 1
    assert areas[RESPONSE] > 0.95


@pytest.mark.parametrize("donor", ["101", "107"])
def test_shuffled_conditions_are_not_separated(atlas, hallmarks, donor):
    area = separation(atlas, hallmarks[RESPONSE], donor, rng=np.random.default_rng(0))
    assert 0.35 <= area <= 0.65


def test_the_best_genes_of_a_cell_type_hold_its_markers(cells):
    adata, _ = cells
    tl.rank_genes(adata, "cluster_id")
    ranked = adata.uns[keys.RANK_GENES]["names"]
    symbols = [name.split("_ENSG")[0] for name in adata.var_names]
    named = dict(zip(adata.var_names, symbols, strict=True))
    for group, markers in MARKERS.items():
        assert markers & {named[name] for name in ranked[group][:20]}, group


def test_ribosomal_and_mitochondrial_genes_matter_less_than_they_are_expressed(cells):
    adata, _ = cells
    counts = adata.X.toarray() if hasattr(adata.X, "toarray") else adata.X
    logged = np.log1p(counts / counts.sum(1, keepdims=True) * 1e4)
    attribution = adata.layers[keys.ATTRIBUTION].toarray()
    uninformative = adata.var_names.str.match(r"^(RP[SL]\d|MT-)")
    assert uninformative.sum() > 50

    def share(matrix):
        return (matrix[:, uninformative].sum(1) / matrix.sum(1)).mean()

    assert share(attribution) < 0.9 * share(logged)


def test_every_cell_is_explained(cells):
    adata, _ = cells
    assert adata.obs[keys.gap()].median() < 0.01
    assert (adata.obs[keys.gap()] < 0.05).mean() > 0.99
