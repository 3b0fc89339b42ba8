"""Losses: factories of `loss_fn(params, key, batch) -> (scalar, metrics)`.

`distributional` and `denoising` train denoisers by scoring rules, `flow_matching` trains velocities;
`condition_dropout` wraps any of them for classifier-free guidance.
"""

from ddjax.objectives.conditions import condition_dropout
from ddjax.objectives.flows import flow_matching
from ddjax.objectives.scoring_rules import denoising, distributional

__all__ = ["condition_dropout", "denoising", "distributional", "flow_matching"]
