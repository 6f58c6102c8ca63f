"""Code of the docs can be read, and what it uses of insignia exists."""

import ast
import json
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from tests.docs.pages import ROOT, page_paths, read
from tests.docs.python_names import Instance, Reader, plain

import insignia

PATHS = page_paths()
PYTHON = ("python", "{code-cell}", "{doctest}")
CODE = re.compile(r"(ins|insignia|pp|tl|pl)\.(?!py$)")
ENTRY_POINTS = {
    found for path in (ROOT / "src").rglob("*.py") for found in re.findall(r'entry_point="([\w.]+)"', path.read_text())
}


def with_code(*languages: str) -> list[Path]:
    return [path for path in PATHS if read(path).code(*languages)]


@cache
def reader(path: Path) -> Reader:
    """Read all Python of a page; `ins` is insignia, and `atlas` an atlas, where a page does not say so."""
    from insignia.atlas import Atlas

    made = Reader({"ins": insignia, "insignia": insignia, "atlas": Instance(Atlas)})
    for block in read(path).code(*PYTHON):
        made.read(block.text)
    return made


@pytest.mark.parametrize("path", with_code(*PYTHON), ids=lambda path: str(path.relative_to(ROOT)))
def test_python_can_be_read(path):
    for block in read(path).code(*PYTHON):
        try:
            ast.parse(plain(block.text))
        except SyntaxError as error:
            pytest.fail(f"{read(path).name}:{block.line}: {error}")


@pytest.mark.parametrize("path", with_code(*PYTHON), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_python_uses_of_insignia_exists(path):
    assert reader(path).problems == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_of_insignia_in_the_text_exist(path):
    """Such as ``ins.tl.attribute(adata, model)``, and ``tl.score`` for short."""
    page = read(path)
    made = Reader(
        {"ins": insignia, "insignia": insignia, **{name: getattr(insignia, name) for name in ("pp", "tl", "pl")}}
    )
    for text, line in page.inline:
        if CODE.match(text) and text not in ENTRY_POINTS:
            try:
                made.read(text)
            except SyntaxError:
                pytest.fail(f"{page.name}:{line}: {text} cannot be read")
    assert made.problems == []


@pytest.mark.parametrize("path", with_code("json", "toml"), ids=lambda path: str(path.relative_to(ROOT)))
def test_json_and_toml_can_be_read(path):
    for block in read(path).code("json"):
        json.loads(block.text)
    for block in read(path).code("toml"):
        tomllib.loads(block.text)


def test_much_is_checked():
    """So that the tests above cannot pass because nothing was followed."""
    assert sum(reader(path).checked for path in with_code(*PYTHON)) > 200


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import insignia as ins\nins.tl.atribute(adata)", "insignia.tl has no atribute"),
        ("from insignia.workflows import create_atlases", "insignia.workflows has no create_atlases"),
        ("import insignia.atlases", "there is no module insignia.atlases"),
        ("import insignia as ins\nins.tl.score(adata, 'MS1', key='x')", "score takes no key="),
        ("import insignia as ins\natlas = ins.Atlas.open('a/')\natlas.serach('MS1')", "Atlas has no serach"),
        (
            "import insignia as ins\nr = ins.Atlas.open('a/').search('MS1').call('percentile').by_smple()",
            "has no by_smple",
        ),
        ("import insignia as ins\nprint([ins.tl.scored(a) for a in b])", "insignia.tl has no scored"),
        ("from insignia.data import SerialOptions\nSerialOptions(n_section=3)", "takes no n_section="),
        ("import insignia as ins\nif x:\n    with y(ins.pl.nothing):\n        pass", "insignia.pl has no nothing"),
    ],
)
def test_a_slip_is_found(code, problem):
    made = Reader()
    made.read(code)
    assert len(made.problems) == 1
    assert problem in made.problems[0]
