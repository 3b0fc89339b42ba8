"""Devices: the one room that knows them.

A training step is written for one device and one global batch. Laid over a mesh with the axes `data` and `model` it
computes the same numbers: XLA splits the arrays and adds the communication (SPMD).

    batch    split over `data`, [batch / data, *event] on each device
    state    whole on every device, or fully sharded: each array split over all devices along its longest axis
    keys     one, the same on all devices: example i draws its numbers by its global index i, on whatever device it lies

The last line is JAX's partitionable random bits, so nothing here depends on the number of devices. Whatever a loss does
across its batch, the optimal-transport coupling above all, is done over the global batch, gathered where it must be.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from ddjax.training.state import TrainState, TrainStep
from ddjax.types import Metrics


def mesh(data: int = -1, model: int = 1) -> Mesh:
    """The devices as a grid of `data` x `model`; -1 takes what is left.

    Args:
        data: shares of the batch. model: shares of every parameter.
    Raises: ValueError for a grid that does not fit the machine, or leaves out devices of other processes.
    """
    found = jax.device_count()
    if data == -1 and model > 0:
        data = found // model
    used = data * model
    if data < 1 or model < 1 or used > found or (jax.process_count() > 1 and used != found):
        raise ValueError(f"a mesh of {data=} x {model=} does not fit {found} devices")
    return jax.make_mesh(
        (data, model), ("data", "model"), axis_types=(AxisType.Auto,) * 2, devices=jax.devices()[:used]
    )


def shard_state(state: TrainState, mesh: Mesh, *, fully: bool = False) -> TrainState:
    """The state laid over the mesh: whole on every device, or `fully` sharded."""
    # a jitted identity, because device_put does not reach the devices of other processes
    return jax.jit(lambda state: state, out_shardings=_shardings(state, mesh, fully))(state)


def shard_batch(local: Any, mesh: Mesh) -> Any:
    """The global batch, split over `data`, of which this process holds the rows `held`, in arrays [rows, ...].

    Raises: ValueError for a global batch that the devices do not divide.
    """
    mine = len(_own_shares(mesh))

    def whole(leaf: np.ndarray) -> jax.Array:
        sharding = _batch_sharding(leaf.shape[0] * mesh.shape["data"] // mine, mesh)
        return jax.make_array_from_process_local_data(sharding, leaf)

    return jax.tree.map(whole, local)


def held(examples: int, mesh: Mesh) -> np.ndarray:
    """Rows of a global batch of so many examples that lie on devices of this process, in order.

    Raises: ValueError for a global batch that the devices do not divide.
    """
    _batch_sharding(examples, mesh)
    return np.arange(examples).reshape(mesh.shape["data"], -1)[_own_shares(mesh)].ravel()


def replicate(tree: Any, mesh: Mesh) -> Any:
    """The same arrays, whole on every device of the mesh."""
    return jax.device_put(tree, NamedSharding(mesh, P()))


def agreed(values: Sequence[int]) -> int:
    """The largest of the values that any process has, the same on all of them; 0 where none has one.

    Processes must stop at the same step. One process alone just looks; several exchange a number.
    """
    largest = max(values, default=0)
    return largest if jax.process_count() == 1 else int(multihost_utils.process_allgather(np.int32(largest)).max())


def on_host(tree: Any) -> Any:
    """The whole arrays as NumPy's, in every process, however they lie on the devices."""
    return jax.device_get(tree) if jax.process_count() == 1 else multihost_utils.process_allgather(tree, tiled=True)


def on_mesh(train_step: TrainStep, mesh: Mesh, *, fully: bool = False) -> TrainStep:
    """The same step over the mesh: batch split over `data`, state as `shard_state` lays it.

    Raises: the step, at trace time, ValueError for a batch that the devices do not divide.
    """

    def train_step_on_mesh(state: TrainState, batch: Any) -> tuple[TrainState, Metrics]:
        split = jax.tree.map(lambda leaf: _batch_sharding(leaf.shape[0], mesh), batch)
        state, metrics = train_step(state, jax.lax.with_sharding_constraint(batch, split))
        return jax.lax.with_sharding_constraint(state, _shardings(state, mesh, fully)), metrics

    return train_step_on_mesh


def _own_shares(mesh: Mesh) -> list[int]:
    """Places along `data` at which this process has devices."""
    own = jax.process_index()
    return [place for place, row in enumerate(mesh.devices) if any(device.process_index == own for device in row)]


def _batch_sharding(examples: int, mesh: Mesh) -> NamedSharding:
    shares = mesh.shape["data"]
    if examples % shares:
        raise ValueError(f"a batch of {examples} examples cannot be divided over {shares} devices")
    return NamedSharding(mesh, P("data"))


def _shardings(state: TrainState, mesh: Mesh, fully: bool) -> TrainState:
    """Each array split along its longest axis that the shares divide; whole where there is none."""
    axes = ("data", "model") if fully else ("model",)
    shares = math.prod(mesh.shape[axis] for axis in axes)

    def sharding(leaf: jax.Array) -> NamedSharding:
        size, axis = max(((n, axis) for axis, n in enumerate(leaf.shape) if n % shares == 0), default=(0, 0))
        return NamedSharding(mesh, P(*[None] * axis, axes) if size and shares > 1 else P())

    return jax.tree.map(sharding, state)
