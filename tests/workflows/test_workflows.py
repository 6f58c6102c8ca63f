"""Files to attributed files, raw cells to atlases."""

import anndata
import numpy as np
import pytest
from tests.attribution.conftest import ENCODERS, make_cells, scimilarity_look_alike, vocabulary

from insignia import tl
from insignia.attribution import AttributeOptions
from insignia.core import keys
from insignia.core.errors import AtlasMismatch, GeneMatchError, InputError, InputSpaceError, MissingMetadata
from insignia.data import read
from insignia.models import fakes
from insignia.workflows import add_cells, attribute_file, create_atlas

METADATA = {"study": "a", "sample": "s", "disease": "normal", "tissue": "blood", "cell_type": "B"}


@pytest.fixture
def model():
    return scimilarity_look_alike()


def test_a_file_becomes_the_attributed_file_that_memory_would_give(model, tmp_path):
    cells = make_cells(20)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    written = attribute_file(tmp_path / "cells.h5ad", model, tmp_path / "out" / "a.h5ad", show_progress=False)
    expected = tl.attribute(cells, model, copy=True, show_progress=False)
    found = read(tmp_path / "out" / "a.h5ad")
    np.testing.assert_allclose(
        found.layers[keys.ATTRIBUTION].toarray(), expected.layers[keys.ATTRIBUTION].toarray(), rtol=1e-4, atol=2e-3
    )
    np.testing.assert_array_equal(found.X.toarray(), cells.X.toarray())
    assert written.n_obs == 20
    assert [item.name for item in (tmp_path / "out").iterdir()] == ["a.h5ad"]


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
def test_other_formats_are_read_and_a_lean_part_leaves_expression_out(model, tmp_path):
    cells = make_cells(10)
    cells.write_zarr(tmp_path / "cells.zarr")
    attribute_file(tmp_path / "cells.zarr", model, tmp_path / "full.h5ad", show_progress=False)
    attribute_file(tmp_path / "cells.zarr", model, tmp_path / "lean.h5ad", keep_expression=False, show_progress=False)
    full, lean = read(tmp_path / "full.h5ad"), read(tmp_path / "lean.h5ad")
    assert full.X is not None
    assert lean.X is None
    np.testing.assert_array_equal(full.layers[keys.ATTRIBUTION].toarray(), lean.layers[keys.ATTRIBUTION].toarray())


@pytest.mark.parametrize("keep", [True, False])
def test_a_refusal_leaves_no_file(model, tmp_path, keep):
    bad = make_cells()
    bad.var_names = [f"XYZ{i}" for i in range(bad.n_vars)]
    bad.write_h5ad(tmp_path / "bad.h5ad")
    with pytest.raises(GeneMatchError):
        attribute_file(tmp_path / "bad.h5ad", model, tmp_path / "out.h5ad", keep_expression=keep, show_progress=False)
    scaled = make_cells()
    scaled.X = scaled.X.toarray() - 0.5
    scaled.write_h5ad(tmp_path / "scaled.h5ad")
    with pytest.raises(InputSpaceError, match="negative"):
        attribute_file(tmp_path / "scaled.h5ad", model, tmp_path / "out.h5ad", keep_expression=keep)
    assert {item.name for item in tmp_path.iterdir()} == {"bad.h5ad", "scaled.h5ad"}


def test_a_file_is_not_attributed_onto_itself(model, tmp_path):
    make_cells().write_h5ad(tmp_path / "cells.h5ad")
    for output in ("cells.h5ad", "out.zarr"):
        with pytest.raises(InputError, match="another file than the input"):
            attribute_file(tmp_path / "cells.h5ad", model, tmp_path / output)


def test_an_attribution_that_is_there_is_kept_unless_it_is_to_be_replaced(model, tmp_path):
    make_cells().write_h5ad(tmp_path / "cells.h5ad")
    (tmp_path / "out.h5ad").write_text("hours of work")
    with pytest.raises(InputError, match=r"There is something at .*out\.h5ad already.*pass overwrite=True"):
        attribute_file(tmp_path / "cells.h5ad", "no model is loaded", tmp_path / "out.h5ad")
    assert (tmp_path / "out.h5ad").read_text() == "hours of work"
    attribute_file(tmp_path / "cells.h5ad", model, tmp_path / "out.h5ad", overwrite=True, show_progress=False)
    assert keys.ATTRIBUTION in read(tmp_path / "out.h5ad").layers


def test_raw_and_attributed_cells_make_the_same_atlas(model, tmp_path):
    cells = make_cells(20)
    raw = create_atlas(tmp_path / "raw", model)
    add_cells(raw, cells, model=model, constants=METADATA, show_progress=False)
    assert keys.ATTRIBUTION not in cells.layers
    ready = create_atlas(tmp_path / "ready", model)
    add_cells(
        ready, tl.attribute(cells, model, copy=True, show_progress=False), constants=METADATA, show_progress=False
    )
    genes = ["GENE1", "GENE5", "GENE9"]
    np.testing.assert_allclose(raw.search(genes).scores, ready.search(genes).scores, rtol=2e-3, atol=1e-3)


def test_the_atlas_decides_how_raw_cells_are_attributed(model, tmp_path):
    options = AttributeOptions(target="self_abs", signed=True)
    atlas = create_atlas(tmp_path / "atlas", model, options=options)
    add_cells(atlas, make_cells(), model=model, constants=METADATA, show_progress=False)
    assert (atlas.record.target, atlas.record.sign) == ("self_abs", "signed")
    assert (atlas.gene_matrix(["GENE1", "GENE2", "GENE3"])[0].data < 0).any()


def test_another_model_or_none_is_refused_and_the_atlas_stays_as_it_was(model, tmp_path):
    atlas = create_atlas(tmp_path / "atlas", model)
    before = sorted(str(item) for item in (tmp_path / "atlas").rglob("*"))
    with pytest.raises(MissingMetadata, match="give the atlas's model"):
        add_cells(atlas, make_cells(), constants=METADATA)
    with pytest.raises(AtlasMismatch, match="Use the model it was made with"):
        add_cells(atlas, make_cells(), model=fakes.linear_encoder(vocabulary()), constants=METADATA)
    with pytest.raises(MissingMetadata, match="study"):
        add_cells(atlas, make_cells(), model=model, show_progress=False)
    assert sorted(str(item) for item in (tmp_path / "atlas").rglob("*")) == before
    assert len(atlas) == 0


@pytest.mark.filterwarnings("ignore::insignia.core.errors.CompletenessWarning")
@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_every_encoder_goes_all_the_way(name, tmp_path):
    encoder = ENCODERS[name]()
    atlas = create_atlas(tmp_path / "atlas", encoder)
    cells = anndata.concat([make_cells(seed=s) for s in range(3)], keys=list("xyz"), index_unique="-", label="sample")
    constants = {key: value for key, value in METADATA.items() if key != "sample"}
    add_cells(atlas, cells, model=encoder, constants=constants, show_progress=False)
    table = atlas.search(["GENE1", "GENE2", "GENE3"]).call("percentile", q=80).by_sample(min_cells=5)
    assert len(table) == 3
