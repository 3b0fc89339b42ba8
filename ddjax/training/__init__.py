"""Training: state and step, the loop, checkpoints, progress."""

from ddjax.training.loop import Interrupted, fit
from ddjax.training.state import TrainState, make_train_step

__all__ = ["Interrupted", "TrainState", "fit", "make_train_step"]
