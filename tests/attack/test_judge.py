"""The judge sees what it is there for: each way to be lost is noticed, and right answers and refusals are not."""

import os
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from benchmarks.attack.campaign import attack, families
from benchmarks.attack.case import CANARY, Case
from benchmarks.attack.judge import judge, warm_up

from insignia.core.errors import FileFormatError

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(autouse=True, scope="module")
def warm():
    warm_up()


def refusal():
    raise FileFormatError("The file x is damaged: fetch it again.")


def run(work, **what):
    return judge(Case("one", lambda folder: work, **what))


def test_answers_and_refusals_are_told_apart():
    assert run(lambda: None).how == "answered"
    assert run(refusal).how == "refused"
    assert run(["--version"]).how == "answered"
    assert "answered what must be refused" in run(lambda: None, must="refuse").why
    assert "refused what must be answered" in run(refusal, must="answer").why
    assert "not in the words" in run(refusal, says="another sentence").why
    assert run(refusal, says="damaged").how == "refused"


def broken():
    raise ZeroDivisionError("by nothing")


def bad_words():
    raise FileFormatError("'object' object has no attribute 'name' anywhere")


def half():
    Path("out.csv").write_text("half")
    refusal()


def outside():
    Path("../../escaped").write_text("x")


def left_over():
    Path(".out-tmp.csv").write_text("x")


def memory():
    np.ones(2**40)


@pytest.mark.parametrize(
    ("work", "why"),
    [
        (broken, "traceback: nowhere of ours: ZeroDivisionError"),
        (bad_words, "no words of ours"),
        (half, "changed by a refusal"),
        (outside, "files outside the folder"),
        (left_over, "written half"),
        (lambda: Path(CANARY).touch(), "code from a file was run"),
        (lambda: os.abort(), "died by SIGABRT"),
        (lambda: os._exit(9), "exit code 9"),
        (["no-such-command"], "the case types a command"),
    ],
)
def test_each_way_to_be_lost_is_noticed(work, why):
    verdict = run(work)
    assert verdict.is_lost
    assert why in verdict.why


def test_hangs_end_and_memory_is_bounded():
    assert "hang" in run(lambda: time.sleep(60), seconds=0.3).why
    assert run(memory, memory_gb=1).how in ("refused", "lost")


def test_a_wrong_answer_is_lost():
    def holds(folder, output):
        assert "42" in output

    assert run(lambda: print(42), holds=holds).how == "answered"
    assert "wrong answer" in run(lambda: print(41), holds=holds).why


def test_families_are_found_and_their_cases_are_new_with_every_seed():
    assert {"atlases", "cells", "signatures"} <= set(families())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert attack("signatures", sample=0).tried == 0
