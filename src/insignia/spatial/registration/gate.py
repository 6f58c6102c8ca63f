"""Whether a registered pair can be trusted, and if not, why.

Wrong poses of the very pair are the measure, other rotations and the section turned over: what a true pair agrees
depends on tissue and stain, so that a fixed correlation would accept foreign sections or refuse true ones.
"""

from typing import Final

import numpy as np

from insignia.spatial.registration.pair import PairResult

__all__ = ["objections"]

_EVIDENCE: Final = 1.6
"""Overlap, correlation and their margin together. On the simulated and real pairs it was chosen on (see the tests),
at most 1.56 for foreign sections and sections upside down, and at least 1.57 for all but a few hundred true ones."""

_EVIDENCE_OF_EITHER_SIDE: Final = 1.7
"""The same where the section may lie upside down: of twice as many poses, the best wrong one agrees better (1.63 at
most for foreign sections, at least 1.78 for true ones)."""

_OUTLINE: Final = (0.85, 0.04)
"""Overlap and its margin from which the outline alone tells the pose."""

_ALONE: Final = (0.8, 0.01)
"""The same for sections that have nothing but an outline."""

_TURNED_OVER: Final = 0.1
_SCALES: Final = (0.9, 1.1)
"""Sections of one block differ by less; simulated stretching of 5 % on both sides stays within."""


def objections(pair: PairResult) -> tuple[str, ...]:
    """List what speaks against a pair; empty if it is convincing."""
    reasons = []
    largest, smallest = pair.transform.scales
    if not _SCALES[0] ** 2 <= smallest * largest <= _SCALES[1] ** 2:
        reasons.append(f"its area would change {largest * smallest:.2f} times")
    if pair.other_side is not None and pair.other_side.score > pair.found.score + _TURNED_OVER:
        reasons.append("it fits better turned over (mirrored=True)")
    if not (_by_outline(pair) or _by_evidence(pair)):
        reasons.append("wrong rotations agree as well" if pair.margin < _TURNED_OVER else "it agrees too little")
    return tuple(reasons)


def _by_evidence(pair: PairResult) -> bool:
    enough = _EVIDENCE_OF_EITHER_SIDE if pair.either_side else _EVIDENCE
    return not np.isnan(pair.found.ncc) and pair.found.score + pair.margin >= enough


def _by_outline(pair: PairResult) -> bool:
    if np.isnan(pair.found.ncc):
        return pair.agreement.iou >= _ALONE[0] and pair.margin >= _ALONE[1]
    return pair.agreement.iou >= _OUTLINE[0] and pair.outline_margin >= _OUTLINE[1]
