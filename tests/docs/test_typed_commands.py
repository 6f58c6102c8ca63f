"""What the docs say to type exists: commands, options, make targets."""

import re

import format_page
import pytest
from tests.docs.pages import ROOT, page_paths, read
from tests.docs.typed_commands import by_path, calls, problems

PATHS = page_paths()
SCRIPTS = ("bash", "sh", "console", "shell")
PROSE = ("text", "")
MARKS = set(format_page.marks().values())
OF_OTHERS = {
    "--full": "python -m benchmarks.faults",
    "--quick": "python -m benchmarks.NAME",
    "--cells": "python -m benchmarks.search_scale",
    "--values": "python -m benchmarks.search_scale",
}
"""Options that stand alone in the text and belong to other programs."""


def texts(page):
    yield from ((block.text, block.line) for block in page.code(*SCRIPTS))
    for block in page.code(*PROSE):  # may be what a program prints
        typed = [line for line in block.text.splitlines() if line.startswith(("insignia ", "$ insignia ", "make "))]
        yield "\n".join(typed), block.line
    yield from (one for one in page.inline if one[0] not in MARKS)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_and_option_exists(path):
    page = read(path)
    found = [f"{page.name}:{line}: {problem}" for text, line in texts(page) for problem in problems(text)]
    assert found == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_option_named_alone_is_one_of_some_command(path):
    known = {name for one in by_path().values() for name in one.options} | set(OF_OTHERS)
    page = read(path)
    for text, line in page.inline:
        if found := re.match(r"(--[a-z][\w-]*)(?=$|[ =])", text):
            assert found[1] in known, f"{page.name}:{line}: no command has the option {found[1]}"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_make_target_exists(path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    page = read(path)
    for text, line in texts(page):
        for found in re.findall(r"^make ((?:[a-z-]+ ?)+)", text, re.MULTILINE):
            assert set(found.split()) <= targets, f"{page.name}:{line}: make {found}"


def test_the_docs_call_the_command_line_often():
    """So that the tests above cannot pass because nothing was found."""
    names = {words[0] for path in PATHS for text, _ in texts(read(path)) for words in calls(text) if words}
    assert {"atlas", "attribute", "demo", "ms1", "perturb", "search", "serve", "slurm", "spatial"} <= names


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("insignia atlas ad atlas/ x.h5ad", "insignia atlas has no command 'ad'"),
        ("insignia serach atlas/ MS1", "insignia has no command 'serach'"),
        ("insignia search atlas/ MS1 --wher \"tissue = 'blood'\"", "insignia search has no option --wher"),
        ("x=1; insignia slurm c.h5ad \\\n  --shard 3 && true", "insignia slurm has no option --shard"),
        ("insignia attribute ... [--device cuda --precison bf16]", "insignia attribute has no option --precison"),
        ("insignia atlas replace | removes", "insignia atlas has no 'removes'"),
        ("insignia score a.h5ad MS1 -q 3", "insignia score has no option -q"),
    ],
)
def test_a_slip_is_found(text, problem):
    assert problems(text) == [problem]


@pytest.mark.parametrize(
    "text",
    [
        "insignia --help",
        "insignia atlas --help",
        "insignia search atlas/ MS1 -o ms1.html   # a comment --with-dashes",
        "INSIGNIA_TOKEN=... insignia serve atlas/ --host 0.0.0.0 | tee log",
        "insignia perturb rank m/ s --baseline plain=other/ > out",
        "insignia atlas replace | remove | verify",
        "pip install 'insignia[serve]'",
        "insignia ... --json",
        "insignia search a/ 'MS1' --where \"cell_type IN ('a', '--b')\" --json",
    ],
)
def test_a_right_call_passes(text):
    assert problems(text) == []
