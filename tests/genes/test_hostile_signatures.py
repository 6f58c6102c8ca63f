"""Signature files that are not what they seem."""

import gzip

import pytest

from insignia.core.errors import FileFormatError, SignatureError
from insignia.genes import Signature, load_renames, load_signature, read_gmt

TOML = 'name = "Planted"\ngenes = ["GENE1", "GENE2"]\nweights = [1, -0.5]\n'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.gmt", "Sä\t\tGENE1\n".encode("latin-1"), "a.gmt is no text in UTF-8"),
        ("a.gmt", "S\t\tGENE1\n".encode("utf-16"), "a.gmt is no text in UTF-8"),
        ("a.gmt.gz", gzip.compress(b"S\t\tGENE1\n" * 9, mtime=0)[:-9], "a.gmt.gz cannot be unpacked"),
    ],
)
def test_gmt_of_other_bytes_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileFormatError, match=message):
        read_gmt(tmp_path / name)


def test_a_mark_of_byte_order_is_not_part_of_the_first_name(tmp_path):
    (tmp_path / "a.gmt").write_text("\ufeffFIRST\t\tGENE1\n", encoding="utf-8")
    assert list(read_gmt(tmp_path / "a.gmt")) == ["FIRST"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[1, -0.5]", "[1, 1979-05-27]", "weights must be a list of numbers"),
        ("[1, -0.5]", "{GENE1 = 1}", "weights must be a list of numbers"),
        ("[1, -0.5]", "[1, true]", "weights must be a list of numbers"),
        ('["GENE1", "GENE2"]', '["GENE1", ["GENE2"]]', "genes must be a list of texts"),
        ('"Planted"', "7", "name must be a text"),
        ("[1, -0.5]", "[" * 20_000 + "]" * 20_000, "nested too deeply"),
    ],
)
def test_toml_of_other_kinds_is_refused(tmp_path, old, new, message):
    (tmp_path / "a.toml").write_text(TOML.replace(old, new))
    with pytest.raises(FileFormatError, match=message):
        load_signature(tmp_path / "a.toml")


@pytest.mark.parametrize("weight", ["one", None, 10**400])
def test_weights_that_are_no_floats_are_refused(weight):
    with pytest.raises(SignatureError, match=r"one finite number a gene"):
        Signature("A", ("GENE1", "GENE2"), (1.0, weight))


def test_tables_of_renames_are_refused_by_name(tmp_path):
    (tmp_path / "a.tsv").write_bytes(b"old\tnew\nG\xe9\tB\n")
    with pytest.raises(FileFormatError, match=r"a.tsv is no text"):
        load_renames(tmp_path / "a.tsv")
