"""What every kind of model yields, and the names of what is done with it."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

CHUNK = 65_536  # samples drawn together: the bound on memory


class Model(NamedTuple):
    """A model to train and to sample from.

    `network` is the `types.Network` that is trained (`network.init` makes its parameters), `loss_fn`, a `types.LossFn`, and
    `optimizer`, an `optax.GradientTransformation`, train it, and
    `draw(params, key, n, *, steps, cond=None, churn=None, guidance=1.0) -> x_0 [n, *event]` samples from it
    (`recipes.sampling`).
    """

    name: str
    network: Any
    loss_fn: Callable[..., Any]
    optimizer: Any
    draw: Callable[..., Any]


def parameters(model: Model) -> int:
    """How many numbers are trained."""
    import jax

    shapes = jax.eval_shape(model.network.init, jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def job(name: str, seed: int) -> str:
    """The name of one training job, fit for a folder: "3 OT coupling" of seed 0 is 3-ot-coupling-seed0."""
    return f"{_plain(name)}-seed{seed}"


def joint_job(name: str, seeds: int) -> str:
    """The name of the job that trains so many seeds together: 3-ot-coupling-seeds5."""
    return f"{_plain(name)}-seeds{seeds}"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9.+_]+", "-", name.lower()).strip("-")
