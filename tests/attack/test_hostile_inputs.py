"""A sample of the campaign of `benchmarks.faults --full`: a right answer or a helpful refusal, and nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.attack.campaign import families

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
    """Counts by family, from a process of its own: one with threads, as this may be, must not be forked."""
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", SAMPLE],
        cwd=root,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.parametrize("family", families())
def test_no_hostile_input_is_lost(family, tallies):
    tally = tallies[family]
    assert tally["tried"] == tally["answered"] + tally["refused"], tally["losses"]
    assert tally["tried"] > 0
