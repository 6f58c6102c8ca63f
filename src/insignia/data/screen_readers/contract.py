"""What a reader of perturbation labels must do, what it may be told, and the registry of readers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from insignia.core.errors import InputError, MissingMetadata
from insignia.core.registry import Registry

__all__ = [
    "LabelOptions",
    "Labels",
    "RawCondition",
    "ScreenReader",
    "collect",
    "column_of",
    "doses_of",
    "screen_readers",
]

MISSING = "nan"
"""How a cell without a label is written."""


@dataclass(frozen=True)
class LabelOptions:
    """What the caller says about the labels of a screen.

    Parameters
    ----------
    perturbation
        Column of `obs` with the labels, where it is not the usual one.
    separator
        Between the perturbed genes of a label, where it is not the usual one.
    kind, dose
        Columns with the kind of perturbation, and with the dose or doses.
    """

    perturbation: str | None = None
    separator: str | None = None
    kind: str | None = None
    dose: str | None = None


@dataclass(frozen=True)
class RawCondition:
    """A label taken apart, before it is known what in it is the control.

    Parameters
    ----------
    text
        The label as it stands in the file.
    parts
        Names in it, which may be those of controls.
    doses
        One a part.
    kinds
        One a part; empty where the label and its cells do not say.
    """

    text: str
    parts: tuple[str, ...]
    doses: tuple[float, ...]
    kinds: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of all cells.

    Parameters
    ----------
    raw
        The different labels.
    code
        (cells,) position in `raw`.
    """

    raw: tuple[RawCondition, ...]
    code: np.ndarray


class ScreenReader(Protocol):
    """How one convention of labels is recognised and taken apart."""

    needs: str
    """What `obs` holds by this convention, for messages."""
    contexts: tuple[str, ...]
    """Columns that usually hold the context; the first that is there is taken where the caller names none."""
    is_general: bool
    """Whether it is tried only where no other convention is recognised."""

    def recognises(self, obs: pd.DataFrame) -> bool:
        """Whether the metadata look like this convention."""

    def labels(self, obs: pd.DataFrame, options: LabelOptions) -> Labels:
        """Take the labels apart; an `InsigniaError` says what is missing or wrong."""


screen_readers: Registry[ScreenReader] = Registry("screen layout", entry_point="insignia.screen_readers")


def column_of(obs: pd.DataFrame, name: str) -> pd.Series:
    """Take a column as text, ``"nan"`` where it is empty.

    Raises
    ------
    MissingMetadata
        It is absent.
    """
    if name not in obs:
        raise MissingMetadata(f"obs has no column {name!r}; it has {', '.join(map(str, obs.columns)) or 'none'}.")
    column = obs[name].astype(object)
    return column.where(column.notna(), MISSING).astype(str).str.strip()


def collect(columns: Sequence[pd.Series], take_apart: Callable[..., RawCondition]) -> Labels:
    """Take each different row of some columns apart once.

    Parameters
    ----------
    columns
        Text, one value a cell.
    take_apart
        Values of a row -> its condition.
    """
    table = pd.DataFrame(dict(enumerate(columns)))
    code, rows = pd.factorize(pd.MultiIndex.from_frame(table)) if len(columns) > 1 else pd.factorize(columns[0])
    values = [row if len(columns) > 1 else (row,) for row in rows]
    return Labels(tuple(take_apart(*row) for row in values), np.asarray(code))


def doses_of(text: Any, n_parts: int, separator: str, label: str) -> tuple[float, ...]:
    """Read one dose for all parts of a label, or one for each, joined like the parts.

    Raises
    ------
    InputError
        They are not numbers, or not as many as the parts.
    """
    pieces = str(text).split(separator) if separator else [str(text)]
    try:
        found = tuple(float(piece) for piece in pieces)
    except ValueError:
        found = ()
    if len(found) == 1:
        found *= n_parts
    if len(found) != n_parts:
        raise InputError(
            f"The dose of {label!r} must be a number, or {n_parts} joined by {separator!r}; found {text!r}. Name "
            "another column with dose=, or none with dose='none'."
        )
    return found
