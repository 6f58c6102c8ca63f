"""`insignia serve` and `insignia export-page`."""

import sys

import pytest
from tests.serve.atlas_on_disk import write_atlas

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

pytestmark = pytest.mark.filterwarnings("ignore::insignia.core.errors.CoverageWarning")


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "small"
    write_atlas(path, n_studies=4, n_genes=300, cells_per_sample=40)
    return path


@pytest.fixture
def started(monkeypatch):
    """What uvicorn would have been asked to serve."""
    import uvicorn

    calls = []
    monkeypatch.setattr(uvicorn, "run", lambda app, **options: calls.append((app, options)))
    return calls


def test_it_serves_this_machine_only_unless_told_otherwise(insignia, atlas, started):
    code, _, err = insignia("serve", atlas, "--port", "9123")
    assert code == 0, err
    ((app, options),) = started
    assert (options["host"], options["port"]) == ("127.0.0.1", 9123)
    assert app.state.insignia.shelf.names == ["small"]
    assert "http://127.0.0.1:9123/ " in err


def test_another_interface_gets_a_token_of_its_own(insignia, atlas, started):
    first, second = (insignia("serve", atlas, "--host", "0.0.0.0")[2] for _ in range(2))
    tokens = [text.split("?token=")[1].split()[0] for text in (first, second)]
    assert tokens[0] != tokens[1]
    assert len(tokens[0]) >= 32
    assert [app.state.insignia.options.token for app, _ in started] == tokens
    code, _, err = insignia("serve", atlas, "--host", "0.0.0.0", "--token", "short")
    assert (code, "16 letters" in err) == (2, True)


def test_atlases_that_cannot_be_served_are_refused(insignia, atlas, started, tmp_path):
    code, _, err = insignia("serve", tmp_path)
    assert (code, "atlas" in err) == (4, True)
    code, _, err = insignia("serve", atlas, atlas)
    assert (code, "Two atlases are called 'small'" in err) == (2, True)
    assert started == []


def test_a_view_becomes_a_page(insignia, atlas, tmp_path):
    link = (
        "http://127.0.0.1:8765/?atlas=small&signature=MS1&filter=tissue:blood&min_cells=5&by=study&page=3&other=IFN_I"
    )
    code, _, err = insignia("export-page", atlas, link, "-o", tmp_path / "page.html")
    assert code == 0, err
    page = (tmp_path / "page.html").read_text()
    assert "&quot;tissue&quot; IN (&#x27;blood&#x27;)" in page
    assert "by study" in page
    code, _, _ = insignia("export-page", atlas, "genes=S100A8,S100A12&min_cells=5", "-o", tmp_path / "genes.html")
    assert code == 0
    for wrong, said in (("http://x/?atlas=small", "asks for no search"), ("signature=MS1&min_cells=0", "min_cells")):
        code, _, err = insignia("export-page", atlas, wrong, "-o", tmp_path / "no.html")
        assert code == 2
        assert said in err
    assert not (tmp_path / "no.html").exists()


def test_without_the_extra_it_says_how_to_install_it(insignia, atlas, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, _, err = insignia("serve", atlas)
    assert code == 2
    assert "pip install 'insignia[serve]'" in err


def test_help_and_import_load_nothing_of_it():
    import subprocess

    code = """
import sys
sys.argv = ["insignia", "serve", "--help"]
from insignia.cli.main import run
try:
    run()
except SystemExit:
    pass
import insignia.serve
print([m for m in ("fastapi", "uvicorn", "starlette") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
