"""How far to trust the flow beside the plain answer, measured on genes and pairs that were left out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.optimize import lsq_linear

from insignia.data.condition import Condition

__all__ = ["LeftOut", "Trust", "fit_trust", "left_out_parts"]


@dataclass(frozen=True)
class Trust:
    """Weights of the final answer ``known + mean_weight * unseen * mean + flow_weight * (flow - known)``.

    Here ``known`` is the additive answer for the perturbed genes that were seen, ``unseen`` counts the others and
    ``mean`` is the mean effect of all perturbations. With a useless embedding the flow weight falls to 0 and the mean
    is left.

    Parameters
    ----------
    mean_unseen, flow_unseen
        For conditions with an unseen gene.
    flow_seen
        For combinations of seen genes; 0 where training holds none to leave out.
    n_unseen, n_seen
        Left-out conditions that the weights rest on.
    """

    mean_unseen: float = 0.0
    flow_unseen: float = 1.0
    flow_seen: float = 1.0
    n_unseen: int = 0
    n_seen: int = 0

    def to_dict(self) -> dict[str, float]:
        """Plain values, fit for JSON."""
        return asdict(self)

    def combine(self, known: np.ndarray, mean: np.ndarray, flow: np.ndarray, *, n_unseen: int) -> np.ndarray:
        """Mix the three answers, (genes,) each."""
        if n_unseen:
            mixed: np.ndarray = known + self.mean_unseen * n_unseen * mean + self.flow_unseen * (flow - known)
        else:
            mixed = known + self.flow_seen * (flow - known)
        return mixed


@dataclass(frozen=True, eq=False)
class LeftOut:
    """What was predicted for a left-out condition, and what was measured; (genes,) each."""

    known: np.ndarray
    mean: np.ndarray
    flow: np.ndarray
    measured: np.ndarray
    n_unseen: int


def left_out_parts(conditions: Sequence[Condition], n_parts: int, rng: np.random.Generator) -> list[list[Condition]]:
    """Divide the perturbed genes into parts; a part holds what touches its genes, and some pairs of the others."""
    perturbed = sorted((one for one in conditions if not one.is_control), key=str)
    genes = sorted({gene for one in perturbed for gene in one.genes})
    parts: list[list[Condition]] = []
    pairs = [one for one in perturbed if len(one.genes) > 1]
    order = rng.permutation(len(pairs))
    for part, held in enumerate(np.array_split(rng.permutation(genes), min(n_parts, len(genes)))):
        touched = {one for one in perturbed if set(one.genes) & set(held)}
        more = {pairs[i] for i in order[part::n_parts]}
        if len(touched | more) < len(perturbed):
            parts.append(sorted(touched | more, key=str))
    return parts


def fit_trust(results: Sequence[LeftOut]) -> Trust:
    """Fit the weights, from 0 to 1 each, by least squares over left-out conditions.

    Where conditions were left out and none was a combination of seen genes, the additive answer stands for those: a
    network that was never shown a combination may say anything of one.
    """
    unseen = [one for one in results if one.n_unseen]
    seen = [one for one in results if not one.n_unseen]
    weights: dict[str, float] = {}
    if unseen:
        means = np.concatenate([one.n_unseen * one.mean for one in unseen])
        flows = np.concatenate([one.flow - one.known for one in unseen])
        wanted = np.concatenate([one.measured - one.known for one in unseen])
        mean_weight, flow_weight = lsq_linear(np.column_stack([means, flows]), wanted, bounds=(0, 1)).x
        weights |= {"mean_unseen": float(mean_weight), "flow_unseen": float(flow_weight)}
    if seen:
        flow, wanted = (
            np.concatenate([getattr(one, name) - one.known for one in seen]) for name in ("flow", "measured")
        )
        weights["flow_seen"] = float(np.clip((flow @ wanted) / max(flow @ flow, 1e-12), 0, 1))
    elif results:
        weights["flow_seen"] = 0.0
    return Trust(**weights, n_unseen=len(unseen), n_seen=len(seen))
