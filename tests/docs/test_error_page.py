"""The catalogue of errors names every class, and every message in it is one that the code gives."""

import ast
import builtins
import inspect
import re
import sys
import warnings
from functools import cache

import error_page
import pytest
from tests.docs.pages import DOCS, ROOT, read

from insignia.cli.output import friendly_errors
from insignia.core import errors

CATALOGUE = error_page.catalogue()
SOURCE = ROOT / "src" / "insignia"


@cache
def sources():
    return {path: path.read_text() for path in sorted(SOURCE.rglob("*.py"))}


@cache
def classes_of_the_package():
    """Every public class below our two roots, as (module, name), read from the source."""
    defined, found = [], {"InsigniaError", "InsigniaWarning"}
    for path, text in sources().items():
        module = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
        for name, bases in re.findall(r"^class (\w+)(?:\((.*?)\))?:", text, re.MULTILINE | re.DOTALL):
            defined.append((module, name, set(re.findall(r"\w+", bases))))
    while new := {name for _, name, bases in defined if bases & found} - found:
        found |= new
    return {(module, name) for module, name, _ in defined if name in found and not name.startswith("_")}


def pattern(message):
    """``...`` stands for anything; line breaks do not count."""
    return re.escape(" ".join(message.split())).replace(r"\.\.\.", ".*")


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Run an example in an empty folder, and return what it raised or the warnings it gave."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "tiledb", sys.modules.get("tiledb"))

    def run(entry):
        names = {"__name__": "example"}
        exec(error_page.BEFORE, names)
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            try:
                exec(entry.code, names)
            except errors.InsigniaError as error:
                return [error]
        return [one.message for one in given if isinstance(one.message, errors.InsigniaWarning)]

    return run


def test_every_class_is_in_the_catalogue_and_no_other():
    there = classes_of_the_package()
    assert {("insignia.core.errors", name) for name in errors.__all__} <= there
    assert {(entry.module, entry.name) for entry in CATALOGUE} == there
    assert {entry.name.lower() for entry in CATALOGUE} <= read(DOCS / "reference" / "errors.md").anchors


def test_the_family_tree_in_the_source_names_every_class_and_its_exit_code():
    tree = inspect.getdoc(errors)
    for name in errors.__all__:
        made = getattr(errors, name)
        (line,) = re.findall(rf"^.*\b{name}\b.*$", tree, re.MULTILINE)
        builtin = [base.__name__ for base in made.__bases__ if base.__module__ == "builtins"]
        assert name == "InsigniaError" or all(f"({one})" in line for one in builtin)
        if "exit code" in line:
            assert f"exit code {made.exit_code}" in line


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_the_example_gives_the_message(entry, example):
    raised = example(entry)
    assert [type(one) for one in raised] == [entry.made]
    assert re.fullmatch(pattern(entry.message), " ".join(str(raised[0]).split()))
    assert len(entry.message.replace("...", "")) > 40, "the message stands for itself"


@pytest.mark.parametrize("entry", [one for one in CATALOGUE if one.exit_code is not None], ids=lambda entry: entry.name)
def test_the_command_line_ends_with_its_exit_code_and_message(entry, capsys):
    with pytest.raises(SystemExit) as ended, friendly_errors():
        raise entry.made("It is so.")
    assert ended.value.code == entry.exit_code
    assert capsys.readouterr().err == "error: It is so.\n"
    assert f"Exit code {entry.exit_code}. " in section(entry.name)
    assert re.search(rf"^\| {entry.exit_code} \|", (DOCS / "reference" / "errors.md").read_text(), re.MULTILINE)


def section(name):
    return re.split(rf"^#+ {name}$", error_page.details(), flags=re.MULTILINE)[1].split("\n#")[0]


def test_docstrings_name_errors_that_exist():
    """Under Raises and Warns, in every docstring of the package."""
    known = {name for _, name in classes_of_the_package()} | set(dir(builtins))
    found = 0
    telling = {path: text for path, text in sources().items() if re.search(r"^ *(Raises|Warns)$", text, re.MULTILINE)}
    for path, text in telling.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
                for name in named_errors(ast.get_docstring(node) or ""):
                    found += 1
                    assert name in known, f"{path.relative_to(ROOT)}: {name} is no error"
    assert found > 200


def named_errors(docstring):
    for body in re.findall(
        r"^(?:Raises|Warns)\n-+\n((?:(?:\S.*|[ \t].*|)\n?)*?)(?=^\S.*\n---|\Z)", docstring, re.MULTILINE
    ):
        for line in body.splitlines():
            if re.fullmatch(r"\w+(, \w+)*", line):
                yield from (name.strip() for name in line.split(","))
