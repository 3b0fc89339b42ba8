"""Training: state and step, the loop, several seeds together, checkpoints, progress."""

from ddjax.training.loop import Log, fit, may_scan
from ddjax.training.signals import Interrupted
from ddjax.training.state import TrainState, TrainStep, make_train_step

__all__ = ["Interrupted", "Log", "TrainState", "TrainStep", "fit", "make_train_step", "may_scan"]
