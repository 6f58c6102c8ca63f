"""Draws docs/images/concept_donors.png: what happens to a test that takes cells for replicates.

Run `python docs/figures/donors.py`; simulated donors without any effect, a few seconds.
"""

from pathlib import Path

import numpy as np
from scipy.special import expit, logit
from scipy.stats import chi2_contingency, mannwhitneyu

from insignia.report.style import DISTINCT, INK, MUTED, SMALL, TITLE, new_figure, open_frame, save_figure

IMAGE = Path(__file__).parents[1] / "images" / "concept_donors.png"
DONORS, RUNS, SPREAD, SHARE = 8, 600, 0.6, 0.1
CELLS = (20, 50, 100, 200, 500, 1000, 2000)


def hits(n_cells, rng):
    """(2 groups, donors) hits, no group different from the other."""
    odds = logit(SHARE) + rng.normal(0, SPREAD, (2, DONORS))
    return rng.binomial(n_cells, expit(odds))


def false_positives(n_cells, rng):
    """Share of runs in which each test finds a difference at 5 %."""
    found = np.zeros(2)
    for _ in range(RUNS):
        count = hits(n_cells, rng)
        table = np.column_stack([count.sum(1), DONORS * n_cells - count.sum(1)])
        found[0] += chi2_contingency(table, correction=False).pvalue < 0.05
        found[1] += mannwhitneyu(*(count / n_cells)).pvalue < 0.05
    return found / RUNS


def draw(rng):
    figure = new_figure(5.6, 5.8)
    upper, lower = figure.subplots(2, 1)
    shares = 100 * hits(500, np.random.default_rng(5)) / 500
    for group, color in enumerate(DISTINCT[:2]):
        upper.plot(group + np.linspace(-0.18, 0.18, DONORS), shares[group], "o", color=color, ms=6, clip_on=False)
        upper.plot([group - 0.28, group + 0.28], [shares[group].mean()] * 2, color=INK, lw=1.4)
    upper.set_xticks([0, 1], ["group 1", "group 2"])
    upper.set(xlim=(-0.6, 1.6), ylim=(0, None))
    upper.set_ylabel("hits among 500 cells of a donor, %", fontsize=SMALL)
    upper.set_title("Donors differ, groups do not", fontsize=TITLE, loc="left")
    both = hits(500, np.random.default_rng(5))
    by_cell = chi2_contingency(np.column_stack([both.sum(1), 500 * DONORS - both.sum(1)]), correction=False).pvalue
    by_donor = mannwhitneyu(*both).pvalue
    upper.text(0.02, 0.97, f"by cells p = {by_cell:.0e}\nby donors p = {by_donor:.2f}", fontsize=SMALL, va="top",
              transform=upper.transAxes)  # fmt: skip
    cells, donors = 100 * np.array([false_positives(n, rng) for n in CELLS]).T
    for values, color, name in (
        (cells, DISTINCT[3], "cells as replicates"),
        (donors, DISTINCT[0], "donors as replicates"),
    ):
        lower.plot(CELLS, values, "o-", color=color, ms=4)
        lower.annotate(name, (CELLS[3], values[3]), color=color, fontsize=SMALL, ha="right", xytext=(-2, 8),
                       textcoords="offset points")  # fmt: skip
    lower.axhline(5, color=MUTED, lw=0.8, ls=":")
    lower.set(xscale="log", ylim=(0, 100))
    lower.set_xticks(CELLS, [f"{n:,}" for n in CELLS])
    lower.set_xticks([], minor=True)
    lower.set_xlabel("cells of each donor", fontsize=SMALL)
    lower.set_ylabel("tests that find a difference, %", fontsize=SMALL)
    lower.set_title("More cells make it worse", fontsize=TITLE, loc="left")
    for ax in (upper, lower):
        open_frame(ax)
    print("cells", cells.round(1), "donors", donors.round(1))
    return figure


if __name__ == "__main__":
    save_figure(draw(np.random.default_rng(0)), IMAGE)
