import json
import re
from hashlib import sha256
from importlib.resources import files

import pytest

from insignia.core.errors import FileFormatError, SignatureError, UnknownName
from insignia.genes import Signature, bundled, bundled_renames, library, load_signature, signature
from insignia.genes.library import manifest_entry

FOLDER = files("insignia.genes").joinpath("signatures")
MANIFEST = json.loads(FOLDER.joinpath("manifest.json").read_text())


def test_every_file_is_in_the_manifest_and_the_reverse():
    on_disk = {path.name for path in FOLDER.iterdir() if path.name.endswith(".toml")}
    assert {entry["file"] for entry in MANIFEST.values()} == on_disk
    assert set(bundled()) == set(MANIFEST)


@pytest.mark.parametrize("name", bundled())
def test_bundled_signature_equals_its_manifest(name):
    made, entry, content = signature(name), MANIFEST[name], FOLDER.joinpath(MANIFEST[name]["file"]).read_bytes()
    assert sha256(content).hexdigest() == entry["sha256"]
    assert (made.name, len(made), made.doi) == (name, entry["n_genes"], entry["doi"])
    assert re.fullmatch(r"10\.\d{4,9}/\S+", made.doi)
    assert made.organism == "human"
    assert made.vocabulary.organism == "human"
    assert all([made.source, made.licence, made.description])


@pytest.mark.parametrize("name", bundled())
def test_noted_renames_are_in_the_shipped_table(name):
    noted = library.tomllib.loads(FOLDER.joinpath(MANIFEST[name]["file"]).read_text()).get("renamed", {})
    for old, new in noted.items():
        assert bundled_renames().new[old] == {new}
        assert {old, new} & set(signature(name).genes)


def test_ms1_keeps_its_order():
    genes = signature("MS1").genes
    assert len(genes) == 99
    assert (*genes[:3], *genes[-3:]) == ("S100A8", "S100A12", "RETN", "JAK3", "CTC-246B18.10", "MYO5B")


def test_bacterial_viral_is_positive_for_viral():
    made = signature("bacterial_viral_7")
    assert made.is_signed
    assert {gene for gene, weight in zip(made.genes, made.weights, strict=True) if weight > 0} == {
        "IFI27",
        "JUP",
        "LAX1",
    }
    assert [name for name in bundled() if signature(name).is_signed] == ["bacterial_viral_7"]


def test_names_are_found_in_any_letter_case():
    assert signature("ms1") is signature("MS1")
    assert signature(" Ifn_i ").name == "IFN_I"


def test_signature_takes_what_users_have():
    made = signature({"CD3E": 1.0, "LYZ": -0.5})
    assert (made.genes, made.weights, made.name) == (("CD3E", "LYZ"), (1.0, -0.5), "custom")
    assert signature(["CD3E", "LYZ"]).genes == ("CD3E", "LYZ")
    assert signature(made) is made


def test_unknown_names_say_what_is_close():
    with pytest.raises(UnknownName, match=r"no bundled signature 'MS2'. Did you mean 'MS1'.*read_gmt"):
        signature("MS2")
    with pytest.raises(UnknownName, match=r"Genes are given as a list, \['S100A8', ...\]"):
        signature("S100A8")
    with pytest.raises(SignatureError, match="not int"):
        signature(3)


def test_a_changed_file_is_refused(monkeypatch):
    changed = {"AT1": {**MANIFEST["AT1"], "sha256": "0" * 64}}
    monkeypatch.setattr(library, "_manifest", lambda: changed)
    with pytest.raises(FileFormatError, match=r"AT1\.toml was changed"):
        library._load_bundled.__wrapped__("AT1")


def test_one_file_and_one_line_make_a_signature(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\ngenes = ["CD3E", "LYZ"]\nweights = [1, -2.5]\ndoi = "10.1/x"\n')
    assert load_signature(path) == Signature("mine", ("CD3E", "LYZ"), (1.0, -2.5), doi="10.1/x")
    entry = json.loads("{" + manifest_entry(path) + "}")["mine"]
    assert entry == {
        "file": "mine.toml",
        "sha256": sha256(path.read_bytes()).hexdigest(),
        "n_genes": 2,
        "doi": "10.1/x",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "is no TOML file"),
        ('name = "a"\n', r"lacks \['genes'\]"),
        ('name = "a"\ngenes = ["A"]\nweight = [1]\n', r"unknown keys \['weight'\]"),
    ],
)
def test_files_that_are_no_signature_are_refused(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=message):
        load_signature(path)
