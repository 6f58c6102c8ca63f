"""Draws docs/images/concept_additive.png: the additive answer for pairs, and what a mean leaves out.

Run `python docs/figures/additive.py`; a simulated screen, a few seconds.
"""

from pathlib import Path

import numpy as np

from insignia.data import simulate_screen
from insignia.report.style import DISTINCT, INK, MUTED, SMALL, TITLE, new_figure, open_frame, save_figure

IMAGE = Path(__file__).parents[1] / "images" / "concept_additive.png"


def means(data):
    values = data.expression.toarray()
    return {one: values[data.condition == place].mean(0) for place, one in enumerate(data.conditions)}


def effects(screen):
    """Of every pair: the measured effect, the sum of the two alone, and the same cells drawn again."""
    first, again = means(screen.data), means(screen.replicate)
    control = next(one for one in first if one.is_control)
    single = {one.genes[0]: first[one] - first[control] for one in first if len(one.genes) == 1}
    pairs = [one for one in first if len(one.genes) == 2]
    measured = np.array([first[one] - first[control] for one in pairs])
    summed = np.array([single[one.genes[0]] + single[one.genes[1]] for one in pairs])
    second = np.array([again[one] - again[control] for one in pairs])
    return pairs, measured, summed, second


def draw(screen):
    pairs, measured, summed, second = effects(screen)
    figure = new_figure(5.6, 6.2)
    upper, lower = figure.subplots(2, 1)
    size = np.linalg.norm(measured, axis=1)
    order = np.argsort(size)
    for values, color, name in (
        (size, MUTED, "no change"),
        (np.linalg.norm(measured - measured.mean(0), axis=1), DISTINCT[1], "mean of the pairs"),
        (np.linalg.norm(measured - summed, axis=1), DISTINCT[0], "additive"),
        (np.linalg.norm(measured - second, axis=1), DISTINCT[2], "measured again"),
    ):
        upper.plot(values[order], ".", color=color, ms=5)
        upper.axhline(values.mean(), color=color, lw=1)
        upper.annotate(f"{name} {values.mean():.1f}", (1.01, values.mean()), xycoords=("axes fraction", "data"),
                      color=color, fontsize=SMALL, va="center", annotation_clip=False)  # fmt: skip
    upper.set_xlabel(f"{len(pairs)} pairs, by the size of their effect", fontsize=SMALL)
    upper.set_ylabel("distance from the measured mean", fontsize=SMALL)
    upper.set_title("Means: little is left to win", fontsize=TITLE, loc="left")
    strong = pairs[int(np.argmax(size))]
    values, data = screen.data.expression.toarray(), screen.data
    direction = measured[int(np.argmax(size))] / size.max()
    place = {one: number for number, one in enumerate(data.conditions)}
    controls = values[data.condition == next(n for one, n in place.items() if one.is_control)] @ direction
    cells = values[data.condition == place[strong]] @ direction
    moved = controls + (summed[int(np.argmax(size))] @ direction)
    bins = np.linspace(min(controls.min(), cells.min()), max(moved.max(), cells.max()), 40)
    for sample, color, name, at in ((controls, MUTED, "control", 0.99), (cells, INK, "measured", 0.92),
                                    (moved, DISTINCT[0], "controls moved by the sum", 0.85)):  # fmt: skip
        lower.hist(sample, bins, density=True, histtype="step", color=color, lw=1.5)
        lower.text(0.02, at, name, color=color, fontsize=SMALL, transform=lower.transAxes, va="top")
    lower.set_xlabel("cells along the measured effect of one pair", fontsize=SMALL)
    lower.set_yticks([])
    lower.set_ylim(0, 1.3 * lower.get_ylim()[1])
    lower.set_title("Cells: some escaped", fontsize=TITLE, loc="left")
    for ax in (upper, lower):
        open_frame(ax, keep=("bottom",) if ax is lower else ("left", "bottom"))
    return figure


if __name__ == "__main__":
    save_figure(draw(simulate_screen(rng=0)), IMAGE)
