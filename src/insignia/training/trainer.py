"""The training loop that every network of insignia goes through."""

import math
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from insignia.core.device import rng_devices
from insignia.core.errors import InputError, ModelError
from insignia.core.files import atomic_file
from insignia.core.progress import progress
from insignia.training.options import TrainOptions

__all__ = ["Objective", "TrainResult", "fit"]


class Objective(Protocol):
    """What is learned: batches, the loss of one, and the loss on data held out."""

    def batches(self, generator: torch.Generator) -> Iterable[Any]:
        """One epoch of batches, in an order drawn from `generator`."""

    def loss(self, module: nn.Module, batch: Any, generator: torch.Generator) -> Tensor:
        """Scalar loss of one batch, with the module in training mode."""

    def validate(self, module: nn.Module) -> float:
        """Loss on held-out data, with the module in evaluation mode; equal weights give equal values."""


@dataclass
class TrainResult:
    """What happened: losses per epoch, the epoch whose weights were kept, and why training ended."""

    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    best_epoch: int = -1
    stopped_early: bool = False

    @property
    def epochs(self) -> int:
        """Epochs that were run."""
        return len(self.validation_loss)


def fit(
    module: nn.Module,
    objective: Objective,
    options: TrainOptions,
    *,
    seed: int,
    checkpoint: str | Path | None = None,
    show_progress: bool | None = None,
) -> TrainResult:
    """Train `module` in place and leave it in evaluation mode with the weights of its best or its last epoch.

    Parameters
    ----------
    module
        The network, on the device where it is to be trained.
    objective
        What is learned.
    options
        How; see `TrainOptions`.
    seed
        Of batch order and dropout. The global state of torch is left as it was.
    checkpoint
        File to which the state is written after each epoch; if it exists, training goes on from it and ends with the
        same weights as an uninterrupted run. It is removed at the end.
    show_progress
        `None` shows a bar when standard error is a terminal.

    Raises
    ------
    InputError
        The checkpoint was written by a run with other options or another seed.
    ModelError
        The loss is no longer finite.
    """
    with torch.random.fork_rng(devices=rng_devices(module)):
        torch.manual_seed(seed)
        run = _Run(module, objective, options, seed)
        if checkpoint is not None and Path(checkpoint).exists():
            run.restore(Path(checkpoint))
        with progress("training", options.epochs, show=show_progress) as advance:
            advance(run.result.epochs)
            while not run.is_done:
                run.epoch()
                advance(1)
                if checkpoint is not None:
                    run.save(Path(checkpoint))
    run.finish()
    if checkpoint is not None:
        Path(checkpoint).unlink(missing_ok=True)
    return run.result


class _Run:
    """State of one training run between epochs."""

    def __init__(self, module: nn.Module, objective: Objective, options: TrainOptions, seed: int) -> None:
        self.module, self.objective, self.options, self.seed = module, objective, options, seed
        self.optimizer = torch.optim.AdamW(
            module.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, options.epochs)
        self.generator = torch.Generator().manual_seed(seed)
        self.average = deepcopy(module) if options.ema_decay is not None else None
        self.best_weights: dict[str, Tensor] = {}
        self.result = TrainResult()

    @property
    def is_done(self) -> bool:
        return self.result.stopped_early or self.result.epochs >= self.options.epochs

    def epoch(self) -> None:
        self.module.train()
        total = count = 0.0
        for batch in self.objective.batches(self.generator):
            total += self._step(batch)
            count += 1
        self.schedule.step()
        kept = self.average if self.average is not None else self.module
        kept.eval()
        with torch.no_grad():
            validation = float(self.objective.validate(kept))
        if not math.isfinite(validation):
            raise ModelError(
                f"The validation loss is {validation} after epoch {self.result.epochs + 1}; lower learning_rate."
            )
        self._note(total / max(count, 1), validation, kept)

    def _step(self, batch: Any) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.objective.loss(self.module, batch, self.generator)
        if not torch.isfinite(loss):
            raise ModelError(
                f"The training loss is {loss.item()} in epoch {self.result.epochs + 1}; lower learning_rate."
            )
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.module.parameters(), self.options.clip_norm)
        self.optimizer.step()
        if self.average is not None and self.options.ema_decay is not None:
            _update_average(self.average, self.module, self.options.ema_decay)
        return float(loss.detach())

    def _note(self, train_loss: float, validation: float, kept: nn.Module) -> None:
        result = self.result
        best = result.validation_loss[result.best_epoch] if result.best_epoch >= 0 else math.inf
        result.train_loss.append(train_loss)
        result.validation_loss.append(validation)
        improved = validation < best - self.options.min_improvement * abs(best if math.isfinite(best) else 0.0)
        if improved or self.options.keep == "last":
            result.best_epoch = result.epochs - 1
            self.best_weights = deepcopy(kept.state_dict())
        waited = result.epochs - 1 - result.best_epoch
        result.stopped_early = 0 < self.options.patience <= waited

    def finish(self) -> None:
        self.module.load_state_dict(self.best_weights)
        self.module.eval()

    def save(self, path: Path) -> None:
        state = {
            "options": asdict(self.options) | {"seed": self.seed},
            "module": self.module.state_dict(),
            "average": self.average.state_dict() if self.average is not None else {},
            "best": self.best_weights,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generator": self.generator.get_state(),
            "dropout": torch.get_rng_state(),
            "dropout_on": {str(device): torch.cuda.get_rng_state(device) for device in rng_devices(self.module)},
            "result": asdict(self.result),
        }
        with atomic_file(path) as temporary:
            torch.save(state, temporary)

    def restore(self, path: Path) -> None:
        state = torch.load(path, map_location="cpu", weights_only=True)
        options = asdict(self.options) | {"seed": self.seed}
        if state["options"] != options:
            raise InputError(
                f"The checkpoint {path} was written with {state['options']}, this run has {options}. "
                "Use the same options to go on, or remove the file to start again."
            )
        self.module.load_state_dict(state["module"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.best_weights = state["best"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["dropout"])
        for device in rng_devices(self.module):
            if str(device) in state["dropout_on"]:
                torch.cuda.set_rng_state(state["dropout_on"][str(device)], device)
        self.result = TrainResult(**state["result"])


@torch.no_grad()
def _update_average(average: nn.Module, module: nn.Module, decay: float) -> None:
    for mean, new in zip(average.state_dict().values(), module.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(new, 1.0 - decay)
        else:
            mean.copy_(new)
