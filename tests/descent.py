"""The smallest training there is: two parameters descend to the mean of their batch."""

import jax
import jax.numpy as jnp
import numpy as np

from ddjax import training


def quadratic(params, key, batch):
    """loss = mean ||w - x||^2 / 2, whose gradient is w - mean(x)."""
    loss = jnp.mean(jnp.sum((params["w"][None] - batch) ** 2, -1)) / 2
    return loss, {"loss": loss}


def state_of(optimizer, w=(1.0, -2.0), seed=0):
    return training.TrainState.create({"w": jnp.array(w)}, optimizer, jax.random.key(seed))


def noise_batch(key):
    return jax.random.normal(key, (4, 2))


def digest(state):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state._replace(key=jax.random.key_data(state.key)))]
