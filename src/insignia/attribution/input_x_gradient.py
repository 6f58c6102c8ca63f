"""Input x gradient: the local slope at the cell, times the way from the baseline."""

import numpy as np

from insignia.attribution.contract import Explained, Method, PathOptions, Target, methods
from insignia.attribution.path_gradient import path_gradient
from insignia.attribution.scored import Rule
from insignia.core.errors import DegenerateTarget
from insignia.models import Encoder, Inputs

__all__ = ["InputXGradient"]


class InputXGradient(Method):
    """``(x_g - b_g) * ds/dx_g (x)`` (Shrikumar et al. 2016, arXiv:1605.01713); it need not add up to the change."""

    is_complete = False
    interpolates = True

    def check(self, encoder: Encoder, target: Target) -> None:
        """Refuse the self-weighted target of a normalised embedding, whose gradient is identically zero at the cell."""
        if target.is_self and encoder.is_normalised and not target.is_raw:
            raise DegenerateTarget(
                f"Embeddings of {encoder.name} have length 1, so the gradient of target {target.name!r} is zero at "
                "every cell and input x gradient would be rounding noise. Use method='integrated_gradients', or "
                "target='self_raw', which scores the embedding before normalisation."
            )

    def explain(
        self, encoder: Encoder, inputs: Inputs, baseline: Inputs | None, *, target: Target, options: PathOptions
    ) -> Explained:
        """Explain a block of cells by the gradient at its end."""
        at_the_cell = Rule(np.ones(1), np.ones(1))
        return path_gradient(encoder, inputs, baseline, target=target, rule=at_the_cell, options=options)


methods.add("input_x_gradient", source="arXiv:1605.01713")(InputXGradient())
