"""A small training run in a process of its own, for tests that kill it."""

import hashlib
import json

import jax
import numpy as np
import optax

from ddjax import denoisers, networks, objectives, schedules, training
from ddjax.training import checkpoints
from experiments import runs

STEPS = 100
NETWORK = networks.mlp(2, width=16, depth=2, inject=1)
OPTIMIZER = optax.adam(optax.cosine_decay_schedule(1e-2, STEPS))


def run(folder, cache, digest):
    """Train to the end, wherever the folder left off, and write the digest of the whole run."""
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    digest.write_text(train(folder))


def train(folder):
    """Train, with a checkpoint every 5 steps; the digest of the state at the end and of all logged metrics."""
    schedule = schedules.Rectified()
    loss_fn = objectives.distributional(denoisers.distributional(NETWORK, schedule), schedule, size=2)
    key_init, key_state = jax.random.split(jax.random.key(0))
    state = training.TrainState.create(NETWORK.init(key_init), OPTIMIZER, key_state)
    with checkpoints.manager(folder, best="loss") as manager:
        state = checkpoints.restore(manager, state) or state
        state = training.fit(
            state,
            training.make_train_step(loss_fn, OPTIMIZER),
            lambda key: jax.random.normal(key, (8, 2)),
            steps=STEPS, chunk=5, save_every=5, checkpoints=manager, label=None,
            log=runs.Run(folder, {}, None).logger("job", int(state.step)),
        )  # fmt: skip
    leaves = jax.tree.leaves(state._replace(key=jax.random.key_data(state.key)))
    told = b"".join(np.asarray(leaf).tobytes() for leaf in leaves) + json.dumps(runs.read_metrics(folder)).encode()
    return hashlib.sha256(told).hexdigest()
