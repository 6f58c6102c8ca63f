"""Which units are learnt from and which are scored; a unit is a donor, a section or a perturbation, never a cell."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from insignia.core.errors import InputError

__all__ = ["Split", "k_fold", "known_sections_each", "leave_one_out"]


@dataclass(frozen=True)
class Split:
    """One way to divide units; no unit is in two places.

    Parameters
    ----------
    name
        What is held out, for tables.
    train
        Units a method may learn from.
    test
        Units it is scored on and never sees.
    given
        Units of the test side whose truth the method is told, e.g. the one measured section of a donor; never scored.
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    given: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.test:
            raise InputError(f"Split {self.name!r} leaves nothing to score.")
        for part in ("train", "test", "given"):
            units = tuple(sorted(getattr(self, part)))
            if len(set(units)) < len(units):
                raise InputError(f"Split {self.name!r} has a unit twice in {part}: {list(units)}.")
            object.__setattr__(self, part, units)
        shared = set(self.train) & set(self.test) | set(self.train) & set(self.given) | set(self.test) & set(self.given)
        if shared:
            raise InputError(f"Split {self.name!r} has {', '.join(sorted(shared))} in more than one part.")

    @property
    def fingerprint(self) -> str:
        """Short hash of the units in their parts, the same on every machine, to stand beside results."""
        parts = {part: units for part, units in asdict(self).items() if part != "name"}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def leave_one_out(units: Sequence[str], *, groups: Mapping[str, str] | None = None) -> tuple[Split, ...]:
    """Hold out each unit in turn, or each group of units that belong together.

    Parameters
    ----------
    units
        Sections, donors or perturbations.
    groups
        Group of each unit, e.g. the donor of each section; units of a group are never divided.
    """
    return _held_out([(name, (name,)) for name in _group_names(units, groups)], units, groups)


def k_fold(
    units: Sequence[str], k: int, *, groups: Mapping[str, str] | None = None, rng: int | np.random.Generator
) -> tuple[Split, ...]:
    """Hold out units, or whole groups of them, in `k` parts of nearly equal number.

    Parameters
    ----------
    units
        Sections, donors or perturbations; their order does not matter.
    k
        Number of folds, at least 2.
    groups
        Group of each unit; units of a group are never divided.
    rng
        Seed or generator of the order in which groups are dealt out.

    Raises
    ------
    InputError
        There are fewer groups than folds.
    """
    names = _group_names(units, groups)
    if not 2 <= k <= len(names):
        raise InputError(f"{len(names)} groups of units can be divided into 2 to {len(names)} folds; k is {k}.")
    dealt = np.random.default_rng(rng).permutation(names)
    return _held_out([(f"fold {i + 1} of {k}", tuple(dealt[i::k])) for i in range(k)], units, groups)


def known_sections_each(sections: Sequence[str], *, train: Sequence[str] = ()) -> tuple[Split, ...]:
    """Make each section of a block the known one in turn; the others are scored.

    Parameters
    ----------
    sections
        Measured sections of one block.
    train
        Sections of other blocks to learn from.
    """
    if len(set(sections)) < 2:
        raise InputError(f"One section is given and the others are scored, so there must be two; found {sections}.")
    return tuple(
        Split(f"known {known}", tuple(train), tuple(name for name in sections if name != known), (known,))
        for known in sections
    )


def _group_names(units: Sequence[str], groups: Mapping[str, str] | None) -> list[str]:
    if len(set(units)) < len(units):
        raise InputError(f"Units to divide must have names of their own, found {list(units)}.")
    if groups is None:
        return sorted(units)
    if missing := [unit for unit in units if unit not in groups]:
        raise InputError(f"{len(missing):,} of {len(units):,} units have no group, e.g. {missing[:5]}.")
    return sorted({groups[unit] for unit in units})


def _held_out(
    parts: Sequence[tuple[str, tuple[str, ...]]], units: Sequence[str], groups: Mapping[str, str] | None
) -> tuple[Split, ...]:
    of = {unit: unit if groups is None else groups[unit] for unit in units}
    if len(set(of.values())) < 2:
        raise InputError(f"Nothing would be left to learn from: all units belong to {next(iter(of.values()), 'none')}.")
    return tuple(
        Split(name, tuple(u for u in units if of[u] not in held), tuple(u for u in units if of[u] in held))
        for name, held in parts
    )
