"""How well predicted values agree with measured ones, column by column."""

from typing import Final

import numpy as np

from insignia.core.errors import InputError

__all__ = ["column_correlation", "mse_skill", "variance_ratio"]

_FLAT: Final = 1e-6


def column_correlation(predicted: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Pearson correlation of each column of two matrices.

    Parameters
    ----------
    predicted, measured
        (rows, columns), finite.

    Returns
    -------
    (columns,) float64. 0 where the prediction does not vary, for it then says nothing about the rows; NaN where the
    measured values do not vary, for there is nothing to say.

    Raises
    ------
    InputError
        The shapes differ, or a value is not finite.
    """
    predicted, measured = _checked(predicted, measured)
    first, second = predicted - predicted.mean(axis=0), measured - measured.mean(axis=0)
    flat_prediction, flat_measured = is_flat(predicted), is_flat(measured)
    scale = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    scale[flat_prediction | flat_measured] = 1.0
    correlation = np.clip((first * second).sum(axis=0) / scale, -1.0, 1.0)
    correlation[flat_prediction] = 0.0
    correlation[flat_measured] = np.nan
    return np.asarray(correlation)


def mse_skill(predicted: np.ndarray, measured: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, float]:
    """Share of the reference's mean squared error that a prediction removes, ``1 - MSE / MSE(reference)``.

    Parameters
    ----------
    predicted, measured
        (rows, columns), finite.
    reference
        What the error is compared with, (rows, columns) or one value a column.

    Returns
    -------
    The skill of each column, (columns,) float64, NaN where the reference makes no error; and that of all columns
    together.
    """
    predicted, measured = _checked(predicted, measured)
    error = ((predicted - measured) ** 2).mean(axis=0)
    yardstick = ((np.asarray(reference, dtype=np.float64) - measured) ** 2).mean(axis=0)
    perfect = yardstick == 0
    per_column = np.where(perfect, np.nan, 1 - error / np.where(perfect, 1.0, yardstick))
    total = yardstick.sum()
    return per_column, float(1 - error.sum() / total) if total else float("nan")


def variance_ratio(predicted: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Variance of the prediction over that of the measured values, (columns,); NaN where these do not vary."""
    predicted, measured = _checked(predicted, measured)
    flat = is_flat(measured)
    ratio = predicted.var(axis=0) / np.where(flat, 1.0, measured.var(axis=0))
    ratio[is_flat(predicted)] = 0.0
    ratio[flat] = np.nan
    return np.asarray(ratio)


def is_flat(values: np.ndarray) -> np.ndarray:
    """Whether each column varies by no more than float32 rounding, (columns,)."""
    values = np.asarray(values, dtype=np.float64)
    # the mean of equal float32 values, rounded once more, may differ by an ulp from row to row
    return np.asarray(np.ptp(values, axis=0) <= _FLAT * np.abs(values).max(axis=0))


def _checked(predicted: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    predicted, measured = np.asarray(predicted, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    if predicted.shape != measured.shape or predicted.ndim != 2 or not len(predicted):
        raise InputError(
            f"Predicted and measured values must be matrices of one shape with at least one row, found "
            f"{predicted.shape} and {measured.shape}."
        )
    for values, what in ((predicted, "predicted"), (measured, "measured")):
        if bad := int((~np.isfinite(values)).sum()):
            raise InputError(f"{bad:,} of {values.size:,} {what} values are not finite.")
    return predicted, measured
