"""How far to trust the flow beside the plain answer, measured on genes and pairs that were left out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from scipy.optimize import lsq_linear

from insignia.data.condition import Condition
from insignia.stats import energy_distance

__all__ = ["LeftOut", "Trust", "fit_trust", "left_out_parts", "shape_errors"]

_SHAPE_WEIGHTS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Trust:
    """Weights of the final answer ``known + mean_weight * unseen * mean + flow_weight * (flow - known)``.

    Here ``known`` is the additive answer for the perturbed genes that were seen, ``unseen`` counts the others and
    ``mean`` is the mean effect of all perturbations. With a useless embedding the flow weight falls to 0 and the mean
    is left. The shape of the cells around their mean has weights of its own: from few conditions it is harder to learn
    than the mean.

    Parameters
    ----------
    mean_unseen, flow_unseen
        For conditions with an unseen gene.
    flow_seen
        For combinations of seen genes; 0 where training holds none to leave out.
    shape_unseen, shape_seen
        Of what the flow does to single cells beyond their mean: at 0 all cells of a condition move alike.
    n_unseen, n_seen
        Left-out conditions that the weights rest on.
    """

    mean_unseen: float = 0.0
    flow_unseen: float = 1.0
    flow_seen: float = 1.0
    shape_unseen: float = 1.0
    shape_seen: float = 1.0
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
    """What was predicted for a left-out condition, and what was measured.

    Parameters
    ----------
    known, mean, flow, measured
        (genes,) each.
    n_unseen
        Perturbed genes that were not seen.
    shape
        What `shape_errors` gave for its cells; `None` where it was not asked.
    """

    known: np.ndarray
    mean: np.ndarray
    flow: np.ndarray
    measured: np.ndarray
    n_unseen: int
    shape: np.ndarray | None = None


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


def shape_errors(source: np.ndarray, carried: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Energy distance to measured cells for each weight of the flow's shape, all samples moved to one mean.

    Parameters
    ----------
    source, carried
        (cells, latent) control cells, and where the flow carries each.
    measured
        (measured cells, latent), at least two.
    """
    start, end, truth = (np.asarray(cells - cells.mean(axis=0), np.float64) for cells in (source, carried, measured))
    return np.array([energy_distance(start + weight * (end - start), truth) for weight in _SHAPE_WEIGHTS])


def fit_trust(results: Sequence[LeftOut]) -> Trust:
    """Fit the weights, from 0 to 1 each, over left-out conditions: of means by least squares, of shapes by distance.

    Where conditions were left out and none was a combination of seen genes, the additive answer stands for those, with
    control cells moved as they are: a network that was never shown a combination may say anything of one.
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
        weights["shape_unseen"] = _shape_weight(unseen)
    if seen:
        flow, wanted = (
            np.concatenate([getattr(one, name) - one.known for one in seen]) for name in ("flow", "measured")
        )
        weights["flow_seen"] = float(np.clip((flow @ wanted) / max(flow @ flow, 1e-12), 0, 1))
        weights["shape_seen"] = _shape_weight(seen)
    elif results:
        weights |= {"flow_seen": 0.0, "shape_seen": 0.0}
    return Trust(**weights, n_unseen=len(unseen), n_seen=len(seen))


def _shape_weight(results: Sequence[LeftOut]) -> float:
    """Weight with the least mean distance; 1 where no cells were compared."""
    found = [one.shape for one in results if one.shape is not None]
    return _SHAPE_WEIGHTS[int(np.mean(found, axis=0).argmin())] if found else 1.0
