"""One section over the reference, before and after registration: the picture to look at before trusting a pose."""

from typing import TYPE_CHECKING

import numpy as np

from insignia.core.errors import InputError
from insignia.report.style import INK, MUTED, SMALL, TEXT, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from insignia.data import Section, SectionStack, Transform

__all__ = ["registration_figure"]

_PIXELS = 500


def registration_figure(stack: "SectionStack", section: str, *, figure: "Figure | None" = None) -> "Figure":
    """Draw a section over the reference, as they were mounted and as registration placed them.

    The reference is green and the section magenta: where they agree the tissue is grey. Sections without a picture are
    drawn as their spots.

    Parameters
    ----------
    stack
        Registered sections.
    section
        The section to look at.
    figure
        An empty figure to draw on; `None` makes one.

    Raises
    ------
    InputError
        The stack has no reference, or the section no pose.
    """
    from insignia.data import Transform

    reference = next((one for one in stack if one.pose is not None and one.pose.status == "reference"), None)
    moving = stack[section]
    if reference is None or moving.pose is None:
        raise InputError(f"Section {section!r} or the reference has no pose. Register the stack first.")
    if figure is None:
        figure = new_figure(7.2, 4.0)
    before, after = figure.subplots(1, 2)
    mounted = f"{plain(moving.name)} (magenta) over {plain(reference.name)} (green)\nas mounted"
    _overlay(before, reference, moving, Transform.identity(), mounted)
    _overlay(after, reference, moving, moving.pose.transform, _words(moving))
    return figure


def _words(section: "Section") -> str:
    assert section.pose is not None
    quality = section.pose.quality
    figures = [
        f"{words} {quality[name]:.2f}"
        for name, words in (("ncc", "correlation"), ("iou", "overlap"))
        if np.isfinite(quality.get(name, np.nan))
    ]
    return f"{section.pose.status} ({section.pose.stage or 'as given'})\n" + ", ".join(figures)


def _overlay(ax: "Axes", reference: "Section", moving: "Section", transform: "Transform", words: str) -> None:
    from insignia.data import Transform

    width, height = _extent(reference, moving, transform)
    um = max(width, height) / _PIXELS
    shape = (max(1, int(height / um)), max(1, int(width / um)))
    still, moved = _darkness(reference, Transform.identity(), um, shape), _darkness(moving, transform, um, shape)
    ax.imshow(1 - np.stack([still, moved, still], axis=-1), extent=(0, width / 1000, height / 1000, 0))
    ax.set_title(words, size=TEXT, color=INK)
    ax.set_xlabel("mm", size=SMALL, color=MUTED)
    ax.tick_params(labelsize=SMALL, color=MUTED, labelcolor=INK)


def _extent(reference: "Section", moving: "Section", transform: "Transform") -> tuple[float, float]:
    corners = [reference.points_um.max(axis=0), transform.apply(moving.points_um).max(axis=0)]
    if reference.image is not None:
        corners.append(np.array(reference.image.size_um))
    width, height = np.max(corners, axis=0)
    return float(max(width, 1.0)), float(max(height, 1.0))


def _darkness(section: "Section", transform: "Transform", um: float, shape: tuple[int, int]) -> np.ndarray:
    """(rows, columns) from 0, the slide, to 1, the darkest tissue."""
    from insignia.data.warp import warp

    if section.image is None:
        drawn = np.zeros(shape)
        columns, rows = (transform.apply(section.points_um) / um).astype(int).T
        inside = (rows >= 0) & (columns >= 0) & (rows < shape[0]) & (columns < shape[1])
        drawn[rows[inside], columns[inside]] = 0.8
        return drawn
    rgb = section.image.at(max(um, section.image.um_per_px))
    scale = section.image.size_um[0] / rgb.shape[1]
    dark = 1 - rgb.mean(axis=2, dtype=np.float32) / 255
    dark = dark - np.percentile(dark, 5)
    dark = (dark / max(float(np.percentile(dark, 99)), 1e-3)).clip(0, 1)
    return warp(dark.astype(np.float32), scale, transform, shape=shape, to_um_per_px=um)
