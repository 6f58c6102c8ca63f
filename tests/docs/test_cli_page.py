"""The page of the command line is made from the commands."""

import re

import cli_page
import pytest
from tests.docs.pages import DOCS, read

PAGE = DOCS / "cli.md"
COMMANDS = cli_page.commands()


def section(command):
    """What the page says under the heading of a command."""
    return re.split(rf"^#+ {command.name}$", cli_page.reference(), flags=re.MULTILINE)[1].split("\n#")[0]


def test_every_command_has_a_heading_and_a_line_of_the_overview():
    text, anchors = cli_page.reference(), read(PAGE).anchors
    assert len(COMMANDS) > 40
    for one in COMMANDS[1:]:
        assert len(re.findall(rf"^{'#' * (len(one.path) + 1)} {one.name}$", text, re.MULTILINE)) == 1
        assert one.anchor in anchors
        assert one.is_group or f"](#{one.anchor})" in cli_page.overview()


@pytest.mark.parametrize("one", [one for one in COMMANDS if not one.is_group], ids=lambda one: one.name)
def test_every_option_has_its_help_and_default(one):
    said = section(one)
    assert one.made.help.split(";")[0].split(",")[0][:40] in said
    for parameter in one.made.params:
        for spelt in parameter.opts:
            name = spelt if spelt.startswith("-") else (parameter.metavar or spelt).upper()
            entry = re.search(rf"^`[^`]*(?<![\w-]){re.escape(name)}(?![\w-])[^`]*`\n: (.+)$", said, re.MULTILINE)
            assert entry, f"{one.name}: {spelt} is not on the page"
            assert parameter.help, f"{one.name}: {spelt} says nothing of itself"
            assert parameter.help.split()[0].strip("[]<*|") in entry[1]
            assert ("Required." in entry[1]) == parameter.required
            if parameter.default not in (None, False):
                assert f"`{parameter.default}`" in entry[1]


def test_the_page_tells_of_no_machine_and_no_terminal(monkeypatch):
    text = cli_page.overview() + cli_page.reference()
    assert not re.search(r"(?<![\w./])/(home|root|tmp|Users|work|usr)\b", text)
    assert "\x1b" not in text
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("HOME", "/home/nobody")
    assert cli_page.overview() + cli_page.reference() == text


def test_the_guides_that_it_names_are_of_commands_that_exist():
    assert set(cli_page.GUIDES) <= {" ".join(one.path) for one in COMMANDS}
    assert all((DOCS / page).is_file() for pages in cli_page.GUIDES.values() for page in pages)


def test_every_command_that_prints_a_result_prints_it_for_machines():
    assert [one.name for one in COMMANDS if not one.is_group and "--json" not in one.options] == ["insignia serve"]
