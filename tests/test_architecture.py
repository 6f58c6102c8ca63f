"""The rules of the house that a program can check."""

import ast
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "insignia"
FILES = sorted(SOURCE.rglob("*.py"))
LONG = 300


def loaded_by(statement):
    """Names of the heavy packages that a fresh interpreter has loaded after `statement`."""
    code = f"{statement}\nimport sys\nprint([m for m in ('torch', 'scanpy', 'numba', 'anndata') if m in sys.modules])"
    return ast.literal_eval(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    )


def test_importing_insignia_loads_nothing_heavy():
    assert loaded_by("import insignia; dir(insignia); insignia.__version__") == []


def test_help_loads_nothing_heavy():
    statement = """
import sys
sys.argv = ["insignia", "--help"]
from insignia.cli.main import run
try:
    run()
except SystemExit:
    pass
"""
    assert loaded_by(statement) == []


def test_every_public_name_exists():
    import insignia

    for name in insignia.__all__:
        assert getattr(insignia, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        insignia.nothing  # noqa: B018


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_all_is_sorted_and_every_file_says_what_it_is(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "a file opens with what it is for"
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            names = ast.literal_eval(node.value)
            assert names == sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
            assert len(names) == len(set(names))


def test_no_file_imports_what_does_not_install_beside_torch():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & {"torchvision", "timm", "pickle5", "dill"}, path


def test_long_files_are_listed_for_a_look():
    long = [f"{path.relative_to(SOURCE)}: {n}" for path in FILES if (n := len(path.read_text().splitlines())) > LONG]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        if long:
            warnings.warn(f"files over {LONG} lines, have a look: {long}", stacklevel=1)


def test_test_files_have_names_of_their_own():
    """Two of one name in different folders cannot be collected together."""
    names = Counter(path.name for path in Path(__file__).parent.rglob("test_*.py"))
    assert [name for name, times in names.items() if times > 1] == []


@pytest.mark.parametrize("verb", ["annotate", "attribute", "compare_scores", "embed", "rank_genes", "score"])
def test_verbs_take_copy_and_keyword_options(verb):
    import inspect

    from insignia import tl

    parameters = inspect.signature(getattr(tl, verb)).parameters
    assert next(iter(parameters)) == "adata"
    assert parameters["copy"].default is False
    assert "key_added" in parameters
    positional = [p for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert len(positional) <= 3
