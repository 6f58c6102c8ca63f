"""The genes of simulated sections: four groups, by what can predict them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import sparse

from insignia.data.count_noise import gamma_poisson
from insignia.data.tissue_fields import TISSUES

__all__ = ["GENE_GROUPS", "TissueGenes", "measure"]

GENE_GROUPS: Final = {
    "A": "follow the tissue types, which the image shows",
    "B": "follow fields that the image does not show and that change slowly with depth",
    "C": "follow both",
    "D": "are the same everywhere",
}
"""What the genes of each group follow."""

_LEVEL_SD: Final = 1.0
_VISIBLE_SD: Final = {"A": 1.2, "B": 0.0, "C": 0.8, "D": 0.0}
_HIDDEN_SD: Final = {"A": 0.0, "B": 0.48, "C": 0.34, "D": 0.0}
_N_HIDDEN: Final = 3
_DONOR_SD: Final = 0.3
_SHAPE: Final = 5.0
_DEPTH_LOG_SD: Final = 0.35
_SECTION_FACTOR: Final = (0.6, 1.4)


@dataclass(frozen=True, eq=False)
class TissueGenes:
    """How genes depend on tissue; shared by the donors of one simulation, but for `level`.

    Parameters
    ----------
    names
        (genes,) such as ``"A01"``, their group first.
    groups
        (genes,) ``"A"``, ``"B"``, ``"C"`` or ``"D"``.
    level
        (genes,) log expression, up to a constant.
    visible
        (tissue types, genes) log fold changes.
    hidden
        (fields, genes) log fold change for a standard deviation of each invisible field.
    """

    names: np.ndarray
    groups: np.ndarray
    level: np.ndarray
    visible: np.ndarray
    hidden: np.ndarray

    @classmethod
    def make(cls, per_group: int, rng: np.random.Generator) -> "TissueGenes":
        """Draw levels and loadings."""
        groups = np.repeat(list(GENE_GROUPS), per_group)
        names = np.array([f"{group}{number + 1:02d}" for group in GENE_GROUPS for number in range(per_group)])
        level = rng.normal(0.0, _LEVEL_SD, len(names))
        visible = rng.normal(0.0, 1.0, (len(TISSUES), len(names))) * _by_gene(_VISIBLE_SD, groups)
        hidden = rng.normal(0.0, 1.0, (_N_HIDDEN, len(names))) * _by_gene(_HIDDEN_SD, groups)
        return cls(names, groups, level, _balanced(visible, level, groups), _balanced(hidden, level, groups))

    def of_donor(self, rng: np.random.Generator) -> "TissueGenes":
        """Return the same genes at the levels of another person."""
        shifted = self.level + rng.normal(0.0, _DONOR_SD, len(self.level))
        return TissueGenes(self.names, self.groups, shifted, self.visible, self.hidden)

    def log_rates(self, composition: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        """Log of each gene's share of a spot's counts, (spots, genes), from (spots, 4) and (spots, 3)."""
        level = self.level + composition @ self.visible + hidden @ self.hidden
        rates: np.ndarray = level - np.log(np.exp(level).sum(axis=1, keepdims=True))
        return rates


def _by_gene(by_group: Mapping[str, float], groups: np.ndarray) -> np.ndarray:
    return np.array([by_group[group] for group in groups])


def _balanced(effects: np.ndarray, level: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Shift effects so that those of a group cancel in the sum of expression, and the other groups' shares stay."""
    balanced = effects.copy()
    for group in GENE_GROUPS:
        here = groups == group
        share = np.exp(level[here]) / np.exp(level[here]).sum()
        balanced[:, here] -= (effects[:, here] @ share)[:, None]
    return balanced


def measure(log_rates: np.ndarray, depth: float, rng: np.random.Generator) -> sparse.csr_matrix:
    """Draw the counts of one section, (spots, genes), with a depth of its own and depths of its spots."""
    depths = depth * rng.uniform(*_SECTION_FACTOR) * rng.lognormal(0.0, _DEPTH_LOG_SD, len(log_rates))
    return gamma_poisson(log_rates, depths, _SHAPE, rng)
