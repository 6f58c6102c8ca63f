"""The layout of He et al., written as a look-alike."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from insignia.core.errors import FileFormatError, InputError
from insignia.data import read_stack, read_stacks

PX_PER_STEP = 6.0


@pytest.fixture
def archive(tmp_path):
    """Two patients with three and two sections; prefixes of files differ as they do in the archive."""
    rng = np.random.default_rng(0)
    rows = []
    for patient, replicate in [("BC1", "D2"), ("BC1", "C1"), ("BC1", "C2"), ("BC2", "E1"), ("BC2", "E2")]:
        names = {
            "histology_image": f"HE_BT{patient[2:]}_{replicate}.jpg",
            "spot_coordinates": f"spots_BT{patient[2:]}_{replicate}.csv.gz",
            "count_matrix": f"{patient}_{replicate}_stdata.tsv.gz",
        }
        rows.append({"type": "TNBC", "patient": patient, "replicate": replicate, **names})
        all_spots = [(x, y) for x in range(2, 12) for y in range(3, 12)]
        under = all_spots[: 60 if patient == "BC1" else 50]
        genes = [f"ENSG{i:03d}" for i in range(8) if i != 7 or replicate != "C2"]
        counts = pd.DataFrame(
            rng.poisson(3, (len(all_spots), len(genes))), index=[f"{x}x{y}" for x, y in all_spots], columns=genes
        )
        counts.to_csv(tmp_path / names["count_matrix"], sep="\t")
        pixels = PX_PER_STEP * np.array(under) + rng.normal(0, 0.1, (len(under), 2))
        pd.DataFrame(pixels, index=[f"{x}x{y}" for x, y in under], columns=["X", "Y"]).to_csv(
            tmp_path / names["spot_coordinates"]
        )
        Image.fromarray(rng.integers(0, 255, (90, 90, 3), dtype=np.uint8)).save(tmp_path / names["histology_image"])
    pd.DataFrame(rows).to_csv(tmp_path / "metadata.csv", index=False)
    return tmp_path


def test_each_patient_is_a_stack_with_sections_in_order(archive):
    stacks = read_stacks(archive)
    assert [(stack.name, stack.names) for stack in stacks] == [
        ("BC1", ("BC1_C1", "BC1_C2", "BC1_D2")),
        ("BC2", ("BC2_E1", "BC2_E2")),
    ]
    assert [section.z_um for section in stacks[0]] == [0.0, 16.0, 32.0]
    assert any("times 16 um, assumed" in note for note in stacks[0].notes)


def test_counts_belong_to_their_spots_and_positions_are_micrometres(archive):
    section = read_stack(archive, name="BC1")["BC1_C2"]
    table = pd.read_csv(archive / "BC1_C2_stdata.tsv.gz", sep="\t", index_col=0)
    np.testing.assert_array_equal(section.spots.X.toarray(), table.loc[section.spots.obs_names])
    assert section.spots.n_obs == 60
    assert list(section.spots.var_names) == list(table.columns)
    place = section.spots.obs[["array_x", "array_y"]].to_numpy()
    np.testing.assert_allclose(section.points_um, 200 * place, atol=25)
    assert section.image is not None
    assert section.image.um_per_px == pytest.approx(200 / PX_PER_STEP, rel=0.01)


def test_a_missing_image_is_said_and_a_missing_table_refused(archive):
    (archive / "HE_BT1_C1.jpg").unlink()
    stack = read_stack(archive, name="BC1")
    assert stack["BC1_C1"].image is None
    assert any("HE_BT1_C1.jpg is not there" in note for note in stack.notes)
    (archive / "spots_BT1_C1.csv.gz").unlink()
    with pytest.raises(
        FileFormatError, match=r"names spots_BT1_C1\.csv\.gz as spot_coordinates of BC1_C1; it is not in"
    ):
        read_stack(archive, name="BC1")


def test_other_tables_are_refused(archive, tmp_path):
    pd.DataFrame({"X": [1.0], "Y": [1.0]}, index=["spot"]).to_csv(archive / "spots_BT2_E1.csv.gz")
    with pytest.raises(InputError, match="called by its place like 10x12"):
        read_stack(archive, name="BC2")
    table = pd.read_csv(archive / "metadata.csv")
    table.drop(columns="count_matrix").to_csv(archive / "metadata.csv", index=False)
    with pytest.raises(FileFormatError, match="No serial sections recognised"):
        read_stacks(archive)
    with pytest.raises(FileFormatError, match="lacks the columns count_matrix"):
        read_stacks(archive, kind="he2020")
    pd.concat([table, table]).to_csv(archive / "metadata.csv", index=False)
    with pytest.raises(FileFormatError, match="does not name each section once"):
        read_stacks(archive)
