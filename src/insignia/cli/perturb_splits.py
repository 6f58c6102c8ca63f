"""The splits of `insignia perturb split`, by the name of their kind."""

from typing import TYPE_CHECKING

from insignia.core.errors import InputError

if TYPE_CHECKING:
    from insignia.data import PerturbationData, Split

__all__ = ["KINDS", "make_splits"]

KINDS = ("combo", "additive", "unseen-genes", "folds", "unseen-context")


def make_splits(
    data: "PerturbationData",
    kind: str,
    *,
    share: float | None,
    share_genes: float,
    folds: int,
    hold: list[str],
    seed: int,
) -> tuple["Split", ...]:
    """Make the splits of a kind.

    Raises
    ------
    InputError
        There is no such kind, or the screen has nothing to hold out for it.
    """
    from insignia.data import perturbation_splits as splits

    given = {} if share is None else {"share": share}
    if kind == "additive":
        return (splits.additive_split(data, rng=seed, **given),)
    if kind == "unseen-genes":
        return (splits.unseen_genes_split(data, rng=seed, **given),)
    if kind == "combo":
        combos = {} if share is None else {"share_combos": share}
        return (splits.combo_split(data, share_genes=share_genes, rng=seed, **combos),)
    if kind == "folds":
        return splits.single_folds(data, folds, rng=seed)
    if kind == "unseen-context":
        return (splits.unseen_context_split(data, hold),)
    raise InputError(f"--kind takes {', '.join(KINDS)}; found {kind!r}.")
