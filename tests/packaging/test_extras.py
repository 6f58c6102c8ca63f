"""Each extra: what needs it says so where it is missing, and works where it is there."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest
from benchmarks.install.uses import USES
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from insignia.core.errors import MissingDependency

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "insignia"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
FOR_DEVELOPERS = {"bench", "dev", "docs"}
MODULES = {
    "ants": "antspyx",
    "cv2": "opencv-python-headless",
    "openslide": "openslide-python",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
}
BROUGHT = {"pydantic": "fastapi", "starlette": "fastapi", "mpl_toolkits": "matplotlib"}
"""Modules that come with a package which we ask for by name."""


def distribution(module):
    root = module.split(".")[0]
    return canonicalize_name(MODULES.get(root, BROUGHT.get(root, root)))


def needs():
    """Yield (module, extra, file) for each call of `need`."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "need":
                [extra] = [word.value.value for word in node.keywords if word.arg == "extra"]
                if isinstance(node.args[0], ast.Constant):
                    yield node.args[0].value, extra, path


def test_each_extra_has_a_use():
    assert set(USES) == set(EXTRAS) - FOR_DEVELOPERS


def test_what_is_needed_is_in_the_extra_that_is_named():
    for module, extra, path in needs():
        held = {canonicalize_name(Requirement(text).name) for text in EXTRAS[extra]}
        assert distribution(module) in held, f"{path}: {module} is not in [{extra}]"


def test_nothing_is_imported_that_no_dependency_brings():
    """At the top of a file only what is always installed; the explorer stands behind `serve/run.py`, which asks."""
    always = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    extra = {canonicalize_name(Requirement(text).name) for texts in EXTRAS.values() for text in texts}
    wrong = []
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            for module in imported(node):
                at_top = node in tree.body and "serve" not in path.parts
                if distribution(module) not in (always if at_top else always | extra):
                    wrong.append(f"{path.relative_to(SOURCE)}:{node.lineno} {module}")
    assert wrong == []


def imported(node):
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
    return [name for name in names if name.split(".")[0] not in {*sys.stdlib_module_names, "insignia"}]


@pytest.mark.parametrize("extra", sorted(USES))
def test_without_an_extra_the_error_names_it(extra, tmp_path, monkeypatch):
    asked = [module for module, of, _ in needs() if of == extra] or ["pyucell"]
    for module in asked:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependency, match=rf"pip install 'insignia\[{extra}\]'"):
        USES[extra](tmp_path)


@pytest.mark.parametrize("extra", ["tiledb", "wsi", "zarr"])
def test_with_an_extra_its_use_works(extra, tmp_path):
    for module in {module for module, of, _ in needs() if of == extra}:
        pytest.importorskip(module, reason=f"{module} is not installed: pip install 'insignia[{extra}]'")
    USES[extra](tmp_path)
