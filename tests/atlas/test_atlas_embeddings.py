"""Embeddings that an atlas keeps: the same rows in the same order, exact neighbours, centroids that are targets."""

import numpy as np
import pytest
from benchmarks.attack.atlas_cells import GENES, RECORD, cells, make_atlas
from tests.attribution.conftest import make_cells, scimilarity_look_alike

from insignia import tl
from insignia.atlas import Atlas
from insignia.attribution import Centroid, Contrast
from insignia.core.errors import AtlasMismatch, InputError, MissingMetadata
from insignia.data import write_h5ad
from insignia.workflows import create_atlas

KEY = "X_linear"


def embedded(study, n, *, latent=6, seed=0, **options):
    adata = cells(study, n, **options)
    rng = np.random.default_rng([seed, *study.encode()])
    adata.obsm[KEY] = rng.normal(size=(n, latent)).astype(np.float32)
    return adata


@pytest.fixture
def studies():
    return [embedded("S1", 30), embedded("S2", 25, genes=[30, 3, 5, 8]), embedded("S3", 12)]


@pytest.fixture
def atlas(tmp_path, studies):
    """Segments that cut through a study, in one of which studies alternate."""
    mixed = [studies[0][10:].copy(), studies[1][:9].copy(), studies[0][:10].copy(), studies[1][9:].copy()]
    return make_atlas(tmp_path / "a", mixed, studies[2], embedding=KEY, max_cells_per_segment=20)


def truth(atlas, studies):
    """Embeddings as float16 keeps them, looked up by barcode."""
    known = {name: row for adata in studies for name, row in zip(adata.obs_names, adata.obsm[KEY], strict=True)}
    return np.stack([known[name] for name in atlas.obs()["barcode"]]).astype(np.float16).astype(np.float32)


def test_rows_are_those_of_the_cells(atlas, studies):
    want = truth(atlas, studies)
    assert want.shape == (67, 6)
    np.testing.assert_array_equal(atlas.embedding(), want)
    monocytes = (atlas.obs()["cell_type"] == "monocyte").to_numpy()
    np.testing.assert_array_equal(atlas.embedding("cell_type = 'monocyte'"), want[monocytes])
    assert np.load(next(atlas.path.glob("segments/*/embedding.npy"))).dtype == np.float16


def test_rows_survive_compacting_and_removing(atlas, studies):
    atlas.compact()
    np.testing.assert_array_equal(atlas.embedding(), truth(atlas, studies))
    atlas.remove("S2")
    np.testing.assert_array_equal(atlas.embedding(), truth(atlas, studies))
    assert len(atlas) == 42


def test_files_give_the_same(tmp_path, atlas, studies):
    for number, adata in enumerate(studies):
        write_h5ad(adata, tmp_path / "parts" / f"{number}.h5ad")
    other = make_atlas(tmp_path / "b", tmp_path / "parts", embedding=KEY)
    np.testing.assert_array_equal(other.embedding("study = 'S2'"), truth(other, studies)[30:55])


@pytest.mark.parametrize("k", [1, 5, 67])
@pytest.mark.parametrize("where", [None, "study <> 'S2'"])
def test_neighbours_are_those_of_brute_force(atlas, studies, monkeypatch, k, where):
    monkeypatch.setattr("insignia.atlas.embeddings._ROWS", 7)
    monkeypatch.setattr("insignia.atlas.neighbours._QUERIES", 3)
    kept = np.ones(67, bool) if where is None else (atlas.obs()["study"] != "S2").to_numpy()
    k = min(k, int(kept.sum()))
    queries = np.random.default_rng(1).normal(size=(8, 6))
    want = truth(atlas, studies).astype(np.float64)
    cosine = (queries @ want.T) / np.outer(np.linalg.norm(queries, axis=1), np.linalg.norm(want, axis=1))
    cosine[:, ~kept] = -np.inf
    order = np.argsort(-cosine, axis=1)[:, :k]
    found = atlas.neighbours(queries, k, where=where)
    np.testing.assert_array_equal(found.rows, order)
    np.testing.assert_allclose(found.similarity, np.take_along_axis(cosine, order, 1), rtol=1e-5, atol=1e-6)
    alone = atlas.neighbours(queries[4], k, where=where)
    np.testing.assert_array_equal(alone.rows[0], found.rows[4])


def test_ties_come_in_the_order_of_the_atlas_and_a_zero_row_is_never_near(tmp_path, monkeypatch):
    monkeypatch.setattr("insignia.atlas.embeddings._ROWS", 4)
    adata = embedded("S1", 11)
    adata.obsm[KEY][:] = [1, 0, 0, 0, 0, 0]
    adata.obsm[KEY][3] = 0
    found = make_atlas(tmp_path / "a", adata, embedding=KEY).neighbours(np.array([2.0, 0, 0, 0, 0, 0]), 6)
    assert found.rows[0].tolist() == [0, 1, 2, 4, 5, 6]
    np.testing.assert_array_equal(found.similarity[0], 1)


