"""The plain average of several imputers."""

from collections.abc import Mapping, Sequence

import numpy as np

from insignia.core.errors import InputError
from insignia.spatial.contract import Imputed, Imputer, StackSpots, imputers

__all__ = ["Ensemble"]

_MEMBERS = ("blend", "propagate", "ridge")


@imputers.add("ensemble")
class Ensemble(Imputer):
    """Average imputers, each with the same weight; the spread between them adds to the uncertainty.

    Members that need features of the image stay out where there are none, and a note says so.

    Parameters
    ----------
    members
        Names of registered imputers; or imputers by the name that the record gives them.
    """

    def __init__(self, members: Sequence[str] | Mapping[str, Imputer] = _MEMBERS) -> None:
        if not members:
            raise InputError(f"An ensemble needs at least one member, e.g. {', '.join(_MEMBERS)}.")
        self.members: dict[str, Imputer] = (
            dict(members) if isinstance(members, Mapping) else {name: imputers[name]() for name in members}
        )

    def impute(self, spots: StackSpots, *, training: Sequence[StackSpots] = (), seed: int = 0) -> Imputed:
        """Impute every spot of a stack."""
        able, unable = self._able(spots)
        results = {name: one.impute(spots, training=training, seed=seed) for name, one in able.items()}
        means = np.stack([result.mean for result in results.values()]).astype(np.float64)
        within = np.mean([result.sd.astype(np.float64) ** 2 for result in results.values()], axis=0)
        notes = [f"{name} needs features of the image and was left out of the ensemble" for name in unable]
        notes += [note for result in results.values() for note in result.notes if note not in notes]
        return Imputed(
            means.mean(axis=0).astype(np.float32),
            np.sqrt(within + means.var(axis=0)).astype(np.float32),
            record={"members": list(results), **{name: dict(result.record) for name, result in results.items()}},
            notes=tuple(dict.fromkeys(notes)),
        )

    def tuned(self, spots: StackSpots, *, training: Sequence[StackSpots] = (), seed: int = 0) -> "Ensemble":
        """Tune every member that can work with these spots."""
        able, unable = self._able(spots)
        tuned = {name: one.tuned(spots, training=training, seed=seed) for name, one in able.items()}
        return Ensemble({**tuned, **unable})

    def _able(self, spots: StackSpots) -> tuple[dict[str, Imputer], dict[str, Imputer]]:
        able = {name: one for name, one in self.members.items() if spots.features is not None or not one.needs_features}
        if not able:
            raise InputError("All members of the ensemble need features of the image, and there are none.")
        return able, {name: one for name, one in self.members.items() if name not in able}
