"""Integrated gradients along the straight path from a baseline to the cell."""

import numpy as np
from scipy.sparse import vstack

from insignia.attribution.contract import Explained, Method, PathOptions, Target, methods
from insignia.attribution.path_gradient import path_gradient
from insignia.attribution.scored import Rule
from insignia.attribution.sparse_paths import start_of
from insignia.models import Encoder, Inputs

__all__ = ["IntegratedGradients"]

_LADDER = (8, 16, 32, 64, 128, 256)


class IntegratedGradients(Method):
    """``IG_g = (x_g - b_g) * int_0^1 ds/dx_g (b + a (x - b)) da`` by Gauss-Legendre quadrature.

    Sundararajan, Taly & Yan 2017 (arXiv:1703.01365), eq. 1.
    """

    follows_path = True
    interpolates = True

    def explain(
        self, encoder: Encoder, inputs: Inputs, baseline: Inputs | None, *, target: Target, options: PathOptions
    ) -> Explained:
        """Explain a block of cells with a fixed number of steps, or with as many as each cell needs."""
        if options.n_steps:
            return _explain(encoder, inputs, baseline, target, options, options.n_steps)
        return _climb(encoder, inputs, baseline, target, options)

    def advice(self, options: PathOptions) -> str:
        """Say what to do about a wide gap."""
        return f"Raise n_steps (now {options.n_steps or 'auto'})."


def gauss_legendre(n_steps: int) -> Rule:
    """Return the Gauss-Legendre rule on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(n_steps)
    return Rule((nodes + 1) / 2, weights / 2)


def _explain(
    encoder: Encoder, inputs: Inputs, baseline: Inputs | None, target: Target, options: PathOptions, n_steps: int
) -> Explained:
    rule = gauss_legendre(n_steps)
    return path_gradient(encoder, inputs, baseline, target=target, rule=rule, options=options)


def _climb(
    encoder: Encoder, inputs: Inputs, baseline: Inputs | None, target: Target, options: PathOptions
) -> Explained:
    """Repeat the cells whose gap is above the tolerance with twice the steps, until none is left or the ladder ends."""
    best = _explain(encoder, inputs, baseline, target, options, _LADDER[0])
    rows = [best.attribution[i] for i in range(inputs.n_cells)]
    gaps = best.gap
    for n_steps in _LADDER[1:]:
        left = np.flatnonzero(gaps > options.tolerance)
        if not len(left):
            break
        again = _explain(encoder, inputs.rows(left), start_of(baseline, left), target, options, n_steps)
        for place, (row, gap) in enumerate(zip(left, again.gap, strict=True)):
            if gap < gaps[row]:
                rows[row], gaps[row] = again.attribution[place], gap
    return Explained(vstack(rows, format="csr"), best.change, best.score)


methods.add("integrated_gradients", source="arXiv:1703.01365")(IntegratedGradients())
