"""A small training run in a process of its own, for tests that kill it."""

import hashlib
import json

import jax
import numpy as np
import optax

from ddjax import data, denoisers, networks, objectives, runs, schedules, training
from ddjax.runs import engine
from ddjax.training import checkpoints

STEPS = 100
NETWORK = networks.mlp(2, width=16, depth=2, inject=1)
OPTIMIZER = optax.adam(optax.cosine_decay_schedule(1e-2, STEPS))


def run(folder, cache, digest, streamed):
    """Train to the end, wherever the folder left off, and write the digest of the whole run."""
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    digest.write_text(train(folder, streamed))


def dots():
    """A stream of images of a single row with two grey pixels, mirrored at random; an epoch is 4.6 batches of 8."""
    x = np.random.default_rng(0).integers(0, 256, (37, 1, 2, 1), dtype=np.uint8)
    return data.Stream(data.Images(x, None, (), "train", "dots", flip=True), 8, seed=3)


def train(folder, streamed=False, steps=STEPS):
    """Train, with a checkpoint every 5 steps; the digest of the state at the end and of all logged metrics."""
    schedule = schedules.Rectified()
    loss_fn = objectives.distributional(denoisers.distributional(NETWORK, schedule), schedule, size=2)
    key_init, key_state = jax.random.split(jax.random.key(0))
    state = training.TrainState.create(NETWORK.init(key_init), OPTIMIZER, key_state)
    batch = dots() if streamed else lambda key: jax.random.normal(key, (8, 2))
    flat = (lambda params, key, batch: loss_fn(params, key, batch.x_0.reshape(8, 2))) if streamed else loss_fn
    with checkpoints.manager(folder, best="loss") as manager:
        state = checkpoints.restore(manager, state, batch if streamed else None) or state
        state = training.fit(
            state,
            training.make_train_step(flat, OPTIMIZER),
            batch,
            steps=steps, chunk=5, save_every=5, checkpoints=manager, label=None,
            log=runs.Run(folder, {}, engine.Engine()).logger("job", int(state.step)),
        )  # fmt: skip
    leaves = jax.tree.leaves(state._replace(key=jax.random.key_data(state.key)))
    told = b"".join(np.asarray(leaf).tobytes() for leaf in leaves) + json.dumps(runs.read_metrics(folder)).encode()
    return hashlib.sha256(told).hexdigest()
