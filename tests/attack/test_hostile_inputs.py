"""A sample of the campaign of `benchmarks.faults --full`: a right answer or a helpful refusal, and nothing else."""

import os

import pytest
from benchmarks.attack.campaign import attack, families

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
@pytest.mark.parametrize("family", families())
def test_no_hostile_input_is_lost(family):
    tally = attack(family, seed=1, amount=1, sample=3, seconds=20)
    assert tally.tried == tally.answered + tally.refused, tally.losses
    assert tally.tried > 0
