"""Every line of the how-tos runs, in the order in which it is printed, and says what the page shows."""

import warnings

import pytest
from tests.docs import howto_inputs
from tests.docs.howto_runs import HOWTOS, missing_lines, run
from tests.docs.pages import DOCS


def test_every_how_to_has_something_to_start_from():
    assert set(howto_inputs.PAGES) == set(HOWTOS)


@pytest.mark.full
@pytest.mark.parametrize("name", HOWTOS)
def test_a_how_to_runs_and_says_what_it_shows(name, tmp_path, monkeypatch):
    howto_inputs.PAGES[name](tmp_path)
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for shown, said in run(HOWTOS[name], tmp_path):
            assert not missing_lines(shown.text, said), f"line {shown.line}, where this came out:\n{said}"


def test_an_output_shown_must_have_come_out_but_for_its_numbers():
    said = "genes           305\ngenes in model  267\nerror: no layer 'counts' (0.5 s)\n"
    assert missing_lines("genes 1,204\n...\nerror: no layer 'counts' (12.25 s)\n", said) == []
    assert missing_lines("genes in model  267\ngenes in atlas  267\n", said) == ["genes in atlas  267"]


@pytest.mark.full
def test_the_recipes_of_start_run_from_the_file_that_they_make(tmp_path, monkeypatch):
    text = (DOCS / "start.md").read_text()
    page = tmp_path / "start.md"
    page.write_text(text[text.index("\n## Your own cells, from the shell") :])
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert list(run(page, tmp_path)) == []
    assert {"pbmc.h5ad", "atlas", "monocytes.html", "again"} <= {path.name for path in tmp_path.iterdir()}
