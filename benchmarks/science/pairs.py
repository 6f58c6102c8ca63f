"""Which study trains and which is scored; no donor is in both, and what was tuned on is not reported."""

from typing import Final

import numpy as np

from benchmarks.science.studies import Study, shared_genes, study

__all__ = ["REPORTED", "TUNED", "pair", "some"]

REPORTED: Final = {
    "Kang to 10x chemistries": ("kang_control", "symphony"),
    "Kang to PBMC 5k": ("kang_control", "pbmc5k"),
    "Kang to HNSCC": ("kang_control", "hnscc"),
    "10x chemistries to Kang": ("symphony", "kang_untuned"),
    "10x chemistries to PBMC 5k": ("symphony", "pbmc5k"),
}
TUNED: Final = {
    "Kang, three donors to two": ("kang_deep_train", "kang_deep_test"),
    "Kang to PBMC 68k": ("kang_control", "pbmc68k"),
}
_TEST_DONORS: Final = ("1256", "1488")
_UNTUNED_DONORS: Final = ("101", "107", "1039")


def pair(trains: str, scored: str) -> tuple[Study, Study]:
    """Read a training study and one to score, with the genes that both measure."""
    first, second = _named(trains), _named(scored)
    genes = shared_genes(first, second)
    return first.of(genes), second.of(genes)


def some(one: Study, n_cells: int, seed: int = 0) -> Study:
    """Draw cells without replacement; all of them if there are fewer."""
    order = np.random.default_rng(seed).permutation(len(one.types))
    return one.where(np.isin(np.arange(len(order)), order[:n_cells]))


def _named(name: str) -> Study:
    if name == "kang_untuned":
        found = study("kang_control")
        return found.where(np.isin(found.donors, _UNTUNED_DONORS), name)
    if name.startswith("kang_deep_"):
        found = study("kang_deep")
        tested = np.isin(found.donors, _TEST_DONORS)
        if name == "kang_deep_test":
            return some(found.where(tested, name), 300)
        return some(found.where(~tested, name), 1000)
    return study(name)
