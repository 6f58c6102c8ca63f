"""Features on one scale: what differs between sections because of stain and scanner is taken out."""

import numpy as np

from insignia.core.errors import InputError

__all__ = ["zscore_within_section"]

_ROUNDING = 1e-6


def zscore_within_section(
    features: np.ndarray, *, clip: float = 4.0, reference: np.ndarray | None = None
) -> np.ndarray:
    """Z-score the features of the spots of one section, and clip them.

    Stain and scanner shift and stretch the features of a whole section; its own mean and standard deviation take that
    out, as long as sections are composed alike. Where they are not, e.g. because one holds a tumour that the other
    lacks, name the spots that lie where the two overlap as `reference`.

    Parameters
    ----------
    features
        (spots, features) of one section. Rows with a value that is not finite are left out of mean and deviation, and
        come back as NaN.
    clip
        Largest absolute value, in standard deviations.
    reference
        (spots,) bool: the spots whose mean and standard deviation are used; `None` for all.

    Returns
    -------
    (spots, features), float32. A feature without spread is 0 everywhere.

    Raises
    ------
    InputError
        `reference` does not fit, or names no spot with features.
    """
    features = np.asarray(features, dtype=np.float64)
    complete = np.isfinite(features).all(axis=1)
    scaled = np.full(features.shape, np.nan, dtype=np.float32)
    if not complete.any():
        return scaled
    used = features[complete if reference is None else complete & _checked(reference, len(features))]
    if not len(used):
        raise InputError("None of the reference spots has features. Name spots inside the image, or leave it out.")
    mean, spread = used.mean(axis=0), used.std(axis=0)
    # float32 noise around a constant is no signal, and would be blown up to one
    is_flat = spread <= _ROUNDING * np.abs(mean)
    centred = np.where(is_flat, 0.0, features[complete] - mean)
    scaled[complete] = np.clip(centred / np.where(is_flat, 1.0, spread), -clip, clip)
    return scaled


def _checked(reference: np.ndarray, n_spots: int) -> np.ndarray:
    reference = np.asarray(reference)
    if reference.shape != (n_spots,) or reference.dtype != bool:
        raise InputError(f"reference is ({n_spots},) of bool, found {reference.shape} {reference.dtype}.")
    return reference
