"""Several seeds of one model as one state, whose every array but the step has a first axis of seeds.

One step of all is the step of one under `vmap`: each seed has its own parameters, keys and batches, and gets what it would get
alone, but for the rounding of products that are now batched. It pays where one net leaves the device idle.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from ddjax.training.state import TrainState, TrainStep
from ddjax.types import Params

_AXES = TrainState(step=None, params=0, ema=0, opt_state=0, key=0, others=0)


def stacked(states: Sequence[TrainState]) -> TrainState:
    """States of the same step, one for each seed, as one. Raises: ValueError for none, or states of several steps."""
    steps = sorted({int(state.step) for state in states})
    if len(steps) != 1:
        raise ValueError(f"seeds that are trained together are at one step, got {steps}")
    first = states[0]
    rest = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(state._replace(step=None) for state in states))
    return rest._replace(step=first.step)


def of_seed(averages: tuple[Params, ...], i: int) -> tuple[Params, ...]:
    """The averages of one seed, of those of all."""
    return jax.tree.map(lambda leaf: leaf[i], averages)


def step(train_step: TrainStep) -> TrainStep:
    """The step of a stacked state and stacked batches; its metrics have an axis of seeds."""
    return jax.vmap(train_step, in_axes=(_AXES, 0), out_axes=(_AXES, 0))


def batches(batch: Callable[[Any], Any] | Iterator) -> Partial:
    """Batches for every seed from the keys of all. Raises: ValueError for a stream or an iterator, which has one place."""
    if not callable(batch):
        raise ValueError("seeds are trained together on batches that are drawn from a key, not on a stream")
    return Partial(_drawn, batch if isinstance(batch, Partial) else Partial(batch))


def _drawn(batch: Partial, keys: Any) -> Any:
    return jax.vmap(batch)(keys)
