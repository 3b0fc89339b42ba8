"""Judging samplers by number of steps: draw once, measure all, tell each number with its floor and its range."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import jax
import numpy as np

from ddjax.inputs import checked_count, checked_key
from ddjax.judging.numbers import Number, measured
from ddjax.metrics import Floor
from ddjax.training.progress import progress
from ddjax.types import Batch, Key, Params

# (params, key, steps, churn) -> samples and their condition
Draw = Callable[[Params, Key, int, float | None], Batch]
# (samples, key, steps) -> numbers by name: the key is for fresh data to compare with
Judge = Callable[[Batch, Key, int], dict[str, float]]


def sweep(
    model: str,
    draw: Draw,
    params: Sequence[Params],
    judge: Judge,
    floors: dict[str, Floor | tuple[float, Any]],
    key: Key,
    *,
    nfe: Sequence[int],
    churn: Sequence[float | None] = (None,),
    repeats: int = 1,
    label: str | None = "judging",
) -> list[Number]:
    """Each metric at each number of steps and churn: median over seeds of the mean over fresh draws, with the full range.

    Models that are swept with the same key and numbers of steps meet the same noise and the same fresh data, seed by seed, and so
    does each churn: their differences are paired (`judging.paired`).

    Args:
        params: one for each seed, [None] for what has none and is not trained. floors: by name of the metric.
        churn: (None,) where no bridge is sampled.
        repeats: draws for each seed, each with fresh noise and fresh data to compare with.
        label: of the progress display, before the model's name; None for silence.
    """
    repeats = checked_count(repeats, "repeats")
    # at one step the bridge ends in x_0 whatever the churn
    cells = [(steps, e) for steps in nfe for e in (churn[:1] if steps == 1 else churn)]
    trained = bool(jax.tree.leaves(list(params)))
    total, numbers, done = len(cells) * len(params) * repeats, [], 0
    display = (
        progress(total, label=f"{label} {model}", unit="draws") if label else nullcontext(lambda step, metrics: None)
    )
    with display as update:
        keys: dict[int, list[Key]] = {}
        for steps in nfe:
            key, *keys[steps] = jax.random.split(checked_key(key), 1 + len(params) * repeats)
        for steps, e in cells:
            found = []
            for i, key_draw in enumerate(map(jax.random.clone, keys[steps])):
                key_model, key_truth = jax.random.split(key_draw)
                found.append(judge(draw(params[i // repeats], key_model, steps, e), key_truth, steps))
                done += 1
                update(done, {"steps": float(steps)} | ({} if e is None else {"churn": float(e)}))
            for name in found[0]:
                draws = np.reshape([values[name] for values in found], (len(params), repeats))
                numbers.append(measured(model, name, steps, draws, floors[name], churn=e, trained=trained))
    return numbers
