"""Every line of the how-tos runs, in the order in which it is printed, and says what the page shows."""

import ast
import warnings

import pytest
from tests.howto import inputs
from tests.howto.pages import HOWTOS, SHOWN, blocks, missing_lines, run

PAGES = sorted(page.stem for page in HOWTOS.glob("*.md"))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_code_that_can_be_read_and_something_to_start_from(name):
    found = blocks(HOWTOS / f"{name}.md")
    assert {"bash", "python"} & {block.language for block in found}
    assert name in inputs.PAGES
    for block in found:
        if block.language == "python":
            ast.parse(block.text)


def test_no_page_is_forgotten():
    assert set(inputs.PAGES) == set(PAGES)


@pytest.mark.full
@pytest.mark.parametrize("name", PAGES)
def test_a_page_runs_and_says_what_it_shows(name, tmp_path, monkeypatch):
    inputs.PAGES[name](tmp_path)
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for shown, said in run(HOWTOS / f"{name}.md", tmp_path):
            assert not missing_lines(shown.text, said), f"line {shown.line}, where this came out:\n{said}"


def test_an_output_shown_must_have_come_out_but_for_its_numbers():
    said = "genes           305\ngenes in model  267\nerror: no layer 'counts' (0.5 s)\n"
    assert missing_lines("genes 1,204\n...\nerror: no layer 'counts' (12.25 s)\n", said) == []
    assert missing_lines("genes in model  267\ngenes in atlas  267\n", said) == ["genes in atlas  267"]
    assert SHOWN == "text"
