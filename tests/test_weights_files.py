"""Weight files: what is saved comes back, other networks' weights are named, and nothing in a file is ever run."""

import os

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from numpy.testing import assert_array_equal as equal

from ddjax import networks
from ddjax.networks import weights


def test_half_precision_comes_back(tmp_path):
    """bfloat16, which numpy lacks. Fails where that ends in a TypeError."""
    values = np.array([1.5, -2.0, 0.25], ml_dtypes.bfloat16)
    safetensors.numpy.save_file({"w": values}, tmp_path / "x.safetensors")
    equal(weights.read(tmp_path / "x.safetensors")["w"], values)


def test_what_is_no_file_is_refused(tmp_path):
    """A folder, a pipe without a writer, a link to itself: told, and nobody waits."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "loop"):
        with pytest.raises(ValueError, match=str(path)):
            weights.read(path)
    with pytest.raises(FileNotFoundError):
        weights.read(tmp_path / "none")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_weights_that_are_not_finite_are_refused_by_name(bad):
    """In the precision of the network. Fails where a network is filled with NaN, or float64 overflows without a word."""
    like = {"params": {"dense": {"bias": jnp.zeros(2)}}}
    arrays = {"params.dense.bias": np.array([0.0, bad])}
    with pytest.raises(ValueError, match=r"not finite in float32: 'params\.dense\.bias'"):
        weights.restored(arrays, like)
    with pytest.raises(ValueError, match="not finite"):
        weights.from_torch({"dense.bias": arrays["params.dense.bias"]}, like)


def test_own_weights_come_back_exactly_or_not_at_all(tmp_path):
    """Fails for leaves in another order, or shapes that are only counted."""
    network = networks.mlp(2, width=8, depth=2)
    params = network.init(jax.random.key(0))
    path = tmp_path / "x.safetensors"
    weights.save(path, params)
    like = jax.eval_shape(network.init, jax.random.key(0))
    jax.tree.map(equal, weights.restored(weights.read(path), like), params)
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]
    for other, message in (
        (networks.mlp(2, width=9, depth=2), r"'params\.hidden_0\.bias' is \(8,\), wanted \(9,\)"),
        (networks.mlp(2, width=8, depth=3), r"'params\.hidden_2\.bias' is missing"),
        (networks.mlp(2, width=8, depth=1), r"'params\.hidden_1\.bias' has no place"),
    ):
        with pytest.raises(ValueError, match=message):
            weights.restored(weights.read(path), jax.eval_shape(other.init, jax.random.key(0)))


LISTED = {"layers": [{"w": jnp.arange(3.0)}, {"w": jnp.arange(4.0)}], "scale": jnp.float32(2.0)}


@pytest.mark.parametrize("tree", ["network", "lists"])
def test_parameters_are_saved_and_loaded_by_one_pair(tmp_path, tree):
    """Of lists too, and from the bracketed names of the guide of 0.3.0. Mutation: names by the keys of dictionaries alone."""
    params = networks.mlp(2, width=8, depth=2).init(jax.random.key(0)) if tree == "network" else LISTED
    like = jax.eval_shape(lambda: params)
    networks.save(tmp_path / "x.safetensors", params)
    jax.tree.map(equal, networks.load(tmp_path / "x.safetensors", like), params)
    bracketed = {jax.tree_util.keystr(path): np.asarray(x) for path, x in jax.tree_util.tree_leaves_with_path(params)}
    safetensors.numpy.save_file(bracketed, tmp_path / "old.safetensors")
    jax.tree.map(equal, networks.load(tmp_path / "old.safetensors", like), params)


def test_two_parameters_of_one_name_are_not_saved(tmp_path):
    """Mutation: the last one wins."""
    with pytest.raises(ValueError, match="one name"):
        networks.save(tmp_path / "x.safetensors", {"a": {"b": jnp.zeros(2)}, "a.b": jnp.ones(2)})
    assert not [*tmp_path.iterdir()]
