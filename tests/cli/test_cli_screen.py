"""Screens, the reverse query and group means from the command line."""

import json

import anndata
import pandas as pd
import pytest
from benchmarks.attack.atlas_cells import cells, make_atlas
from tests.atlas.screen_atlas import PLANTED, planted_atlas, random_sets

from insignia.genes import Signature, write_gmt

SICK = "disease = 'sepsis' AND cell_type = 'monocyte'"
WELL = "disease = 'normal' AND cell_type = 'monocyte'"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    planted_atlas(folder / "atlas")
    sets = [Signature("PLANTED", tuple(PLANTED)), *(Signature(k, tuple(v)) for k, v in random_sets(12).items())]
    write_gmt(sets, folder / "sets.gmt")
    return folder


def result(found):
    code, out, err = found
    assert code == 0, err
    return json.loads(out)


def test_screen_writes_scores_and_a_comparison(insignia, folder, tmp_path):
    options = ["-o", tmp_path / "scores.h5ad", "--table", tmp_path / "table.csv", "--volcano", tmp_path / "v.png"]
    found = result(insignia("screen", folder / "atlas", folder / "sets.gmt", "--compare", "normal", *options, "--json"))
    assert (found["signatures"], found["groups"]) == (13, 72)
    assert found["comparison"][0]["signature"] == "PLANTED"
    scores = anndata.read_h5ad(tmp_path / "scores.h5ad")
    assert list(scores.var_names[:1]) == ["PLANTED"]
    assert scores.n_obs == 72
    assert pd.read_csv(tmp_path / "table.csv").loc[0, "signature"] == "PLANTED"
    assert (tmp_path / "v.png").read_bytes().startswith(b"\x89PNG")


def test_screen_says_what_it_found(insignia, folder, tmp_path):
    arguments = ["screen", folder / "atlas", folder / "sets.gmt", "--where", "study <> 'C'"]
    code, out, _ = insignia(*arguments, "--compare", "normal", "--stratum", "none", "-o", tmp_path / "s.csv")
    assert code == 0
    assert out.startswith("13 signatures in 48 groups of 1,920 cells")
    assert "testable comparisons of 13 signatures with normal" in out
    assert len(pd.read_csv(tmp_path / "s.csv")) == 13 * 48
    by_type = result(insignia(*arguments, "--column", "cell_type", "--json"))
    assert by_type["groups"] == 4


def test_programs_answer_the_reverse_question(insignia, folder, tmp_path):
    options = ["--where", SICK, "--reference", WELL, "--genes", tmp_path / "g.tsv", "--table", tmp_path / "p.parquet"]
    arguments = ["programs", folder / "atlas", folder / "sets.gmt", *options, "--volcano", tmp_path / "v.pdf"]
    found = result(insignia(*arguments, "--json"))
    assert found["programs"][0]["signature"] == "PLANTED"
    assert not found["paired"]
    assert found["leading_genes"][0]["gene"] in PLANTED
    assert set(found["written"]) == {"genes", "table", "volcano"}
    assert pd.read_parquet(tmp_path / "p.parquet").loc[0, "signature"] == "PLANTED"
    code, out, _ = insignia(*arguments)
    assert code == 0
    assert "first PLANTED" in out


def test_pseudobulk_and_regroup(insignia, folder, tmp_path):
    made = result(insignia("atlas", "pseudobulk", folder / "atlas", "-o", tmp_path / "bulk.h5ad", "--json"))
    assert (made["groups"], made["genes"], made["cells"]) == (72, 36, 2880)
    assert anndata.read_h5ad(tmp_path / "bulk.h5ad").shape == (72, 36)
    again = result(insignia("atlas", "regroup", folder / "atlas", "--column", "disease", "--json"))
    assert (again["columns"], again["segments"], again["groups"]) == (["study", "disease"], 1, 6)


def test_refusals(insignia, folder):
    code, _, err = insignia("screen", folder / "atlas", folder / "sets.gmt", "--volcano", "v.png")
    assert code != 0
    assert "name its reference, e.g. --compare normal" in err
    code, _, err = insignia("screen", folder / "atlas", "none.gmt")
    assert code != 0
    assert "There is no file none.gmt" in err
    code, _, err = insignia("programs", folder / "atlas", folder / "sets.gmt", "--where", SICK, "--reference", SICK)
    assert code != 0
    assert "cells belong to both" in err


def test_a_comparison_that_is_refused_leaves_no_scores_behind(insignia, tmp_path):
    make_atlas(tmp_path / "atlas", cells("S1", 30))
    sets = tmp_path / "sets.gmt"
    sets.write_text("A\t\tGENE1\tGENE2\n")
    scores = tmp_path / "scores.csv"
    code, _, err = insignia("screen", tmp_path / "atlas", sets, "--compare", "nothing", "-o", scores)
    assert code == 2, err
    assert not scores.exists()
    code, _, err = insignia("screen", tmp_path / "atlas", sets, "-o", scores)
    assert code == 0, err
    assert scores.exists()
