"""Two commands that write to one place at once: what is there afterwards is whole, and of one of them or of both."""

import os

import anndata
import numpy as np
import pytest
from benchmarks.attack.atlas_cells import cells, make_atlas
from benchmarks.attack.inputs.places import SMALL
from tests.lookalikes import scimilarity
from tests.workflows.at_once import at_once

from insignia.atlas import Atlas
from insignia.atlas.verify import verify_atlas
from insignia.data import read_split, simulate_screen, write_h5ad, write_screen
from insignia.perturb import load_model

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="commands are forked")


@pytest.fixture
def place(tmp_path):
    scimilarity.build(tmp_path / "model")
    scimilarity.cells(8).write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path


def test_two_attributions_to_one_file(place):
    words = ("attribute", "cells.h5ad", "-m", "model", "--overwrite", "-o", "out.h5ad")
    assert at_once(place, words, words) == [0, 0]
    assert at_once(place, (*words[:-1], "one.h5ad")) == [0]
    made, alone = (anndata.read_h5ad(place / name) for name in ("out.h5ad", "one.h5ad"))
    np.testing.assert_array_equal(made.layers["attribution"].toarray(), alone.layers["attribution"].toarray())


def test_two_attributions_into_the_same_parts(place):
    words = ("attribute", "cells.h5ad", "-m", "model", "-o", "parts", "--shards", "3")
    codes = at_once(place, words, words)
    assert 0 in codes
    assert at_once(place, words) == [0]
    parts = [anndata.read_h5ad(path) for path in sorted((place / "parts").glob("*.h5ad"))]
    assert [name for part in parts for name in part.obs_names] == list(scimilarity.cells(8).obs_names)


def test_two_additions_to_an_atlas(place):
    path = make_atlas(place / "atlas", cells("S1", 20)).path
    for name in ("S2", "S3"):
        write_h5ad(cells(name, 15), place / f"{name}.h5ad")
    codes = at_once(place, *(("atlas", "add", "atlas", f"{name}.h5ad") for name in ("S2", "S3")))
    assert set(codes) <= {0, 4}
    added = [name for name, code in zip(("S2", "S3"), codes, strict=True) if code == 0]
    assert added
    assert sorted(Atlas.open(path).obs()["study"].unique()) == ["S1", *added]
    assert verify_atlas(path).is_sound


def test_two_fits_to_one_folder_and_two_splits_to_one_file(place):
    write_screen(simulate_screen(rng=0, **SMALL).data, place / "screen.h5ad")
    words = ("perturb", "fit", "screen.h5ad", "-o", "fitted", "--method", "additive")
    codes = at_once(place, words, words)
    assert sorted(codes) in ([0, 0], [0, 2])
    assert load_model(place / "fitted").method == "additive"
    split = ("perturb", "split", "screen.h5ad", "-o", "split.json", "--kind", "additive")
    assert at_once(place, (*split, "--seed", "1"), (*split, "--seed", "2")) == [0, 0]
    assert len(read_split(place / "split.json").test)
