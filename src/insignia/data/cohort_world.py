"""What all studies of a simulated cohort share: genes, cell types, and programs with the places where they act."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from insignia.core.errors import InputError
from insignia.data.cohort_design import CELL_TYPES, HEALTHY, HIGHLY_EXPRESSED, NULL_DISEASES, Strengths
from insignia.data.cohort_truth import CohortOptions
from insignia.genes import signature

__all__ = ["World"]


@dataclass(frozen=True, eq=False)
class World:
    """What all studies of a cohort share.

    Parameters
    ----------
    genes
        (genes,) names of all genes.
    levels
        (cell types, genes) log of the expected expression, without programs.
    loadings
        (programs, genes) log fold change in a fully active cell.
    strengths
        (diseases, cell types, programs) strengths from 0 to 1.
    """

    options: CohortOptions
    programs: dict[str, tuple[str, ...]]
    housekeeping: tuple[str, ...]
    diseases: tuple[str, ...]
    genes: np.ndarray
    levels: np.ndarray
    loadings: np.ndarray
    strengths: np.ndarray

    @classmethod
    def make(
        cls,
        options: CohortOptions,
        programs: dict[str, tuple[str, ...]],
        strengths: Strengths,
        rng: np.random.Generator,
    ) -> "World":
        """Lay out genes, cell types and programs."""
        housekeeping = signature("housekeeping").genes
        genes = _gene_names(options.n_genes, programs, housekeeping)
        place = {gene: position for position, gene in enumerate(genes)}
        diseases = (HEALTHY, *dict.fromkeys([disease for disease, _, _ in strengths if disease != HEALTHY]))
        diseases += tuple(name for name in NULL_DISEASES if name not in diseases)
        loadings = np.zeros((len(programs), len(genes)))
        for row, members in zip(loadings, programs.values(), strict=True):
            positions = [place[gene] for gene in members]
            row[positions] = options.effect_log * rng.uniform(0.5, 1.5, len(positions))
        return cls(
            options,
            programs,
            housekeeping,
            diseases,
            np.array(genes),
            _levels(place, programs, housekeeping, rng),
            loadings,
            _strength_array(strengths, diseases, tuple(programs)),
        )


def _gene_names(n_genes: int, programs: Mapping[str, Sequence[str]], housekeeping: Sequence[str]) -> tuple[str, ...]:
    named = [
        gene for genes in (*programs.values(), *CELL_TYPES.values(), housekeeping, HIGHLY_EXPRESSED) for gene in genes
    ]
    named = list(dict.fromkeys(named))
    if n_genes < len(named):
        raise InputError(f"n_genes={n_genes} is too few: programs, markers and housekeeping genes are {len(named)}.")
    return (*named, *(f"GENE{number + 1:04d}" for number in range(n_genes - len(named))))


def _levels(
    place: Mapping[str, int],
    programs: Mapping[str, Sequence[str]],
    housekeeping: Sequence[str],
    rng: np.random.Generator,
) -> np.ndarray:
    """Log expression of every gene in every cell type, without programs."""
    level = rng.normal(0.0, 1.3, len(place))
    level[[place[gene] for genes in programs.values() for gene in genes]] -= 0.3
    marker_genes = [place[gene] for gene in dict.fromkeys(gene for genes in CELL_TYPES.values() for gene in genes)]
    level[marker_genes] = rng.normal(-2.0, 0.3, len(marker_genes))
    level[[place[gene] for gene in HIGHLY_EXPRESSED]] = rng.normal(3.5, 0.4, len(HIGHLY_EXPRESSED))
    levels = level + rng.normal(0.0, 0.3, (len(CELL_TYPES), len(place)))
    levels[:, [place[gene] for gene in housekeeping]] = rng.normal(1.5, 0.3, len(housekeeping))
    for row, genes in zip(levels, CELL_TYPES.values(), strict=True):
        row[[place[gene] for gene in genes]] += 3.5
    return levels


def _strength_array(strengths: Strengths, diseases: tuple[str, ...], programs: tuple[str, ...]) -> np.ndarray:
    """(diseases, cell types, programs) strengths."""
    array = np.zeros((len(diseases), len(CELL_TYPES), len(programs)))
    types = tuple(CELL_TYPES)
    for (disease, cell_type, program), strength in strengths.items():
        for kind, name, known in (("cell type", cell_type, types), ("program", program, programs)):
            if name not in known:
                raise InputError(f"strengths name the {kind} {name!r}. The cohort has: {', '.join(known)}.")
        if not 0 <= strength <= 1:
            raise InputError(f"The strength of {program} in {disease}, {cell_type} must be 0 to 1, not {strength}.")
        array[diseases.index(disease), types.index(cell_type), programs.index(program)] = strength
    return array
