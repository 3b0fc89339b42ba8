"""Training: state and step, the loop, checkpoints, progress."""

from ddjax.training.loop import fit, may_scan
from ddjax.training.signals import Interrupted
from ddjax.training.state import TrainState, make_train_step

__all__ = ["Interrupted", "TrainState", "fit", "make_train_step", "may_scan"]
