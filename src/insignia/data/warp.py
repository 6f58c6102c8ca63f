"""Carry a picture by the transform that carries points."""

import numpy as np

from insignia.core.errors import InputError
from insignia.core.optional import need
from insignia.data.transform import Transform

__all__ = ["warp"]


def warp(
    pixels: np.ndarray,
    um_per_px: float,
    transform: Transform,
    *,
    shape: tuple[int, int],
    to_um_per_px: float | None = None,
    origin_um: tuple[float, float] = (0.0, 0.0),
    fill: float = 0.0,
    nearest: bool = False,
) -> np.ndarray:
    """Draw a picture in the frame that a transform leads to.

    Pixel (row i, column j) covers x from j to j + 1 and y from i to i + 1, in units of `um_per_px`, so that pictures of
    one section at several scales share a frame.

    Parameters
    ----------
    pixels
        (height, width) or (height, width, channels); bool, uint8 or float32.
    um_per_px
        Of `pixels`.
    transform
        From the frame of the picture to the frame to draw in.
    shape
        Rows and columns to draw.
    to_um_per_px
        Their size; `None` keeps that of `pixels`.
    origin_um
        Where the top-left corner of the drawn picture lies in the frame to draw in.
    fill
        What stands where there is no picture.
    nearest
        Whether to take the nearest pixel, as masks and labels need, and not the mean of four.

    Returns
    -------
    (rows, columns[, channels]), of the type of `pixels`.
    """
    cv2 = need("cv2", extra="spatial", purpose="Warping a picture")
    to_um = um_per_px if to_um_per_px is None else to_um_per_px
    if not (um_per_px > 0 and to_um > 0):
        raise InputError(f"Scales must be positive, found {um_per_px} and {to_um} um per px.")
    is_bool = pixels.dtype == np.bool_
    source = pixels.astype(np.uint8) if is_bool else pixels
    if not nearest and not is_bool and to_um > 1.5 * um_per_px:
        # average first: four neighbours of a sparse sample alias
        size = [max(1, round(n * um_per_px / to_um)) for n in source.shape[1::-1]]
        scale_x, scale_y = source.shape[1] * um_per_px / size[0], source.shape[0] * um_per_px / size[1]
        source = cv2.resize(source, size, interpolation=cv2.INTER_AREA)
    else:
        scale_x = scale_y = um_per_px
    back = transform.inverse()
    flags = cv2.INTER_NEAREST if nearest or is_bool else cv2.INTER_LINEAR
    to_source = np.array([[1 / scale_x], [1 / scale_y]])
    if back.bends:
        x, y = _source_places(back, shape, to_um, origin_um)
        drawn = cv2.remap(
            source,
            (x * to_source[0] - 0.5).astype(np.float32),
            (y * to_source[1] - 0.5).astype(np.float32),
            flags,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(fill,) * 4,
        )
    else:
        linear = back.matrix[:, :2]
        shift = linear @ (np.asarray(origin_um) + 0.5 * to_um) + back.matrix[:, 2]
        matrix = np.column_stack([linear * to_um, shift]) * to_source
        matrix[:, 2] -= 0.5
        drawn = cv2.warpAffine(
            source,
            matrix,
            shape[::-1],
            flags=flags | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(fill,) * 4,
        )
    result: np.ndarray = drawn.astype(bool) if is_bool else drawn
    return result


def _source_places(
    back: Transform, shape: tuple[int, int], to_um: float, origin_um: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """(rows, columns) x and y in the source's frame of every pixel to draw."""
    rows, columns = np.indices(shape)
    centres = np.column_stack([columns.ravel(), rows.ravel()]) + 0.5
    places = back.apply(centres * to_um + np.asarray(origin_um))
    return places[:, 0].reshape(shape), places[:, 1].reshape(shape)
