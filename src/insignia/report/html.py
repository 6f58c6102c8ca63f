"""One self-contained HTML page: everything inside, nothing fetched, and no script but its own can run."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

from insignia import __version__
from insignia.core.files import atomic_file
from insignia.report.parts import Part, to_html

__all__ = ["Section", "page"]


@dataclass(frozen=True, eq=False)
class Section:
    """A heading and what stands below it."""

    heading: str
    parts: Sequence[Part]


def page(title: str, sections: Sequence[Section], path: str | Path, *, subtitle: str = "") -> Path:
    """Write an HTML page that holds all it needs.

    Parameters
    ----------
    title
        Title of the page.
    sections
        What it holds, in order. All text is escaped.
    path
        Where to write it; a page that stands there is replaced only once the new one is complete.
    subtitle
        A line below the title.

    Returns
    -------
    `path`.
    """
    path = Path(path)
    html = _document(title, subtitle, sections)
    with atomic_file(path) as temporary:
        # a lone surrogate from a damaged label becomes "?", so that the page is still written
        temporary.write_text(html, encoding="utf-8", errors="replace")
    return path


def _document(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    style, script = _resource("page.css"), _resource("page.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    links = "".join(f'<a href="#s{number}">{escape(part.heading)}</a>' for number, part in enumerate(sections, 1))
    below = f'<p class="subtitle">{escape(subtitle)}</p>' if subtitle else ""
    body = "\n".join(_section(number, section) for number, section in enumerate(sections, 1))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
{below}
{f"<nav>{links}</nav>" if len(sections) > 2 else ""}
</header>
<main>
{body}
</main>
<footer>Made with insignia {escape(__version__)}. This page fetches nothing; figures and tables are inside it.</footer>
<script>{script}</script>
</body>
</html>
"""


def _section(number: int, section: Section) -> str:
    parts = "\n".join(to_html(part) for part in section.parts)
    return f'<section id="s{number}">\n<h2>{escape(section.heading)}</h2>\n{parts}\n</section>'


def _resource(name: str) -> str:
    return files("insignia.report").joinpath(name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
