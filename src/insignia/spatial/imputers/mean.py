"""The mean profile of the known spots: what every other imputer has to beat."""

from collections.abc import Sequence

import numpy as np

from insignia.spatial.contract import Imputed, Imputer, StackSpots, imputers
from insignia.spatial.known import mean_and_sd

__all__ = ["Mean"]


@imputers.add("mean")
class Mean(Imputer):
    """Give every spot the mean of the known spots, or of the training stacks if none is known."""

    def impute(self, spots: StackSpots, *, training: Sequence[StackSpots] = (), seed: int = 0) -> Imputed:  # noqa: ARG002
        """Impute every spot of a stack."""
        mean, sd = mean_and_sd(spots, training)
        shape = spots.expression.shape
        return Imputed(
            np.broadcast_to(mean.astype(np.float32), shape).copy(), np.broadcast_to(sd.astype(np.float32), shape).copy()
        )
