"""Draws docs/images/concept_per_spot.png: one prediction, the same for every spot, scored in two ways.

Run `python docs/figures/per_spot.py`; simulated sections with known truth, a few seconds.
"""

from pathlib import Path

import numpy as np

from insignia.data import SerialOptions, simulate_sections
from insignia.report.style import DISTINCT, MUTED, SMALL, TITLE, new_figure, open_frame, save_figure
from insignia.spatial.panel import normalise

IMAGE = Path(__file__).parents[1] / "images" / "concept_per_spot.png"


def expression():
    """(spots, genes) of the section that is known, and of the one that is not."""
    made = simulate_sections(SerialOptions(n_sections=2, with_images=False), rng=0).stack
    return [normalise(section.spots.to_df().to_numpy()) for section in made]


def draw(known, hidden):
    mean = known.mean(0)
    over_genes = np.array([np.corrcoef(mean, spot)[0, 1] for spot in hidden])
    spot = int(np.argsort(over_genes)[len(over_genes) // 2])
    gene = int(np.argsort(hidden.std(0))[-3])
    figure = new_figure(5.6, 6.2)
    upper, lower = figure.subplots(2, 1)
    upper.plot(mean, hidden[spot], "o", color=DISTINCT[0], ms=4, alpha=0.8, mew=0)
    upper.set_title(f"Over the genes of a spot: r = {over_genes[spot]:.2f}", fontsize=TITLE, loc="left")
    upper.set_xlabel("predicted: the known section's mean", fontsize=SMALL)
    upper.set_ylabel("measured, each point a gene", fontsize=SMALL)
    lower.plot(np.full(len(hidden), mean[gene]), hidden[:, gene], "o", color=DISTINCT[3], ms=4, alpha=0.35, mew=0)
    lower.set_title("Over the spots of a gene: nothing", fontsize=TITLE, loc="left")
    lower.set_xlabel("predicted: the known section's mean", fontsize=SMALL)
    lower.set_ylabel("measured, each point a spot", fontsize=SMALL)
    lower.set_xlim(mean[gene] - 1, mean[gene] + 1)
    lower.set_xticks([mean[gene]], [f"{mean[gene]:.1f}"])
    for ax in (upper, lower):
        open_frame(ax)
    ends = [hidden[spot].min(), hidden[spot].max()]
    upper.plot(ends, ends, color=MUTED, lw=0.8, ls=":")
    print("r over genes", np.percentile(over_genes, [5, 50, 95]).round(3))
    return figure


if __name__ == "__main__":
    save_figure(draw(*expression()), IMAGE)
