"""Scores of signatures on imputed spots, with intervals calibrated on the scores of hidden spots themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from insignia.core import keys
from insignia.core.errors import DuplicateNames, GeneMatchError
from insignia.genes import GeneVocabulary, Signature, control_genes, covered_match, unit_weights
from insignia.genes import signature as to_signature
from insignia.spatial.left_out import LeftOut
from insignia.spatial.panel import Panel
from insignia.spatial.uncertainty import Calibration, calibrate, is_predictable

__all__ = ["SignatureScores", "Signatures", "read_signatures", "wanted_genes"]

_ENDS: Final = (keys.SD, keys.LOWER, keys.UPPER)
_N_CONTROLS: Final = 3
_LEAST_COUNT: Final = 1e-3

Signatures = Sequence[str | Signature] | Mapping[str, Sequence[str] | Mapping[str, float]]


def read_signatures(signatures: Signatures) -> tuple[Signature, ...]:
    """Make signatures of whatever a user gives: names, `Signature` objects, or names with genes or weights.

    Raises
    ------
    SignatureError, UnknownName
        One is none.
    DuplicateNames
        Two have one name.
    """
    if isinstance(signatures, str | Signature):
        signatures = [signatures]
    if isinstance(signatures, Mapping):
        made = tuple(replace(to_signature(genes), name=name) for name, genes in signatures.items())
    else:
        made = tuple(to_signature(one) for one in signatures)
    names = [one.name for one in made]
    if len(set(names)) < len(names):
        raise DuplicateNames(f"Signatures need names that differ, found {names}. Give them as a mapping from name.")
    return made


def wanted_genes(signatures: Sequence[Signature], measured: Sequence[str], mean_count: np.ndarray) -> tuple[str, ...]:
    """Names of the measured genes that scores need: those of the signatures, and their controls."""
    found: set[int] = set()
    for one in signatures:
        match = one.match(_vocabulary(measured))
        genes = match.index[match.found]
        found |= {int(place) for place in [*genes, *_controls(genes, mean_count).ravel()]}
    return tuple(measured[place] for place in sorted(found))


def _vocabulary(genes: Sequence[str]) -> GeneVocabulary:
    return GeneVocabulary(np.array(genes, dtype=object))


def _controls(genes: np.ndarray, mean_count: np.ndarray) -> np.ndarray:
    return control_genes(genes, np.log(mean_count + _LEAST_COUNT), _N_CONTROLS)


@dataclass(frozen=True, eq=False)
class SignatureScores:
    r"""Signatures as weights of the genes of a panel.

    A score is :math:`\sum w (y - \bar y_c) / \sum |w|`: each gene against the mean of the three genes outside of the
    signature that come closest to it in mean count. Expression is ln of shares of counts, each raised by one, and
    without controls a sum of genes would first of all tell how many counts the spot has. Control genes follow
    Tirosh et al. 2016, doi:10.1126/science.aad0501.

    Parameters
    ----------
    names
        Of the signatures.
    weights
        (genes, signatures) by which a spot's expression is multiplied, those of the controls included.
    coverage
        (signatures,) share of each one's genes that is in the panel.
    """

    names: tuple[str, ...]
    weights: np.ndarray
    coverage: np.ndarray

    @classmethod
    def of(cls, signatures: Sequence[Signature], panel: Panel, *, min_coverage: float) -> "SignatureScores":
        """Find signatures in a panel.

        Raises
        ------
        GeneMatchError
            Less than `min_coverage` of the genes of one are there, or there is no gene beside them.
        """
        weights, coverage = np.zeros((len(panel), len(signatures))), np.zeros(len(signatures))
        for number, one in enumerate(signatures):
            match = covered_match(one, _vocabulary(panel.genes), min_coverage, among="what the sections measured")
            genes = match.index[match.found]
            controls = _controls(genes, panel.mean_count)
            if not controls.size:
                raise GeneMatchError(
                    f"All {len(panel):,} imputed genes are in {one.name}: there is none to compare with."
                )
            found = unit_weights(one, match)
            np.add.at(weights[:, number], genes, found)
            np.add.at(weights[:, number], controls, -found[:, None] / controls.shape[1])
            coverage[number] = match.coverage
        return cls(tuple(one.name for one in signatures), weights, coverage)

    def of_hidden(self, left_out: LeftOut) -> LeftOut:
        """Return the scores of hidden spots, measured and predicted; genes are taken as independent in the sd."""
        changes = {name: getattr(left_out, name) @ self.weights for name in ("truth", "mean", "profile")}
        return replace(left_out, **changes, sd=self._sd(left_out.sd))

    def table(self, left_out: LeftOut | None) -> pd.DataFrame:
        """How each signature is covered, and how well it was predicted where it was hidden."""
        hidden = None if left_out is None else self.of_hidden(left_out)
        return pd.DataFrame(
            {
                "coverage": self.coverage,
                "cv_pcc": np.nan if hidden is None else hidden.gene_pcc(),
                "cv_skill": np.nan if hidden is None else hidden.gene_skill(),
                keys.PREDICTABLE: is_predictable(left_out, len(self.weights), weights=self.weights),
            },
            index=pd.Index(self.names),
        )

    def calibration(self, left_out: LeftOut | None, *, level: float, depth_slope: float) -> Calibration:
        """Learn intervals of scores from hidden spots: how errors of genes go together is in them."""
        hidden = None if left_out is None else self.of_hidden(left_out)
        return calibrate(hidden, len(self.names), level=level).with_depth(depth_slope)

    def scored(
        self,
        values: np.ndarray,
        sd: np.ndarray,
        calibration: Calibration,
        support: np.ndarray,
        gaps: np.ndarray,
        *,
        is_known: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Score spots: columns by name, (spots,) each, with ``_sd``, ``_lower`` and ``_upper``.

        Parameters
        ----------
        values
            (spots, genes) expression, measured in known spots.
        sd
            (spots, genes) from the imputer.
        calibration
            Of the scores.
        support, gaps
            (spots,) as `Calibration.apply` has them.
        is_known
            (spots,) where the score is measured, with an sd of 0.
        """
        scores = values.astype(np.float64) @ self.weights
        ends = calibration.apply(scores, self._sd(sd), support, gaps)
        for end, at_known in zip(ends, (np.zeros_like(scores), scores, scores), strict=True):
            end[is_known] = at_known[is_known]
        columns = {}
        for number, name in enumerate(self.names):
            columns[name] = scores[:, number]
            columns |= {f"{name}_{kind}": end[:, number] for kind, end in zip(_ENDS, ends, strict=True)}
        return columns

    def _sd(self, sd: np.ndarray) -> np.ndarray:
        return np.asarray(np.sqrt(sd.astype(np.float64) ** 2 @ self.weights**2))
