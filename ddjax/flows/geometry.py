"""The shape of trajectories, as `samplers.sample_path` returns them: [steps + 1, batch, *event].

    (A)  straightness = sum_k dt_k ||(x_N - x_0) / T - (x_{k+1} - x_k) / dt_k||^2,   T = sum_k dt_k
    (B)  path length  = sum_k ||x_{k+1} - x_k||

(A) is 0 exactly for straight lines run at constant speed, which one Euler step integrates without error; (B)
is at least the distance of the ends, with equality for straight lines at any speed. Both are for the polygon
that the grid resolves. References: Liu et al. (Rectified Flow), arXiv 2209.03003, Rectified Flow eq. (5).
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ddjax.inputs import checked_array

Path = Float[Array | np.ndarray, "steps_plus_1 batch *event"]


def straightness(path: Path, times: Float[Array | np.ndarray, " steps_plus_1"]) -> Float[Array, " batch"]:
    """Squared deviation from the mean velocity, integrated over time, eq. (A), for each trajectory.

    Raises: ValueError for a path that does not belong to the grid.
    """
    path, times = _flat(path), checked_array(times, "a grid of times [steps + 1]")
    if times.shape != path.shape[:1]:
        raise ValueError(f"a path has one state for each time of its grid, got {path.shape=}, {times.shape=}")
    dt = jnp.abs(jnp.diff(times))
    speeds = jnp.diff(path, axis=0) / dt[:, None, None]
    mean = (path[-1] - path[0]) / jnp.sum(dt)
    return jnp.sum(dt[:, None] * jnp.sum((speeds - mean[None]) ** 2, -1), 0)


def path_length(path: Path) -> Float[Array, " batch"]:
    """Length of each trajectory, eq. (B)."""
    return jnp.sum(jnp.linalg.norm(jnp.diff(_flat(path), axis=0), axis=-1), 0)


def _flat(path: Path) -> Float[Array, "steps_plus_1 batch d"]:
    path = checked_array(path, "a path [steps + 1, batch, *event]")
    if path.ndim < 2 or path.shape[0] < 2:
        raise ValueError(f"a path is [steps + 1, batch, *event] with at least 1 step, got {path.shape=}")
    return jnp.asarray(path).reshape(*path.shape[:2], -1)
