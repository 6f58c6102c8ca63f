"""The perturbation commands: from a simulated screen to a verdict, and what failing says."""

import json

import anndata
import numpy as np
import pandas as pd
import pytest

from insignia.core import keys
from insignia.data import read, write_h5ad
from insignia.genes import read_gmt
from insignia.perturb import load_priors

SMALL = ("--genes", 60, "--perturbations", 10, "--doubles", 12, "--cells", 20, "--controls", 80)
QUICK = ("epochs=1", "steps_per_epoch=4", "n_latent=8", "width=32", "n_folds=2")


def options(name, values):
    return [part for value in values for part in (name, value)]


@pytest.fixture
def result(insignia):
    """Run a command that should succeed, and return what it prints as JSON."""

    def call(*arguments):
        code, out, err = insignia("perturb", *arguments, "--json")
        assert code == 0, err
        return json.loads(out.splitlines()[-1], parse_constant=pytest.fail)

    return call


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("perturb")


@pytest.fixture
def made(result, folder):
    """A screen with priors and a split, made once by the commands themselves."""
    if not (folder / "split.json").exists():
        result("simulate", folder / "screen.h5ad", "--priors", folder / "priors", *SMALL, "--option", "n_programs=6")
        result("split", folder / "screen.h5ad", "-o", folder / "split.json", "--share-genes", 0.3)
    return folder


@pytest.fixture
def model(result, made):
    if not (made / "model").exists():
        result(
            "fit", made / "screen.h5ad", "-o", made / "model", "--split", made / "split.json", "--priors",
            made / "priors", *options("--option", QUICK),
        )  # fmt: skip
    return made / "model"


def test_the_gene_sets_of_a_simulated_screen_stand_in_a_file_that_rank_and_check_read(made):
    sets = {name: found.genes for name, found in read_gmt(made / "priors" / "gene_sets.gmt").items()}
    assert len(sets) == 6
    assert sets == dict(load_priors(made / "priors").gene_sets)


def test_a_screen_is_checked_and_written_so_that_it_needs_no_options(result, insignia, made, tmp_path):
    theirs = read(made / "screen.h5ad")
    del theirs.uns[keys.PERTURB]
    write_h5ad(theirs, tmp_path / "theirs.h5ad")
    code, _, err = insignia("perturb", "check", tmp_path / "theirs.h5ad")
    assert (code, "'control' (80 cells)" in err) == (2, True)
    checked = result("check", tmp_path / "theirs.h5ad", "--control", "control", "-o", tmp_path / "ours.h5ad")
    assert (checked["cells"], checked["single"], checked["combined"]) == (520, 10, 12)
    assert [row["stratum"] for row in checked["strata"]] == ["combination, 2 of 2 also alone", "single"]
    again = result("check", tmp_path / "ours.h5ad", "--priors", made / "priors", "--split", made / "split.json")
    assert again["priors"]["embedding"]["coverage"] == 1
    assert {row["side"] for row in again["strata"]} == {"train", "test"}
    code, out, _ = insignia("perturb", "check", tmp_path / "ours.h5ad", "--priors", made / "priors")
    assert "fewer than 1,000 controls" in out
    assert "embedding: 10 of 10 genes known" in out


