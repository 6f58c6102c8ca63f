"""The demo of everything: a program found in a disease, located in tissue, and quieted by a perturbation."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from insignia.data import write_h5ad
from insignia.report import (
    Code,
    Lead,
    Paragraph,
    Picture,
    Section,
    Table,
    forest_figure,
    gene_maps_figure,
    page,
    ranking_figure,
    save_figure,
    volcano_figure,
)
from insignia.workflows.demo_folder import DemoFolder
from insignia.workflows.registry import demos
from insignia.workflows.story_steps import (
    DISEASE,
    FULL,
    QUICK,
    Disease,
    Screen,
    Tissue,
    in_disease,
    in_screen,
    in_tissue,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["story_demo"]

_RANKED: Final = ["rank", "condition", "change", "low", "high", "measured", "ridge", "mean of all"]


@demos.add("story")
def story_demo(output: Path, *, quick: bool = False, show_progress: bool | None = None) -> dict[str, Any]:
    """Find a program in disease, locate it in tissue, propose what quiets it, and check all three against the truth.

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
    folder, size = DemoFolder(output), QUICK if quick else FULL
    disease = in_disease(output, size, folder.timings, show_progress=show_progress)
    tissue = in_tissue(disease, size, folder.timings, show_progress=show_progress)
    screen = in_screen(disease, size, folder.timings, show_progress=show_progress)
    with folder.timings.step("report"):
        paths = _write(output, disease, tissue, screen)
    return folder.summarise(paths, _headline(disease, tissue, screen))


def _headline(disease: Disease, tissue: Tissue, screen: Screen) -> dict[str, Any]:
    table = disease.confirmed.table
    means = tissue.table.groupby("method")[["correlation", "covered"]].mean().round(3)
    first = str(screen.ranking.table["condition"].iloc[0])
    return {
        "found_genes": list(disease.found.genes),
        "planted_share_of_found": round(disease.precision[0], 3),
        "planted_share_by_chance": round(disease.precision[1], 3),
        "significant_diseases": [str(name) for name in table.loc[table["q"] <= disease.confirmed.alpha, "group"]],
        "tissue": means.to_dict("index"),
        "quietest": first,
        "true_rank_of_quietest": int(screen.truth.rank(method="min")[first]),
        "ranked": len(screen.truth),
        "accuracy": screen.ranking.record()["accuracy"],
    }


def _write(output: Path, disease: Disease, tissue: Tissue, screen: Screen) -> dict[str, Path]:
    paths = {
        "imputed": output / "imputed.h5ad",
        "genes_figure": output / "genes.png",
        "diseases_figure": output / "diseases.png",
        "tissue_figure": output / "tissue.png",
        "perturbations_figure": output / "perturbations.png",
    }
    write_h5ad(tissue.imputed, paths["imputed"])
    figures = {
        "genes_figure": volcano_figure(
            disease.ranking.comparison("genes"),
            highlight=disease.found.genes,
            title=f"Genes of monocytes, {DISEASE} against healthy donors",
        ),
        "diseases_figure": forest_figure(disease.confirmed),
        "tissue_figure": gene_maps_figure(tissue.imputed, [disease.found.name], measured=tissue.measured),
        "perturbations_figure": ranking_figure(screen.ranking, top=12),
    }
    for name, figure in figures.items():
        save_figure(figure, paths[name])
    page(
        "One program, four questions",
        _sections(disease, tissue, screen, figures),
        output / "report.html",
        subtitle="Simulated studies, sections and a screen that share a gene program, and whose truth is known.",
    )
    return paths


def _sections(disease: Disease, tissue: Tissue, screen: Screen, figures: Mapping[str, "Figure"]) -> list[Section]:
    said = _headline(disease, tissue, screen)
    where = ", ".join(said["significant_diseases"]) or "no disease"
    best, plain = (said["tissue"][name]["correlation"] for name in ("blend", "propagate"))
    return [
        Section(
            "The story",
            [
                Lead(
                    f"{len(disease.found.genes)} genes stand out in monocytes of {DISEASE}. In studies that were not "
                    f"looked at before, they are active in {where}. In tissue they are seen where nothing was "
                    f"measured (correlation {best:.2f}), and {said['quietest']} is predicted to quiet them most."
                )
            ],
        ),
        Section(
            "Which genes matter",
            [
                Paragraph(
                    f"{said['planted_share_of_found']:.0%} of the {len(disease.found.genes)} genes belong to the "
                    f"program that was planted; of genes drawn at random {said['planted_share_by_chance']:.0%} would. "
                    f"Units are donors, and half of the studies were kept aside. {_said(disease)}"
                ),
                Picture(figures["genes_figure"], f"Attribution in monocytes of {DISEASE} against healthy donors."),
            ],
        ),
        Section(
            "Where else",
            [
                Paragraph(
                    "The found genes, searched in the other half of the studies. The program was planted in septic "
                    "shock, Kawasaki disease and COVID-19."
                ),
                Picture(figures["diseases_figure"], "Share of monocytes with a high score, by donor, within studies."),
            ],
        ),
        Section(
            "Where in the tissue",
            [
                Paragraph(
                    "One section was measured; on the others only the picture was seen. Imputed scores against those "
                    f"of the hidden counts: {best:.2f} with pictures, {plain:.2f} by propagation alone."
                ),
                Picture(figures["tissue_figure"], "The score of the found genes: measured, imputed, and how unsure."),
                Table(tissue.table.round(3), name="tissue"),
            ],
        ),
        Section(
            "What would a perturbation do",
            [
                Paragraph(
                    f"{len(screen.truth)} genes that the model never saw perturbed, ranked by {screen.method}. By the "
                    f"truth of the simulator, {said['quietest']} comes on place {said['true_rank_of_quietest']} of "
                    f"{said['ranked']}."
                ),
                Picture(figures["perturbations_figure"], "Predicted change of the program, and what was measured."),
                Table(screen.ranking.table[_RANKED].head(12).round(3), name="perturbations"),
            ],
        ),
        Section("The same with your data", [Code(_COMMANDS)]),
    ]


def _said(disease: Disease) -> str:
    """Say how sure single genes are."""
    passed = int((disease.ranking.genes["q"] <= disease.ranking.alpha).sum())
    if passed:
        return f"Of single genes, {passed} pass q = {disease.ranking.alpha:g}."
    return "No single gene passes with so few donors: the set is a guess, to be tested in the other half as one."


_COMMANDS: Final = """insignia search atlas/ found.gmt:program --by disease --compare normal -o where.html
insignia spatial impute stack/ --known s1 --signature found.gmt:program -o imputed.h5ad
insignia perturb rank model/ found.gmt:program --away --measured screen.h5ad -o ranking.csv"""
