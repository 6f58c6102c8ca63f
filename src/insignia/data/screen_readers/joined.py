"""Labels that join the perturbed genes of a cell in one text; what the layouts with such labels share."""

from collections.abc import Sequence

import pandas as pd

from insignia.data.screen_readers.contract import LabelOptions, Labels, RawCondition, collect, column_of, doses_of

__all__ = ["joined_labels", "kind_column", "split_label"]

_NONE = "none"


def joined_labels(
    obs: pd.DataFrame, options: LabelOptions, *, column: str, separator: str, dose: str | None = None
) -> Labels:
    """Take labels such as ``A+B`` apart, with kind and dose from columns of their own.

    Parameters
    ----------
    obs
        Metadata of the cells.
    options
        Win over the other arguments.
    column, separator, dose
        What is usual: column of the labels, what joins them, column of the doses.
    """
    separator = options.separator or separator
    label = column_of(obs, options.perturbation or column)
    kind = kind_column(obs, options)
    dose = options.dose or (dose if dose in obs else None)
    doses = column_of(obs, dose) if dose and dose != _NONE else pd.Series("1", index=obs.index)

    def take_apart(text: str, kind: str, dose: str) -> RawCondition:
        parts = split_label(text, separator)
        return RawCondition(text, parts, doses_of(dose, len(parts), separator, text), (kind,) * len(parts))

    return collect([label, kind, doses], take_apart)


def split_label(text: str, separator: str) -> tuple[str, ...]:
    """Divide a label into its parts."""
    return tuple(part.strip() for part in text.split(separator)) if separator else (text,)


def kind_column(obs: pd.DataFrame, options: LabelOptions, usual: Sequence[str] = ("perturbation_type",)) -> pd.Series:
    """Kind of perturbation of each cell, empty where nothing says it."""
    name = options.kind or next((column for column in usual if column in obs), None)
    if name is None or name == _NONE:
        return pd.Series("", index=obs.index)
    return column_of(obs, name)
