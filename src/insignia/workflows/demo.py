"""The demo: the main job on real blood cells, then on a simulated atlas whose truth is known."""

from pathlib import Path
from typing import Any

import pandas as pd

from insignia.core import keys
from insignia.data import write_table
from insignia.report import (
    Bullets,
    Code,
    Lead,
    Paragraph,
    Picture,
    Section,
    Table,
    answer,
    completeness_figure,
    page,
    samples_figure,
    save_figure,
    search_report,
    top_genes_figure,
)
from insignia.workflows.demo_folder import DemoFolder
from insignia.workflows.demo_steps import (
    QUICK,
    AtlasSearch,
    BloodCells,
    DemoSize,
    attribute_blood_cells,
    search_simulated_atlas,
)
from insignia.workflows.registry import demos

__all__ = ["main_demo"]


@demos.add("main", source="doi:10.1101/2025.06.14.659567")
def main_demo(output: Path, *, quick: bool = False, show_progress: bool | None = None) -> dict[str, Any]:
    """Attribute real blood cells, search MS1 over a simulated atlas of 40 studies, and write a report.

    Parameters
    ----------
    output
        Folder to write, which must not exist yet or be empty.
    quick
        A small run that checks that all parts work; its figures mean little.
    show_progress
        `None` shows bars when standard error is a terminal.

    Returns
    -------
    Paths and headline figures, as they also stand in ``summary.json``.

    Raises
    ------
    InputError
        There is something in `output`.
    """
    folder = DemoFolder(output)
    size, timings = QUICK if quick else DemoSize(), folder.timings
    blood = attribute_blood_cells(output, size, timings, show_progress=show_progress)
    found = search_simulated_atlas(output, size, timings, show_progress=show_progress)
    with timings.step("report"):
        paths = _write(output, blood, found)
    return folder.summarise(paths, _headline(blood, found))


def _headline(blood: BloodCells, found: AtlasSearch) -> dict[str, Any]:
    shares = blood.shares.mean()
    groups = found.table.summary()
    return {
        "pbmc_cells": blood.adata.n_obs,
        "pbmc_median_gap": float(blood.adata.obs[keys.gap()].median()),
        "pbmc_uninformative_share": {name: round(float(shares[name]), 4) for name in shares.index},
        "atlas_cells": len(found.atlas),
        "atlas_studies": len(found.atlas.studies),
        "ms1_ranking": groups["disease"].head(5).tolist(),
        "ms1_mean_fraction": groups.head(5).set_index("disease")["mean_fraction"].round(3).to_dict(),
        "ms1_auroc_by_study": {
            name: {
                "mean": round(float(found.recovery[name].mean()), 3),
                "sd": round(float(found.recovery[name].std()), 3),
            }
            for name in ("attribution", "expression", "shuffled")
        },
    }


def _write(output: Path, blood: BloodCells, found: AtlasSearch) -> dict[str, Path]:
    paths = {
        "ms1_report": output / "ms1.html",
        "top_genes_table": output / "top_genes.csv",
        "top_genes_figure": output / "top_genes.png",
        "samples_table": output / "ms1_samples.csv",
        "samples_figure": output / "ms1_samples.png",
        "attributed_cells": output / "pbmc_attributed.h5ad",
        "atlas": output / "atlas",
    }
    write_table(blood.top_genes, paths["top_genes_table"])
    write_table(found.table.table, paths["samples_table"])
    save_figure(top_genes_figure(blood.adata, keys.CELL_TYPE), paths["top_genes_figure"])
    save_figure(samples_figure(found.table), paths["samples_figure"])
    comparison = found.table.compare(reference="normal")
    search_report(found.result, found.hits, found.table, paths["ms1_report"], comparison=comparison)
    page(
        "insignia demo",
        [_blood_section(blood), _atlas_section(found), _recovery_section(found), _next_section()],
        output / "report.html",
        subtitle="Which genes matter in these cells, and where else is a gene program active?",
    )
    return paths


def _blood_section(blood: BloodCells) -> Section:
    shares = blood.shares.mean()
    best = blood.top_genes[blood.top_genes["rank"] <= 8].groupby(keys.CELL_TYPE)["gene"].agg(", ".join).reset_index()
    return Section(
        "700 real blood cells",
        [
            Lead(
                f"Ribosomal and mitochondrial genes take {shares['expression']:.1%} of log-expression and "
                f"{shares['attribution']:.1%} of attribution, on average over cell types."
            ),
            Paragraph(
                "An encoder was trained on these cells, whose types were assigned by their authors. Each gene's "
                "attribution says how much it moves the cell's embedding (integrated gradients). Model and "
                "attribution saw the same cells, so this shows what the method does and proves nothing about others."
            ),
            Picture(top_genes_figure(blood.adata, keys.CELL_TYPE), "Genes that matter most in each cell type."),
            Table(best.rename(columns={"gene": "most important genes"}), name="top_genes"),
            Picture(completeness_figure(blood.adata), "Attributions should add up to the change they explain."),
        ],
    )


def _atlas_section(found: AtlasSearch) -> Section:
    first, *others = answer(found.table)
    return Section(
        "MS1 in a simulated atlas",
        [
            Lead(first),
            Paragraph(" ".join(others)),
            Paragraph(
                f"{len(found.atlas):,} simulated cells of {len(found.atlas.studies)} studies, which differ in batch, "
                "depth and measured genes, were attributed by an encoder trained on a few of the studies. MS1 was "
                "planted in septic shock and Kawasaki disease (strong), in COVID-19 (moderate), and nowhere else. "
                "The full report of the search is in ms1.html."
            ),
            Picture(samples_figure(found.table), "Fraction of MS1 hits in every sample."),
            Table(found.table.summary(), name="ms1_by_disease"),
        ],
    )


def _recovery_section(found: AtlasSearch) -> Section:
    table = found.recovery.drop(columns="study").agg(["mean", "std", "min", "max"]).T
    table = table.rename_axis("score").reset_index()
    return Section(
        "Was it right?",
        [
            Paragraph(
                "The simulator knows which cells carry MS1. For each study with at least ten such cells and ten "
                "others, the table gives the area under the ROC curve of three scores: attribution, plain "
                "log-expression of the same genes, and attribution against shuffled labels."
            ),
            Table(pd.DataFrame(table), name="ms1_recovery"),
            Bullets(
                [
                    f"{len(found.recovery)} studies enter the table.",
                    "Simulated programs raise expression directly, so plain expression does well here by construction.",
                    "Expression is compared within a study, where differences of depth between studies cannot hurt it.",
                ]
            ),
        ],
    )


def _next_section() -> Section:
    lines = """insignia model train your_cells.h5ad --labels cell_type -o model/
insignia attribute your_cells.h5ad -m model/ -o attributed.h5ad
insignia atlas create atlas/ -m model/
insignia atlas add atlas/ attributed.h5ad --constant study=mine --column patient=donor
insignia search atlas/ MS1 --by disease -o ms1.html"""
    return Section("The same with your cells", [Code(lines)])
