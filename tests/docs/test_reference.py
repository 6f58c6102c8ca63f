"""Every public name stands on exactly one page of the reference."""

import importlib
import inspect
import re
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import data_page
import format_page
import pytest
from tests.docs.pages import DOCS, page_paths, read
from tests.docs.python_names import plain

import insignia

PAGES = sorted((DOCS / "reference").glob("*.md"))


def documented():
    """Full names that a page shows, with the page, as autodoc would."""
    found = []
    for page in PAGES:
        for block in read(page).code("{eval-rst}"):
            for kind, target, options in directives(block.text):
                names = [target] if kind != "automodule" else members(target, options)
                found += [(page.stem, name) for name in names]
    return found


def directives(text):
    """Kind, full name and options of every directive of autodoc, and of ``py:data``."""
    module, found = "", []
    for line in text.splitlines():
        if got := re.match(r"\.\. py:currentmodule:: (\S+)", line):
            module = got[1]
        elif got := re.match(r"\.\. (automodule|autoclass|autofunction|autoexception):: (\S+)", line):
            found.append((got[1], got[2], {}))
        elif got := re.match(r"\.\. py:data:: (\S+)", line):
            found.append(("data", f"{module}.{got[1]}", {}))
        elif found and (got := re.match(r"   :([\w-]+):(.*)", line)):
            found[-1][2][got[1]] = [name.strip() for name in got[2].split(",") if name.strip()]
    return found


def members(module, options):
    """What automodule shows: of what `__all__` lists, functions and classes with a docstring."""
    if "members" not in options:
        return []
    made = importlib.import_module(module)
    left_out = set(options.get("exclude-members", ()))
    shown = [name for name in options["members"] or made.__all__ if name not in left_out]
    values = {name: getattr(made, name) for name in shown}
    return [
        f"{module}.{name}"
        for name, value in values.items()
        if (isinstance(value, type) or inspect.isroutine(value)) and inspect.getdoc(value)
    ]


def value_of(name):
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


def public():
    """Every public thing that is no module: its full names, by identity."""
    found = defaultdict(list)
    for module in data_page.PUBLIC:
        for name in importlib.import_module(module).__all__:
            value = getattr(importlib.import_module(module), name)
            if not isinstance(value, ModuleType):
                found[id(value)].append(f"{module}.{name}")
    return found


def test_every_public_name_stands_on_one_page_once():
    where = defaultdict(list)
    for page, name in documented():
        where[id(value_of(name))].append(f"{name} ({page})")
    for key, names in public().items():
        assert len(where[key]) == 1, f"{names} should be documented once, found {where[key] or 'nowhere'}"


def test_what_is_documented_is_public_and_nothing_is_documented_twice():
    names = [name for _, name in documented()]
    assert len(names) == len(set(names))
    modules = {name.rpartition(".")[0] for name in names}
    assert modules <= {*data_page.PUBLIC, "insignia.serve.work"}


def test_a_public_name_is_no_module_by_accident():
    """A folder hides what its parent imports under the same name, unless the parent imports it last."""
    for module in data_page.PUBLIC:
        made = importlib.import_module(module)
        for name in made.__all__:
            value = getattr(made, name)
            if isinstance(value, ModuleType) and not name.startswith("_"):
                assert value.__name__ in {*data_page.PUBLIC, *MODULES}, f"{module}.{name} is a module"


MODULES = ("insignia.perturb.protocols.data_sets", "insignia.spatial.protocols.data_sets")


@pytest.mark.parametrize("path", page_paths(), ids=lambda path: path.stem)
def test_what_the_docs_import_is_in_the_reference(path):
    shown = {id(value_of(name)) for _, name in documented()}
    for block in read(path).code("python", "{code-cell}"):
        for line in plain(block.text).splitlines():
            if (got := re.match(r"\s*from (insignia[\w.]*) import (.+)", line)) and path.stem != "errors":
                for name in re.findall(r"(\w+)(?: as \w+)?,?", got[2]):
                    value = getattr(importlib.import_module(got[1]), name, None) or importlib.import_module(
                        f"{got[1]}.{name}"
                    )
                    is_there = isinstance(value, ModuleType) or id(value) in shown
                    assert is_there, f"{path.name}:{block.line}: {got[1]}.{name} is not in the reference"


def test_every_format_that_is_written_stands_on_the_page_of_what_stays():
    source = Path(insignia.__file__).parent
    marks = {
        mark
        for path in source.rglob("*.py")
        for mark in re.findall(r'^_?FORMAT: Final = "(insignia[^"]*)"', path.read_text(), re.MULTILINE)
    }
    assert len(marks) > 5
    assert {mark.removesuffix(" 1.1") for mark in format_page.marks().values()} == marks
