"""Whether every word of a figure can be read."""

from unittest import mock

from matplotlib.text import Text
from tests.report.sample_tables import overlapping, render


def shown(figure):
    """Texts that are drawn, with their boxes; ticks beyond an axis and axes that are off are not."""
    drawn = {}
    draw = Text.draw

    def noted(text, renderer):
        if text.get_visible() and text.get_text().strip():
            drawn[id(text)] = (text.get_text(), Text.get_window_extent(text, renderer))
        draw(text, renderer)

    with mock.patch.object(Text, "draw", noted):
        render(figure)
    return list(drawn.values())


def assert_readable(figure):
    """No two texts cover each other, and none leaves the paper."""
    names, boxes = zip(*shown(figure), strict=True)
    assert [(names[i], names[j]) for i, j in overlapping(boxes)] == []
    width, height = figure.get_size_inches() * figure.dpi
    outside = [name for name, box in zip(names, boxes, strict=True) if min(box.x0, box.y0) < -1]
    outside += [name for name, box in zip(names, boxes, strict=True) if box.x1 > width + 1 or box.y1 > height + 1]
    assert outside == []
