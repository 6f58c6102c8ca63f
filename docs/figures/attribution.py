"""Draws docs/images/concept_attribution.png: what integrated gradients add up to, and from how many steps.

Run `python docs/figures/attribution.py`; simulated cells, a small trained encoder, half a minute.
"""

from pathlib import Path

import numpy as np

import insignia as ins
from insignia.report.style import DISTINCT, INK, MUTED, SMALL, TITLE, new_figure, open_frame, save_figure

IMAGE = Path(__file__).parents[1] / "images" / "concept_attribution.png"
STEPS = (2, 5, 10, 20, 50, 100, 200)


def cells_and_model():
    cells = ins.data.simulate_cohort(n_studies=2, samples_per_study=4, cells_per_sample=40, n_genes=400, rng=0).studies
    options = ins.models.TrainOptions(epochs=10)
    return cells[1], ins.models.train(cells[0], labels="cell_type", options=options, rng=0, show_progress=False)


def gaps(cells, model, target):
    found = []
    for steps in STEPS:
        done = cells.copy()
        ins.tl.attribute(done, model, target=target, n_steps=steps, signed=True, show_progress=False)
        found.append(done.obs["attribution_gap"].quantile([0.1, 0.5, 0.9]).to_numpy())
    return 100 * np.array(found)


def draw(cells, model):
    figure = new_figure(5.6, 6.0)
    upper, lower = figure.subplots(2, 1)
    done = cells[cells.obs["cell_type"] == "classical monocyte"][:1].copy()
    ins.tl.attribute(done, model, signed=True, show_progress=False)
    values = np.sort(done.layers["attribution"].toarray()[0])
    values = values[values != 0][::-1]
    running = np.cumsum(values) / values.sum()
    upper.bar(np.arange(len(values)), values / values.sum(), width=1.0, color=np.where(values > 0, *DISTINCT[:2]))
    upper.set_ylabel("share of the change by this gene", fontsize=SMALL)
    total = upper.twinx()
    total.plot(running, color=INK, lw=1.6)
    total.axhline(1, color=MUTED, lw=0.8, ls=":")
    total.set_ylabel("sum so far", fontsize=SMALL)
    open_frame(total, keep=("right",))
    upper.set_xlabel(f"the {len(values)} genes that the cell expresses, sorted", fontsize=SMALL)
    upper.set_title("One monocyte: they add up to the change", fontsize=TITLE, loc="left")
    for target, color in (("self", DISTINCT[0]), ("self_abs", DISTINCT[3])):
        low, middle, high = gaps(cells, model, target).T
        lower.fill_between(STEPS, low, high, color=color, alpha=0.15, lw=0)
        lower.plot(STEPS, middle, "o-", color=color, ms=3.5)
        lower.annotate(f"target {target}", (STEPS[0], middle[0]), color=color, fontsize=SMALL, xytext=(9, 3),
                       textcoords="offset points")  # fmt: skip
    lower.axhline(5, color=MUTED, lw=0.8, ls=":")
    lower.text(STEPS[-1], 5.4, "more is a warning", color=MUTED, fontsize=SMALL, ha="right")
    lower.set(xscale="log", yscale="log")
    lower.set_xticks(STEPS, [str(step) for step in STEPS])
    lower.set_xticks([], minor=True)
    lower.set_xlabel("steps on the path", fontsize=SMALL)
    lower.set_ylabel("by how much the sum misses it, %", fontsize=SMALL)
    lower.set_title("The gap of a cell", fontsize=TITLE, loc="left")
    for ax in (upper, lower):
        open_frame(ax)
    return figure


if __name__ == "__main__":
    save_figure(draw(*cells_and_model()), IMAGE)
