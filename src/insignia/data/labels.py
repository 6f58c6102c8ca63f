"""Several labels in one field, such as the diseases of a donor: a set, written in one way."""

import re
from typing import Final

from insignia.core import keys

__all__ = ["SEPARATOR", "join_labels", "split_labels"]

SEPARATOR: Final = " || "
"""Between the labels of one field, as in CELLxGENE."""

_BETWEEN: Final = re.compile(r"\s*(?:\|\||;)\s*")


def split_labels(text: str) -> tuple[str, ...]:
    """Labels of a field, sorted, each once: ``"COVID-19;flu"`` and ``"flu || COVID-19"`` hold the same two.

    ``"unknown"`` stands only where nothing else does.
    """
    labels = {label for label in _BETWEEN.split(text.strip()) if label}
    known = labels - {keys.UNKNOWN}
    return tuple(sorted(known)) or (keys.UNKNOWN,)


def join_labels(text: str) -> str:
    """Write the labels of a field in the one way of an atlas: sorted, with `SEPARATOR` between them."""
    return SEPARATOR.join(split_labels(text))
