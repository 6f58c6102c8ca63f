"""The tutorials, looked at without running them; `make docs` runs them and stops where one is not true."""

import ast
import importlib
import inspect
import re
import runpy
import tomllib

import pytest
from tests.docs.pages import DOCS, ROOT, read

import insignia

PAGES = sorted((DOCS / "tutorials").glob("*.md"))
WIDEST = 88
"""Characters of code that a page shows without scrolling."""
BARS = {"attribute", "benchmark", "evaluate", "features", "fit", "register", "train"}
"""What may draw a bar while it works."""


def cells(path):
    return [block.text for block in read(path).code("{code-cell}")]


def tree_of(path):
    return ast.parse("\n".join(cells(path)))


def dotted(node):
    """`ins.data.read` as a list of names; empty for anything else."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []


def calls(path):
    """Names and call, of all calls."""
    found = ((dotted(node.func), node) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call))
    return [(names, node) for names, node in found if names]


def public(names):
    """What `ins.a.b` is, if every step is in the `__all__` of the one before."""
    found = insignia
    for name in names:
        if inspect.ismodule(found):
            assert name in found.__all__, f"ins.{'.'.join(names)} is not in the public API"
        found = getattr(found, name)
    return found


def test_there_is_one_page_a_question_and_one_for_all_of_them():
    index = (DOCS / "index.md").read_text()
    assert {path.stem for path in PAGES} == {"atlas", "attribution", "perturb", "spatial", "story"}
    assert [path.stem for path in PAGES if f"\ntutorials/{path.stem}\n" not in index] == []


def test_the_docs_build_runs_them_and_stops_at_an_error_or_a_warning():
    conf = runpy.run_path(str(DOCS / "conf.py"))
    assert "myst_nb" in conf["extensions"]
    assert conf["nb_execution_mode"] == "force"
    assert conf["nb_execution_raise_on_error"] is True
    assert conf["nb_output_stderr"] == "error"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["docs"]
    assert {"ipykernel", "myst-nb"} <= {re.split(r"[><=]", one)[0] for one in extras}
    assert "-W" in re.search(r"^docs:.*\n(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
class TestPage:
    def test_it_is_a_notebook_whose_every_cell_runs(self, path):
        text = path.read_text()
        assert re.match(r"---\nfile_format: mystnb\nkernelspec:\n(  .*\n)*  name: python3\n---\n\n# ", text)
        assert text.count("{code-cell}") == len(cells(path)) > 5
        assert not re.search(r"^:tags:|^---$", text[text.index("\n# ") :], re.MULTILINE), "tags can leave a cell out"

    def test_lines_of_code_fit_on_the_page(self, path):
        assert [line for cell in cells(path) for line in cell.splitlines() if len(line) > WIDEST] == []

    def test_it_takes_only_public_names(self, path):
        reference = "\n".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
        documented = set(re.findall(r"automodule:: (\S+)", reference))
        chains = [names for node in ast.walk(tree_of(path)) if len(names := dotted(node)) > 1 and names[0] == "ins"]
        assert len(chains) > 10
        for names in chains:
            public(names[1:])
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "insignia":
                assert node.module in documented, f"{node.module} is not in the reference"
                assert {alias.name for alias in node.names} <= set(importlib.import_module(node.module).__all__)

    def test_it_shows_figures_and_ends_with_a_check_against_the_truth(self, path):
        text = path.read_text()
        assert sum(cell.count("show=True") for cell in cells(path)) >= 2
        right, limits = text.index("\n## Was it right?"), text.index("\n## What this does not say")
        assert text[right:limits].count("\nassert ") >= 3
        assert "{code-cell}" not in text[limits:]

    def test_nothing_is_left_to_chance_and_nothing_draws_a_bar(self, path):
        for names, node in calls(path):
            given = {keyword.arg for keyword in node.keywords}
            if names[-1] == "default_rng":
                assert node.args, "a generator without a seed"
            if names[-1].startswith("simulate_"):
                assert "rng" in given
            if (
                names[0] == "ins"
                and names[-1] in BARS
                and "show_progress" in inspect.signature(public(names[1:])).parameters
            ):
                assert "show_progress" in given, f"{'.'.join(names)} may draw a bar"
