"""Priors from files that are not what they seem."""

import gzip
import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from insignia.core import room
from insignia.core.errors import FileFormatError
from insignia.core.files import canonical_json, sha256_text
from insignia.data import simulate_screen
from insignia.perturb import load_priors, read_embedding, read_string, save_priors

INFO = "#string_protein_id\tpreferred_name\tprotein_size\tannotation\n1.A\tA\t1\tx\n1.B\tB\t1\tx\n"
LINKS = "protein1 protein2 combined_score\n"


def test_an_array_under_the_name_of_many_is_refused(tmp_path):
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, np.zeros((3, 2)))
    with pytest.raises(FileFormatError, match=r"a.npz is no npz of plain arrays"):
        read_embedding(tmp_path / "a.npz")


def test_a_zip_of_more_than_memory_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("matrix.npy", bytes(2**20))
    monkeypatch.setattr(room, "available_memory", lambda: 2**19)
    with pytest.raises(FileFormatError, match=r"a\.npz declares"):
        read_embedding(tmp_path / "a.npz")


@pytest.mark.parametrize("names", ["null", "-1", '"A"', "{}", "[1, 2]", "[" * 100_000, "NaN"])
def test_names_in_metadata_are_a_list_of_texts(tmp_path, names):
    save_file({"matrix": np.ones((2, 2), dtype=np.float32)}, tmp_path / "a.safetensors", metadata={"genes": names})
    with pytest.raises(FileFormatError, match=r"should name its genes as a JSON list"):
        read_embedding(tmp_path / "a.safetensors")


def test_vectors_of_different_lengths_and_of_complex_numbers_are_refused(tmp_path):
    pd.DataFrame({"gene": ["A", "B"], "v": [[1.0], [1.0, 2.0]]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(FileFormatError, match=r"different lengths"):
        read_embedding(tmp_path / "a.parquet")
    np.savez(tmp_path / "a.npz", genes=np.array(["A"]), matrix=np.ones((1, 2), dtype=np.complex64))
    with pytest.raises(FileFormatError, match=r"complex64"):
        read_embedding(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LINKS + "1.A 1.B high\n", "could not be read"),
        (LINKS + f"1.A 1.B {'9' * 40}\n", "could not be read"),
        (LINKS + "1.A\n", "could not be read"),
        (LINKS, "holds no links"),
    ],
)
def test_links_that_are_none_are_refused(tmp_path, content, message):
    (tmp_path / "info.txt").write_text(INFO)
    (tmp_path / "links.txt").write_text(content)
    with pytest.raises(FileFormatError, match=f"links.txt {message}"):
        read_string(tmp_path / "links.txt", tmp_path / "info.txt")


def test_files_of_string_that_are_cut_are_refused(tmp_path):
    (tmp_path / "info.txt").write_text(INFO)
    rows = LINKS + "".join(f"1.A 1.B {i % 1000}\n" for i in range(5_000))
    (tmp_path / "links.txt.gz").write_bytes(gzip.compress(rows.encode())[:-20])
    with pytest.raises(FileFormatError, match=r"links.txt.gz could not be read"):
        read_string(tmp_path / "links.txt.gz", tmp_path / "info.txt")
    (tmp_path / "info.txt.gz").write_bytes(gzip.compress(INFO.encode())[:-9])
    with pytest.raises(FileFormatError, match=r"info.txt.gz cannot be unpacked"):
        read_string(tmp_path / "links.txt.gz", tmp_path / "info.txt.gz")


@pytest.mark.parametrize("what", ["lone surrogate", "no hash of arrays", "no genes", "sets are a list", "deep"])
def test_saved_priors_that_were_changed_are_refused(tmp_path, what):
    made = simulate_screen(n_genes=20, n_programs=4, n_perturbations=4, n_doubles=2, n_controls=10,
                           cells_per_condition=4, rng=0)  # fmt: skip
    save_priors(made.priors, tmp_path / "priors")
    file = tmp_path / "priors" / "priors.json"
    record = json.loads(file.read_text())
    record.pop("sha256")
    if what == "no hash of arrays":
        del record["arrays_sha256"]
    elif what == "no genes":
        del record["embedding"]["genes"]
    elif what == "sets are a list":
        record["gene_sets"] = ["A"]
    record["sha256"] = sha256_text(canonical_json(record))
    text = json.dumps(record)
    if what == "lone surrogate":
        text = text.replace('"simulated"', '"\\ud800"')
    elif what == "deep":
        text = "[" * 100_000
    file.write_text(text)
    with pytest.raises(FileFormatError, match=r"priors"):
        load_priors(tmp_path / "priors")
