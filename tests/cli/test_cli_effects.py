"""From a screen to an atlas on the command line: programs and effects as GMT files, and perturbed cells attributed."""

import json

import pandas as pd
import pytest
from tests.perturb.screen_truth import guides_of
from tests.workflows.shared_programs import DISEASES, MONOCYTES, shared_atlas, shared_screen

from insignia.data import read, screen_to_anndata, write_h5ad
from insignia.genes import read_gmt
from insignia.models import fit_pca
from insignia.perturb import fit


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A screen with guides, an atlas that shares two of its programs, a predictor and an encoder."""
    place = tmp_path_factory.mktemp("effects")
    screen = shared_screen()
    adata = screen_to_anndata(screen.data)
    adata.obs["guide"] = guides_of(screen.data, 0).to_numpy()
    write_h5ad(adata, place / "screen.h5ad")
    shared_atlas(place / "atlas", screen)
    fit(screen.data, method="additive", show_progress=False).save(place / "additive")
    fit_pca(adata, input_space="log1p", n_components=10, output=place / "pca")
    return place


@pytest.fixture
def result(insignia, folder):
    """Run a command that should succeed, and return what it prints as JSON."""

    def call(*arguments):
        code, out, err = insignia(*arguments, "--json")
        assert code == 0, err
        return json.loads(out.splitlines()[-1])

    return call


def test_programs_of_a_screen_are_screened_over_an_atlas(result, folder):
    programs = ("perturb", "programs", folder / "screen.h5ad", "-o", folder / "programs.json", "--number", 10)
    made = result(*programs, "--gmt", folder / "programs.gmt")
    sets = read_gmt(made["gmt"])
    assert len(sets) == 10
    assert sum(map(len, sets.values())) == 160
    found = result(
        "programs", folder / "atlas", folder / "programs.gmt", "--min-cells", 5,
        "--where", f"{MONOCYTES} AND disease = '{DISEASES['ALPHA']}'",
        "--reference", f"{MONOCYTES} AND disease = 'normal'",
    )  # fmt: skip
    first = found["programs"][0]
    assert sum(gene.startswith("ALPHA") for gene in sets[first["signature"]].genes) >= 10
    assert first["q"] <= 0.05 < found["programs"][1]["q"]
    made = result(*programs, "--gmt", folder / "signed.gmt", "--signed", "--max-genes", 12)
    merged = read_gmt(made["gmt"], merge_up_down=True)
    assert {len(one) for one in merged.values()} == {12}
    assert len(read_gmt(made["gmt"])) > len(merged)
    screened = ("screen", folder / "atlas", folder / "signed.gmt", "--where", MONOCYTES)
    assert result(*screened, "--merge-up-down")["signatures"] == len(merged)
    assert result(*screened)["signatures"] == len(read_gmt(folder / "signed.gmt"))
    split = next(name for name, one in merged.items() if one.is_signed)
    searched = result("search", folder / "atlas", f"{folder / 'signed.gmt'}:{split}", "--where", MONOCYTES)
    assert searched["signature"] == split


def test_effects_are_written_as_tables_and_signatures(result, folder):
    made = result(
        "perturb", "effects", folder / "screen.h5ad", "-o", folder / "effects.csv", "--gmt", folder / "effects.gmt",
        "--unit", "guide", "--min-cells", 5, "--n-genes", 30,
    )  # fmt: skip
    assert made["unit"] == "guide"
    table = pd.read_csv(folder / "effects.csv")
    assert len(table) == 40 * 160
    merged = read_gmt(folder / "effects.gmt", merge_up_down=True)
    assert list(merged) == made["signatures"]
    one = made["signatures"][0]
    rows = table[table["condition"] == one].set_index("gene")
    for gene, weight in zip(merged[one].genes, merged[one].weight_array, strict=True):
        assert weight * rows.loc[gene, "effect"] > 0
        assert rows.loc[gene, "q"] <= 0.05
    result("perturb", "programs", folder / "screen.h5ad", "-o", folder / "p.json", "--gmt", folder / "p.gmt")
    result(
        "perturb", "effects", folder / "screen.h5ad", "-o", folder / "moved.csv", "--programs", folder / "p.gmt",
        "--condition", one,
    )  # fmt: skip
    assert set(pd.read_csv(folder / "moved.csv")["program"]) == set(read_gmt(folder / "p.gmt"))


def test_predicted_effects_are_written_too(result, folder):
    made = result(
        "perturb", "effects", folder / "additive", "-o", folder / "predicted.csv", "--condition", "PERT001+PERT002",
        "--gmt", folder / "predicted.gmt", "--opposite",
    )  # fmt: skip
    assert made["signatures"] == ["PERT001+PERT002"]
    table = pd.read_csv(folder / "predicted.csv").set_index("gene")
    turned = read_gmt(folder / "predicted.gmt", merge_up_down=True)["PERT001+PERT002"]
    assert all(
        table.loc[gene, "effect"] * weight < 0 for gene, weight in zip(turned.genes, turned.weight_array, strict=True)
    )


def test_perturbed_cells_are_attributed_against_controls(result, folder):
    made = result(
        "perturb", "attribute", folder / "screen.h5ad", "-m", folder / "pca", "-o", folder / "attributed.csv",
        "--condition", "PERT001", "--condition", "PERT002", "--unit", "guide", "--n-steps", 2, "--min-cells", 5,
        "--table", folder / "conditions.csv", "--figure", folder / "contrast.png", "--null", "controls",
    )  # fmt: skip
    assert [row["condition"] for row in made["conditions"]] == ["PERT001", "PERT002"]
    assert [row["kind"] for row in made["nulls"]] == ["controls"]
    assert len(pd.read_csv(folder / "attributed.csv")) == 2 * 160
    assert pd.read_csv(folder / "conditions.csv")["divided"].tolist() == ["guides", "guides"]
    assert (folder / "contrast.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["effects", "screen.h5ad", "-o", "x.csv", "--unit", "nope"], "has no column 'nope'"),
        (["effects", "additive", "-o", "x.csv"], "name conditions with --condition"),
        (["programs", "screen.h5ad", "-o", "x.json", "--signed"], "name a file with --gmt"),
        (["attribute", "screen.h5ad", "-m", "pca", "-o", "x.csv", "--null", "all"], "nulls are controls and shuffled"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(insignia, folder, arguments, says):
    known = ("screen.h5ad", "additive", "pca", "x.csv", "x.json")
    code, _, err = insignia("perturb", *(folder / one if one in known else one for one in arguments))
    assert code == 2
    assert says in " ".join(err.split())
    assert not (folder / "x.csv").exists()
    assert read(folder / "screen.h5ad").n_obs
