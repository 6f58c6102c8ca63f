"""Expected gradients: integrated gradients averaged over several baselines."""

import numpy as np

from insignia.attribution.contract import Explained, Method, PathOptions, Target, methods
from insignia.core.errors import InputError
from insignia.models import Encoder, Inputs

__all__ = ["ExpectedGradients"]


class ExpectedGradients(Method):
    """``E_b[IG(x; b)]`` over K given baselines, each integrated in full.

    Erion et al. 2021 (doi:10.1038/s42256-021-00343-w). Their form draws one baseline and one point of the path a time;
    with K given baselines the mean of their integrals is the same expectation without its sampling noise.
    """

    takes_many_baselines = True
    follows_path = True
    interpolates = True

    def explain(
        self, encoder: Encoder, inputs: Inputs, baseline: Inputs | None, *, target: Target, options: PathOptions
    ) -> Explained:
        """Explain a block of cells against each baseline, and average."""
        if baseline is None:
            raise InputError(
                "expected_gradients compares each cell with several baselines, and none is given. Pass baseline= with "
                "one row a baseline, e.g. adata[rng.choice(adata.n_obs, 20)].X."
            )
        single = methods["integrated_gradients"]
        parts = [
            single.explain(encoder, inputs, baseline.rows(np.array([k])), target=target, options=options)
            for k in range(baseline.n_cells)
        ]
        mean = parts[0].attribution
        for part in parts[1:]:
            mean = mean + part.attribution
        count = len(parts)
        return Explained(
            (mean / count).tocsr(),
            np.mean([part.change for part in parts], axis=0),
            np.mean([part.score for part in parts], axis=0),
        )

    def advice(self, options: PathOptions) -> str:
        """Say what to do about a wide gap."""
        return f"Raise n_steps (now {options.n_steps or 'auto'})."


methods.add("expected_gradients", source="doi:10.1038/s42256-021-00343-w")(ExpectedGradients())
