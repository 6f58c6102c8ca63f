"""The spatial commands: from a simulated stack to an evaluation, and what failing says."""

import json

import pandas as pd
import pytest

from insignia.data import Handling, SerialOptions, hide_counts, read_stack, simulate_sections, write_stack


@pytest.fixture(scope="module")
def made():
    handling = Handling(rotation_deg=40, shift_um=150, stain=0.1)
    return simulate_sections(
        SerialOptions(n_sections=2, size_um=1800, handling=handling, genes_per_group=5), rng=0
    ).stack


def test_from_a_stack_to_an_evaluation(insignia, made, tmp_path):
    def result(*arguments):
        code, out, err = insignia("spatial", *arguments, "--json")
        assert code == 0, err
        return json.loads(out.splitlines()[-1])

    truth, hidden = tmp_path / "truth", tmp_path / "hidden"
    write_stack(made, truth, images="copy")
    write_stack(hide_counts(made, ["s1"]), hidden, images="copy")
    checked = result("check", hidden)
    assert [row["genes"] for row in checked["sections"]] == [20, 0]
    placed = result("register", hidden, "-o", tmp_path / "placed", "--figures", tmp_path / "overlays")
    assert placed["failed"] == []
    assert (tmp_path / "overlays" / "s2.png").stat().st_size > 10_000
    described = result("features", tmp_path / "placed", "-o", tmp_path / "described")
    assert described["features"] == {"X_handcrafted": 171}
    imputed = result(
        "impute", tmp_path / "described", "--known", "s1", "-o", tmp_path / "imputed.h5ad", "--genes", "20",
        "--signature", ",".join(made["s1"].spots.var_names[:4]),
    )  # fmt: skip
    assert imputed["signatures"]["custom"].startswith("coverage 100%, correlation where hidden")
    assert imputed["sections"] == ["s2"]
    assert imputed["failed_registration"] == []
    found = result("evaluate", tmp_path / "imputed.h5ad", truth, "-o", tmp_path / "evaluation")
    scores = {row["method"]: row["pcc_mean"] for row in found["methods"]}
    assert scores["blend"] > 0.2 > scores["mean"]
    assert len(pd.read_csv(tmp_path / "evaluation" / "sections.csv"))


def test_a_stack_is_simulated_and_read_back(insignia, tmp_path):
    code, out, err = insignia("spatial", "simulate", tmp_path / "stack", "--sections", "2", "--known", "s1")
    assert code == 0, err
    assert "spots" in out
    assert read_stack(tmp_path / "stack").measured == ("s1",)


def test_a_section_that_cannot_be_registered_is_an_exit_code(insignia, tmp_path):
    stack = simulate_sections(SerialOptions(n_sections=2, damage={"s2": ("foreign",)}), rng=1).stack
    write_stack(stack, tmp_path / "stack", images="copy")
    code, out, err = insignia("spatial", "register", tmp_path / "stack", "-o", tmp_path / "placed", "--reference", "s1")
    assert code == 5
    assert "could not be registered: s2" in err
    assert "failed" in out
    forced = insignia(
        "spatial", "register", tmp_path / "stack", "-o", tmp_path / "again", "--reference", "s1", "--force"
    )
    assert forced[0] == 0


def test_what_is_not_a_stack_is_refused_in_words(insignia, tmp_path):
    code, _, err = insignia("spatial", "check", tmp_path)
    assert code == 2
    assert str(tmp_path) in err
    code, _, err = insignia("spatial", "bench", "her2st", "--root", tmp_path, "-o", tmp_path / "out", "--setting", "4d")
    assert (code, "takes 2d or 3d" in err) == (2, True)
