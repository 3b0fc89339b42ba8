"""Training on a stream: the place of the data is part of a checkpoint, and the batch that of all processes together."""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from descent import digest
from PIL import Image

from ddjax import data, training
from ddjax.training import checkpoints

ROOT = Path(__file__).parents[1]
OPTIMIZER = optax.adam(0.05)


def spots(n=23):
    """Images of two grey pixels, of which a mirror image is another one."""
    x = np.random.default_rng(1).integers(0, 256, (n, 1, 2, 1), dtype=np.uint8)
    return data.Images(x, np.arange(n, dtype=np.int32), tuple(map(str, range(n))), "train", "spots", flip=True)


def stream(size=8, seed=3, n=23):
    return data.Stream(spots(n), size, seed=seed, threads=2)


def quadratic(params, key, batch):
    """loss = mean (w - x)^2 / 2 + the labels' mean, so that it tells which examples it saw."""
    loss = jnp.mean((params[None, None, :, None] - batch.x_0) ** 2) / 2 + batch.cond.astype(jnp.float32).mean()
    return loss, {"loss": loss}


def fit(batch, steps, state=None, **options):
    state = state or training.TrainState.create(jnp.array([1.0, -2.0]), OPTIMIZER, jax.random.key(0))
    train_step = training.make_train_step(quadratic, OPTIMIZER)
    return training.fit(state, train_step, batch, steps=steps, chunk=2, save_every=4, label=None, **options)


def restored(folder, batch):
    like = training.TrainState.create(jnp.zeros(2), OPTIMIZER, jax.random.key(0))
    with checkpoints.manager(folder) as manager:
        return checkpoints.restore(manager, like, batch)


def test_the_steps_are_those_of_the_batches_in_their_order():
    """Against a plain loop over the stream. Mutations: a batch skipped between chunks, or one fetched and not used."""
    losses, batches = [], stream()
    state = fit(batches, 10, log=lambda step, means: losses.append(means["loss"]))
    single, plain, by_hand = jax.jit(training.make_train_step(quadratic, OPTIMIZER)), stream(), []
    alone = training.TrainState.create(jnp.array([1.0, -2.0]), OPTIMIZER, jax.random.key(0))
    for _ in range(10):
        alone, row = single(alone, next(plain))
        by_hand.append(float(row["loss"]))
    assert digest(state) == digest(alone)
    np.testing.assert_allclose(losses, np.reshape(by_hand, (5, 2)).mean(1), rtol=1e-6)
    assert batches.get_state() == plain.get_state()


@pytest.fixture
def saved(tmp_path):
    """A run of 8 of 14 steps, checkpoints at 4 and 8."""
    with checkpoints.manager(tmp_path / "run") as manager:
        fit(stream(), 8, checkpoints=manager)
    return tmp_path / "run"


def test_a_run_that_was_cut_goes_on_with_the_batch_after_its_last(saved):
    """8 of 14 steps, then the rest: the bytes of the uninterrupted run. Mutation: the place is not set."""
    batches = stream()
    state = restored(saved, batches)
    assert int(state.step) == 8 and json.loads(batches.get_state())["grain"] == {"next_index": 8}
    assert digest(fit(batches, 14, state)) == digest(fit(stream(), 14))


def test_a_signal_within_a_chunk_keeps_the_place_of_its_step(tmp_path):
    """SIGTERM with the 5th batch of chunks of 4: the state of that step or the next, and the rest as if it had not come.

    Mutation: the batches of a chunk are all taken before its steps.
    """

    class Signalling(data.Stream):
        def __next__(self):
            if json.loads(self.get_state())["grain"]["next_index"] == 4:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().__next__()

    options = {"steps": 14, "chunk": 4, "save_every": 8, "label": None}
    train_step = training.make_train_step(quadratic, OPTIMIZER)
    start = training.TrainState.create(jnp.array([1.0, -2.0]), OPTIMIZER, jax.random.key(0))
    with checkpoints.manager(tmp_path / "run") as manager, pytest.raises(training.Interrupted) as stop:
        training.fit(start, train_step, Signalling(spots(), 8, seed=3), checkpoints=manager, **options)
    assert stop.value.step in (5, 6)
    batches = stream()
    assert digest(fit(batches, 14, restored(tmp_path / "run", batches))) == digest(fit(stream(), 14))


def test_the_place_is_under_the_manifest(saved):
    """Another place written into the newest step: that step counts as damaged, and the data go back with the state."""
    place = saved / "8" / "stream.json"
    place.write_text(place.read_text().replace('"next_index": 8', '"next_index": 6'))
    batches = stream()
    with pytest.warns(UserWarning, match="8 is damaged"):
        state = restored(saved, batches)
    assert int(state.step) == 4 and json.loads(batches.get_state())["grain"] == {"next_index": 4}


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"size": 4}, "the state is that of another stream: size 8 there, 4 here"),
        ({"seed": 5}, "the state is that of another stream: seed 3 there, 5 here"),
        ({"n": 24}, "the state is that of another stream: set "),
    ],
)
def test_a_checkpoint_of_another_stream_is_refused_in_one_line(saved, other, told):
    with pytest.raises(ValueError, match=f"^checkpoint .*run/8: {told}.*$"):
        restored(saved, stream(**other))


