import gzip

import pytest

from insignia.core.errors import FileFormatError, SignatureError
from insignia.genes import Signature, read_gmt, write_gmt


@pytest.fixture
def write(tmp_path):
    def make(text):
        path = tmp_path / "sets.gmt"
        path.write_text(text)
        return path

    return make


def test_sets_are_read_in_order(write):
    path = write("B\thttp://b\tCD3E\tLYZ\nA (GO:1)\t\tNKG7\tCD3E\tMS4A1\t\t\n\n")
    sets = read_gmt(path)
    assert list(sets) == ["B", "A (GO:1)"]
    assert sets["B"].genes == ("CD3E", "LYZ")
    assert sets["B"].description == "http://b"
    assert sets["A (GO:1)"].genes == ("NKG7", "CD3E", "MS4A1")
    assert sets["A (GO:1)"].description == ""
    assert sets["A (GO:1)"].organism == "human"
    packed = path.with_suffix(".gmt.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_gmt(packed) == sets


def test_round_trip_is_exact(write, tmp_path):
    text = "B\thttp://b\tCD3E\tLYZ\nA (GO:1)\t\tNKG7\tCD3E\tMS4A1\nC_UP\tup\tA\nC_DN\tup\tB\n"
    path, again = write(text), tmp_path / "again.gmt"
    for merge in (False, True):
        sets = read_gmt(path, merge_up_down=merge)
        write_gmt(sets, again)
        assert again.read_text() == text
        assert read_gmt(again, merge_up_down=merge) == sets


@pytest.mark.parametrize("down", ["DN", "DOWN", "dn"])
def test_pairs_are_merged_on_request_only(write, down):
    path = write(f"C_{down}\td\tB1\tB2\nX_UP\t\tX\nC_UP\tu\tA\n")
    assert list(read_gmt(path)) == [f"C_{down}", "X_UP", "C_UP"]
    merged = read_gmt(path, merge_up_down=True)
    assert list(merged) == ["C", "X_UP"]
    assert merged["C"].genes == ("A", "B1", "B2")
    assert merged["C"].weights == (1, -1, -1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no gene sets"),
        ("A\td\tB\nC\td\n", "line 2: expected a name, a description"),
        ("A\td\tB\tB\n", "line 1: .*more than once: B"),
        ("A\td\tB\nA\td\tC\n", "line 2: the set 'A' was there before"),
        ("A B C\n", "line 1: expected a name"),
    ],
)
def test_bad_files_are_refused(write, text, message):
    with pytest.raises(FileFormatError, match=message):
        read_gmt(write(text))


def test_a_pair_cannot_hide_another_set(write):
    with pytest.raises(FileFormatError, match="cannot share a name"):
        read_gmt(write("C_UP\t\tA\nC_DN\t\tB\nC\t\tD\n"), merge_up_down=True)


def test_what_gmt_cannot_hold_is_refused(tmp_path):
    path = tmp_path / "out.gmt"
    with pytest.raises(SignatureError, match="weights other than 1 and -1"):
        write_gmt([Signature("A", ("B", "C"), (1.0, 0.5))], path)
    with pytest.raises(SignatureError, match="these repeat: A"):
        write_gmt([Signature("A", ("B",)), Signature("A", ("C",))], path)
    assert not path.exists()


def test_descriptions_stay_on_their_line(tmp_path):
    path = tmp_path / "out.gmt"
    write_gmt([Signature("A", ("B",), description="two\tlines\nhere")], path)
    assert path.read_text() == "A\ttwo lines here\tB\n"
