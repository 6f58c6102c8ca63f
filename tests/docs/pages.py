"""The pages of the docs as they are read: blocks of code, links and anchors, generated pieces filled in."""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import generated
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TOP = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
NESTING = (
    "{note}",
    "{tip}",
    "{warning}",
    "{important}",
    "{seealso}",
    "{admonition}",
    "{dropdown}",
    "{hint}",
    "{caution}",
)
PICTURES = ("{image}", "{figure}")


@dataclass(frozen=True)
class Block:
    """A block of code: its language (or directive), the rest of its first line, its text, and its line."""

    language: str
    rest: str
    text: str
    line: int


@dataclass
class Page:
    """One page; lines are those of the file where nothing is generated above."""

    path: Path
    blocks: list[Block] = field(default_factory=list)
    inline: list[tuple[str, int]] = field(default_factory=list)
    links: list[tuple[str, int]] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    def code(self, *languages: str) -> list[Block]:
        return [block for block in self.blocks if block.language in languages]


def page_paths() -> list[Path]:
    found = [path for path in sorted(DOCS.rglob("*.md")) if not any(part.startswith("_") for part in path.parts)]
    return [*(ROOT / name for name in TOP), *found]


@cache
def read(path: Path) -> Page:
    page = Page(path)
    parse(page, generated.expand(path.read_text()), 0)
    return page


def pages() -> list[Page]:
    return [read(path) for path in page_paths()]


def parse(page: Page, text: str, above: int) -> None:
    """Collect what `text` holds; `above` lines stand before it in the file."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    line = above
    for number, token in enumerate(tokens):
        line = above + token.map[0] + 1 if token.map else line
        if token.type == "fence":
            _fence(page, token, line)
        elif token.type == "heading_open" and token.tag in ("h1", "h2", "h3"):
            _add_anchor(page, tokens[number + 1])
        elif token.type == "inline":
            _inline(page, token, line)
    page.anchors.update(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE))


def _fence(page: Page, token: Token, line: int) -> None:
    language, _, rest = token.info.strip().partition(" ")
    if language == "{include}":
        included = read((page.path.parent / rest.strip()).resolve())
        page.anchors |= included.anchors
    elif language in PICTURES:
        page.links.append((rest.strip(), line))
    elif language in NESTING:
        parse(page, token.content, line)
    else:
        page.blocks.append(Block(language, rest, token.content, line))


def _inline(page: Page, token: Token, line: int) -> None:
    for child in token.children or ():
        if child.type == "code_inline":
            page.inline.append((child.content, line))
        elif child.type in ("link_open", "image"):
            page.links.append((str(child.attrs["href" if child.type == "link_open" else "src"]), line))


def _add_anchor(page: Page, heading: Token) -> None:
    """Add what MyST (as deep as conf.py says) and GitHub make of a heading."""
    said = "".join(child.content for child in heading.children or () if child.type in ("text", "code_inline"))
    slug = re.sub(r"[^\w\- ]", "", said.strip().lower()).replace(" ", "-")
    once, times = slug, 0
    while slug in page.anchors:
        times += 1
        slug = f"{once}-{times}"
    page.anchors.add(slug)
