"""How a flow is built and trained; saved beside it."""

from dataclasses import dataclass

from insignia.core.errors import InputError
from insignia.perturb.flow.coupling import couplings
from insignia.perturb.latents import latents
from insignia.perturb.programs import program_sources

__all__ = ["FlowOptions"]


@dataclass(frozen=True)
class FlowOptions:
    """Options of the flow predictor.

    Parameters
    ----------
    n_latent, latent
        Dimensions in which cells move, and the space they belong to: ``"pca"`` or ``"module"``.
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
    latent_epochs
        Passes of training of a space that is trained.
    programs, n_programs
        Source of gene programs and their number, for a space or a loss that needs them; at most a quarter of the genes.
    program_energy, program_correlation, pathway_energy
        Weights of the losses that hold carried cells against measured ones in scores of programs and pathways; 0 leaves
        a loss out.
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
    latent: str = "pca"
    latent_epochs: int = 10
    programs: str = "expression"
    n_programs: int = 32
    program_energy: float = 0.0
    program_correlation: float = 0.0
    pathway_energy: float = 0.0

    def __post_init__(self) -> None:
        couplings.entry(self.coupling)
        latents.entry(self.latent)
        program_sources.entry(self.programs)
        counts = {
            name: getattr(self, name)
            for name in ("n_latent", "n_groups", "n_cells", "epochs", "n_members", "latent_epochs")
        }
        weights = {name: getattr(self, name) for name in ("program_energy", "program_correlation", "pathway_energy")}
        if min(weights.values()) < 0 or self.n_programs < 2:
            raise InputError(f"Weights of losses are at least 0 and n_programs at least 2, found {weights}.")
        if min(counts.values()) < 1 or self.n_folds == 1 or self.n_folds < 0:
            raise InputError(f"Counts must be at least 1 and n_folds 0 or at least 2, found {counts}, {self.n_folds}.")

    @property
    def needs_programs(self) -> bool:
        """Whether gene programs are used at all."""
        return self.latent == "module" or self.program_energy > 0 or self.program_correlation > 0
