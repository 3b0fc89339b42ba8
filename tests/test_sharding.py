"""Devices: a run is the same on 1, 2, 4 and 8 of them, whole or fully sharded, and bad meshes are told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ddjax import training

ROOT = Path(__file__).parents[1]
DEVICES = os.environ | {
    "JAX_NUM_CPU_DEVICES": "8",
    "JAX_PLATFORMS": "cpu",
    "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".jax_cache"),
}

# a job is (event shape, network, loss of the network); more networks need one line more
JOBS = {
    "mlp": """
network = networks.mlp(2, width=32, depth=2, inject=1)
loss_fn = objectives.distributional(denoisers.distributional(network, schedule), schedule, size=4)
shape = (2,)""",
    "assignment": """
network = networks.mlp(2, width=32, depth=2, inject=None)
loss_fn = objectives.flow_matching(flows.network_velocity(network, schedule), schedule, coupling=couplings.assignment)
shape = (2,)""",
    "sinkhorn": """
network = networks.mlp(2, width=32, depth=2, inject=None)
loss_fn = objectives.flow_matching(flows.network_velocity(network, schedule), schedule, coupling=couplings.sinkhorn)
shape = (2,)""",
    "unet": """
shape = (8, 8, 1)
network = networks.unet(shape, width=(8, 16), depth=1, attention=(4,), heads=2)
loss_fn = objectives.distributional(denoisers.distributional(network, schedule), schedule, size=2,
    population=denoisers.folded_population)""",
    "dit": """
shape = (8, 8, 1)
network = networks.dit(shape, patch=4, width=16, depth=2, heads=2)
loss_fn = objectives.distributional(denoisers.distributional(network, schedule), schedule, size=2)""",
}

RUN = """
import json, jax, numpy as np, optax
from ddjax import couplings, denoisers, flows, networks, objectives, schedules, training
from ddjax.training import sharding
schedule = schedules.Rectified()
{job}
optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(2e-3))

