"""Fill the places of pages that are written by a program.

A line ``<!-- generated: NAME -->`` is replaced when the docs are built, so that nothing is kept twice.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import cli_page
import data_page
import error_page
import format_page

if TYPE_CHECKING:
    from sphinx.application import Sphinx

__all__ = ["PIECES", "expand", "setup"]

PIECES: Final[dict[str, Callable[[], str]]] = {
    "commands": cli_page.overview,
    "command reference": cli_page.reference,
    "error summary": error_page.summary,
    "error preparation": error_page.preparation,
    "errors": error_page.details,
    "file formats": format_page.formats,
    **{f"data of {module}": partial(data_page.data_of, module) for module in data_page.PUBLIC},
}
_MARK: Final = re.compile(r"^<!-- generated: (.+) -->$", re.MULTILINE)


def expand(text: str) -> str:
    """Put every generated piece in its place; an unknown name is a `KeyError`."""
    return _MARK.sub(lambda found: PIECES[found[1]](), text)


def setup(app: "Sphinx") -> dict[str, bool]:
    """Be a sphinx extension."""
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True}


def _fill(app: "Sphinx", name: str, source: list[str]) -> None:  # noqa: ARG001
    source[0] = expand(source[0])
