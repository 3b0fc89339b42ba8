"""What a caller gives to training stays the caller's: a cell of a notebook can be run twice."""

import ast
import itertools
import os
import signal
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from descent import digest, noise_batch, quadratic

import ddjax
from ddjax import training

OPTIMIZER = optax.adam(0.05)
STEP = training.make_train_step(quadratic, OPTIMIZER)


class Numbers:
    """A stream with a place."""

    def __init__(self):
        self.place = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.place += 1
        return jax.random.normal(jax.random.key(self.place), (4, 2))

    def get_state(self):
        return str(self.place)

    def set_state(self, state):
        self.place = int(state)


# every source of batches and way of dispatch that donates
WAYS = {
    "scanned": {"batch": lambda: noise_batch},
    "dispatched": {"batch": lambda: noise_batch, "scanned": False},
    "iterator": {"batch": lambda: itertools.repeat(jnp.ones((4, 2)))},
    "stream": {"batch": Numbers},
}


def trained(state, way, steps=20, **settings):
    batch, more = WAYS[way]["batch"](), {name: value for name, value in WAYS[way].items() if name != "batch"}
    return training.fit(state, STEP, batch, steps=steps, chunk=10, save_every=10, label=None, **more, **settings)


@pytest.mark.parametrize("way", WAYS)
def test_state_parameters_and_key_survive_every_way_to_train(way):
    """Bit for bit, and the same cell run twice gives the same state. Mutations: no copy in `fit`; none in `create`."""
    params, key = {"w": jnp.array([3.0, -2.0])}, jax.random.key(7)
    state = training.TrainState.create(params, OPTIMIZER, key, others=0)
    before = digest(state)
    first, second = trained(state, way), trained(state, way)
    assert digest(first) == digest(second) != before == digest(state)
    trained(state.copy(), way, donate=True)
    assert digest(state) == before
    np.testing.assert_array_equal(params["w"], [3.0, -2.0])
    assert (jax.random.key_data(key) == jax.random.key_data(jax.random.key(7))).all()


def test_a_state_shares_no_buffer():
    """With the caller, or within itself, whatever the optimizer keeps: lookahead's slow weights begin as the parameters.

    Mutation: copies of the averages alone.
    """
    params, key = {"w": jnp.arange(3.0)}, jax.random.key(0)
    keeping = optax.GradientTransformation(lambda params: params, lambda updates, state, params=None: (updates, state))
    state = training.TrainState.create(params, keeping, key, others=2)
    arrays = [*jax.tree.leaves((params, key)), *jax.tree.leaves(state)]
    pointers = [jax.random.key_data(leaf).unsafe_buffer_pointer() if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
                else leaf.unsafe_buffer_pointer() for leaf in arrays]  # fmt: skip
    assert len(set(pointers)) == len(arrays)


def test_the_copy_is_one_and_the_loop_donates_its_own(monkeypatch):
    """One for twenty chunks; each state that the loop had is deleted by the next dispatch, so that no more of them live
    together. Mutations: a copy for each chunk; no donation.
    """
    copies, visited, copy = [], [], training.TrainState.copy
    monkeypatch.setattr(training.TrainState, "copy", lambda state: copies.append(1) or copy(state))
    state = copy(training.TrainState.create({"w": jnp.ones(2)}, OPTIMIZER, jax.random.key(0)))
    copies.clear()
    trained(state, "scanned", steps=200, visit=lambda state: visited.append(state.params["w"]))
    assert len(copies) == 1 and len(visited) == 20
    assert [array.is_deleted() for array in visited] == [True] * 19 + [False]
    trained(state, "scanned", steps=200, donate=True)
    assert len(copies) == 1 and state.params["w"].is_deleted()


def test_an_interrupted_fit_gives_its_state_back():
    """Where no checkpoints are kept, too: training goes on from there as if it had never stopped. Mutation: no state."""
    state = training.TrainState.create({"w": jnp.ones(2)}, OPTIMIZER, jax.random.key(0))
    stop = lambda step, _: step == 20 and os.kill(os.getpid(), signal.SIGINT)  # noqa: E731
    with pytest.raises(training.Interrupted) as stopped:
        trained(state, "scanned", steps=1000, log=stop)
    error = stopped.value
    assert 20 <= int(error.state.step) == error.step < 1000 and "sys.last_value.state" in error.__notes__[0]
    end = error.step + 10
    assert digest(trained(error.state, "scanned", steps=end)) == digest(trained(state, "scanned", steps=end))


def test_training_to_a_step_that_is_reached_says_so():
    """`steps` is where to stop, not how many more. Mutation: silence."""
    state = trained(training.TrainState.create({"w": jnp.ones(2)}, OPTIMIZER, jax.random.key(0)), "scanned")
    with pytest.warns(
        UserWarning, match="nothing was trained: the state is at step 20, and steps=20 counts from the beginning"
    ):
        assert trained(state, "scanned") is state


def test_only_the_loop_donates_and_nothing_deletes():
    """What else would takes its place in the table above. Mutation: another `jax.jit(..., donate_argnums=0)`."""
    root, found = Path(ddjax.__file__).parent, set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            donates = isinstance(node, ast.keyword) and node.arg in ("donate_argnums", "donate_argnames")
            deletes = isinstance(node, ast.Attribute) and node.attr == "delete"
            found |= {str(path.relative_to(root))} if donates or deletes else set()
    assert found == {"training/loop.py"}
