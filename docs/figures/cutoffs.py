"""Draws docs/images/concept_cutoffs.png: hits of the first studies while an atlas grows, by two kinds of cut-off.

Run `python docs/figures/cutoffs.py`; simulated studies and their principal components, about a minute.
"""

import tempfile
from pathlib import Path

import numpy as np

import insignia as ins
from insignia.report.style import DISTINCT, SMALL, TITLE, new_figure, open_frame, save_figure
from insignia.workflows import create_atlas

IMAGE = Path(__file__).parents[1] / "images" / "concept_cutoffs.png"
FIRST, WHERE = 4, "cell_type LIKE '%monocyte'"


def grow(folder):
    """Add study by study; give the cut-offs and the hits among the first studies at each size."""
    cohort = ins.data.simulate_cohort(n_studies=16, samples_per_study=5, cells_per_sample=50, n_genes=400, rng=0)
    # those without the program come first, so that the scores rise while the atlas grows
    planted = ("septic shock", "Kawasaki disease", "COVID-19")
    studies = sorted(cohort.studies, key=lambda study: int(study.obs["disease"].isin(planted).sum()))
    model = ins.models.fit_pca(studies[-1], n_components=20, rng=0)
    atlas, kept, rows = create_atlas(folder, model), None, []
    for number, study in enumerate(studies, start=1):
        ins.tl.attribute(study, model, show_progress=False)
        atlas.add(study, progress=False)
        if number < FIRST:
            continue
        result = atlas.search("MS1", where=WHERE)
        if kept is None:
            atlas.save_cutoff("kept", result.call("healthy_quantile", q=0.95))
            kept = atlas.cutoffs["kept"]
            mine = set(atlas.obs()["study"].unique())
        old = atlas.search("MS1", where=WHERE).obs["study"].isin(mine).to_numpy()
        rows.append(
            [number, *(100 * hits.is_hit[old].mean() for hits in (result.call("percentile", q=90), result.call(kept)))]
        )
    return np.array(rows)


def draw(rows):
    figure = new_figure(6.0, 3.3)
    ax = figure.add_subplot()
    for column, color, name in ((1, DISTINCT[3], "90th percentile of all cells searched"),
                                (2, DISTINCT[0], "cut-off kept with the atlas")):  # fmt: skip
        ax.plot(rows[:, 0], rows[:, column], "o-", color=color, ms=4, label=name)
    ax.set(ylim=(0, None))
    ax.set_xlabel("studies in the atlas", fontsize=SMALL)
    ax.set_ylabel(f"hits among cells of the first {FIRST} studies, %", fontsize=SMALL)
    ax.set_title("The same cells, called again as studies are added", fontsize=TITLE, loc="left")
    ax.legend(frameon=False, fontsize=SMALL)
    open_frame(ax)
    return figure


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        save_figure(draw(grow(Path(folder) / "atlas")), IMAGE)
