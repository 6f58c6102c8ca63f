"""Many studies at once, as an atlas meets them, with gene programs planted in some diseases and cell types.

Studies differ in depth, in the genes they measure and in a factor of every gene; donors differ in how many of their
cells are active. All of it is known to the truth that comes with the data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.core import keys
from insignia.data.cohort_design import CELL_TYPES, COMPOSITION, HEALTHY, STRENGTHS, Strengths
from insignia.data.cohort_truth import Cohort, CohortOptions, CohortTruth, activity
from insignia.data.cohort_world import World
from insignia.data.count_noise import gamma_poisson
from insignia.genes import signature

__all__ = ["simulate_cohort"]

_SHAPE: Final = 4.0
_DEPTH: Final = 2500.0
_MOST_ACTIVE: Final = 0.7
_DESIGNS: Final = (
    ("case", True),
    ("several", True),
    ("case", False),
    ("case", True),
    ("several", True),
    ("several", False),
    ("case", True),
)
_TISSUES: Final = ("blood", "lung", "blood", "spleen", "blood", "colon")


def simulate_cohort(
    *,
    n_studies: int = 40,
    samples_per_study: int = 4,
    cells_per_sample: int = 60,
    n_genes: int = 2000,
    difficulty: float = 0.5,
    programs: Mapping[str, Sequence[str]] | None = None,
    strengths: Strengths | None = None,
    rng: int | np.random.Generator = 0,
) -> Cohort:
    """Simulate studies of several diseases in which gene programs are active where the truth says.

    A study holds one disease or several, mostly with healthy samples. Names of samples and donors repeat between
    studies, some donors give two samples, and the order of the genes differs between studies. In the cells of a type
    in which a program of strength s acts, a fraction of about 0.7 s is active, more in one donor than in another; the
    genes of the program are raised there on top of their usual expression.

    Parameters
    ----------
    n_studies, samples_per_study, cells_per_sample, n_genes, difficulty
        See `CohortOptions`.
    programs
        Genes of each program. `None` plants the bundled signatures ``"MS1"`` and ``"IFN_I"``.
    strengths
        (disease, cell type, program) -> strength from 0 to 1. `None` takes the defaults: MS1 is strong in classical
        monocytes in septic shock and Kawasaki disease, moderate in COVID-19 and weak in macrophages; IFN_I is active in
        systemic lupus erythematosus and COVID-19; neither is in ``"normal"`` samples or in the null diseases.
    rng
        Seed or generator. Equal seeds give bit-equal cohorts.

    Raises
    ------
    InputError
        Sizes are impossible, or `strengths` names something that the cohort does not have.
    """
    options = CohortOptions(n_studies, samples_per_study, cells_per_sample, n_genes, difficulty)
    rng = np.random.default_rng(rng)
    if programs is None:
        programs = {name: signature(name).genes for name in ("MS1", "IFN_I")}
    if strengths is None:
        strengths = {place: strength for place, strength in STRENGTHS.items() if place[2] in programs}
    world = World.make(options, {name: tuple(genes) for name, genes in programs.items()}, strengths, rng)
    seeds = rng.integers(2**63, size=n_studies)
    studies = [_Study.make(world, number, np.random.default_rng(seed)) for number, seed in enumerate(seeds)]
    return Cohort([study.adata for study in studies], _truth(world, studies), options)


@dataclass(frozen=True, eq=False)
class _Study:
    """One simulated study and what is true of it."""

    adata: AnnData
    cells: pd.DataFrame
    batch: np.ndarray
    design: str
    depth: float

    @classmethod
    def make(cls, world: World, number: int, rng: np.random.Generator) -> "_Study":
        options = world.options
        name = f"study{number + 1:02d}"
        design, samples = _samples(world, number, rng)
        batch = rng.normal(0.0, options.batch_log_sd, len(world.genes))
        depth = _DEPTH * rng.lognormal(0.0, options.study_depth_log_sd)
        measured = rng.random(len(world.genes)) >= options.unmeasured * rng.uniform(0.5, 1.5)
        panel = rng.permutation(np.flatnonzero(measured))
        cells, types = _cells(samples, options, rng)
        active = _activity(world, cells, types, rng)
        cells["depth"] = rng.lognormal(np.log(depth), options.cell_depth_log_sd, len(cells))
        cells = pd.concat([cells, pd.DataFrame(active, columns=[activity(name) for name in world.programs])], axis=1)
        cells.insert(0, keys.STUDY, name)
        level = world.levels[types][:, panel] + batch[panel] + active @ world.loadings[:, panel]
        obs = cells[list(keys.METADATA[:-1])].astype("category").set_index(pd.Index(cells[keys.BARCODE], name=None))
        counts = gamma_poisson(level, cells["depth"].to_numpy(), _SHAPE, rng)
        adata = AnnData(counts, obs=obs, var=pd.DataFrame(index=world.genes[panel]))
        return cls(adata, cells, batch, design, depth)


def _samples(world: World, number: int, rng: np.random.Generator) -> tuple[str, pd.DataFrame]:
    """Design of a study and its samples: donor, tissue and disease of each."""
    cases = world.diseases[1:]
    kind, has_healthy = _DESIGNS[number % len(_DESIGNS)]
    first = number % len(cases)
    held = [cases[(first + step) % len(cases)] for step in range(1 if kind == "case" else min(3, len(cases)))]
    held += [HEALTHY] if has_healthy else []
    tissue = _TISSUES[(number + number // len(cases)) % len(_TISSUES)]
    expected = world.options.samples_per_study
    n_samples = max(len(held), int(rng.integers(expected - 1, expected + 2)))
    donors: list[int] = []
    tissues: list[str] = []
    diseases: list[str] = []
    while len(donors) < n_samples:
        donor, disease = len(set(donors)), held[len(set(donors)) % len(held)]
        twice = donor >= len(held) and len(donors) + 1 < n_samples and rng.random() < 0.5
        for place in (tissue, "blood" if tissue != "blood" else "lung")[: 2 if twice else 1]:
            donors.append(donor)
            tissues.append(place)
            diseases.append(disease)
    return f"{kind}{' and normal' if has_healthy else ''}", pd.DataFrame(
        {
            keys.SAMPLE: [f"sample{position + 1}" for position in range(len(donors))],
            keys.DONOR: [f"donor{donor + 1}" for donor in donors],
            keys.TISSUE: tissues,
            keys.DISEASE: diseases,
        }
    )


def _cells(samples: pd.DataFrame, options: CohortOptions, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Table of cells with the metadata of their sample, and the position of each cell's type."""
    sizes = np.maximum(1, rng.poisson(options.cells_per_sample, len(samples)))
    sample = np.repeat(np.arange(len(samples)), sizes)
    expected = np.array([COMPOSITION[tissue] for tissue in samples[keys.TISSUE]])
    parts = rng.standard_gamma(40.0 * expected)
    bounds = np.cumsum(parts / parts.sum(axis=1, keepdims=True), axis=1)
    bounds[:, -1] = 1.0
    types = (rng.random((len(sample), 1)) >= bounds[sample]).sum(axis=1)
    cells = samples.iloc[sample].reset_index(drop=True)
    cells[keys.CELL_TYPE] = np.array(list(CELL_TYPES))[types]
    cells[keys.BARCODE] = _barcodes(len(cells), rng)
    return cells, types


