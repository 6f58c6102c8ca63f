"""Groups of donors against a reference: tests, effect sizes, and how much they hang on one study."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from insignia.atlas.group_tests import group_tests, studies_with_both
from insignia.core import keys
from insignia.core.errors import InputError
from insignia.data import SEPARATOR
from insignia.stats import benjamini_hochberg, group_effect

if TYPE_CHECKING:
    from insignia.atlas.calls import Hits
    from insignia.atlas.samples import SampleTable

__all__ = ["Comparison", "compare", "compared_rows", "labels_of", "note", "pairs", "sizes"]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Groups against a reference.

    Attributes
    ----------
    table
        One row a group and stratum, the most significant first, then those that cannot be tested:
        ``donors``, ``reference_donors``, ``studies`` (with cases), ``studies_with_both``, ``mean_fraction``,
        ``reference_fraction`` (among the studies compared), ``shift`` (Hodges-Lehmann, within studies) with ``low`` and
        ``high``, ``cliffs_delta``, ``p``, ``smallest_p``, ``q``, ``testable``, ``note``.
    reference
        Label of the reference.
    test
        Name of the test.
    alpha
        Level; rows whose smallest reachable p is above it are not testable and have no q.
    units
        The donors that were compared.
    """

    table: pd.DataFrame
    reference: str
    by: str
    test: str
    alpha: float
    units: "SampleTable" = field(repr=False)

    def leave_one_study_out(self) -> pd.DataFrame:
        """Compare again without each study in turn.

        Returns
        -------
        One row a group and stratum: ``shift_lowest``, ``shift_highest``, ``p_highest``, ``rank_best`` and
        ``rank_worst`` among the testable, and ``hangs_on``, the study without which p is highest.
        """
        from insignia.atlas.left_out import left_out_ranges, without_each_study

        return left_out_ranges(without_each_study(self))

    def leave_one_gene_out(self, hits: "Hits") -> pd.DataFrame:
        """Score, call and compare again without each gene of the signature in turn.

        Parameters
        ----------
        hits
            The hits whose sample table was compared.

        Returns
        -------
        As `leave_one_study_out`, ``hangs_on`` being a gene. See `without_each_gene` for every gene.
        """
        from insignia.atlas.left_out import left_out_ranges

        return left_out_ranges(self.without_each_gene(hits))

    def without_each_gene(self, hits: "Hits") -> pd.DataFrame:
        """Say what each gene of the signature does to the scores, the shift and the rank of every group.

        Parameters
        ----------
        hits
            The hits whose sample table was compared.

        Returns
        -------
        One row a group, stratum and gene (``without``): ``score``, how much higher the mean score of the group's
        donors is than that of the reference's, without the gene, and ``score_change``; ``shift``, ``shift_change`` and
        ``p`` of the hits called again by the same rule; ``rank`` among the testable.

        Raises
        ------
        InputError
            The comparison was not made from these hits.
        """
        from insignia.atlas.left_out_genes import without_each_gene

        return without_each_gene(self, hits)

    def permuted(self, n: int = 999, *, rng: int | np.random.Generator = 0) -> pd.Series:
        """Shuffle the labels of each study's donors and compare again: an independent check of `p`.

        Returns
        -------
        One value a row of `table`: the share of shuffles (and the truth) whose mean difference within studies is at
        least as large; NaN where no study has both groups.
        """
        if n < 1:
            raise InputError(f"At least one shuffle is needed, n is {n}.")
        generator = np.random.default_rng(rng)
        found = {}
        for group, stratum, units, is_case in pairs(self.units.table, self.by, self.reference):
            both = studies_with_both(units, is_case)
            found[group, stratum] = _permuted(units[both], is_case[both], n, generator)
        index = pd.MultiIndex.from_frame(self.table[["group", "stratum"]])
        return pd.Series([found[key] for key in index], index=self.table.index, name="p_permuted")


def compare(
    samples: "SampleTable",
    *,
    by: str = keys.DISEASE,
    reference: str = "normal",
    test: str = "van_elteren",
    alpha: float = 0.05,
    n_boot: int = 999,
    rng: int = 0,
) -> Comparison:
    """Compare the donors of each group with those of the reference, in every stratum; see `SampleTable.compare`."""
    pooled = samples if "samples" in samples.table else samples.pool_donors()
    units = replace(pooled, table=_one_row_a_donor(pooled.table, by))
    run = group_tests[test]
    labels = labels_of(units.table[by])
    if reference not in labels:
        raise InputError(f"No donor has {by} {reference!r} to compare with. There are: {', '.join(labels) or 'none'}.")
    rows = []
    for group, stratum, members, is_case in pairs(units.table, by, reference):
        outcome = run(members, is_case)
        both = studies_with_both(members, is_case)
        effect = group_effect(
            members["fraction"].to_numpy(), is_case, members[keys.STUDY].to_numpy(), n_boot=n_boot, rng=rng
        )
        testable = not np.isnan(outcome.p) and outcome.smallest_p <= alpha
        rows.append(
            {
                "group": group,
                "stratum": stratum,
                **sizes(members, is_case, both),
                "shift": effect.shift,
                "low": effect.low,
                "high": effect.high,
                "cliffs_delta": effect.cliffs_delta,
                "p": outcome.p,
                "smallest_p": outcome.smallest_p,
                "testable": testable,
                "note": note(members, is_case, by, outcome.notes, outcome.smallest_p, alpha),
            }
        )
    table = pd.DataFrame(rows, columns=None if rows else ["group", "stratum", "p", "testable", "shift"])
    table["q"] = benjamini_hochberg(table["p"].where(table["testable"].astype(bool)).to_numpy(dtype=np.float64))
    table = table.sort_values(["testable", "p", "shift"], ascending=[False, True, False], ignore_index=True)
    return Comparison(table, reference, by, test, alpha, units)


