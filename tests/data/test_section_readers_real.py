"""Readers of sections on the real data that there are."""

import numpy as np
import pandas as pd
import pytest

from insignia.data import read_stack, read_stacks

pytest.importorskip("cv2", reason="images need the extra 'spatial'")


HER2ST = {
    "A": (359, 343, 332, 360),
    "B": (295, 270, 298, 289, 277),
    "C": (176, 187, 180, 184),
    "D": (306, 303, 301, 302, 306, 315),
    "E": (587, 572, 570),
    "F": (691, 695, 712),
}


@pytest.mark.full
def test_all_of_her2st(real_data):
    stacks = read_stacks(real_data("her2st"))
    assert {stack.name: tuple(section.spots.n_obs for section in stack) for stack in stacks} == HER2ST
    genes = [set(section.spots.var_names) for stack in stacks for section in stack]
    assert len(set.intersection(*genes)) == 12_264
    for stack in stacks:
        scales = [float(note.split("um_per_px = ")[1].split(",")[0]) for note in stack.notes if "um_per_px" in note]
        assert len(scales) == len(stack)
        assert np.abs(np.array(scales) - (0.918 if stack.name == "A" else 0.688)).max() < 0.003


def test_patient_c_of_her2st(real_data):
    stack = read_stack(real_data("her2st"), name="C", sections=["C1", "C2"], known=["C1"])
    assert stack.names == ("C1", "C2")
    assert stack.measured == ("C1",)
    assert [section.spots.n_obs for section in stack] == [176, 187]
    assert [section.z_um for section in stack] == [0.0, 16.0]
    assert stack["C1"].image is None
    assert stack["C2"].image.um_per_px == pytest.approx(0.688, abs=0.001)
    # tissue is darker than the slide, so spots lie where it is dark
    image = stack["C2"].image
    under = image.patches(stack["C2"].points_um, 100.0, 4).mean()
    assert under < image.at(50.0).mean() - 15
    assert any("1 of 177 spots have no counts" in note for note in stack.notes)
    assert any("depth is the place in the series times 16 um, assumed" in note for note in stack.notes)


def test_mouse_olfactory_bulb(real_data):
    depths = {"MOB1": 100.0, "MOB2": 120.0, "MOB3": 130.0}
    stack = read_stack(real_data("mob_stutility"), z_um=depths)
    assert {section.name: (section.spots.shape, section.z_um) for section in stack} == {
        "MOB1": ((379, 1000), 100.0),
        "MOB2": ((407, 1000), 120.0),
        "MOB3": ((438, 1000), 130.0),
    }
    assert stack.pitch_um == pytest.approx(141.4, abs=0.1)
    assert sum("the image is stretched: the scales of its sides differ by 11%" in note for note in stack.notes) == 3
    for section in stack:
        assert section.image.patches(section.points_um, 100.0, 2).mean() < section.image.at(50.0).mean() - 10


def test_dorsolateral_prefrontal_cortex(real_data):
    donors = {
        str(number): donor for start, donor in ((151507, "x"), (151669, "y")) for number in range(start, start + 6)
    }
    del donors["151511"], donors["151512"]
    stacks = read_stacks(real_data("dlpfc/10X"), donors=donors)
    assert [len(stack) for stack in stacks] == [4, 6]
    counted = {section.name: section.spots.n_obs for stack in stacks for section in stack}
    for name, spots in counted.items():
        summary = pd.read_csv(real_data(f"dlpfc/10X/{name}/metrics_summary_csv.csv"), thousands=",")
        assert spots == summary["Estimated Number of Spots"].iloc[0]
    for stack in stacks:
        assert stack.measured == ()
        for section in stack:
            assert section.image.um_per_px == pytest.approx(16.05, abs=0.1)
            assert section.image.patches(section.points_um, 100.0, 1).mean() < section.image.at(50.0).mean() - 10
