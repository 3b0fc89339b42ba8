"""Where a flow starts, by name."""

from typing import Literal

Prior = Literal["normal", "eight_gaussians"]


def prior(name: Prior):
    """(key, shape) -> x_1; None for the schedule's own."""
    return None if name == "normal" else _eight_gaussians


def _eight_gaussians(key, shape):
    from ddjax.data import toys

    return toys.eight_gaussians(key, shape[0]).x_0
