"""Splits are disjoint, complete, undivided by group, and repeatable."""

import subprocess
import sys
from dataclasses import replace
from itertools import combinations

import pytest

from insignia.core.errors import InputError
from insignia.data import Split, k_fold, known_sections_each, leave_one_out

SECTIONS = [f"{donor}{number}" for donor in "ABCDE" for number in range(1, 4)]
DONORS = {section: section[0] for section in SECTIONS}

WAYS = {
    "leave one section out": leave_one_out(SECTIONS),
    "leave one donor out": leave_one_out(SECTIONS, groups=DONORS),
    "three folds of sections": k_fold(SECTIONS, 3, rng=0),
    "three folds of donors": k_fold(SECTIONS, 3, groups=DONORS, rng=0),
    "as many folds as donors": k_fold(SECTIONS, 5, groups=DONORS, rng=0),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_unit_is_tested_once_and_trained_on_otherwise(way):
    splits = WAYS[way]
    assert sorted(unit for split in splits for unit in split.test) == sorted(SECTIONS)
    for split in splits:
        assert not set(split.train) & set(split.test)
        assert set(split.train) | set(split.test) == set(SECTIONS)


@pytest.mark.parametrize("way", [way for way in WAYS if "donor" in way])
def test_a_donor_is_never_on_both_sides(way):
    for split in WAYS[way]:
        assert not {DONORS[unit] for unit in split.train} & {DONORS[unit] for unit in split.test}


def test_folds_are_of_nearly_equal_size():
    sizes = [len({DONORS[unit] for unit in split.test}) for split in WAYS["three folds of donors"]]
    assert sorted(sizes) == [1, 2, 2]


def test_each_known_section_is_given_and_never_scored():
    splits = known_sections_each(["C2", "C3", "C4"], train=["A1", "B1"])
    assert [split.given for split in splits] == [("C2",), ("C3",), ("C4",)]
    assert splits[0].test == ("C3", "C4")
    for split in splits:
        for one, other in combinations((split.train, split.test, split.given), 2):
            assert not set(one) & set(other)


def test_the_order_of_units_does_not_matter_and_the_seed_does():
    assert k_fold(SECTIONS, 3, groups=DONORS, rng=0) == k_fold(SECTIONS[::-1], 3, groups=DONORS, rng=0)
    assert len({k_fold(SECTIONS, 3, rng=seed) for seed in range(5)}) == 5


def test_a_split_is_known_by_a_hash_that_other_processes_reproduce():
    split = Split("x", ("b", "a"), ("c",), ("d",))
    assert split == Split("x", ("a", "b"), ("c",), ("d",))
    assert hash(split) == hash(Split("x", ("a", "b"), ("c",), ("d",)))
    assert replace(split, name="another").fingerprint == split.fingerprint
    assert Split("x", ("a", "b"), ("d",), ("c",)).fingerprint != split.fingerprint
    code = "from insignia.data import Split; print(Split('x', ('b', 'a'), ('c',), ('d',)).fingerprint)"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == split.fingerprint


@pytest.mark.parametrize(
    "parts",
    [
        {"train": ("a",), "test": ("a",)},
        {"train": ("a",), "test": ("b",), "given": ("a",)},
        {"train": ("a",), "test": ("b",), "given": ("b",)},
    ],
)
def test_a_unit_in_two_parts_is_refused(parts):
    with pytest.raises(InputError, match=r"has [ab] in more than one part"):
        Split("x", **parts)


def test_splits_refuse_what_cannot_be_divided():
    with pytest.raises(InputError, match="leaves nothing to score"):
        Split("x", ("a",), ())
    with pytest.raises(InputError, match="a unit twice in train"):
        Split("x", ("a", "a"), ("b",))
    with pytest.raises(InputError, match="names of their own"):
        leave_one_out(["a", "a"])
    with pytest.raises(InputError, match=r"1 of 2 units have no group, e.g. \['b'\]"):
        leave_one_out(["a", "b"], groups={"a": "x"})
    with pytest.raises(InputError, match="Nothing would be left to learn from: all units belong to x"):
        leave_one_out(["a", "b"], groups={"a": "x", "b": "x"})
    with pytest.raises(InputError, match="2 to 3 folds; k is 4"):
        k_fold(["a", "b", "c"], 4, rng=0)
    with pytest.raises(InputError, match="there must be two"):
        known_sections_each(["a"])
