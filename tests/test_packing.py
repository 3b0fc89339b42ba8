"""Packed states: nothing is lost, moved or confused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ddjax import networks, training
from ddjax.training import checkpoints, packing

MIXED = {"b": jnp.arange(6, dtype=jnp.float32).reshape(2, 3), "a": jnp.asarray(7, jnp.int32), "c": jnp.full((4,), 0.5)}


def test_unpacking_is_the_inverse():
    """Bit for bit, a NaN's payload and a negative zero included. Mutation: leaves in another order."""
    odd = np.array([np.nan, -0.0, np.inf, 1e-45], np.float32)
    odd[0:1].view(np.uint32)[0] |= 5
    tree = MIXED | {"d": jnp.asarray(odd)}
    vectors = packing.pack(tree)
    assert set(vectors) == {"float32", "int32", packing.SHAPES} and vectors["float32"].shape == (14,)
    for name, leaf in packing.unpack(vectors, tree).items():
        assert leaf.dtype == tree[name].dtype and leaf.shape == tree[name].shape
        assert np.asarray(leaf).tobytes() == np.asarray(tree[name]).tobytes()


def test_vectors_are_copies():
    """Of a single vector as well, which a jitted function may hand through. Mutation: hand through a lone vector."""
    x = jnp.arange(4.0)
    vectors = packing.pack({"x": x})
    jax.jit(lambda x: x + 1, donate_argnums=0)(x)
    np.testing.assert_array_equal(vectors["float32"], np.arange(4.0))


@pytest.mark.parametrize(
    "other",
    [
        MIXED | {"b": MIXED["b"].reshape(3, 2)},
        {"b2": MIXED["b"], "a": MIXED["a"], "c": MIXED["c"]},
        {"b": MIXED["c"], "a": MIXED["a"], "c": MIXED["b"]},
    ],
    ids=["another shape", "another name", "shapes exchanged"],
)
def test_trees_of_equal_size_are_told_apart(other):
    """The vectors have the same lengths; the digest does not agree."""
    assert packing.pack(other)["float32"].shape == packing.pack(MIXED)["float32"].shape
    assert (np.asarray(packing.pack(other)[packing.SHAPES]) != packing.digest(MIXED)).any()


def test_a_model_of_equal_size_is_refused(tmp_path):
    """Two nets of 2 and 3 numbers exchanged, 6 parameters either way. Mutation: compare the lengths alone."""

    def state(shape):
        return training.TrainState.create({"w": jnp.ones(shape)}, optax.sgd(0.1), jax.random.key(0))

    with checkpoints.manager(tmp_path / "run") as manager:
        checkpoints.save(manager, state((2, 3)))
        with pytest.raises(ValueError, match="another model or optimizer"):
            checkpoints.restore(manager, state((3, 2)))
        np.testing.assert_array_equal(checkpoints.restore(manager, state((2, 3))).params["w"], np.ones((2, 3)))


def test_few_arrays_are_written_for_many_leaves(tmp_path):
    """What a save costs grows with its arrays: 4 for a net of any depth."""
    params = networks.mlp(2, width=4, depth=6).init(jax.random.key(0))
    state = training.TrainState.create(params, optax.adam(0.1), jax.random.key(0))
    assert len(jax.tree.leaves(state)) > 50
    with checkpoints.manager(tmp_path / "run") as manager:
        checkpoints.save(manager, state)
        manager.wait()
        assert set(manager.orbax.item_metadata(0)) == {"float32", "int32", "uint32", packing.SHAPES}