def test_a_stream_and_draws_do_not_take_up_each_other(saved, tmp_path):
    """Both ways, before a step is made of other data; reading the state alone is free. Mutation: a place that is ignored."""
    with pytest.raises(ValueError, match=r"run/8 took its batches from a stream, this run takes them from draws$"):
        restored(saved, None)
    assert int(checkpoints.restore_newest(saved, restored(saved, stream())).step) == 8
    with checkpoints.manager(tmp_path / "drawn") as manager:
        fit(data.batches(spots(), 8), 4, checkpoints=manager)
    with pytest.raises(ValueError, match=r"drawn/4 took its batches from draws, this run takes them from a stream$"):
        restored(tmp_path / "drawn", stream())


def test_a_damaged_image_ends_the_run_by_its_name(tmp_path):
    """From the thread that read it to the caller, as any other mistake of a user."""
    for i in range(12):
        (tmp_path / "set" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 1), i).save(tmp_path / "set" / "ab"[i % 2] / f"{i}.png")
    folder = data.load(tmp_path / "set", largest=0)
    folder.paths[3].write_bytes(folder.paths[3].read_bytes()[:40])
    with pytest.raises(ValueError, match=r"cannot read the image .*\.png"):
        fit(data.Stream(folder, 4), 14)


def test_parts_of_processes_are_the_batch_and_no_more_is_read():
    """1, 2 and 4 processes: their rows together are the same batches, mirrored alike, and each reads its rows alone.

    Mutations: a coin for each part; every P-th example for a process; the whole batch read and cut.
    """
    read = []

    @dataclasses.dataclass(frozen=True, eq=False)
    class Counted(data.Images):
        def take(self, rows):
            read.append(len(rows))
            return super().take(rows)

    counted = Counted(**{field.name: getattr(spots(), field.name) for field in dataclasses.fields(data.Images)})
    whole = stream()
    wanted = [next(whole) for _ in range(6)]
    for count in (2, 4):
        everywhere = data.Stream(counted, 8, seed=3, threads=1)
        parts = [everywhere.laid(rows, jax.device_put) for rows in np.arange(8).reshape(count, -1)]
        for batch in wanted:
            found = [next(part) for part in parts]
            for name in ("x_0", "cond"):
                np.testing.assert_array_equal(
                    np.concatenate([getattr(part, name) for part in found]), getattr(batch, name)
                )
    assert set(read) == {4, 2}


RUN = """
import functools, json, sys, jax, jax.numpy as jnp
port, rank, count = sys.argv[1:]
if int(count) > 1:
    jax.distributed.initialize("localhost:" + port, int(count), int(rank))
sys.path.insert(0, "tests")
from test_streamed import fit, stream, OPTIMIZER, quadratic
from ddjax import training
from ddjax.training import sharding

def losses(data=None, model=1, fully=False):
    told, batches, train_step = [], stream(), training.make_train_step(quadratic, OPTIMIZER)
    state = training.TrainState.create(jnp.array([1.0, -2.0]), OPTIMIZER, jax.random.key(0))
    rows = None
    if data:
        mesh = sharding.mesh(data, model)
        rows = sharding.held(8, mesh).tolist()
        batches = batches.laid(sharding.held(8, mesh), functools.partial(sharding.shard_batch, mesh=mesh))
        state, train_step = sharding.shard_state(state, mesh, fully=fully), sharding.on_mesh(train_step, mesh, fully=fully)
    training.fit(state, train_step, batches, steps=12, chunk=1, save_every=1, label=None,
                 log=lambda step, means: told.append(means["loss"]))
    return told, rows

print(json.dumps([losses(**case) for case in json.loads('CASES')]))
"""


def run(count, devices, cases):
    """The losses that each of `count` processes tells, for each case."""
    port, env = str(random.SystemRandom().randrange(20_000, 30_000)), {"JAX_NUM_CPU_DEVICES": str(devices)}
    env = os.environ | env | {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".jax_cache")}
    code = RUN.replace("CASES", json.dumps(cases))
    processes = [
        subprocess.Popen([sys.executable, "-c", code, port, str(rank), str(count)], cwd=ROOT, env=env, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE) for rank in range(count)
    ]  # fmt: skip
    try:
        ends = [process.communicate(timeout=120) for process in processes]
    finally:  # where one hangs, the other does
        for process in processes:
            process.kill()
    assert not any(process.returncode for process in processes), ends
    return [json.loads(told.splitlines()[-1]) for told, _ in ends]


@pytest.fixture(scope="module")
def alone():
    """The losses of one device, means over two steps."""
    told = []
    fit(stream(), 12, log=lambda step, means: told.append(means["loss"]))
    return told


def test_losses_do_not_depend_on_the_number_of_devices(alone):
    """One process with 4 devices, whole and fully sharded. Mutation: a batch that is not laid over the mesh in order."""
    (found,) = run(1, 4, [{"data": 2}, {"data": 4, "fully": True}, {"data": 2, "model": 2}])
    for losses, rows in found:
        np.testing.assert_allclose(np.reshape(losses, (6, 2)).mean(1), alone, atol=1e-5, rtol=0)
        assert rows == [*range(8)]


def test_losses_do_not_depend_on_the_number_of_processes(alone):
    """Two processes over loopback read 4 rows each, or all 8 where the devices split parameters and hold the same rows.

    Mutations: rows by the number of the process, whatever the mesh; a stream that each process reads whole.
    """
    both = run(2, 1, [{"data": 2}, {"data": 1, "model": 2}])
    for rank, ((split, rows), (shared, every)) in enumerate(both):
        for losses in (split, shared):
            np.testing.assert_allclose(np.reshape(losses, (6, 2)).mean(1), alone, atol=1e-5, rtol=0)
        assert rows == [*range(4 * rank, 4 * rank + 4)] and every == [*range(8)]
