"""Norman's pairs, by additive and unseen genes, and the unseen singles of Replogle (RPE1, K562) and Adamson."""

from typing import Final

from insignia.core.errors import InputError
from insignia.data import PerturbationData, Split
from insignia.data.perturbation_splits import additive_split, single_folds, unseen_genes_split
from insignia.perturb.protocols.contract import Protocol, protocols

__all__ = ["ADAMSON", "K562", "NORMAN_ADDITIVE", "NORMAN_HOLDOUT", "RPE1"]

_HELD_OUT_GENES: Final = 12
_SHARED: Final = (
    "as GEARS shares it (doi:10.1038/s41587-023-01905-6), or from scPerturb (doi:10.1038/s41592-023-02144-y), and name "
    "the h5ad file."
)


def _additive(data: PerturbationData, n: int, seed: int) -> tuple[Split, ...]:
    return tuple(additive_split(data, share=0.3, rng=seed + i) for i in range(n))


def _unseen_genes(data: PerturbationData, n: int, seed: int) -> tuple[Split, ...]:
    genes = {gene for condition in data.conditions for gene in condition.genes}
    if len(genes) <= 2 * _HELD_OUT_GENES:
        raise InputError(
            f"{_HELD_OUT_GENES} genes are held out, and the screen has {len(genes)}. Is it the whole data set?"
        )
    share = _HELD_OUT_GENES / len(genes)
    return tuple(unseen_genes_split(data, share=share, rng=seed + i) for i in range(n))


def _folds(data: PerturbationData, n: int, seed: int) -> tuple[Split, ...]:
    return single_folds(data, n, rng=seed)


NORMAN_ADDITIVE: Final = Protocol(
    title="Norman: pairs whose genes were perturbed alone",
    wanted=f"Download the screen of Norman et al. 2019 {_SHARED}",
    splits=_additive,
    n_splits=5,
    needs_embedding=False,
)
NORMAN_HOLDOUT: Final = Protocol(
    title="Norman: twelve genes held out, with every pair that touches them",
    wanted=f"Download the screen of Norman et al. 2019 {_SHARED}",
    splits=_unseen_genes,
    n_splits=5,
    needs_embedding=True,
)
RPE1: Final = Protocol(
    title="Replogle RPE1, essential genes: every gene held out once",
    wanted=f"Download the essential-gene screen in RPE1 of Replogle et al. 2022 {_SHARED}",
    splits=_folds,
    n_splits=5,
    needs_embedding=True,
)
K562: Final = Protocol(
    title="Replogle K562, essential genes: every gene held out once",
    wanted=f"Download the essential-gene screen in K562 of Replogle et al. 2022 {_SHARED}",
    splits=_folds,
    n_splits=5,
    needs_embedding=True,
)
ADAMSON: Final = Protocol(
    title="Adamson: every gene held out once",
    wanted=f"Download the screen of Adamson et al. 2016 {_SHARED}",
    splits=_folds,
    n_splits=5,
    needs_embedding=True,
)

protocols.add("norman-additive", source="doi:10.1126/science.aax4438")(NORMAN_ADDITIVE)
protocols.add("norman-holdout", source="doi:10.1126/science.aax4438")(NORMAN_HOLDOUT)
protocols.add("rpe1", source="doi:10.1016/j.cell.2022.05.013")(RPE1)
protocols.add("k562", source="doi:10.1016/j.cell.2022.05.013")(K562)
protocols.add("adamson", source="doi:10.1016/j.cell.2016.11.048")(ADAMSON)
