"""Which conditions of a screen are learned from and which are predicted; with a check that nothing leaks."""

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

import numpy as np

from insignia.core.errors import InputError
from insignia.data.condition import Condition
from insignia.data.perturbation import PerturbationData
from insignia.data.splits import Split, k_fold

T = TypeVar("T")

__all__ = [
    "additive_split",
    "check_leaks",
    "combo_split",
    "held_groups",
    "parse_unit",
    "single_folds",
    "stratum",
    "training_cells",
    "unit_of",
    "unseen_context_split",
    "unseen_genes_split",
]

_IN: Final = " | "
"""Stands in a unit between a condition and the one context that is meant; a unit without it means all contexts."""


def additive_split(data: PerturbationData, *, share: float = 0.3, rng: int | np.random.Generator = 0) -> Split:
    """Hold out a share of the combinations whose genes all have a single perturbation; train on the rest.

    Raises
    ------
    InputError
        There are no such combinations.
    """
    perturbed = _perturbed(data)
    singles = {one.genes[0] for one in perturbed if len(one.genes) == 1}
    combos = [one for one in perturbed if len(one.genes) > 1 and set(one.genes) <= singles]
    if not combos:
        raise InputError("An additive split needs combinations whose genes were also perturbed alone; there are none.")
    return _split(f"additive, {share:.0%} of combinations", data, _drawn(combos, share, rng))


def unseen_genes_split(data: PerturbationData, *, share: float = 0.2, rng: int | np.random.Generator = 0) -> Split:
    """Hold out a share of the perturbed genes, with every condition that touches them."""
    genes = sorted({gene for one in _perturbed(data) for gene in one.genes})
    held = set(_drawn(genes, share, rng))
    return _split(f"unseen genes, {len(held)} of {len(genes)}", data, _touching(data, held))


def combo_split(
    data: PerturbationData, *, share_genes: float = 0.2, share_combos: float = 0.5, rng: int | np.random.Generator = 0
) -> Split:
    """Hold out genes with all that touches them, and a share of the other combinations: all strata in one split."""
    rng = np.random.default_rng(rng)
    genes = sorted({gene for one in _perturbed(data) for gene in one.genes})
    held = set(_drawn(genes, share_genes, rng))
    test = _touching(data, held)
    rest = [one for one in _perturbed(data) if len(one.genes) > 1 and one not in set(test)]
    test += _drawn(rest, share_combos, rng) if rest else []
    return _split(f"{len(held)} of {len(genes)} genes and {share_combos:.0%} of other combinations", data, test)


def single_folds(data: PerturbationData, k: int, *, rng: int | np.random.Generator = 0) -> tuple[Split, ...]:
    """Hold out the perturbed genes in `k` parts, each with every condition that touches them."""
    genes = sorted({gene for one in _perturbed(data) for gene in one.genes})
    folds = k_fold(genes, k, rng=rng)
    return tuple(_split(fold.name, data, _touching(data, set(fold.test))) for fold in folds)


def unseen_context_split(data: PerturbationData, contexts: Sequence[str]) -> Split:
    """Hold out everything perturbed in some contexts; their control cells stay, since a prediction starts from them.

    Raises
    ------
    InputError
        A context is not there, or has nothing perturbed.
    """
    held = [contexts] if isinstance(contexts, str) else list(contexts)
    groups = [group for group in data.groups if not group[0].is_control]
    idle = [context for context in held if context not in {where for _, where in groups}]
    if idle or not held:
        raise InputError(
            f"A context to hold out must have perturbed cells, and {', '.join(map(repr, idle)) or 'none'} has none; "
            f"there are {', '.join(sorted({where for _, where in groups}))}."
        )
    units = {group: unit_of(*group) for group in groups}
    train = tuple(unit for (_, where), unit in units.items() if where not in held)
    if not train:
        raise InputError("Holding out all contexts leaves no perturbed cells to learn from.")
    test = tuple(unit for (_, where), unit in units.items() if where in held)
    return Split(f"unseen context, {', '.join(held)}", train, test)


def unit_of(condition: Condition, context: str) -> str:
    """Write a condition in one context as a unit of a split."""
    return f"{condition}{_IN}{context}"


def parse_unit(unit: str) -> tuple[Condition, str | None]:
    """Read a unit of a split: a condition, and the one context that is meant, `None` for all."""
    text, mark, context = unit.partition(_IN)
    return Condition.parse(text), context if mark else None


def held_groups(data: PerturbationData, split: Split) -> list[tuple[Condition, str]]:
    """Return the groups of cells on the test side of a split: condition and context."""
    units = {parse_unit(unit) for unit in split.test}
    return [group for group in data.groups if group in units or (group[0], None) in units]


def training_cells(data: PerturbationData, split: Split) -> PerturbationData:
    """Take all cells of the test side away; cells of conditions that the split does not name stay."""
    gone = [data.rows(*group) for group in held_groups(data, split)]
    return data.take(np.setdiff1d(np.arange(len(data)), np.concatenate(gone))) if gone else data


def stratum(condition: Condition, train: Iterable[Condition]) -> str:
    """Name how much of a condition was seen in training: ``"unseen single"``, ``"seen 1 of 2"`` ...

    A gene counts as seen if any training condition perturbs it in the same way; the stratum follows from the split and
    is never stored by hand.
    """
    seen = {(part.kind, part.gene) for one in train for part in one.perturbations}
    known = sum((part.kind, part.gene) in seen for part in condition.perturbations)
    if len(condition.perturbations) == 1:
        return "seen single" if known else "unseen single"
    return f"seen {known} of {len(condition.perturbations)}"


def check_leaks(split: Split, train: PerturbationData) -> None:
    """Refuse training cells of what is to be predicted.

    Raises
    ------
    InputError
        A test condition, in whatever order its genes are written, has cells among those that are learned from.
    """
    leaked = sorted({str(condition) for condition, _ in held_groups(train, split)})
    if leaked:
        raise InputError(
            f"{len(leaked)} conditions of the test side of split {split.name!r} are among the training cells, e.g. "
            f"{', '.join(leaked[:5])}. Take them out with data.without(...) before anything is learned."
        )


def _perturbed(data: PerturbationData) -> list[Condition]:
    return sorted({condition for condition, _ in data.groups if not condition.is_control}, key=str)


def _touching(data: PerturbationData, genes: set[str]) -> list[Condition]:
    return [one for one in _perturbed(data) if set(one.genes) & genes]


def _drawn(units: Sequence[T], share: float, rng: int | np.random.Generator) -> list[T]:
    if not 0 < share < 1:
        raise InputError(f"A share to hold out lies between 0 and 1, found {share}.")
    order = np.random.default_rng(rng).permutation(len(units))
    return [units[i] for i in sorted(order[: max(1, round(share * len(units)))])]


def _split(name: str, data: PerturbationData, test: Sequence[Condition]) -> Split:
    held = {str(condition) for condition in test}
    train = tuple(str(condition) for condition in _perturbed(data) if str(condition) not in held)
    if not train:
        raise InputError(f"Split {name!r} leaves no perturbed cells to learn from.")
    return Split(name, train, tuple(held))