def test_from_a_screen_to_predicted_cells_and_a_verdict(result, made, model, tmp_path):
    split = json.loads((made / "split.json").read_text())["splits"][0]
    cells = result("predict", model, *split["test"], "-o", tmp_path / "cells.h5ad", "--cells", 30)
    assert cells["rows"] == 30 * len(split["test"])
    assert cells["fallback"] == []
    predicted = read(tmp_path / "cells.h5ad")
    assert predicted.uns[keys.PERTURB]["split_hash"] == split["fingerprint"]
    assert np.isfinite(predicted.X).all()
    again = result("predict", model, "--split", made / "split.json", "-o", tmp_path / "again.h5ad", "--cells", 30)
    assert again["conditions"] == cells["conditions"]
    np.testing.assert_array_equal(read(tmp_path / "again.h5ad").X, predicted.X)
    pair = result("cell-eval", tmp_path / "cells.h5ad", made / "screen.h5ad", "-o", tmp_path / "pair")
    assert pair["command"].startswith(f"cell-eval run -ap {tmp_path / 'pair' / 'predicted.h5ad'} -ar ")
    assert set(read(pair["real"]).obs["target_gene"]) == {*split["test"], "non-targeting"}
    result("predict", model, *split["test"], "-o", tmp_path / "means.h5ad", "--means")
    plain = tmp_path / "plain"
    result("fit", made / "screen.h5ad", "-o", plain, "--split", made / "split.json", "--method", "ridge_onehot")
    found = result(
        "evaluate", made / "screen.h5ad", "--split", made / "split.json", "--model", model, "--model", plain, "--pred",
        f"anyone={tmp_path / 'means.h5ad'}", "--priors", made / "priors", "-o", tmp_path / "board",
    )  # fmt: skip
    methods = {row["method"] for row in found["rows"] if row["role"] == "method"}
    assert methods == {"model", "plain", "anyone"}
    assert {"control", "additive", "ridge_embedding"} <= {
        row["method"] for row in found["rows"] if row["role"] == "baseline"
    }
    assert any("anyone: made elsewhere" in note for note in found["notes"])
    assert (tmp_path / "board" / "scoreboard.csv").exists()


def test_a_benchmark_of_folds_is_one_table_that_ends_with_who_wins(insignia, result, made, tmp_path):
    made_folds = result("split", made / "screen.h5ad", "-o", tmp_path / "folds.json", "--kind", "folds", "--folds", 2)
    assert [row["name"] for row in made_folds["splits"]] == ["fold 1 of 2", "fold 2 of 2"]
    arguments = (
        "benchmark", made / "screen.h5ad", "--split", tmp_path / "folds.json", "--priors", made / "priors",
        "--seeds", 1, *options("--option", QUICK), "-o", tmp_path / "board",
    )  # fmt: skip
    code, out, err = insignia("perturb", *arguments)
    assert code == 0, err
    assert out.rstrip().splitlines()[-1].startswith("Who wins by l2:")
    record = json.loads((tmp_path / "board" / "scoreboard.json").read_text())
    assert {row["role"] for row in record["rows"]} == {"method", "baseline", "control", "ceiling"}


def test_genes_are_divided_into_programs(result, made, tmp_path):
    found = result(
        "programs", made / "screen.h5ad", "-o", tmp_path / "programs.json", "--number", 6, "--split",
        made / "split.json", "--priors", made / "priors",
    )  # fmt: skip
    assert found["programs"] == 6
    written = json.loads((tmp_path / "programs.json").read_text())
    assert len(written["program"]) == 60
    assert set(written["program"]) == set(range(6))


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("additive", ("--share", 0.5), "seen 2 of 2"),
        ("unseen-genes", (), "unseen single"),
        ("combo", (), "seen 1 of 2"),
        ("unseen-context", ("--hold", "context2"), "seen single"),
    ],
)
def test_every_kind_of_split(result, tmp_path, kind, more, said):
    result("simulate", tmp_path / "two.h5ad", *SMALL, "--option", "n_contexts=2")
    found = result("split", tmp_path / "two.h5ad", "-o", tmp_path / "split.json", "--kind", kind, *more)
    assert said in found["splits"][0]["strata"]


