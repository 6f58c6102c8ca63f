"""What is run in a comparison: methods, the baselines beside them, and controls that are wrong on purpose."""

from collections.abc import Collection, Mapping, Sequence

from insignia.data import SectionStack
from insignia.spatial.baselines import BASELINES
from insignia.spatial.contract import Imputer, imputers
from insignia.spatial.evaluation.harness import Entry
from insignia.spatial.evaluation.stacks import identity_aligned, spots_permuted, turned

__all__ = ["baselines_and_methods", "chosen_methods", "control_entries"]


def chosen_methods(methods: Collection[str] | Mapping[str, str | Imputer] | None) -> dict[str, str | Imputer]:
    """Return imputers by label; all that are registered for `None`."""
    if methods is None:
        return {name: name for name in imputers}
    chosen: dict[str, str | Imputer] = (
        dict(methods) if isinstance(methods, Mapping) else {name: name for name in methods}
    )
    for method in chosen.values():
        if isinstance(method, str):
            imputers.entry(method)
    return chosen


def baselines_and_methods(seen: SectionStack, chosen: Mapping[str, str | Imputer]) -> list[Entry]:
    """List the baselines, and the chosen methods that are not among them."""
    entries = [Entry("imputer", label, method, seen) for label, method in chosen.items() if label not in BASELINES]
    return entries + [Entry("baseline", name, name, seen) for name in BASELINES]


def control_entries(
    seen: SectionStack, known: Collection[str], checked: Mapping[str, str | Imputer], *, seeds: Sequence[int]
) -> list[Entry]:
    """List methods on known spots that are permuted, and on sections that are not aligned; without any known, none.

    One permutation of smooth fields may resemble them by chance, so the kernel, which is fast, is run on one for each
    seed; the others on one.
    """
    if not known:
        return []
    once, identity = tuple(seeds[:1]), identity_aligned(seen)
    entries = []
    for label, method in checked.items():
        for seed in seeds if label == "kernel" else once:
            permuted = spots_permuted(seen, known, seed=seed)
            entries.append(Entry("control", f"{label}, spots permuted", method, permuted, (seed,)))
        entries.append(Entry("control", f"{label}, identity alignment", method, identity, once))
    return [*entries, Entry("control", "kernel, turned by 180 degrees", "kernel", turned(seen, known), once)]
