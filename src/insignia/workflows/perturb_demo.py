"""The demo of perturbation prediction: a simulated screen of which genes and pairs are hidden, up to a report."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from insignia.data import write_h5ad, write_splits
from insignia.report import (
    Bullets,
    Code,
    Lead,
    Paragraph,
    Picture,
    Section,
    Table,
    cells_figure,
    effects_figure,
    page,
    prediction_scores_figure,
    program_map_figure,
    save_figure,
)
from insignia.workflows.demo_folder import DemoFolder
from insignia.workflows.perturb_demo_steps import FULL, QUICK, DemoScreen, predict_hidden_conditions
from insignia.workflows.registry import demos

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["perturb_demo"]


@demos.add("perturb", source="arXiv:2602.04901")
def perturb_demo(output: Path, *, quick: bool = False, show_progress: bool | None = None) -> dict[str, Any]:
    """Simulate a screen, hide genes and pairs, predict them, and compare with what was hidden and with baselines.

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
    found = predict_hidden_conditions(folder.timings, QUICK if quick else FULL, show_progress)
    with folder.timings.step("report"):
        paths = _write(output, found)
    return folder.summarise(paths, _headline(found))


def _headline(found: DemoScreen) -> dict[str, Any]:
    table = found.board.summary(["l2", "pearson_from_mean", "edistance"]).reset_index()
    kept = table[table["role"].isin(["method", "baseline", "control", "ceiling"]) & table["l2"].notna()]
    scores: dict[str, dict[str, dict[str, float]]] = {}
    for row in kept.to_dict(orient="records"):
        figures = {name: round(float(row[name]), 3) for name in ("l2", "pearson_from_mean", "edistance")}
        scores.setdefault(str(row["stratum"]), {})[str(row["method"])] = {
            name: value for name, value in figures.items() if not np.isnan(value)
        }
    return {
        "cells": len(found.screen.data),
        "conditions": len(found.screen.data.conditions),
        "test_conditions": len(found.split.test),
        "programs_agreement": round(_agreement(found), 3),
        "scores": scores,
        "verdicts": list(found.board.verdicts()),
        "winner": found.board.winner(),
        "predicted_pair": found.pair,
    }


def _agreement(found: DemoScreen) -> float:
    """Compare induced and planted programs by their adjusted Rand index."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(found.screen.truth.program, found.programs.labels(found.screen.data.genes)))


def _write(output: Path, found: DemoScreen) -> dict[str, Path]:
    paths = {
        "split": output / "split.json",
        "model": output / "model",
        "predicted": output / "predicted.h5ad",
        "evaluation": output / "evaluation",
        "program_map_figure": output / "program_map.png",
        "effects_figure": output / "effects.png",
        "cells_figure": output / "cells.png",
        "scores_figure": output / "scores.png",
    }
    write_splits(found.split, paths["split"])
    found.model.save(paths["model"])
    write_h5ad(found.predicted, paths["predicted"])
    found.board.write(paths["evaluation"])
    shown = list(dict.fromkeys(found.view.cells["condition"]))
    figures = {
        "program_map_figure": program_map_figure(
            found.programs.to_frame(), found.effects, correlation=found.correlation, top=20
        ),
        "effects_figure": effects_figure(found.view.effects, methods=["flow", "ridge_embedding"]),
        "cells_figure": cells_figure(found.view.cells, conditions=[shown[0], shown[1], shown[3]], methods=["flow"]),
        "scores_figure": prediction_scores_figure(found.board.summary()),
    }
    for name, figure in figures.items():
        save_figure(figure, paths[name])
    page(
        "What would a perturbation do",
        _sections(found, figures),
        output / "report.html",
        subtitle="A simulated screen of which genes and pairs were hidden, predicted and compared with the truth.",
    )
    return paths


def _sections(found: DemoScreen, figures: Mapping[str, "Figure"]) -> list[Section]:
    headline = _headline(found)
    lead = (
        f"From {headline['conditions'] - headline['test_conditions']} conditions of a simulated screen, "
        f"{headline['test_conditions']} others were predicted. {headline['winner']}"
    )
    summary = found.board.summary(["l2", "pearson_delta", "pearson_from_mean", "edistance", "wasserstein_effect"])
    return [
        Section("What was found", [Lead(lead), Bullets([*headline["verdicts"], *found.board.notes])]),
        Section(
            "Gene programs",
            [
                Paragraph(
                    f"{found.programs}, read from training cells alone. The simulator planted programs; the adjusted "
                    f"Rand index of the two is {headline['programs_agreement']:.2f} (1 is equal, 0 is chance)."
                ),
                Picture(figures["program_map_figure"], "Genes in the order of programs, and what perturbations move."),
            ],
        ),
        Section(
            "Predicted and measured effects",
            [
                Paragraph(
                    "Three genes and three pairs that were hidden: the largest, a middle and the smallest effect of "
                    "each kind. Each point is a gene."
                ),
                Picture(figures["effects_figure"], "The flow beside ridge regression on the embedding of the genes."),
            ],
        ),
        Section(
            "Cells, not only their mean",
            [
                Paragraph(
                    "Along the measured effect, control cells lie at 0. A fifth of the perturbed cells of the "
                    "simulator escape, and stay there."
                ),
                Picture(figures["cells_figure"], "Control, measured and predicted cells."),
            ],
        ),
        Section(
            "Beside what comes for free",
            [
                Paragraph(
                    "Strata are never mixed: a pair of two known genes is an easier question than a gene that was "
                    "never perturbed. Half of each condition against its other half is what an experiment would reach."
                ),
                Picture(figures["scores_figure"], "Predictors, baselines, the shuffled control and the ceiling."),
                Table(summary[_columns(summary)].reset_index().round(3), name="scores"),
            ],
        ),
        Section("A pair that nobody measured", [*_new_pair(found)]),
        Section("The same with your screen", [Code(_COMMANDS)]),
    ]


def _columns(summary: pd.DataFrame) -> list[str]:
    return [name for name in map(str, summary) if not name.endswith("_seed_sd") and name != "fallbacks"]


def _new_pair(found: DemoScreen) -> list[Paragraph | Table]:
    delta = np.asarray(found.predicted.layers["delta"].mean(axis=0)).ravel()
    order = np.argsort(-np.abs(delta), kind="stable")[:12]
    genes = np.array(found.screen.data.genes)[order]
    table = pd.DataFrame(
        {
            "gene": genes,
            "program": [found.programs.of(gene) or "none" for gene in genes],
            "predicted_change": delta[order].round(3),
            "standard_deviation_of_cells": np.asarray(found.predicted.layers["delta"]).std(axis=0)[order].round(3),
        }
    )
    return [
        Paragraph(f"{found.pair}: the 200 predicted cells are in predicted.h5ad. The genes that change most:"),
        Table(table, name="predicted_pair"),
    ]


_COMMANDS: Final = """insignia perturb check screen.h5ad --control ctrl --gene-sets reactome.gmt \\
    --save-priors priors/ -o checked.h5ad
insignia perturb split checked.h5ad -o split.json
insignia perturb benchmark checked.h5ad --split split.json --priors priors/ -o evaluation/
insignia perturb fit checked.h5ad --priors priors/ -o model/
insignia perturb predict model/ "KLF1+MAP2K6" -o cells.h5ad"""