def test_failures_are_said_in_words_and_by_their_exit_code(insignia, result, made, model, tmp_path):
    def failed(*arguments):
        code, _, err = insignia("perturb", *arguments)
        return code, err

    split = made / "split.json"
    code, err = failed("predict", model, "NEWGENE", "-o", tmp_path / "x.h5ad")
    assert (code, "no vector for NEWGENE" in err) == (2, True), err
    assert not (tmp_path / "x.h5ad").exists()
    code, err = failed("predict", model, "-o", tmp_path / "x.h5ad")
    assert (code, "one of the two" in err) == (2, True), err
    code, err = failed("predict", model, "PERT001", "--split", split, "-o", tmp_path / "x.h5ad")
    assert (code, "one of the two" in err) == (2, True), err
    result("fit", made / "screen.h5ad", "-o", tmp_path / "leaky", "--method", "additive")
    code, err = failed("evaluate", made / "screen.h5ad", "--split", split, "--model", tmp_path / "leaky")
    assert (code, "learned from" in err) == (2, True), err
    (tmp_path / "changed.json").write_text(split.read_text().replace("PERT001", "PERT002", 1))
    code, err = failed("benchmark", made / "screen.h5ad", "--split", tmp_path / "changed.json")
    assert (code, "was changed since" in err) == (2, True), err
    arrays = tmp_path / "leaky" / "arrays.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-1] + b"\x01")
    code, err = failed("predict", tmp_path / "leaky", "PERT001", "-o", tmp_path / "x.h5ad")
    assert (code, "was changed" in err) == (3, True), err
    code, err = failed("split", made / "screen.h5ad", "-o", tmp_path / "s.json", "--kind", "best")
    assert (code, "--kind takes combo, additive" in err) == (2, True), err
    code, err = failed("fit", made / "screen.h5ad", "-o", tmp_path / "m", "--method", "flwo")
    assert (code, "Did you mean 'flow'" in err) == (2, True), err
    code, err = failed("fit", made / "screen.h5ad", "-o", tmp_path / "m", "--method", "additive", "--option", "x=1")
    assert (code, "cannot be made with the options x" in err) == (2, True), err
    code, err = failed("evaluate", made / "screen.h5ad", "--split", split, "--pred", "file.h5ad")
    assert (code, "--pred takes NAME=VALUE" in err) == (2, True), err
    code, err = failed("check", made / "screen.h5ad", "--scale", "much")
    assert (code, "number or median" in err) == (2, True), err


def test_predictions_of_another_program_are_scored(result, made, tmp_path):
    split = json.loads((made / "split.json").read_text())["splits"][0]
    screen = read(made / "screen.h5ad")
    controls = screen[screen.obs[keys.CONDITION] == "control"]
    mean = np.asarray(controls.X.mean(axis=0)).ravel()
    labels = [unit if "+" in unit else f"{unit}+ctrl" for unit in split["test"]]
    theirs = anndata.AnnData(
        np.tile(mean, (len(labels), 1)).astype(np.float32), obs={"condition": labels}, var=screen.var
    )  # fmt: skip
    write_h5ad(theirs, tmp_path / "gears.h5ad")
    found = result(
        "evaluate", made / "screen.h5ad", "--split", made / "split.json", "--pred", f"gears={tmp_path / 'gears.h5ad'}",
        "--pred-control", "ctrl",
    )  # fmt: skip
    rows = {row["method"]: row for row in found["rows"] if row["stratum"] == "unseen single"}
    assert rows["gears"]["l2"] == pytest.approx(rows["control"]["l2"], rel=0.05)


def test_perturbations_are_ranked_by_a_signature(result, insignia, made, model, tmp_path):
    result(
        "fit", made / "screen.h5ad", "-o", tmp_path / "ridge", "--method", "ridge_embedding", "--split",
        made / "split.json", "--priors", made / "priors",
    )  # fmt: skip
    found = result(
        "rank", model, "GENE0001,GENE0002,GENE0003", "-o", tmp_path / "rank.csv", "--away", "--pairs-of-best", 3,
        "--baseline", f"ridge={tmp_path / 'ridge'}", "--measured", made / "screen.h5ad",
    )  # fmt: skip
    table = pd.read_csv(tmp_path / "rank.csv")
    assert len(table) == found["ranked"]
    assert {"change", "sd", "measured", "ridge", "sum_of_singles"} <= set(table)
    assert table["change"].is_monotonic_increasing
    assert found["first"][0]["condition"] == table["condition"][0]
    code, out, _ = insignia("perturb", "rank", model, "GENE0001,GENE0002", "-o", tmp_path / "again.csv")
    assert code == 0
    assert "is predicted to move cells most towards custom" in out
    code, _, err = insignia("perturb", "rank", model, "MS1", "-o", tmp_path / "none.csv")
    assert code == 2
    assert "below --min-coverage 50%" in err
    assert not (tmp_path / "none.csv").exists()
