"""Grids of sampling times chosen for a trained model, and judged on seeds, noise and data that the search has not seen."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddjax import judging, times
from ddjax.types import Key
from experiments.family import evaluate as rivals

STEPS = tuple(range(2, 9))
CHOSEN = "chosen"
BLOCKS = 30  # of points behind a W_1


class Judged(NamedTuple):
    """The chosen grid, how many were tried for it, and W_1 of every held-out seed along it and along the usual ones."""

    grid: list[float]
    tried: int
    errors: dict[str, list[float]]


def judged(draw: Callable, params: Sequence[Any], target: str, key: Key) -> dict[int, Judged]:
    """By number of steps: searched with the first seed's parameters, judged with those of the others."""
    key_search, *keys = jax.random.split(key, len(params))
    search = _errors(draw, params[0], target, key_search)
    held_out = [_errors(draw, of_seed, target, key) for of_seed, key in zip(params[1:], keys, strict=True)]
    found = {}
    for n in STEPS:
        choice = judging.choose_grid(search, n)
        grids = {CHOSEN: choice.grid} | {kind: times.grid(n, kind) for kind in judging.USUAL}
        errors = {name: [float(np.mean(of(grid))) for of in held_out] for name, grid in grids.items()}
        found[n] = Judged([round(float(t), 4) for t in choice.grid], choice.tried, errors)
    return found


def _errors(draw: Callable, params: Any, target: str, key: Key) -> Callable[[Any], list[float]]:
    """W_1 of every block along a grid, always with the same noise and data."""
    metric = rivals.distances(target)[f"w1 {target}"]
    key_draw, key_truth = jax.random.split(key)
    real = rivals.truth(target)(key_truth, BLOCKS * metric.points)  # pyright: ignore[reportOperatorIssue]

    def errors(grid: Any) -> list[float]:
        x_0 = draw(params, jax.random.clone(key_draw), len(real.x_0), steps=jnp.asarray(np.asarray(grid), float))
        return judging.by_block(metric, real, rivals.vectors(x_0), BLOCKS)

    return errors
