"""Folders of sections that lead elsewhere, or hold what has no end, are refused."""

import json
import os
import shutil

import pandas as pd
import pytest
from tests.lookalikes import section_folders

from insignia.core.errors import FileFormatError, InputError
from insignia.data import read, read_stack, write_stack
from insignia.data.section_readers.named_file import named_file

LEADING_OUT = ["../secret", "/etc/passwd", "a/../../secret", "", ".", "C:\\x", "a\0b", "a\nb"]


@pytest.mark.parametrize("name", LEADING_OUT)
def test_names_that_lead_out_of_a_folder_are_refused(tmp_path, name):
    with pytest.raises(FileFormatError, match="only files in its own folder"):
        named_file(tmp_path, name, "stack.json")


def test_names_inside_are_taken(tmp_path):
    assert named_file(tmp_path, "sections/s 1 é.h5ad", "stack.json") == tmp_path / "sections" / "s 1 é.h5ad"


@pytest.mark.parametrize("column", ["spot_coordinates", "count_matrix", "histology_image"])
def test_a_table_of_files_cannot_choose_what_is_read_elsewhere(tmp_path, column):
    (tmp_path / "secret").write_text("barcode\tGENE\n1x1\t1\n")
    row = dict.fromkeys(("histology_image", "spot_coordinates", "count_matrix"), "a.csv")
    (tmp_path / "stack").mkdir()
    (tmp_path / "stack" / "a.csv").write_text(",X,Y\n1x1,1,1\n")
    table = pd.DataFrame([{"patient": "P", "replicate": "1", **row, column: "../secret"}])
    table.to_csv(tmp_path / "stack" / "metadata.csv", index=False)
    with pytest.raises(FileFormatError, match="only files in its own folder"):
        read_stack(tmp_path / "stack")


def test_a_stack_of_ours_holds_its_own_files(tmp_path):
    section_folders.stutility(tmp_path / "source")
    write_stack(read_stack(tmp_path / "source"), tmp_path / "stack", images="copy")
    manifest = tmp_path / "stack" / "stack.json"
    record = json.loads(manifest.read_text())
    shutil.move(tmp_path / "stack" / record["sections"][0]["spots"]["file"], tmp_path / "x.h5ad")
    record["sections"][0]["spots"]["file"] = "../x.h5ad"
    manifest.write_text(json.dumps(record))
    with pytest.raises(FileFormatError, match="only files in its own folder"):
        read_stack(tmp_path / "stack")


def test_cells_in_a_pipe_are_refused(tmp_path):
    os.mkfifo(tmp_path / "cells.h5ad")
    with pytest.raises(FileFormatError, match="a pipe or a device"):
        read(tmp_path / "cells.h5ad")


def test_a_table_of_a_hundred_thousand_columns_is_refused(tmp_path):
    """Making equal names different takes time that grows with their square."""
    section_folders.stutility(tmp_path)
    path = tmp_path / "alignment_table_m1.tsv"
    path.write_text("\n".join(line + "\t0" * 100_000 for line in path.read_text().splitlines()))
    with pytest.raises(FileFormatError, match=r"100,0\d\d columns: no table of spots"):
        read_stack(tmp_path)


@pytest.mark.parametrize("value", ["inf", "text", "", "0x10"])
def test_places_that_are_no_numbers_are_refused(tmp_path, value):
    (tmp_path / "metadata.csv").write_text(
        "patient,replicate,histology_image,spot_coordinates,count_matrix\nP,1,none.jpg,spots.csv,counts.tsv\n"
    )
    (tmp_path / "spots.csv").write_text(f",X,Y\n1x1,1,{value}\n1x2,1,2\n")
    (tmp_path / "counts.tsv").write_text("\tGENE\n1x1\t1\n1x2\t1\n")
    with pytest.raises(FileFormatError, match="no number"):
        read_stack(tmp_path)


def test_places_in_the_array_that_are_not_finite_are_refused(tmp_path):
    section_folders.visium(tmp_path)
    path = tmp_path / "v1" / "outs" / "spatial" / "tissue_positions.csv"
    table = pd.read_csv(path).assign(array_col=float("inf"))
    table.to_csv(path, index=False)
    with pytest.raises(InputError, match="without a place in the array"):
        read_stack(tmp_path)


@pytest.mark.parametrize("name", ["m1.tsv", "alignment_table_m1.tsv"])
def test_a_table_that_has_no_end_is_refused(tmp_path, name):
    """A pipe waits for somebody who writes, and a device never stops."""
    section_folders.stutility(tmp_path)
    for put in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        (tmp_path / name).unlink()
        put(tmp_path / name)
        with pytest.raises(FileFormatError, match="a folder, a pipe or a device"):
            read_stack(tmp_path)
