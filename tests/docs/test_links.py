"""Links, anchors, pictures and paths that the docs name are there."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from tests.docs.pages import DOCS, ROOT, Page, page_paths, pages, read

PATHS = page_paths()
FOLDERS = "src|docs|tests|benchmarks|integrations|requirements"
NAMED_PATH = re.compile(rf"(?:{FOLDERS})/[\w./-]*")
NAMED_MODULE = re.compile(r"\bbenchmarks(?:\.\w+)+")


def broken(page: Page) -> list[str]:
    """Links of a page that lead nowhere."""
    found = []
    for target, line in page.links:
        where, _, anchor = unquote(target).partition("#")
        if re.match(r"[a-z]+:", where):
            continue
        path = (page.path.parent / where).resolve() if where else page.path
        if not path.exists():
            found.append(f"{page.name}:{line}: there is no {target}")
        elif not path.is_relative_to(ROOT):
            found.append(f"{page.name}:{line}: {target} leads out of the repository")
        elif anchor and path.suffix == ".md" and anchor not in read(path).anchors:
            found.append(f"{page.name}:{line}: {where or 'the page'} has no heading #{anchor}")
    return found


def contents(path: Path) -> set[Path]:
    """Pages that the tables of contents of a page list."""
    entries = [line for block in read(path).code("{toctree}") for line in block.text.splitlines()]
    named = [entry.split("<")[-1].rstrip("> ").strip() for entry in entries if entry and not entry.startswith(":")]
    return {(path.parent / f"{entry}.md").resolve() for entry in named}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path):
    assert broken(read(path)) == []


def test_a_broken_link_anchor_and_picture_are_found():
    bad = [("start.md#no-such-heading", 1), ("nothing.md", 2), ("images/none.png", 3)]
    assert len(broken(Page(DOCS / "made_up.md", links=bad))) == 3
    assert broken(Page(DOCS / "made_up.md", links=[("start.md#what-goes-in", 1), ("https://d3js.org", 2)])) == []


def test_every_page_is_in_the_contents():
    listed = contents(DOCS / "index.md")
    there = {path for path in PATHS if path.is_relative_to(DOCS)}
    nested = {path for one in listed & there for path in contents(one)}
    assert there - {DOCS / "index.md"} == (listed | nested) & there


def test_no_picture_is_unused_or_heavy():
    used = {Path(target).name for page in pages() for target, _ in page.links}
    for picture in (DOCS / "images").iterdir():
        assert picture.name in used, f"no page shows {picture.name}"
        assert picture.stat().st_size < 400_000, f"{picture.name} is too heavy for a phone"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_benchmarks_that_are_named_exist(path):
    page = read(path)
    for text, line in [*page.inline, *((block.text, block.line) for block in page.code("bash", "text", "console"))]:
        found = NAMED_PATH.fullmatch(text.strip())
        if found and not Path(found[0]).stem.isupper():
            assert (ROOT / found[0]).exists(), f"{page.name}:{line}: there is no {found[0]}"
        for module in NAMED_MODULE.findall(text):
            assert is_there(module), f"{page.name}:{line}: there is no {module}"


def is_there(name: str) -> bool:
    """Whether a dotted name is a module, something that one defines, or a stand-in in capitals."""
    at = ROOT / name.replace(".", "/")
    if at.name.isupper() or at.is_dir() or at.with_suffix(".py").is_file():
        return True
    module = at.parent.with_suffix(".py")
    return module.is_file() and re.search(rf"^(def|class) {at.name}\b", module.read_text(), re.MULTILINE) is not None
