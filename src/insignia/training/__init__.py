"""The one trainer of all networks: loop, early stopping, moving average, checkpoints, seeds and progress."""

from insignia.training.options import TrainOptions
from insignia.training.trainer import Objective, TrainResult, fit

__all__ = ["Objective", "TrainOptions", "TrainResult", "fit"]
