"""`insignia compare`: tables and a figure of several scores of one signature."""

import json

import pandas as pd
import pytest
from tests.report.sample_tables import attributed_cells


@pytest.fixture
def cells(tmp_path):
    adata = attributed_cells()
    adata.obs["donor"] = [f"d{i % 3}" for i in range(adata.n_obs)]
    adata.write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


def test_scores_aurocs_and_a_figure_are_written(insignia, cells, tmp_path):
    options = ["--methods", "attribution,z_score", "--labels", "cell_type", "--positive", "B cell", "--donors", "donor"]
    files = ["-o", tmp_path / "s.csv", "--summary", tmp_path / "a.csv", "--figure", tmp_path / "f.png", "--json"]
    code, out, err = insignia("compare", cells, "G0-0,G0-1,G0-2", *options, *files)
    assert code == 0, err
    said = json.loads(out)
    assert said["methods"] == ["attribution", "z_score"]
    assert said["auroc"]["attribution"]["donors"] == 3
    assert said["auroc"]["attribution"]["auroc"] == 1.0
    table = pd.read_csv(tmp_path / "s.csv")
    assert list(table) == ["barcode", "attribution", "z_score"]
    assert len(table) == 36
    assert len(pd.read_csv(tmp_path / "a.csv")) == 6
    assert (tmp_path / "f.png").stat().st_size > 5_000


def test_what_cannot_be_is_said_with_the_way_out(insignia, cells, tmp_path):
    code, _, err = insignia("compare", cells, "G0-0,G0-1", "--methods", "gsva")
    assert code == 2
    assert "no scorer 'gsva'" in err
    code, _, err = insignia("compare", cells, "G0-0,G0-1", "--summary", tmp_path / "a.csv")
    assert code == 2
    assert "need --labels" in err
