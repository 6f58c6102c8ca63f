"""The expression of the nearest known spot."""

from collections.abc import Sequence

import numpy as np

from insignia.spatial.contract import Imputed, Imputer, StackSpots, imputers
from insignia.spatial.known import known_neighbours, mean_and_sd

__all__ = ["Nearest"]


@imputers.add("nearest")
class Nearest(Imputer):
    """Copy the nearest known spot, by its distance in space; a spot that has none gets the mean."""

    def impute(self, spots: StackSpots, *, training: Sequence[StackSpots] = (), seed: int = 0) -> Imputed:  # noqa: ARG002
        """Impute every spot of a stack."""
        mean, sd = mean_and_sd(spots, training)
        imputed = np.tile(mean, (len(spots), 1))
        if spots.is_known.any():
            near = known_neighbours(spots, np.arange(len(spots)), 1)
            far = np.hypot(near.distance, near.dz)
            best = np.argmin(far, axis=1)[:, None]
            has_one = np.isfinite(np.take_along_axis(far, best, axis=1)).ravel()
            rows = np.take_along_axis(near.rows, best, axis=1).ravel()[has_one]
            imputed[has_one] = spots.expression[rows]
        # two independent spots differ by this much
        spread = np.broadcast_to((np.sqrt(2) * sd).astype(np.float32), imputed.shape)
        return Imputed(imputed.astype(np.float32), spread.copy())
