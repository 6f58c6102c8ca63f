"""How a network is trained; saved beside what was trained."""

from dataclasses import dataclass

from insignia.core.errors import InputError

__all__ = ["TrainOptions"]


@dataclass(frozen=True)
class TrainOptions:
    """Options of one training run.

    Parameters
    ----------
    epochs
        Most passes over the training data.
    learning_rate, weight_decay
        Of AdamW; the learning rate falls to zero along a cosine over `epochs`.
    patience
        Epochs without a better validation loss after which training stops; 0 never stops early.
    min_improvement
        Fraction by which the validation loss must fall to count as better.
    ema_decay
        Decay of the moving average of the weights, taken per step; `None` keeps the weights as they are.
    clip_norm
        Largest norm of the gradient.
    keep
        ``"best"`` keeps the weights of the epoch with the least validation loss; ``"last"`` those of the last epoch,
        and never stops early.
    """

    epochs: int = 40
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    patience: int = 8
    min_improvement: float = 1e-3
    ema_decay: float | None = None
    clip_norm: float = 5.0
    keep: str = "best"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.learning_rate <= 0 or self.patience < 0:
            raise InputError(
                "Training needs epochs >= 1, learning_rate > 0 and patience >= 0; "
                f"found {self.epochs}, {self.learning_rate} and {self.patience}."
            )
        if self.keep not in ("best", "last"):
            raise InputError(f"keep takes 'best' or 'last', found {self.keep!r}.")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise InputError(f"ema_decay must lie between 0 and 1, found {self.ema_decay}; pass None to switch it off.")
