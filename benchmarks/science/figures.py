"""Figures of the page: one dot a score and pair of studies, donor or kind of noise."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.science import results
from benchmarks.science.scores import SCORES
from insignia.report.style import DISTINCT, INK, MARKERS, MUTED, PALE, SMALL, TEXT, new_figure, open_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

FAMILIES: Final = {"expression": "#666666", "linear": DISTINCT[1], "encoder": DISTINCT[0]}
WIDTH: Final = 7.2
ROW: Final = 0.24

Series = Mapping[str, Mapping[str, Mapping[str, Sequence[float | None]]]]


def draw(folder: Path) -> None:
    """Draw all figures from the results."""
    markers = results.load("markers")["reported"]["pairs"]
    pairs = {name: row["scores"] for name, row in markers.items()}
    titles = {"share": "share on own markers, %", "alone": "marker above others, alone", "typing": "cells told apart"}
    _panels(folder / "science_markers.png", pairs, titles)
    noise = results.load("noise")
    first = next(name for name, row in noise.items() if isinstance(row, dict) and "noises" in row)
    titles = {"type_rank": "rank in a type", "difference_rank": "rank of differences", "artefact": "artefact"}
    _panels(folder / "science_noise.png", noise[first]["noises"], titles)
    interferon = results.load("interferon")
    depths = {
        f"donor {donor}, {name}": scores
        for name, row in interferon.items()
        if isinstance(row, dict) and "donors" in row
        for donor, scores in row["donors"].items()
    }
    titles = {"genes": "response genes above others", "first": "in first 20", "cells": "cells told apart"}
    _panels(folder / "science_interferon.png", depths, titles)


def _panels(path: Path, series: Series, titles: Mapping[str, str]) -> None:
    """One panel a measure, one row a score, one mark a series; a line through the scores' means over series."""
    scores = [score for score in SCORES if score in next(iter(series.values()))]
    figure = new_figure(WIDTH, ROW * len(scores) + 1.0)
    panels = figure.subplots(1, len(titles), sharey=True)
    for ax, (measure, title) in zip(panels, titles.items(), strict=True):
        _panel(ax, series, scores, measure)
        ax.set_title(title, fontsize=TEXT, color=INK, loc="left")
    panels[0].set_yticks(range(len(scores)), scores, fontsize=SMALL)
    for label, score in zip(panels[0].get_yticklabels(), scores, strict=True):
        label.set_color(FAMILIES[SCORES[score].family])
    panels[0].invert_yaxis()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False)
    figure.savefig(path, dpi=130)


def _panel(ax: "Axes", series: Series, scores: Sequence[str], measure: str) -> None:
    open_frame(ax)
    for place, score in enumerate(scores):
        values = [found[score][measure][0] for found in series.values()]
        known = [value for value in values if value is not None]
        mean = sum(known) / len(known)
        ax.axhline(place, color=PALE, linewidth=0.8, zorder=0)
        ax.plot([mean, mean], [place - 0.35, place + 0.35], color=FAMILIES[SCORES[score].family], linewidth=2.2)
    for number, (name, found) in enumerate(series.items()):
        points: list[Any] = [found[score][measure][0] for score in scores]
        ax.scatter(
            points,
            range(len(scores)),
            s=15,
            marker=MARKERS[number],
            facecolors="none",
            edgecolors=DISTINCT[number],
            linewidths=0.9,
            label=name,
        )
    ax.tick_params(labelsize=SMALL, colors=MUTED)
