"""Diffusions as stochastic differential equations: forward, in reverse, as an ordinary flow, and as a law that evolves.

    dx = drift(x, t) dt + diffusion(x, t) dW

Drift and diffusion are functions of ONE example and one time; a score is `score(x, t)`, the gradient of log p_t.
"""

from ddjax.sde.adaptive import integrate
from ddjax.sde.fokker_planck import fokker_planck_residual
from ddjax.sde.priors import prior_gap
from ddjax.sde.processes import SDE, of_schedule, ornstein_uhlenbeck
from ddjax.sde.reversal import ordinary, probability_flow, reverse
from ddjax.sde.simulation import euler_maruyama, heun, predictor_corrector, simulate

__all__ = [
    "SDE", "euler_maruyama", "fokker_planck_residual", "heun", "integrate", "of_schedule", "ordinary", "ornstein_uhlenbeck",
    "predictor_corrector", "prior_gap", "probability_flow", "reverse", "simulate",
]  # fmt: skip
