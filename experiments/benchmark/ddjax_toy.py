"""The ddjax side of the toy work."""

import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ddjax import denoisers, networks, objectives, paths, samplers, schedules, scoring, times, training
from experiments.benchmark import toy
from experiments.targets import two_gaussians

SCHEDULE = schedules.Rectified()
SCAN = 50  # training steps for each dispatch


class Worker:
    """Trains and samples for the benchmark; xi joins hidden layer `inject`."""

    def __init__(self, inject: int):
        self.inject = inject
        features = partial(networks.time_features, size=toy.TIME)
        self.network = networks.mlp(2, width=toy.WIDTH, depth=toy.DEPTH, time=features, inject=inject)
        denoiser = denoisers.distributional(self.network, SCHEDULE)
        population = denoisers.population if inject else denoisers.folded_population  # early, nothing can be shared
        loss_fn = objectives.distributional(denoiser, SCHEDULE, size=toy.POPULATION, population=population)
        optimizer = optax.adam(toy.LEARNING_RATE)
        train_step = training.make_train_step(loss_fn, optimizer, ema_decay=0)
        mixture = two_gaussians()
        self.state = training.TrainState.create(self.network.init(jax.random.key(0)), optimizer, jax.random.key(1))

        def one(state, _):
            return train_step(state, mixture.sample(state.keys()[0], toy.BATCH))

        def draw(params, key):
            key_prior, key_steps = jax.random.split(key)
            step = samplers.bridge(denoisers.bind(denoiser, params), SCHEDULE, churn=1.0)
            x_1 = paths.prior(SCHEDULE, key_prior, (toy.SAMPLES, 2))
            return samplers.sample(step, key_steps, x_1, times.grid(toy.SAMPLING_STEPS))

        self.run = jax.jit(lambda state: jax.lax.scan(one, state, None, length=SCAN), donate_argnums=0)
        self.draw = jax.jit(draw)

    def parameters(self) -> int:
        """Number of trained numbers."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.state.params))

    def fixed_loss(self, inputs: dict[str, np.ndarray]) -> float | None:
        """The loss at given weights and noise (early injection only: another net has no such weights)."""
        if self.inject != 0:
            return None
        kernel = inputs["kernel_0"]
        params = {"hidden_0": {"kernel": kernel[:-2], "bias": inputs["bias_0"]}, "xi": {"kernel": kernel[-2:]}}
        for i in range(1, toy.DEPTH):
            params[f"hidden_{i}"] = {"kernel": inputs[f"kernel_{i}"], "bias": inputs[f"bias_{i}"]}
        params["out"] = {"kernel": inputs[f"kernel_{toy.DEPTH}"], "bias": inputs[f"bias_{toy.DEPTH}"]}
        x_0, x_t, t, xi = (jnp.asarray(inputs[name]) for name in ("x_0", "x_t", "t", "xi"))
        draws = jax.vmap(lambda xi: self.network.apply({"params": params}, x_t, t, None, xi), out_axes=1)(xi)
        return float(jnp.mean(jax.vmap(scoring.Energy())(draws, x_0).score))

    def train(self, steps: int) -> float:
        """Seconds of `steps` training steps."""
        began = time.perf_counter()
        for _ in range(steps // SCAN):
            self.state, metrics = self.run(self.state)
        jax.block_until_ready(metrics)
        return time.perf_counter() - began

    def sample(self) -> float:
        """Seconds of 10,000 samples in 20 steps of the exact bridge at churn 1."""
        began = time.perf_counter()
        jax.block_until_ready(self.draw(self.state.params, jax.random.key(2)))
        return time.perf_counter() - began