def fit(devices, model, fully, accumulate=1):
    losses = []
    train_step = training.make_train_step(loss_fn, optimizer, accumulate=accumulate)
    state = training.TrainState.create(network.init(jax.random.key(0)), optimizer, jax.random.key(1))
    if devices:
        mesh = sharding.mesh(devices // model, model)
        state = sharding.shard_state(state, mesh, fully=fully)
        train_step = sharding.on_mesh(train_step, mesh, fully=fully)
    state = training.fit(
        state, train_step, lambda key: jax.random.normal(key, (32, *shape)), steps=50, chunk=1, save_every=1,
        label=None, log=lambda step, metrics: losses.append(metrics["loss"]), scanned=training.may_scan(network),
    )
    largest = max(jax.tree.leaves(state.opt_state), key=lambda leaf: leaf.size)
    return losses, largest.size // largest.addressable_shards[0].data.size, len(largest.addressable_shards)

print(json.dumps([fit(*case) for case in {cases}]))
"""
ALL = [(n, 1, fully) for n in (1, 2, 4, 8) for fully in (False, True)]
CASES = {
    "mlp": [*ALL, (8, 2, True), (4, 4, False)],  # every layout; the other networks take those that differ most
    "assignment": [(4, 1, True)],
    "sinkhorn": [(8, 1, False)],
    "unet": [(4, 1, False), (8, 1, True)],  # its compilation is half a minute a case
    "dit": [(2, 1, True), (4, 1, False), (8, 1, True)],
}


def run(code):
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=DEVICES, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.sampled(5)
@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
def test_losses_do_not_depend_on_the_number_of_devices(job):
    """50 losses on 1, 2, 4, 8 devices, whole, fully sharded and split by model, within 1e-5 of those without a mesh.

    Mutations: noise drawn for each device by its own key; the coupling inside each device's part.
    """
    cases = CASES.get(job, ALL)
    (alone, _, _), *others = run(RUN.format(job=JOBS[job], cases=[(0, 1, False), *cases]))
    assert np.std(alone) > 1e-2
    for (devices, model, fully), (losses, shares, held) in zip(cases, others, strict=True):
        np.testing.assert_allclose(losses, alone, atol=1e-5, rtol=0, err_msg=f"{devices=} {model=} {fully=}")
        assert held == devices and shares == (devices if fully else model)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_an_accumulated_batch_is_the_same_on_many_devices():
    """4 parts on 1 and on 4 devices. Mutation: another key for each device."""
    (alone, _, _), (losses, _, _) = run(RUN.format(job=JOBS["mlp"], cases=[(0, 1, False, 4), (4, 1, True, 4)]))
    np.testing.assert_allclose(losses, alone, atol=1e-5, rtol=0)


MOVES = """
import hashlib, json, sys, tempfile, jax, optax
from ddjax import networks, training
from ddjax.training import checkpoints, sharding
network, optimizer = networks.mlp(2, width=16, depth=2), optax.adam(1e-3)

def laid(seed, devices, fully):
    key = jax.random.key(seed)
    state = training.TrainState.create(network.init(key), optimizer, key)
    return sharding.shard_state(state, sharding.mesh(devices), fully=fully) if devices else state

def told(state):
    whole = jax.device_get(state._replace(key=jax.random.key_data(state.key)))
    return hashlib.sha256(b"".join(leaf.tobytes() for leaf in jax.tree.leaves(whole))).hexdigest()

def places(state):
    return [str(leaf.sharding) for leaf in jax.tree.leaves(state.opt_state)]

ends = []
layouts = [(0, False), (4, True), (8, False)]
for layout in layouts:
    with tempfile.TemporaryDirectory() as folder, checkpoints.manager(folder) as manager:
        checkpoints.save(manager, laid(0, *layout))
        for other in layouts:
            like = laid(1, *other)
            state = checkpoints.restore(manager, like)
            ends.append([told(state) == told(laid(0, 0, False)), places(state) == places(like)])
print(json.dumps(ends))
"""


@pytest.mark.slow
def test_a_checkpoint_moves_between_layouts():
    """Saved on 1, 4 and 8 devices, whole or split, restored on each other: the same bytes, laid as the asking state.

    Mutation: shardings of the saved state instead of the asking one's.
    """
    ends = run(MOVES)
    assert len(ends) == 9 and all(same and laid for same, laid in ends), ends


LAID = """
import json, jax, jax.numpy as jnp, optax
from ddjax import networks, training
from ddjax.runs import engine
network, optimizer = networks.mlp(2, width=16, depth=2), optax.adam(1e-3)

def laid(**settings):
    state = training.TrainState.create(network.init(jax.random.key(0)), optimizer, jax.random.key(1))
    train_step = lambda state, batch: (jax.tree.map(lambda leaf: leaf, state), {})
    state, train_step, _ = engine.layout(engine.Engine(**settings), state, train_step, lambda key: key)
    stepped, _ = jax.jit(train_step)(state, jnp.zeros((8, 2)))
    return [
        [name, leaf.shape, leaf.nbytes, [shard.data.nbytes for shard in leaf.addressable_shards]]
        for state in (state, stepped)
        for name in ("params", "ema", "opt_state")
        for leaf in jax.tree.leaves(getattr(state, name))
    ]

print(json.dumps([laid(**settings) for settings in {settings}]))
"""


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("settings", "shares"), [({}, 1), ({"fully_sharded": True}, 8), ({"model_shards": 4}, 4)])
def test_the_settings_of_a_run_decide_the_bytes_on_each_device(settings, shares):
    """On 8 devices, before and after a step: every array of parameters, average and optimizer that divides is split.

    Mutations: a state left whole when --fully-sharded asked for it split; the same after the step; an optimizer left whole.
    """
    [leaves] = run(LAID.replace("{settings}", repr([settings])))
    assert {name for name, *_ in leaves} == {"params", "ema", "opt_state"}
    for name, shape, whole, held in leaves:
        divides = any(side % shares == 0 for side in shape)
        assert held == [whole // shares if divides else whole] * 8, (name, shape)
    total = sum(whole for _, _, whole, _ in leaves)
    assert sum(held[0] for *_, held in leaves) < 1.2 * total / shares


WORK = """
import json, jax, optax
from ddjax import denoisers, networks, objectives, schedules, training
from ddjax.training import sharding
schedule = schedules.Rectified()
{job}
optimizer = optax.adam(2e-3)
train_step = training.make_train_step(loss_fn, optimizer)
state = training.TrainState.create(network.init(jax.random.key(0)), optimizer, jax.random.key(1))

def flops(devices):
    mesh = sharding.mesh(devices)
    laid, batch = sharding.shard_state(state, mesh), jax.numpy.zeros((512, *shape))
    compiled = jax.jit(sharding.on_mesh(train_step, mesh)).lower(laid, batch).compile()
    return compiled.cost_analysis()["flops"]

print(json.dumps([flops(1), flops(8)]))
"""


@pytest.mark.sampled(3)
@pytest.mark.slow
@pytest.mark.parametrize("job", ["mlp", "unet", "dit"])
def test_each_of_8_devices_does_an_eighth_of_the_work(job):
    """FLOPs of the compiled step for each device. Mutation: `denoisers.population` for the UNet, whose convolutions merge the
    population with the batch in an order that cannot stay split: every device then convolves the whole batch."""
    alone, shared = run(WORK.format(job=JOBS[job]))
    assert 7 < alone / shared < 8.5


MISTAKES = """
import json, jax, numpy as np
from ddjax.training import sharding
def told(work):
    try:
        return str(work())
    except ValueError as error:
        return str(error)
mesh = sharding.mesh(4, 2)
step = sharding.on_mesh(lambda state, batch: (state, {}), mesh)
batch = sharding.shard_batch({"x": np.arange(24.0).reshape(8, 3)}, mesh)["x"]
print(json.dumps([
    told(lambda: sharding.mesh(3, 3)), told(lambda: sharding.mesh(-1, 9)), told(lambda: sharding.mesh(0, 1)),
    told(lambda: sharding.mesh(-1, 0)), told(lambda: jax.eval_shape(step, {}, np.zeros((6, 2)))),
    told(lambda: sharding.shard_batch(np.zeros((6, 2)), mesh)), dict(sharding.mesh(-1, 2).shape),
    [shard.data[0, 0].item() for shard in batch.addressable_shards],
]))
"""


def test_meshes_and_batches_that_do_not_fit_are_told():
    """Each mistake in one sentence; a batch that fits lies on the devices in its order, [batch / data, ...] each."""
    *messages, shape, firsts = run(MISTAKES)
    assert messages[0] == "a mesh of data=3 x model=3 does not fit 8 devices"
    assert messages[1] == "a mesh of data=0 x model=9 does not fit 8 devices"
    assert all("does not fit 8 devices" in message for message in messages[:4])
    assert messages[4:] == ["a batch of 6 examples cannot be divided over 4 devices"] * 2
    assert shape == {"data": 4, "model": 2}
    assert firsts == [0.0, 0.0, 6.0, 6.0, 12.0, 12.0, 18.0, 18.0]


def linear(params, key, batch):
    """loss = mean_i w . x_i + w . noise, whose gradient is mean(x) + noise."""
    loss = jnp.mean(batch @ params) + params @ jax.random.normal(key, params.shape)
    return loss, {"loss": loss}


def test_accumulation_is_the_mean_over_parts():
    """4 parts of 8 examples, against gradients by hand. Mutations: the sum for the mean, one key for all parts."""
    batch = jnp.arange(16.0).reshape(8, 2)
    state = training.TrainState.create(jnp.ones(2), optax.sgd(1.0), jax.random.key(3))
    _, key_loss = state.keys()
    noise = np.mean([jax.random.normal(key, (2,)) for key in jax.random.split(key_loss, 4)], 0)
    moved, metrics = jax.jit(training.make_train_step(linear, optax.sgd(1.0), accumulate=4))(state, batch)
    np.testing.assert_allclose(1 - moved.params, np.mean(batch, 0) + noise, rtol=1e-5)
    np.testing.assert_allclose(metrics["loss"], np.sum(np.mean(batch, 0) + noise), rtol=1e-5)


def test_parts_that_do_not_fit_are_told():
    with pytest.raises(ValueError, match="at least 1, got accumulate=0"):
        training.make_train_step(linear, optax.sgd(1.0), accumulate=0)
    state = training.TrainState.create(jnp.ones(2), optax.sgd(1.0), jax.random.key(3))
    with pytest.raises(ValueError, match="8 examples cannot be divided into 3 parts"):
        training.make_train_step(linear, optax.sgd(1.0), accumulate=3)(state, jnp.ones((8, 2)))
