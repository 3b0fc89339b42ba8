"""Conditions of the three networks: that they reach the output, on the way that is told, and that others are refused."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close

from ddjax import networks

IMAGE = (4, 4, 1)
MAKE = {
    "mlp": partial(networks.mlp, 3, width=8, depth=2),
    "unet": partial(networks.unet, IMAGE, width=(8,), depth=1),
    "dit": partial(networks.dit, IMAGE, patch=2, width=16, depth=2, heads=2),
}
EVENTS = {"mlp": (3,), "unet": IMAGE, "dit": IMAGE}
VECTOR, LABELS, NONE = ("cond_size", 3), ("classes", 3), (None, 0)
GENERATOR = np.random.default_rng(0)
T = jnp.array([0.2, 0.7])


def normal(*shape):
    return jnp.asarray(GENERATOR.normal(size=shape), jnp.float32)


def shaken(params):
    """Parameters away from 0, so that nothing hides behind a zero gate."""
    generator = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: leaf + 0.3 * generator.normal(size=leaf.shape).astype(np.float32), params)


def built(name, **settings):
    network = MAKE[name](**settings)
    return jax.jit(network.apply), shaken(network.init(jax.random.key(0)))


@pytest.mark.parametrize("name", MAKE)
def test_a_condition_vector_moves_its_own_example_alone(name):
    """By its derivative: not 0 in each number of the vector, 0 in that of another example. Mutation: the vector is dropped."""
    apply, params = built(name, cond_size=3, inject=1)
    x_t, cond, xi = normal(2, *EVENTS[name]), normal(2, 3), normal(2, *EVENTS[name])
    slopes = jax.jacrev(lambda cond: jnp.sum(apply(params, x_t, T, cond, xi).reshape(2, -1) ** 2, 1))(cond)
    assert (np.abs(slopes[0, 0]) > 1e-4).all() and (np.abs(slopes[1, 1]) > 1e-4).all()
    np.testing.assert_array_equal(slopes[0, 1], 0)


@pytest.mark.parametrize("name", ["unet", "dit"])
def test_a_condition_vector_joins_the_embedding_as_a_label_does(name):
    """One-hot vectors are labels, with the same parameters, and zeros the null. Mutation: a vector on another way than labels."""
    (by_label, params), (by_vector, _) = built(name, classes=3), built(name, cond_size=3)
    x_t, xi = normal(2, *IMAGE), normal(2, *IMAGE)
    for labels in (jnp.array([0, 2]), jnp.array([3, 1])):
        vectors = jax.nn.one_hot(labels, 3)
        close(by_vector(params, x_t, T, vectors, xi), by_label(params, x_t, T, labels, xi), atol=1e-6)


@pytest.mark.parametrize("name", ["unet", "dit"])
def test_a_condition_image_is_further_channels_of_x_t(name):
    """x_t and a condition of one channel exchanged is the network with their input weights exchanged; each moves the output.

    Mutations: the image enters elsewhere too, or is left out; a prediction of as many channels as go in.
    """
    apply, params = built(name, cond_channels=1, inject=None)
    layer = {"unet": "in", "dit": "patches"}[name]
    kernel = params["params"][layer]["kernel"]
    rows = kernel.reshape(*kernel.shape[:-2], -1, 2, kernel.shape[-1])  # channels are the last axis of a patch
    exchanged = jax.tree.map(lambda leaf: rows[..., ::-1, :].reshape(leaf.shape) if leaf is kernel else leaf, params)
    x_t, image = normal(2, *IMAGE), normal(2, *IMAGE)
    out = apply(params, x_t, T, image, None)
    assert out.shape == x_t.shape
    close(apply(exchanged, image, T, x_t, None), out, atol=1e-4)
    assert np.abs(apply(params, x_t, T, image + 0.1, None) - out).max() > 1e-3


@pytest.mark.parametrize("name", ["unet", "dit"])
def test_a_condition_image_of_other_channels_than_the_event(name):
    """Three channels beside one, with a population of xi. Mutation: channels of the condition taken for those of the event."""
    apply, params = built(name, cond_channels=3, inject=0)
    x_t, image, xi = normal(2, *IMAGE), normal(2, 4, 4, 3), normal(2, 5, *IMAGE)
    draws = apply(params, x_t, T, image, xi)
    assert draws.shape == (2, 5, *IMAGE)
    for i in range(5):
        close(draws[:, i], apply(params, x_t, T, image, xi[:, i]), atol=1e-5)


@pytest.mark.parametrize("name", MAKE)
def test_no_condition_is_none_or_of_size_0(name):
    """Bit for bit. Mutation: an empty condition is refused."""
    apply, params = built(name, inject=None)
    x_t = normal(2, *EVENTS[name])
    np.testing.assert_array_equal(apply(params, x_t, T, jnp.zeros((2, 0)), None), apply(params, x_t, T, None, None))


@pytest.mark.parametrize("name", MAKE)
def test_labels_of_every_net_are_those_of_labelled(name):
    """`classes` is `networks.labelled` around condition vectors. Mutation: another null, or labels as numbers."""
    (apply, params), vectors = built(name, classes=3, inject=None), MAKE[name](cond_size=3, inject=None)
    x_t, labels = normal(2, *EVENTS[name]), jnp.array([3, 1])
    close(
        apply(params, x_t, T, labels, None),
        networks.labelled(vectors, 3).apply(params, x_t, T, labels, None),
        atol=1e-5,
    )


def test_a_vector_network_computes_in_bfloat16_and_keeps_parameters_and_output():
    """Every product, by the program; within 5 % of float32. Mutation: `dtype` is not handed to one of the layers."""
    settings = {"inject": 1, "gate": True}
    (apply, params), (rough, _) = built("mlp", **settings), built("mlp", dtype=jnp.bfloat16, **settings)
    given = params, normal(2, 3), T, None, normal(2, 3)
    with jax.numpy_dtype_promotion("standard"):  # as users have it
        wanted, found, program = apply(*given), rough(*given), rough.lower(*given).as_text()
    products = [line for line in program.splitlines() if "dot_general" in line]
    assert len(products) == 6 and all("f32" not in line.replace("bf16", "") for line in products)
    assert found.dtype == jnp.float32
    assert 0 < np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()


WRONG = {
    "none where one is needed": (VECTOR, lambda event: None, r"condition \[batch, 3\]"),
    "too long": (VECTOR, lambda event: jnp.zeros((2, 4)), r"condition \[batch, 3\], got shapes=\[\(2, 4\)\]"),
    "of another batch": (VECTOR, lambda event: jnp.zeros((1, 3)), r"condition \[batch, 3\]"),
    "labels for a vector": (VECTOR, lambda event: jnp.array([0, 1]), r"condition \[batch, 3\]"),
    "a vector for labels": (LABELS, lambda event: jnp.zeros((2, 3)), "one label for each example"),
    "one where none is taken": (NONE, lambda event: jnp.zeros((2, 3)), "takes none"),
    "labels where none are taken": (NONE, lambda event: jnp.array([0, 1]), "takes none"),
}


@pytest.mark.parametrize("mistake", WRONG)
@pytest.mark.parametrize("name", MAKE)
def test_another_condition_is_refused_by_its_shape(name, mistake):
    """In a sentence, before flax speaks of a kernel. Mutation: the check of `networks.conditions` left out."""
    (kind, size), cond, says = WRONG[mistake]
    network = MAKE[name](inject=None, **({kind: size} if kind else {}))
    with pytest.raises(ValueError, match=says):
        network.apply({}, normal(2, *EVENTS[name]), T, cond(EVENTS[name]), None)


@pytest.mark.parametrize("name", MAKE)
def test_other_events_and_two_kinds_of_conditions_are_refused(name):
    """Mutation: the check of the event left out."""
    with pytest.raises(ValueError, match="built for event_shape"):
        MAKE[name](inject=None).apply({}, normal(2, 3, *EVENTS[name]), T, None, None)
    with pytest.raises(ValueError, match="one kind of condition"):
        MAKE[name](classes=2, cond_size=3)
    if name != "mlp":
        with pytest.raises(ValueError, match=r"condition \[batch, 4, 4, 2\]"):
            MAKE[name](cond_channels=2, inject=None).apply({}, normal(2, *IMAGE), T, normal(2, 4, 4, 1), None)
