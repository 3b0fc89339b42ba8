"""Samplers: kernels `step(key, x_t, t, s) -> x_s`, and one `lax.scan` over a grid of times that applies them.

Orders of convergence hold where the velocity is smooth in time. It is not at t = 0 where sigma grows like sqrt(t)
(`OrnsteinUhlenbeck`, `VariancePreserving`): there take `times.grid(n, "quadratic")`, or `times.matched(schedule, n)`, which
chooses by schedule.

`conditioned` is a denoiser given a measurement, by choosing among draws of x_0; `particles` walks a whole batch that way.
`plugged_in` and `pseudoinverse_guided` guide a mean by gradients, to compare with.
"""

from ddjax.samplers.conditioning import conditioned, effective_draws, effective_size, plugged_in
from ddjax.samplers.kernels import bridge, euler, heun, midpoint, renoise, rk4
from ddjax.samplers.particles import Particles, particles
from ddjax.samplers.pseudoinverse import pseudoinverse_guided
from ddjax.samplers.walks import Times, decreasing, in_chunks, sample, sample_path, sample_until

__all__ = [
    "Particles", "Times", "bridge", "conditioned", "decreasing", "effective_draws", "effective_size", "euler", "heun",
    "in_chunks", "midpoint", "particles", "plugged_in", "pseudoinverse_guided", "renoise", "rk4", "sample", "sample_path",
    "sample_until",
]  # fmt: skip
