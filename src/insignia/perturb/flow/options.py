"""How a flow is built and trained; saved beside it."""

from dataclasses import dataclass

from insignia.core.errors import InputError
from insignia.perturb.flow.coupling import couplings

__all__ = ["FlowOptions"]


@dataclass(frozen=True)
class FlowOptions:
    """Options of the flow predictor.

    Parameters
    ----------
    n_latent
        Principal components in which cells move.
    width, depth
        Of the velocity network.
    coupling
        How control and perturbed cells are paired: exact, sinkhorn or independent.
    noise
        On the path, in standard deviations of control cells.
    n_groups, n_cells
        Groups in a training step, and cells of each.
    epochs, steps_per_epoch, learning_rate
        Length of training, and its speed.
    n_folds
        Parts in which perturbed genes are left out, to learn how far to trust the flow; 0 trusts it fully.
    n_members
        Networks that are trained with different seeds; their spread is the uncertainty.
    solver_steps
        Midpoint steps from control to perturbed.
    on_missing
        ``"error"`` refuses an unseen gene without an embedding; ``"mean"`` predicts the mean of all perturbations,
        flagged.
    """

    n_latent: int = 50
    width: int = 256
    depth: int = 2
    coupling: str = "exact"
    noise: float = 0.1
    n_groups: int = 16
    n_cells: int = 32
    epochs: int = 10
    steps_per_epoch: int = 50
    learning_rate: float = 2e-3
    n_folds: int = 4
    n_members: int = 1
    solver_steps: int = 10
    on_missing: str = "error"

    def __post_init__(self) -> None:
        couplings.entry(self.coupling)
        counts = {name: getattr(self, name) for name in ("n_latent", "n_groups", "n_cells", "epochs", "n_members")}
        if min(counts.values()) < 1 or self.n_folds == 1 or self.n_folds < 0:
            raise InputError(f"Counts must be at least 1 and n_folds 0 or at least 2, found {counts}, {self.n_folds}.")
