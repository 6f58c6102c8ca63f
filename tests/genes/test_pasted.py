"""Genes as people paste them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insignia.core.errors import FileFormatError, SignatureError
from insignia.genes import Signature, bundled, paste_of, pasted, pasted_file, signature


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("IL1B,S100A8", {"IL1B": 1, "S100A8": 1}),
        ("IL1B; S100A8\n\tCD14 | HLA-DRA", {"IL1B": 1, "S100A8": 1, "CD14": 1, "HLA-DRA": 1}),
        ("['IL1B', \"S100A8\"]", {"IL1B": 1, "S100A8": 1}),
        ("+IL1B -S100A8", {"IL1B": 1, "S100A8": -1}),
        ("IL1B+ S100A8-", {"IL1B": 1, "S100A8": -1}),
        ("IL1B:2 S100A8=-0.5 CD14", {"IL1B": 2, "S100A8": -0.5, "CD14": 1}),
        ("IL1B\t2.5\nS100A8\t\N{MINUS SIGN}1e-2\n", {"IL1B": 2.5, "S100A8": -0.01}),
        ("RP11-295G20.2 NKX2-1", {"RP11-295G20.2": 1, "NKX2-1": 1}),
        ("ENSG00000125538.12", {"ENSG00000125538.12": 1}),
    ],
)
def test_any_separator_sign_and_weight_is_read(text, expected):
    found = pasted(text)
    assert dict(zip(found.genes, found.weight_array.tolist(), strict=True)) == pytest.approx(expected)
    assert (found.weights is None) == (set(expected.values()) == {1})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no genes"),
        (" ,;\n", "no genes"),
        ("2.5 IL1B", "'2.5' follows no gene"),
        ("IL1B 2 3", "'3' follows no gene"),
        ("IL1B IL1B", "more than once"),
        ("IL1B:0", "All weights"),
    ],
)
def test_what_is_no_signature_is_refused(text, said):
    with pytest.raises(SignatureError, match=said):
        pasted(text)


@given(st.text(max_size=200))
def test_no_text_breaks_it(text):
    try:
        found = pasted(text)
    except SignatureError:
        return
    again = pasted(paste_of(found))
    assert again.genes == found.genes


@pytest.mark.parametrize("name", bundled())
def test_bundled_signatures_are_written_and_read_back(name):
    wanted = signature(name)
    found = pasted(paste_of(wanted), wanted.name)
    assert found.genes == wanted.genes
    assert found.weight_array.tolist() == pytest.approx(wanted.weight_array.tolist(), rel=1e-5)


def test_files_hold_gene_sets_or_one_list():
    sets = pasted_file(b"ONE\tabout\tCD79A\tMS4A1\nTWO\t\tNKG7\n", "sets.gmt")
    assert [one.genes for one in sets.values()] == [("CD79A", "MS4A1"), ("NKG7",)]
    assert list(pasted_file(b"ONE\tabout\tCD79A\tMS4A1\n", "upload.txt")) == ["ONE"]
    (one,) = pasted_file("\ufeffCD79A\t2\r\nMS4A1\t-1\r\n".encode(), "mine.tsv").values()
    assert isinstance(one, Signature)
    assert (one.name, one.weights) == ("mine", (2.0, -1.0))
    with pytest.raises(SignatureError, match="is no text file: byte 0"):
        pasted_file(b"\xff\xfe", "x.bin")
    with pytest.raises(FileFormatError, match=r"x\.gmt, line 1"):
        pasted_file(b"only\n", "x.gmt")
