"""What a page is made of: paragraphs, notes, pictures, tables; each gives its own HTML, with all text escaped."""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, Final, TypeAlias, Union

import numpy as np
import pandas as pd

from insignia.report.style import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Bullets", "Code", "Facts", "Lead", "Note", "Paragraph", "Part", "Picture", "Table", "to_html"]

_DOI: Final = re.compile(r"\bdoi:(10\.\d{4,9}/[-._()/:A-Za-z0-9]*[A-Za-z0-9])")
_MANY_POINTS: Final = 4000
_WIDE_TEXT: Final = 28


def text(value: object) -> str:
    """Escape text, and make links of DOIs written as ``doi:10.1000/182``."""
    return _DOI.sub(r'<a href="https://doi.org/\1">doi:\1</a>', escape(str(value)))


@dataclass(frozen=True)
class Paragraph:
    """Plain text; ``doi:10...`` becomes a link."""

    text: str

    def html(self) -> str:
        """Give the HTML."""
        return f"<p>{text(self.text)}</p>"


@dataclass(frozen=True)
class Lead:
    """The sentence to read first."""

    text: str

    def html(self) -> str:
        """Give the HTML."""
        return f'<p class="lead">{text(self.text)}</p>'


@dataclass(frozen=True)
class Note:
    """A warning."""

    text: str

    def html(self) -> str:
        """Give the HTML."""
        return f'<p class="note" role="note">{text(self.text)}</p>'


@dataclass(frozen=True)
class Bullets:
    """A list of short statements."""

    items: Sequence[str]

    def html(self) -> str:
        """Give the HTML."""
        return f"<ul>{''.join(f'<li>{text(item)}</li>' for item in self.items)}</ul>"


@dataclass(frozen=True)
class Code:
    """Lines to copy."""

    text: str

    def html(self) -> str:
        """Give the HTML."""
        return f"<pre><code>{escape(self.text)}</code></pre>"


@dataclass(frozen=True)
class Facts:
    """Names with their values, e.g. settings."""

    values: Mapping[str, object]

    def html(self) -> str:
        """Give the HTML."""
        rows = "".join(
            f'<tr><th scope="row">{escape(str(name))}</th><td>{text(value)}</td></tr>'
            for name, value in self.values.items()
        )
        return f'<div class="scroll"><table class="facts"><tbody>{rows}</tbody></table></div>'


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure, kept inside the page as SVG, or as PNG where there are thousands of points."""

    figure: "Figure"
    caption: str = ""
    alt: str = ""

    def html(self) -> str:
        """Give the HTML."""
        kind, data = _encoded(self.figure)
        described = escape(self.alt or self.caption or "figure", quote=True)
        caption = f"<figcaption>{text(self.caption)}</figcaption>" if self.caption else ""
        return (
            f'<figure><div class="scroll picture"><img alt="{described}" src="data:image/{kind};base64,{data}"></div>'
            f"{caption}</figure>"
        )


@dataclass(frozen=True, eq=False)
class Table:
    """A table that sorts on a click, with all of its rows as a CSV file inside the page.

    Parameters
    ----------
    frame
        The table; its index is not shown.
    caption
        What it holds.
    name
        Name of the CSV file, without ending.
    max_rows
        Rows on the page; the file always has all.
    percents
        Columns of fractions, to be shown as percentages.
    """

    frame: pd.DataFrame
    caption: str = ""
    name: str = "table"
    max_rows: int = 100
    percents: Sequence[str] = field(default=())

    def html(self) -> str:
        """Give the HTML."""
        shown = self.frame.head(self.max_rows)
        columns = [self._cells(shown[name], str(name)) for name in shown]
        numeric = [_is_number(shown[name]) for name in shown]
        head = "".join(
            f'<th scope="col"{_NUMBER if is_number else ""}><button type="button">{escape(name)}</button></th>'
            for name, is_number in zip(map(_heading, shown), numeric, strict=True)
        )
        body = "".join(f"<tr>{''.join(cells)}</tr>" for cells in zip(*columns, strict=True))
        caption = f"<figcaption>{text(self.caption)}</figcaption>" if self.caption else ""
        return (
            f'<figure><div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
            f"{caption}{self._download(len(shown))}</figure>"
        )

    def _cells(self, column: pd.Series, name: str) -> list[str]:
        if not _is_number(column):
            values = ["yes" if v is True else "no" if v is False else str(v) for v in column.tolist()]
            return [f"<td{_WIDE if len(value) > _WIDE_TEXT else ''}>{text(value)}</td>" for value in values]
        raw = ["" if pd.isna(value) else repr(value) for value in column.tolist()]
        return [
            f'<td class="number" data-value="{key}">{_number(value, name in self.percents)}</td>'
            for key, value in zip(raw, column.tolist(), strict=True)
        ]

    def _download(self, n_shown: int) -> str:
        data = base64.b64encode(self.frame.to_csv(index=False).encode("utf-8", "replace")).decode()
        name = re.sub(r"[^A-Za-z0-9._]+", "-", self.name).strip("-.") or "table"
        link = f'<a download="{name}.csv" href="data:text/csv;charset=utf-8;base64,{data}">Download CSV</a>'
        rows = f"{n_shown:,} of {len(self.frame):,} rows shown; the file has all." if n_shown < len(self.frame) else ""
        return f'<p class="more">{link} {rows}</p>'


_NUMBER: Final = ' class="number"'
_WIDE: Final = ' class="wide"'

Part: TypeAlias = Union[str, Paragraph, Lead, Note, Bullets, Code, Facts, Picture, Table, "Figure", pd.DataFrame]
"""What may stand in a section; text, a matplotlib figure or a table may stand as they are."""


def to_html(part: Part) -> str:
    """HTML of one part."""
    if isinstance(part, str):
        return Paragraph(part).html()
    if isinstance(part, pd.DataFrame):
        return Table(part).html()
    return part.html() if hasattr(part, "html") else Picture(part).html()


def _encoded(figure: "Figure") -> tuple[str, str]:
    """Kind and base64 text of a figure; equal figures give equal text."""
    import matplotlib

    points = sum(np.shape(collection.get_offsets())[0] for ax in figure.axes for collection in ax.collections)
    buffer = io.BytesIO()
    if points > _MANY_POINTS:
        figure.savefig(buffer, format="png", dpi=200, bbox_inches="tight", metadata={"Software": None})
        kind = "png"
    else:
        with matplotlib.rc_context({"svg.hashsalt": "insignia", "svg.fonttype": "path"}):
            figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
        kind = "svg+xml"
    return kind, base64.b64encode(buffer.getvalue()).decode()


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _heading(name: object) -> str:
    return str(name).replace("_", " ")


def _number(value: Any, is_percent: bool) -> str:
    if pd.isna(value):
        return "–"
    if is_percent:
        return percent(float(value))
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return f"{value:.4g}" if abs(value) < 1e6 else f"{value:,.0f}"
