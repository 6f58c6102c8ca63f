"""Nothing of what is to be predicted is learned from: cells, programs, and contexts that were held out."""

import pytest

from insignia.core.errors import InputError
from insignia.data import simulate_screen
from insignia.data.perturbation_splits import additive_split, training_cells, unseen_context_split
from insignia.perturb import induce_programs
from insignia.perturb.programs import check_programs


@pytest.fixture(scope="module")
def data():
    return simulate_screen(
        n_genes=40, n_programs=6, n_perturbations=6, n_doubles=8, n_controls=20, cells_per_condition=6, n_contexts=2,
        rng=0,
    ).data  # fmt: skip


def test_programs_of_a_held_out_context_are_refused(data):
    split = unseen_context_split(data, "context2")
    with pytest.raises(InputError, match="induced from cells of 14 test conditions"):
        check_programs(induce_programs(data, n_programs=4), split)
    check_programs(induce_programs(training_cells(data, split), n_programs=4), split)
    one_context = data.take(data.context == 0)
    check_programs(induce_programs(one_context, n_programs=4), split)


def test_programs_of_held_out_pairs_are_refused_in_any_context(data):
    split = additive_split(data, rng=0)
    with pytest.raises(InputError, match="induced from cells of 2 test conditions"):
        check_programs(induce_programs(data, n_programs=4), split)
    with pytest.raises(InputError, match="2 conditions of the test side"):
        induce_programs(data, n_programs=4, split=split)
    check_programs(induce_programs(training_cells(data, split), n_programs=4), split)
