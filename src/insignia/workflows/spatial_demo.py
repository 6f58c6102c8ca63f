"""The demo of spatial imputation: simulated serial sections of which one is measured, from pictures to a report."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from anndata import AnnData

from insignia.data import (
    Handling,
    SectionStack,
    SerialOptions,
    SimulatedStack,
    hide_counts,
    reveal_counts,
    simulate_sections,
    write_h5ad,
    write_stack,
)
from insignia.report import (
    Bullets,
    Code,
    Lead,
    Paragraph,
    Picture,
    Section,
    Table,
    gene_maps_figure,
    page,
    save_figure,
    scoreboard_figure,
    stack_3d_figure,
    stack_figure,
)
from insignia.spatial import Evaluation, compare_imputers, impute, registration_table
from insignia.workflows.demo_folder import DemoFolder
from insignia.workflows.demo_steps import Timings
from insignia.workflows.registry import demos
from insignia.workflows.spatial_stack import prepare_stack

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["spatial_demo"]

_HANDLING: Final = Handling(rotation_deg=180.0, shift_um=200.0, scale=0.03, stain=0.1)


@dataclass(frozen=True)
class _Found:
    """What the demo computed."""

    made: SimulatedStack
    known: str
    placed: SectionStack
    measured: SectionStack
    imputed: AnnData
    evaluation: Evaluation
    genes: tuple[str, ...]


@demos.add("spatial", source="arXiv:2412.03026")
def spatial_demo(output: Path, *, quick: bool = False, show_progress: bool | None = None) -> dict[str, Any]:
    """Simulate serial sections, measure one, impute the others from their pictures, and compare with the truth.

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
    found = _run(folder.timings, quick=quick, show_progress=show_progress)
    with folder.timings.step("report"):
        paths = _write(output, found)
    return folder.summarise(paths, _headline(found))


def _run(timings: Timings, *, quick: bool, show_progress: bool | None) -> _Found:
    n_sections = 3 if quick else 5
    known = f"s{(n_sections + 1) // 2}"
    with timings.step("simulate"):
        damage = {} if quick else {"s4": ("corner",)}
        made = simulate_sections(SerialOptions(n_sections=n_sections, handling=_HANDLING, damage=damage), rng=0)
    with timings.step("register and describe"):
        hidden = hide_counts(made.stack, [known])
        placed = prepare_stack(hidden, known=[known], show_progress=show_progress)
    with timings.step("impute"):
        imputed = impute(placed, known=[known], sections="all", genes=made.stack[known].spots.n_vars, baselines=False)
    with timings.step("evaluate"):
        measured = reveal_counts(placed, made.stack)
        methods = ["blend"]
        evaluation = compare_imputers(measured, known=[known], methods=methods, controls=[], seeds=(0,))
    return _Found(made, known, placed, measured, imputed, evaluation, _shown_genes(made, imputed))


def _shown_genes(made: SimulatedStack, imputed: AnnData) -> tuple[str, ...]:
    """Of each kind of gene, the one that the known section says is predicted best."""
    groups = made.truth.genes["group"].reindex(imputed.var_names)
    best = imputed.var["cv_pcc"].groupby(groups).idxmax()
    return tuple(best[["A", "B", "C"]])


def _headline(found: _Found) -> dict[str, Any]:
    table = found.evaluation.summary(["pcc_mean", "skill"]).reset_index()
    table = table[table["role"].isin(["imputer", "baseline"])].set_index("method")
    scores = {
        str(method): {"per_gene_pcc": round(float(pcc), 3), "skill": round(float(skill), 3)}
        for method, pcc, skill in zip(table.index, table["pcc_mean"], table["skill"], strict=True)
    }
    return {
        "sections": len(found.placed),
        "known": found.known,
        "failed_registration": [s.name for s in found.placed if s.pose is not None and not s.pose.is_ok],
        "scores": scores,
        "verdicts": [str(verdict) for verdict in found.evaluation.verdicts],
        "predictable_share_by_group": _predictable(found),
    }


def _predictable(found: _Found) -> dict[str, float]:
    groups = found.made.truth.genes["group"].reindex(found.imputed.var_names)
    return {
        str(group): round(float(share), 2)
        for group, share in found.imputed.var["predictable"].groupby(groups).mean().items()
    }


def _write(output: Path, found: _Found) -> dict[str, Path]:
    paths = {
        "stack": output / "stack",
        "imputed": output / "imputed.h5ad",
        "stack_figure": output / "stack.png",
        "gene_maps_figure": output / "gene_maps.png",
        "stack_3d_figure": output / "stack_3d.png",
        "scoreboard_figure": output / "scoreboard.png",
        "evaluation": output / "evaluation",
    }
    write_stack(found.placed, paths["stack"], images="copy")
    write_h5ad(found.imputed, paths["imputed"])
    found.evaluation.write(paths["evaluation"])
    figures = {
        "stack_figure": stack_figure(found.placed),
        "gene_maps_figure": gene_maps_figure(found.imputed, found.genes, measured=found.measured),
        "stack_3d_figure": stack_3d_figure(found.imputed, found.genes[1]),
        "scoreboard_figure": scoreboard_figure(found.evaluation.sections),
    }
    for name, figure in figures.items():
        save_figure(figure, paths[name])
    page(
        "Expression imputed over serial sections",
        _sections(found, figures),
        output / "report.html",
        subtitle="Where in the tissue: simulated sections of which one was measured, compared with the truth.",
    )
    return paths


def _sections(found: _Found, figures: Mapping[str, "Figure"]) -> list[Section]:
    headline = _headline(found)
    blend = headline["scores"]["blend"]
    lead = (
        f"From the measured section {found.known}, {found.imputed.n_vars} genes were imputed on the "
        f"{len(found.placed) - 1} others: the correlation with what was hidden is {blend['per_gene_pcc']:.2f} per "
        f"gene, and {blend['skill']:.0%} of the squared error of the mean profile is gone."
    )
    return [
        Section("What was found", [Lead(lead), Bullets(headline["verdicts"])]),
        Section(
            "The registered stack",
            [
                Paragraph(
                    "The simulator turned, shifted, stretched and stained the sections differently; they were brought "
                    "back by their tissue and its stain."
                ),
                Picture(figures["stack_figure"], "Sections in the common frame, and outlines before and after."),
                Table(registration_table(found.placed).reset_index().round(2), name="registration"),
            ],
        ),
        Section(
            "Genes, measured and imputed",
            [
                Paragraph(
                    "Three genes: one that the picture tells, one that only neighbouring sections tell, and one of "
                    "which both tell a part."
                ),
                Picture(figures["gene_maps_figure"], "Measured and imputed expression, and its uncertainty."),
                Picture(figures["stack_3d_figure"], f"{found.genes[1]} through the stack."),
            ],
        ),
        Section(
            "Beside what comes for free",
            [
                Paragraph(
                    "Imputers stand beside plain baselines, controls that must fail, and what the truth itself could "
                    "tell. Correlation is within a section, gene by gene."
                ),
                Picture(figures["scoreboard_figure"], "Imputers, baselines, controls and oracles."),
                Table(found.evaluation.summary()[["pcc_mean", "skill", "mse"]].reset_index().round(3), name="scores"),
            ],
        ),
        Section("The same with your sections", [Code(_COMMANDS)]),
    ]


_COMMANDS: Final = """insignia spatial check stack/
insignia spatial register stack/ -o placed/ --figures overlays/
insignia spatial impute placed/ --known s1 -o imputed.h5ad
insignia spatial evaluate imputed.h5ad truth/ -o evaluation/"""