def _barcodes(n: int, rng: np.random.Generator) -> list[str]:
    """Make unique barcodes of 16 letters: an odd stride visits every code before any repeats."""
    codes = (rng.integers(4**16) + np.arange(n) * (2 * rng.integers(4**15) + 1)) % 4**16
    letters = np.array(list("ACGT"))[(codes[:, None] >> (2 * np.arange(16))) & 3]
    return [f"{''.join(word)}-1" for word in letters]


def _activity(world: World, cells: pd.DataFrame, types: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(cells, programs) activity: about 1 in the active cells of a program of full strength, 0 in the others."""
    disease = pd.Categorical(cells[keys.DISEASE], categories=world.diseases).codes
    strength = world.strengths[disease, types]
    donor, names = pd.factorize(cells[keys.DONOR])
    shift = rng.normal(0.0, world.options.donor_sd, (len(names), strength.shape[1]))[donor]
    fraction = _MOST_ACTIVE * strength
    odds = fraction / (1.0 - fraction) * np.exp(shift)
    is_active = rng.random(strength.shape) < odds / (1.0 + odds)
    values: np.ndarray = is_active * (0.5 + 0.5 * strength) * rng.standard_gamma(20.0, strength.shape) / 20.0
    return values


def _truth(world: World, studies: Sequence[_Study]) -> CohortTruth:
    names = [str(study.cells[keys.STUDY].iloc[0]) for study in studies]
    index = pd.MultiIndex.from_product(
        [world.diseases, tuple(CELL_TYPES), tuple(world.programs)], names=["disease", "cell_type", "program"]
    )
    summary = {
        "design": [study.design for study in studies],
        "depth": [study.depth for study in studies],
        "n_samples": [study.cells[keys.SAMPLE].nunique() for study in studies],
        "n_genes": [study.adata.n_vars for study in studies],
    }
    return CohortTruth(
        programs=world.programs,
        loadings=pd.DataFrame(world.loadings, index=list(world.programs), columns=world.genes),
        strengths=pd.Series(world.strengths.ravel(), index=index, name="strength").reset_index(),
        markers=dict(CELL_TYPES),
        housekeeping=world.housekeeping,
        panels={name: tuple(study.adata.var_names) for name, study in zip(names, studies, strict=True)},
        studies=pd.DataFrame(summary, index=pd.Index(names, name=keys.STUDY)),
        batch=pd.DataFrame([study.batch for study in studies], index=names, columns=world.genes),
        cells=pd.concat([study.cells for study in studies], ignore_index=True),
    )
