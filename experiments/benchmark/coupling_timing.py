"""Clocks for `coupling_solvers`."""

import time
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array
from scipy.optimize import linear_sum_assignment

from ddjax import couplings, flows, judging, networks, objectives, schedules, training, transport
from ddjax.data import toys

Solver = Callable[[Array], Array]


def hungarian(cost: Array) -> Array:
    """The optimal permutation by optax: its rows come in any order, so they must be scattered."""
    with jax.numpy_dtype_promotion("standard"):
        rows, columns = optax.assignment.hungarian_algorithm(cost)
    return jnp.zeros(len(cost), jnp.int32).at[rows].set(columns.astype(jnp.int32))


def rounded(planner: couplings.Planner) -> Solver:
    """A plan, and the permutation that it rounds to."""
    return lambda cost: couplings.to_permutation(planner(cost))


def solvers(*, with_hungarian: bool) -> dict[str, Solver]:
    """Name -> cost matrix -> permutation."""
    found: dict[str, Solver] = {"identity (cost matrix alone)": lambda cost: jnp.argmin(cost, 1)}
    if with_hungarian:
        found["optax Hungarian, exact"] = hungarian
    return found | {
        "augmenting paths from annealed potentials, exact (`assignment`)": transport.assignment,
        "annealed Sinkhorn, rounded (`sinkhorn`)": rounded(couplings.annealed),
        "ott Sinkhorn, epsilon .02, rounded": rounded(couplings.entropic),
        "ott Sinkhorn, epsilon .1, rounded": rounded(partial(couplings.entropic, epsilon=0.1)),
        "greedy, no plan": lambda cost: couplings.to_permutation(couplings.Plan(-cost, jnp.asarray(True))),
    }


def solver_table(n: int, rounds: int, *, hungarian: bool) -> str:
    """Medians of interleaved rounds, each on a fresh batch; the first round compiles and is not counted."""
    timed = {
        name: jax.jit(lambda x_0, x_1, solve=solve: solve(couplings.squared(x_0, x_1)))
        for name, solve in solvers(with_hungarian=hungarian).items()
    }
    measure = jax.jit(couplings.squared)
    timed["SciPy on the host, exact"] = lambda x_0, x_1: _scipy(np.asarray(measure(x_0, x_1)))
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    excess: dict[str, list[float]] = {name: [] for name in timed}
    for i in range(rounds + 1):
        key_data, key_noise = jax.random.split(jax.random.key(i))
        x_0, x_1 = toys.two_moons(key_data, n, noise=0.03).x_0, jax.random.normal(key_noise, (n, 2))
        cost = np.asarray(couplings.squared(x_0, x_1), np.float64)
        best = cost[np.arange(n), _scipy(cost)].sum()
        for name, solve in timed.items():
            began = time.perf_counter()
            permutation = np.asarray(jax.block_until_ready(solve(x_0, x_1)))
            seconds[name].append(time.perf_counter() - began)
            excess[name].append((cost[np.arange(n), permutation].sum() - best) / (np.trace(cost) - best))
    lines = []
    for name in timed:
        milliseconds = 1e3 * np.array(seconds[name][1:])
        lost = "" if name.startswith("identity") else f"{100 * np.mean(excess[name]):.2f} %"
        lines.append([name, f"{np.median(milliseconds):.2f}", f"{milliseconds.min():.2f}", lost])
    return judging.markdown([f"n = {n}", "ms", "least ms", "gain lost"], lines) + "\n"


def _scipy(cost: np.ndarray) -> np.ndarray:
    return linear_sum_assignment(cost)[1]


def step_table(batch: int, steps: int, rounds: int) -> str:
    """Milliseconds of one training step, scanned, for each coupling; ratios within rounds."""
    paired = {
        "independent": couplings.independent,
        "sinkhorn": couplings.sinkhorn,
        "sinkhorn, within classes": couplings.sinkhorn,
        "assignment": couplings.assignment,
    }
    runs = {name: _training(coupling, batch, steps, "class" in name) for name, coupling in paired.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, advance in runs.items():
            began = time.perf_counter()
            advance()
            seconds[name].append((time.perf_counter() - began) / steps)
    lines = []
    for name in runs:
        milliseconds = 1e3 * np.array(seconds[name][1:])
        ratio = np.median(milliseconds / (1e3 * np.array(seconds["independent"][1:])))
        lines.append([name, f"{np.median(milliseconds):.2f}", f"{milliseconds.min():.2f}", f"{ratio:.2f}"])
    return judging.markdown([f"step at batch {batch}", "ms", "least ms", "ratio"], lines) + "\n"


def _training(coupling: couplings.Coupling, batch: int, steps: int, labelled: bool) -> Callable[[], None]:
    schedule = schedules.Rectified()
    network = networks.mlp(2, width=128, depth=3, inject=None)

    def velocity(params, key, x_t, t, cond):
        return flows.network_velocity(network, schedule)(params, key, x_t, t, None)

    optimizer = optax.adamw(2e-3, weight_decay=0.01)
    train_step = training.make_train_step(objectives.flow_matching(velocity, schedule, coupling=coupling), optimizer)

    def one(state: training.TrainState, _: None):
        drawn = toys.two_moons(state.keys()[0], batch, noise=0.03)
        return train_step(state, drawn if labelled else drawn.x_0)

    scanned = jax.jit(lambda state: jax.lax.scan(one, state, None, length=steps)[0], donate_argnums=0)
    states = [training.TrainState.create(network.init(jax.random.key(0)), optimizer, jax.random.key(1))]

    def advance() -> None:
        states.append(jax.block_until_ready(scanned(states.pop())))

    return advance