def test_what_is_known_of_neighbours(atlas):
    obs, queries = atlas.obs(), atlas.embedding()[[40, 2]]
    found = atlas.neighbours(queries, 4)
    assert found.rows[:, 0].tolist() == [40, 2]
    table = found.obs()
    assert table["query"].tolist() == [0] * 4 + [1] * 4
    assert table["rank"].tolist() == [0, 1, 2, 3] * 2
    assert table["barcode"].tolist() == obs["barcode"].iloc[found.rows.ravel()].tolist()
    shares = found.shares("study")
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert shares.loc[0, obs["study"].iloc[40]] == (obs["study"].iloc[found.rows[0]] == obs["study"].iloc[40]).mean()
    with pytest.raises(InputError, match="no column 'clone'"):
        found.shares("clone")


@pytest.mark.filterwarnings("ignore::insignia.core.errors.CompletenessWarning")
def test_centroids_are_means_and_targets(tmp_path):
    model = scimilarity_look_alike()
    adata = make_cells(40)[:-1].copy()
    tl.embed(adata, model)
    tl.attribute(adata, model, show_progress=False)
    adata.obs["disease"] = ["sepsis" if i % 3 else "normal" for i in range(39)]
    for name in ("study", "sample", "tissue", "cell_type"):
        adata.obs[name] = "x"
    atlas = create_atlas(tmp_path / "a", model)
    atlas.add(adata, embedding=f"X_{model.name}", progress=False)
    rows = adata.obsm[f"X_{model.name}"]
    sick = (adata.obs["disease"] == "sepsis").to_numpy()
    np.testing.assert_allclose(atlas.centroid("disease = 'sepsis'"), rows[sick].mean(axis=0), atol=1e-3)
    want = rows[sick].mean(axis=0) - rows[~sick].mean(axis=0)
    np.testing.assert_allclose(atlas.contrast("disease = 'sepsis'", "disease = 'normal'"), want, atol=1e-3)
    towards, against = atlas.centroid("disease = 'sepsis'"), atlas.centroid("disease = 'normal'")
    tl.attribute(adata, model, target=Contrast(towards, against), key_added="kept", show_progress=False)
    tl.attribute(adata, model, target=Contrast(rows[sick], rows[~sick]), key_added="again", show_progress=False)
    kept, again = (adata.layers[key].toarray() for key in ("kept", "again"))
    assert np.corrcoef(kept.ravel(), again.ravel())[0, 1] > 0.99
    assert Centroid(towards).bind(model)


def test_anndata_for_umap(atlas, studies):
    adata = atlas.embedded("study = 'S1'")
    np.testing.assert_array_equal(adata.obsm["X_linear"], truth(atlas, studies)[:30])
    assert adata.obs_names[0] == "S1/" + adata.obs["barcode"].iloc[0]
    assert adata.obs_names.is_unique


def test_cells_without_an_embedding_are_named(atlas):
    atlas.add(cells("S9", 5))
    with pytest.raises(MissingMetadata, match="Cells of S9 have no embedding in the atlas"):
        atlas.embedding()
    assert atlas.embedding("study <> 'S9'").shape == (67, 6)
    with pytest.raises(MissingMetadata, match="S9"):
        atlas.neighbours(np.ones(6), 3)


def test_refusals(tmp_path, atlas):
    with pytest.raises(MissingMetadata, match=r"no embedding obsm\['X_linear'\] \(there: none\)"):
        atlas.add(cells("S5", 5), embedding=KEY)
    with pytest.raises(AtlasMismatch, match="keeps embeddings of 6 dimensions and these have 4"):
        atlas.add(embedded("S5", 5, latent=4), embedding=KEY)
    with pytest.raises(InputError, match=r"has the shape \(5, 4\); expected \(5, 6\)"):
        atlas.add([embedded("S5", 5), embedded("S6", 5, latent=4)], embedding=KEY)
    wild = embedded("S5", 5)
    wild.obsm[KEY][2, 1] = np.nan
    with pytest.raises(InputError, match="not finite or beyond 65,504"):
        atlas.add(wild, embedding=KEY)
    assert "S5" not in Atlas.open(atlas.path).studies
    with pytest.raises(AtlasMismatch, match="queries have 5 dimensions and embeddings of the atlas 6"):
        atlas.neighbours(np.ones(5), 3)
    for queries in (np.zeros(6), np.full(6, np.nan), np.empty((0, 6))):
        with pytest.raises(InputError, match="finite, non-zero embeddings"):
            atlas.neighbours(queries, 3)
    with pytest.raises(InputError, match="k is from 1 to the 67 cells that are searched; found 68"):
        atlas.neighbours(np.ones(6), 68)
    with pytest.raises(InputError, match="holds no cells"):
        Atlas.create(tmp_path / "empty", genes=GENES, record=RECORD).embedding()
