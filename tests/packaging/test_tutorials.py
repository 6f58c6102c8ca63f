"""The tutorials, looked at without running them; `make docs` runs them."""

import ast
import importlib
import inspect
import re
import runpy
import tomllib
from pathlib import Path

import pytest

import insignia

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
WIDEST = 88
"""Characters of code that the page shows without scrolling."""


def cells(page):
    return re.findall(r"^```\{code-cell\}.*?\n(.*?)^```$", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def tree_of(page):
    return ast.parse("\n".join(cells(page)))


def dotted(node):
    """`ins.data.read` as a list of names; `None` for anything else."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else None


def documented_modules():
    pages = (ROOT / "docs" / "reference").glob("*.md")
    return {name for page in pages for name in re.findall(r"automodule:: (\S+)", page.read_text())}


def public(names):
    """What `ins.a.b` is, if every step is in the `__all__` of the one before."""
    found = insignia
    for name in names:
        if inspect.ismodule(found):
            assert name in found.__all__, f"{'.'.join(names)} is not in the public API"
        found = getattr(found, name)
    return found


def imported(tree):
    """Names that a page takes from insignia by `from ... import`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "insignia":
            yield from ((node.module, alias.name) for alias in node.names)


def test_there_is_one_page_a_question_and_one_for_all_of_them():
    index = (ROOT / "docs" / "index.md").read_text()
    assert {page.stem for page in PAGES} >= {"atlas", "attribution", "spatial"}
    assert [page.stem for page in PAGES if f"\ntutorials/{page.stem}\n" not in index] == []


def test_the_docs_build_executes_them_and_stops_at_an_error_or_a_warning():
    conf = runpy.run_path(str(ROOT / "docs" / "conf.py"))
    assert "myst_nb" in conf["extensions"]
    assert conf["nb_execution_mode"] == "force"
    assert conf["nb_execution_raise_on_error"] is True
    assert conf["nb_output_stderr"] == "error"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["docs"]
    assert {"ipykernel", "myst-nb"} <= {re.split(r"[><=]", one)[0] for one in extras}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
class TestPage:
    def test_it_is_a_notebook_of_python_whose_every_cell_runs(self, page):
        text = page.read_text()
        assert re.match(r"---\nfile_format: mystnb\nkernelspec:\n(  .*\n)*  name: python3\n---\n\n# ", text)
        assert text.count("{code-cell}") == len(cells(page)) > 5
        assert ":tags:" not in text
        for cell in cells(page):
            compile(cell, str(page), "exec")

    def test_lines_of_code_fit_on_the_page(self, page):
        assert [line for cell in cells(page) for line in cell.splitlines() if len(line) > WIDEST] == []

    def test_it_takes_only_public_names(self, page):
        tree = tree_of(page)
        chains = [names for node in ast.walk(tree) if (names := dotted(node)) and names[0] == "ins" and names[1:]]
        assert chains
        for names in chains:
            public(names[1:])
        for module, name in imported(tree):
            assert module in documented_modules(), f"{module} is not in the reference"
            assert name in importlib.import_module(module).__all__

    def test_options_are_those_of_the_functions(self, page):
        checked = 0
        for node in ast.walk(tree_of(page)):
            names = dotted(node.func) if isinstance(node, ast.Call) else None
            if names and names[0] == "ins" and names[1:]:
                parameters = inspect.signature(public(names[1:])).parameters
                if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
                    continue
                given = {keyword.arg for keyword in node.keywords}
                assert given <= set(parameters), f"{'.'.join(names)} has no {given - set(parameters)}"
                checked += 1
        assert checked > 3

    def test_it_shows_figures_and_ends_with_a_check_against_the_truth(self, page):
        text, code = page.read_text(), cells(page)
        assert sum(cell.count("show=True") for cell in code) >= 2
        assert ast.unparse(tree_of(page)).count("assert ") >= 4
        assert text.index("## Was it right?") < text.index("## What this does not say")
        checks = text[text.index("## Was it right?") : text.index("## What this does not say")]
        assert "assert " in checks
        assert "```{code-cell}" not in text[text.index("## What this does not say") :]

    def test_nothing_is_left_to_chance(self, page):
        for node in ast.walk(tree_of(page)):
            if isinstance(node, ast.Call) and (names := dotted(node.func)):
                keywords = {keyword.arg for keyword in node.keywords}
                if names[-1] == "default_rng":
                    assert node.args
                if names[-1].startswith("simulate_"):
                    assert "rng" in keywords
                if names[-1] in {"train", "fit", "register", "features", "attribute"} and names[0] == "ins":
                    assert "show_progress" in keywords, f"{names[-1]} may draw a bar"