def pairs(table: pd.DataFrame, by: str, reference: str) -> Iterator[tuple[str, str, pd.DataFrame, np.ndarray]]:
    """Give each group and stratum with its donors and those of the reference."""
    for stratum, rows in table.groupby("stratum", sort=True):
        parts = [set(value.split(SEPARATOR)) for value in rows[by]]
        of_reference = np.array([found == {reference} for found in parts])
        for group in labels_of(rows[by]):
            if group in (reference, keys.UNKNOWN):
                continue
            of_group = np.array([group in found for found in parts])
            chosen = of_group | of_reference
            yield group, str(stratum), rows[chosen], of_group[chosen]


def compared_rows(units: pd.DataFrame, is_case: np.ndarray) -> np.ndarray:
    """Mark the rows of studies with both groups, or all rows where no study has both."""
    both = studies_with_both(units, is_case)
    return both if both.any() else np.ones(len(units), dtype=bool)


def _one_row_a_donor(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """Join what a donor has in several tissues, unless tissues are compared."""
    unit = list(dict.fromkeys([keys.STUDY, keys.DONOR, by, "stratum"]))
    joined = table.groupby(unit, as_index=False, sort=True)[["hits", "cells"]].sum()
    return joined.assign(fraction=joined["hits"] / joined["cells"], samples=1)


def labels_of(column: pd.Series) -> list[str]:
    """List the groups that donors belong to."""
    return sorted({label for value in column.unique() for label in str(value).split(SEPARATOR)})


def sizes(units: pd.DataFrame, is_case: np.ndarray, both: np.ndarray) -> dict[str, float]:
    """Count donors and studies, and average their fractions, those of the studies compared."""
    compared = compared_rows(units, is_case)
    fraction, studies = units["fraction"].to_numpy(), units[keys.STUDY]
    others = fraction[~is_case & compared]
    return {
        "donors": int(is_case.sum()),
        "reference_donors": int((~is_case).sum()),
        "studies": int(studies[is_case].nunique()),
        "studies_with_both": int(studies[both].nunique()),
        "mean_fraction": float(fraction[is_case & compared].mean()),
        "reference_fraction": float(others.mean()) if others.size else float("nan"),
    }


def note(
    units: pd.DataFrame,
    is_case: np.ndarray,
    by: str,
    notes: tuple[str, ...],
    smallest_p: float,
    alpha: float,
) -> str:
    """Say what a comparison rests on, and why it cannot be tested."""
    both = studies_with_both(units, is_case)
    found = [*_notes(units, is_case, both, notes, smallest_p, alpha), *_in_several(units[by], is_case)]
    return "; ".join(found)


def _notes(
    units: pd.DataFrame,
    is_case: np.ndarray,
    both: np.ndarray,
    notes: tuple[str, ...],
    smallest_p: float,
    alpha: float,
) -> Iterator[str]:
    if smallest_p > alpha:
        yield f"not testable: the smallest reachable p is {smallest_p:.2g}"
    yield from notes
    donors = units[keys.STUDY] + "\0" + units[keys.DONOR]
    if shared := len(set(donors[is_case]) & set(donors[~is_case])):
        yield f"{shared} donors stand in both groups, which are not independent"
    if units[keys.STUDY][is_case].nunique() == 1:
        yield "all cases from one study"
    elif 0 < (studies := units[keys.STUDY][both].nunique()) < units[keys.STUDY][is_case].nunique():
        yield f"{studies} of {units[keys.STUDY][is_case].nunique()} studies have both groups"


def _in_several(labels: pd.Series, is_case: np.ndarray) -> Iterator[str]:
    """Say how many cases are cases of other groups too."""
    if several := int(labels[is_case].str.contains(SEPARATOR, regex=False).sum()):
        yield f"{several} of the donors belong to several groups and count in each"


def _permuted(units: pd.DataFrame, is_case: np.ndarray, n: int, rng: np.random.Generator) -> float:
    if not len(units):
        return float("nan")
    place = np.unique(units[keys.STUDY], return_inverse=True)[1]
    fraction = units["fraction"].to_numpy()
    fraction = fraction - np.bincount(place, fraction)[place] / np.bincount(place)[place]
    truth = abs(fraction[is_case].sum())
    order = np.argsort(place, kind="stable")
    extreme = 1
    for _ in range(n):
        shuffled = np.empty_like(is_case)
        shuffled[order] = is_case[np.lexsort((rng.random(len(place)), place))]
        extreme += abs(fraction[shuffled].sum()) >= truth - 1e-12
    return extreme / (n + 1)
