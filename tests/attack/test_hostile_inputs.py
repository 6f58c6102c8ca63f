"""A sample of the campaign of `benchmarks.faults --full`: a right answer or a helpful refusal, and nothing else."""

import json
import os

import pytest
from benchmarks.attack.campaign import families
from tests.fresh_process import last_line

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")

SAMPLE = """
import json, warnings
from dataclasses import asdict
warnings.simplefilter("ignore")
from benchmarks.attack.campaign import attack, families
print(json.dumps({name: asdict(attack(name, seed=1, amount=1, sample=3, seconds=20)) for name in families()}))
"""


@pytest.fixture(scope="module")
def tallies():
    """Counts by family."""
    return json.loads(last_line("-c", SAMPLE, timeout=600))


@pytest.mark.parametrize("family", families())
def test_no_hostile_input_is_lost(family, tallies):
    tally = tallies[family]
    assert tally["tried"] == tally["answered"] + tally["refused"], tally["losses"]
    assert tally["tried"] > 0
