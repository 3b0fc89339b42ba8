"""Losses: factories of `loss_fn(params, key, batch) -> (scalar, metrics)`.

`distributional` and `denoising` train denoisers by scoring rules, `flow_matching` velocities, `consistency` and `mean_flow` maps
along a flow;
`condition_dropout` wraps any of them for classifier-free guidance, `balanced` adds a term in proportion, for instance
`sinkhorn_term`, the optimal transport between a denoised batch and the batch.
"""

from ddjax.objectives.balance import Term, balanced, descend_ratio, with_ratio
from ddjax.objectives.conditions import condition_dropout
from ddjax.objectives.few_steps import consistency, mean_flow
from ddjax.objectives.flows import flow_matching
from ddjax.objectives.scoring_rules import denoising, distributional
from ddjax.objectives.transports import flat, sinkhorn_term

__all__ = [
    "Term", "balanced", "condition_dropout", "consistency", "denoising", "descend_ratio", "distributional", "flat",
    "flow_matching", "mean_flow", "sinkhorn_term", "with_ratio",
]  # fmt: skip
