"""One gene program followed through all four questions, on simulated data that share it and whose truth is known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.stats import pearsonr

from insignia.atlas import Atlas, Comparison
from insignia.atlas.screens.ranking import ProgramRanking
from insignia.core import keys
from insignia.data import (
    Cohort,
    Handling,
    SectionStack,
    SerialOptions,
    SimulatedScreen,
    SimulatedStack,
    hide_counts,
    reveal_counts,
    simulate_cohort,
    simulate_screen,
    simulate_sections,
)
from insignia.data.perturbation_splits import parse_unit, unseen_genes_split
from insignia.genes import Signature
from insignia.perturb import SignatureRanking, fit, rank
from insignia.spatial import impute
from insignia.spatial.panel import normalise
from insignia.workflows.demo_steps import DemoSize, Timings, attributed_atlas
from insignia.workflows.spatial_stack import prepare_stack

__all__ = [
    "DISEASE",
    "FULL",
    "QUICK",
    "Disease",
    "Screen",
    "StorySize",
    "Tissue",
    "in_disease",
    "in_screen",
    "in_tissue",
]

DISEASE: Final = "Kawasaki disease"
MONOCYTES: Final = "cell_type = 'classical monocyte'"
PLANTED: Final = "MS1"
FOUND: Final = "found program"
_PROGRAM: Final = 6
"""Of the simulated screen; the first two are moved by all perturbations."""
_GROUP: Final = "A"
"""Genes of the simulated sections that show in the picture."""


@dataclass(frozen=True)
class StorySize:
    """How large the story is; `QUICK` checks that all parts work."""

    atlas: DemoSize
    samples_per_study: int
    n_sections: int
    n_perturbations: int
    method: str
    n_found: int = 40


FULL: Final = StorySize(DemoSize(epochs=24, n_studies=20, n_genes=1000, cells_per_sample=50), 12, 4, 80, "flow")
QUICK: Final = StorySize(
    DemoSize(epochs=6, n_studies=8, n_genes=500, cells_per_sample=40, training_studies=2), 10, 2, 60, "ridge_embedding"
)


@dataclass(frozen=True, eq=False)
class Disease:
    """A program found in a disease, and where else it is active.

    Parameters
    ----------
    ranking
        Genes that stand out in monocytes of the disease, in the studies in which it was looked for.
    found
        The first of them.
    confirmed
        All diseases against healthy donors, in the other studies.
    precision
        Share of the found genes that were planted, and what drawing genes at random would give.
    """

    cohort: Cohort
    ranking: ProgramRanking
    found: Signature
    confirmed: Comparison
    precision: tuple[float, float]

    @property
    def program(self) -> tuple[str, ...]:
        """Genes of the planted program, those that it raises most first: what sections and screen share with it."""
        raised = self.cohort.truth.loadings.T[PLANTED].sort_values(ascending=False)
        return tuple(str(gene) for gene in raised.index[raised > 0])


@dataclass(frozen=True, eq=False)
class Tissue:
    """The found program on serial sections of which one was measured.

    Parameters
    ----------
    imputed, measured
        What was imputed, and the sections with the counts that were hidden.
    table
        One row a hidden section: correlation of the imputed score with that of the hidden counts, and the share of
        spots within the interval, for the default and for propagation without pictures.
    """

    imputed: AnnData
    measured: SectionStack
    table: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Screen:
    """Perturbations ranked by how far they quiet the found program.

    Parameters
    ----------
    ranking
        Genes that the model never saw perturbed, with what was measured beside.
    truth
        (conditions,) effect on the planted program, by condition.
    method
        Which predictor ranked them.
    """

    ranking: SignatureRanking
    truth: pd.Series
    method: str


def in_disease(folder: Path, size: StorySize, timings: Timings, *, show_progress: bool | None) -> Disease:
    """Find what stands out in monocytes of a disease in half of the studies, and test it in the other half."""
    with timings.step("simulate_cohort"):
        wanted = size.atlas
        cohort = simulate_cohort(
            n_studies=wanted.n_studies,
            samples_per_study=size.samples_per_study,
            cells_per_sample=wanted.cells_per_sample,
            n_genes=wanted.n_genes,
            rng=2,
        )
    atlas = attributed_atlas(folder, cohort, wanted, timings, show_progress=show_progress)
    with timings.step("find"):
        first, second = _halves(atlas)
        ranking = atlas.rank_programs(
            f"{MONOCYTES} AND disease = '{DISEASE}' AND {first}",
            reference=f"{MONOCYTES} AND disease = 'normal' AND {first}",
            signatures=[PLANTED, "IFN_I"],
            min_cells=5,
        )
        raised = ranking.genes[ranking.genes["effect"] > 0]
        found = Signature.from_genes(raised["gene"].head(size.n_found), name=FOUND)
    with timings.step("confirm"):
        result = atlas.search(found, where=f"{MONOCYTES} AND {second}")
        confirmed = result.call("percentile", q=90).by_sample(min_cells=5).compare(reference="normal")
    planted = set(cohort.truth.programs[PLANTED])
    share = np.mean([gene in planted for gene in found.genes])
    return Disease(cohort, ranking, found, confirmed, (float(share), len(planted) / wanted.n_genes))


def _halves(atlas: Atlas) -> tuple[str, str]:
    """Divide the studies in two, those with the disease and those without it each by turns."""
    has_disease = atlas.obs().groupby(keys.STUDY, observed=True)[keys.DISEASE].agg(lambda held: (held == DISEASE).any())
    ordered = list(has_disease.sort_values(ascending=False, kind="stable").index)
    first, second = (f"study IN ({', '.join(repr(str(name)) for name in ordered[start::2])})" for start in (0, 1))
    return first, second


def in_tissue(disease: Disease, size: StorySize, timings: Timings, *, show_progress: bool | None) -> Tissue:
    """Measure one section, impute the found program on the others from their pictures, and compare."""
    with timings.step("simulate_sections"):
        handling = Handling(rotation_deg=20, shift_um=150, stain=0.1)
        made = simulate_sections(SerialOptions(n_sections=size.n_sections, handling=handling), rng=3)
        stack = _renamed(made, disease.program)
    known = stack.names[len(stack) // 2]
    with timings.step("register_and_describe"):
        placed = prepare_stack(hide_counts(stack, [known]), known=[known], show_progress=show_progress)
    rows, results = [], {}
    for method in ("blend", "propagate"):
        with timings.step(f"impute_{method}"):
            results[method] = impute(
                placed, known=[known], method=method, sections="all", genes=stack[known].spots.n_vars,
                signatures=[disease.found], min_coverage=0.1, baselines=False,
            )  # fmt: skip
        rows += [_compared(results[method], stack, name, method) for name in stack.names if name != known]
    return Tissue(results["blend"], reveal_counts(placed, stack), pd.DataFrame(rows))


def _renamed(made: SimulatedStack, program: Sequence[str]) -> SectionStack:
    """Give the genes that follow the picture the names of the planted program, the others names of their own."""
    group = made.truth.genes["group"] == _GROUP
    names = dict(zip(made.truth.genes.index[group], program, strict=False))
    return made.stack.with_sections({one.name: replace(one, spots=_with_names(one.spots, names)) for one in made.stack})


def _with_names(adata: AnnData, names: dict[str, str]) -> AnnData:
    renamed = adata.copy()
    renamed.var_names = [names.get(gene, f"other{gene}") for gene in adata.var_names]
    return renamed


def _compared(imputed: AnnData, stack: SectionStack, name: str, method: str) -> dict[str, object]:
    own = imputed[(imputed.obs[keys.SECTION] == name).to_numpy()]
    spots = stack[name].spots[own.obs[keys.SPOT].to_list(), list(imputed.var_names)]
    counts = spots.X.toarray() if hasattr(spots.X, "toarray") else np.asarray(spots.X)
    truth = normalise(counts) @ imputed.varm[keys.SIGNATURE_WEIGHTS][FOUND].to_numpy()
    inside = (own.obs[f"{FOUND}_{keys.LOWER}"] <= truth) & (truth <= own.obs[f"{FOUND}_{keys.UPPER}"])
    return {
        "method": method,
        "section": name,
        "correlation": float(pearsonr(own.obs[FOUND], truth).statistic),
        "covered": float(inside.mean()),
    }


def in_screen(disease: Disease, size: StorySize, timings: Timings, *, show_progress: bool | None) -> Screen:
    """Hide a third of the perturbed genes of a screen, and rank them by how far they should quiet the program."""
    with timings.step("simulate_screen"):
        screen = _named_screen(
            simulate_screen(n_perturbations=size.n_perturbations, n_doubles=20, cells_per_condition=60, rng=4),
            disease.program,
        )
        split = unseen_genes_split(screen.data, share=0.35, rng=0)
    with timings.step("fit"):
        model, ridge, mean = (
            fit(screen.data, split, method=name, priors=screen.priors, show_progress=show_progress)
            for name in (size.method, "ridge_embedding", "perturbed_mean")
        )
    with timings.step("rank"):
        unseen = [one for one, _ in map(parse_unit, split.test) if len(one.perturbations) == 1]
        ranking = rank(
            model, disease.found, unseen, direction="away", measured=screen.data, min_coverage=0.1,
            baselines={"ridge": ridge, "mean of all": mean},
        )  # fmt: skip
    effect = [screen.truth.effect(one)[_PROGRAM] for one in unseen]
    return Screen(ranking, pd.Series(effect, [str(one) for one in unseen]), size.method)


def _named_screen(screen: SimulatedScreen, program: Sequence[str]) -> SimulatedScreen:
    """Give the genes that one program raises the names of the planted program."""
    loadings = screen.truth.loadings[_PROGRAM]
    raised = np.flatnonzero(loadings > 0)
    names: list[str] = list(screen.data.genes)
    for place, gene in zip(raised, program, strict=False):
        names[place] = gene
    return replace(screen, data=replace(screen.data, genes=tuple(names)))
