"""The dispersion law of `experiments.dispersion`: closed form, and the same number by training."""

import jax
import jax.numpy as jnp
import optax

from ddjax import objectives, schedules, scoring, training
from ddjax.types import Key

_T, _DIMENSION = 0.5, 2  # x_0 ~ N(0, I), x_1/2 = x_0 / 2 + noise / 2: the posterior is N(x_t, I / 2)
_S = jnp.sqrt(0.5)


def exact(lam: float, beta: float) -> float:
    """s / S = sqrt(q / (2 - q)), q = lam^(2 / (2 - beta))."""
    q = lam ** (2 / (2 - beta))
    return (q / (2 - q)) ** 0.5


def trained(lam: float, beta: float, *, steps: int, batch: int) -> float:
    """s / S of the denoiser xhat = shrinkage x_t + exp(log_spread) xi after training with the library's loss."""

    def denoiser(params, key: Key, x_t, t, cond):
        return params["shrinkage"] * x_t + jnp.exp(params["log_spread"]) * jax.random.normal(key, x_t.shape)

    loss_fn = objectives.distributional(
        denoiser,
        schedules.Rectified(),
        times=lambda key, n: jnp.full(n, _T),
        score=scoring.Energy(beta, lam),
        size=8,
    )
    optimizer = optax.adam(optax.cosine_decay_schedule(0.02, steps))
    start = {"shrinkage": jnp.zeros(()), "log_spread": jnp.log(_S)}
    state = training.TrainState.create(start, optimizer, jax.random.key(0))
    train_step = training.make_train_step(loss_fn, optimizer, ema_decay=0.99)
    state = training.fit(
        state, train_step, lambda key: jax.random.normal(key, (batch, _DIMENSION)), steps=steps, label=None
    )
    return float(jnp.exp(state.ema["log_spread"]) / _S)
