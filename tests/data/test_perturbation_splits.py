"""Splits of a screen: what each holds out, strata, and the check for leaks."""

import pytest

from insignia.core.errors import FileFormatError, InputError
from insignia.data import Condition, Split, read_split, read_splits, simulate_screen, write_splits
from insignia.data.perturbation_splits import (
    additive_split,
    check_leaks,
    combo_split,
    held_groups,
    parse_unit,
    single_folds,
    stratum,
    training_cells,
    unseen_context_split,
    unseen_genes_split,
)


@pytest.fixture(scope="module")
def data():
    return simulate_screen(
        n_genes=40, n_programs=6, n_perturbations=10, n_doubles=20, n_controls=20, cells_per_condition=4, rng=0
    ).data


def conditions(units):
    return [Condition.parse(unit) for unit in units]


def test_additive_holds_out_pairs_of_genes_that_are_trained_alone(data):
    split = additive_split(data, share=0.3, rng=0)
    train = conditions(split.train)
    assert len(split.test) == 6
    assert {stratum(one, train) for one in conditions(split.test)} == {"seen 2 of 2"}
    assert set(split.train) | set(split.test) == {str(one) for one in data.conditions if not one.is_control}


def test_unseen_genes_touch_nothing_that_is_trained(data):
    split = unseen_genes_split(data, share=0.2, rng=0)
    trained = {gene for one in conditions(split.train) for gene in one.genes}
    held = {one.genes[0] for one in conditions(split.test) if len(one.genes) == 1}
    assert len(held) == 2
    assert not held & trained


def test_a_combo_split_has_all_strata(data):
    split = combo_split(data, share_genes=0.3, rng=0)
    train = conditions(split.train)
    found = {stratum(one, train) for one in conditions(split.test)}
    assert {"unseen single", "seen 1 of 2", "seen 2 of 2"} <= found


def test_folds_hold_out_every_gene_once(data):
    folds = single_folds(data, 5, rng=0)
    held = [one for fold in folds for one in conditions(fold.test) if len(one.genes) == 1]
    assert sorted(map(str, held)) == sorted(str(one) for one in data.conditions if len(one.genes) == 1)


def test_equal_seeds_give_equal_hashes_and_the_other_way_round_of_a_pair_is_the_same_unit(data):
    assert combo_split(data, rng=1).fingerprint == combo_split(data, rng=1).fingerprint
    assert combo_split(data, rng=1).fingerprint != combo_split(data, rng=2).fingerprint


def test_a_leak_is_refused_however_the_pair_is_written(data):
    pair = next(one for one in data.conditions if len(one.genes) == 2)
    swapped = "+".join(reversed(pair.genes))
    split = type(additive_split(data))("swapped", ("PERT001",), (swapped,))
    with pytest.raises(InputError, match="1 conditions of the test side"):
        check_leaks(split, data)
    check_leaks(split, data.without([pair]))


def test_the_same_gene_perturbed_in_another_way_is_unseen():
    train = [Condition.of(["A"], kind="CRISPRa")]
    assert stratum(Condition.of(["A"], kind="CRISPRi"), train) == "unseen single"
    assert stratum(Condition.of(["A"], kind="CRISPRa"), train) == "seen single"


def test_impossible_splits_are_refused(data):
    singles = data.without([one for one in data.conditions if len(one.genes) == 2])
    with pytest.raises(InputError, match="there are none"):
        additive_split(singles)
    with pytest.raises(InputError, match="between 0 and 1"):
        unseen_genes_split(data, share=1.5)


@pytest.fixture(scope="module")
def two_contexts():
    return simulate_screen(
        n_genes=20, n_programs=4, n_perturbations=4, n_doubles=2, n_controls=6, cells_per_condition=3, n_contexts=2,
        rng=0,
    ).data  # fmt: skip


def test_an_unseen_context_keeps_its_controls_and_nothing_else(two_contexts):
    split = unseen_context_split(two_contexts, "context2")
    train = training_cells(two_contexts, split)
    assert {where for one, where in train.groups if not one.is_control} == {"context1"}
    assert len(train.controls("context2")) == 6
    assert len(held_groups(two_contexts, split)) == 6
    assert {parse_unit(unit)[1] for unit in split.test} == {"context2"}
    check_leaks(split, train)
    with pytest.raises(InputError, match="6 conditions of the test side"):
        check_leaks(split, two_contexts)


def test_a_unit_without_a_context_means_all_of_them(two_contexts):
    pair = next(one for one in two_contexts.conditions if len(one.genes) == 2)
    split = Split("pair", ("PERT001",), ("+".join(reversed(pair.genes)),))
    assert held_groups(two_contexts, split) == [(pair, "context1"), (pair, "context2")]
    assert len(training_cells(two_contexts, split)) == len(two_contexts) - 6


def test_contexts_that_cannot_be_held_out_are_refused(two_contexts):
    with pytest.raises(InputError, match="'context9' has none"):
        unseen_context_split(two_contexts, ["context1", "context9"])
    with pytest.raises(InputError, match="leaves no perturbed cells"):
        unseen_context_split(two_contexts, ["context1", "context2"])


def test_splits_are_written_with_hashes_and_a_change_is_found(data, two_contexts, tmp_path):
    path = tmp_path / "split.json"
    folds = (*single_folds(data, 3, rng=0), unseen_context_split(two_contexts, "context2"))
    write_splits(folds, path)
    assert read_splits(path) == folds
    with pytest.raises(FileFormatError, match="holds 4 splits"):
        read_split(path)
    write_splits(folds[0], path)
    assert read_split(path) == folds[0]
    text = path.read_text()
    for wrong in (text.replace('"PERT001"', '"PERT999"'), text.replace("fold 1 of 3", "fold 9 of 3")):
        path.write_text(wrong)
        with pytest.raises(FileFormatError, match="was changed since it was written"):
            read_split(path)
    path.write_text(text.replace("insignia-splits/1", "insignia-splits/9"))
    with pytest.raises(FileFormatError, match="this version reads"):
        read_split(path)
    for wrong in ("[]", "not json", "{}"):
        path.write_text(wrong)
        with pytest.raises(FileFormatError, match="no file of splits"):
            read_split(path)
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_split(tmp_path / "none.json")
