"""Protocols on look-alike downloads: who is held out, what is learnt from, what is written, what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.lookalikes.her2st import build
from tests.spatial.measured_stacks import measured_stack

from insignia.core.errors import InputError
from insignia.data import read_stacks
from insignia.spatial.evaluation import METRICS
from insignia.spatial.protocols import protocols, run_protocol, run_stacks
from insignia.spatial.protocols.run import donor_splits, unmatched


@pytest.fixture(scope="module")
def her2st(tmp_path_factory):
    """Three patients in the layout of HER2ST, without images."""
    return build(tmp_path_factory.mktemp("her2st"))


@pytest.fixture(scope="module")
def run(her2st, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "results"
    options = {"features": None, "methods": ["kernel"], "seeds": [0], "genes": 10}
    return run_protocol("her2st", her2st, output, show_progress=False, **options), output


@pytest.fixture(scope="module")
def stacks():
    return [measured_stack(name=name, seed=seed) for seed, name in enumerate(("one", "two", "three"))]


def test_every_donor_is_held_out_with_its_first_section_known(run):
    sections = run[0].sections
    held_out = sections[["sample", "known", "section"]].drop_duplicates().to_numpy().tolist()
    assert held_out == [["A", "A1", "A2"], ["B", "B1", "B2"], ["B", "B1", "B3"], ["C", "C1", "C2"]]
    for split in run[0].about["splits"]:
        parts = [set(split[part]) for part in ("train", "test", "given")]
        assert len(set.union(*parts)) == sum(map(len, parts)) == 7
        assert not any(unit.startswith(split["donor"] + "/") for unit in split["train"])


def test_results_are_written_as_tables_averages_and_a_page(run):
    evaluation, output = run
    assert {path.name for path in output.iterdir()} == {
        "coverage.csv", "evaluation.json", "evaluation.md", "genes.csv", "sections.csv",
    }  # fmt: skip
    record = json.loads((output / "evaluation.json").read_text())
    assert record["samples"] == 3
    assert [split["fingerprint"] for split in record["about"]["splits"]] == [
        split["fingerprint"] for split in evaluation.about["splits"]
    ]
    assert set(record["about"]["seconds_of_steps"]) == {"features", "registration"}
    page = (output / "evaluation.md").read_text()
    assert page.startswith("# HER2ST: HER2-positive breast cancer, 8 patients, 3D")
    assert "mean of other samples" in page
    assert "| B | B/B1 | 2 | 4 |" in page
    assert "; 10 genes. Each section" in page
    assert any("estimated from the slope" in note for note in record["notes"])


def test_the_held_out_sections_choose_no_gene(her2st, run, tmp_path):
    stacks = read_stacks(her2st)
    known = [stack[stack.measured[0]].spots for stack in stacks]
    share = np.mean([spots.X.toarray().mean(axis=0) / spots.X.mean() for spots in known], axis=0)
    rare = known[0].var_names[share.argmin()]
    loud = []
    for stack in stacks:
        changed = {}
        for name in stack.measured[1:]:
            spots = stack[name].spots.copy()
            spots.X = spots.X.toarray() + np.float32(1000) * (spots.var_names == rare)
            changed[name] = replace(stack[name], spots=spots)
        loud.append(stack.with_sections(changed))
    options = {"features": None, "methods": ["mean"], "seeds": [0], "genes": 3, "show_progress": False}
    quiet, also = (set(run_stacks(given, learn_from_others=False, **options).genes["gene"]) for given in (stacks, loud))
    assert rare not in quiet | also
    # donors that are learnt from may choose it
    assert rare in set(run_stacks(loud, learn_from_others=True, **options).genes["gene"])


def test_each_section_may_be_known_in_turn(stacks):
    evaluation = run_stacks(
        stacks[:1], known="each", learn_from_others=False, methods=["kernel"], seeds=[0], genes=12, show_progress=False
    )
    pairs = evaluation.sections[["known", "section"]].drop_duplicates()
    assert len(pairs) == 6
    assert (pairs["known"] != pairs["section"]).all()


def test_in_2d_no_section_is_matched_and_others_are_learnt_from(stacks):
    evaluation = run_stacks(
        stacks, setting="2d", donors=["two"], methods=["ridge"], seeds=[0], genes=12, show_progress=False
    )
    assert set(evaluation.sections["section"]) == {"s0", "s1", "s2"}
    assert set(evaluation.sections["registration"]) == {"failed"}
    assert evaluation.about["splits"][0]["given"] == ()
    assert {unit.split("/")[0] for unit in evaluation.about["splits"][0]["train"]} == {"one", "three"}
    summary = evaluation.summary(list(METRICS))
    assert summary.loc[("baseline", "mean"), "skill"] == pytest.approx(0, abs=1e-9)
    assert any(note.startswith("2D: sections are matched with no other") for note in evaluation.notes)
    assert all(not section.pose.is_ok for section in unmatched(stacks[0]))


def test_units_of_equal_name_are_told_apart_by_donor(stacks):
    for donor, split in donor_splits(stacks, "3d", "first", None, learn_from_others=True):
        assert split.given == (f"{donor}/s0",)
        assert len(split.train) == 6


def test_protocols_name_their_download():
    assert list(protocols) == ["dlpfc", "her2st", "st-data"]
    dlpfc = protocols["dlpfc"]
    assert set(dlpfc.donors) == set(dlpfc.z_um)
    assert dlpfc.donors["151673"] == "Br8100"
    assert [dlpfc.z_um[name] for name in ("151507", "151508", "151509", "151510")] == [0, 10, 310, 320]


def test_dlpfc_sections_find_their_donors(real_data):
    stacks = protocols["dlpfc"].read(real_data("dlpfc/10X"))
    assert {stack.name: stack.names for stack in stacks} == {
        "Br5292": ("151507", "151508", "151509", "151510"),
        "Br5595": ("151669", "151670", "151671", "151672"),
        "Br8100": ("151673", "151674"),
    }
    assert [section.z_um for section in stacks[0]] == [0, 10, 310, 320]


def test_protocols_refuse(her2st, stacks, tmp_path):
    with pytest.raises(InputError, match=r"There is no folder .*almaan/her2st"):
        run_protocol("her2st", tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds none of the sections 151507.*HumanPilot"):
        run_protocol("dlpfc", her2st)
    with pytest.raises(InputError, match="There is no donor 'Z'; there are A, B, C"):
        run_protocol("her2st", her2st, donors=["Z"], features=None)
    with pytest.raises(InputError, match="'A9' is no measured section of 'A': A1, A2"):
        run_protocol("her2st", her2st, donors=["A"], known={"A": "A9"}, features=None)
    with pytest.raises(InputError, match="has 1 measured section, and one is given"):
        run_stacks([measured_stack(sections=1)])
    with pytest.raises(InputError, match="In 2D other donors are all that can be learnt from"):
        run_stacks(stacks[:1], setting="2d")
    with pytest.raises(InputError, match="one stack with a name of its own"):
        run_stacks([stacks[0], stacks[0]])
