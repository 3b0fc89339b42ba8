"""Image networks of recipes: exactly those that the library makes of the same entries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddjax import networks, recipes
from ddjax.recipes import Dit, Unet

NETS = [
    Unet(width=8, depth=1), Unet(width=16, depth=1), Unet(width=8, depth=2), Unet(width=8, depth=1, attention=(4,)),
    Dit(width=8, depth=2, patch=2), Dit(width=16, depth=2, patch=4), Dit(width=8, depth=3, patch=2),
]  # fmt: skip
CONDITIONS = [None, recipes.Labels(classes=3), recipes.Numbers(cond_size=2)]
CASES = [(net, None, 0) for net in NETS] + [
    (net, condition, inject) for net in (NETS[0], NETS[4]) for condition in CONDITIONS for inject in (None, 0, 1)
]


@pytest.mark.parametrize(("given", "condition", "inject"), CASES)
def test_an_image_network_is_the_one_composed_by_hand(given, condition, inject):
    """Names and shapes of all parameters. Mutations: an entry ignored; widths of another pyramid; labels where there are none."""
    shape = {"name": "a", "event_shape": (8, 8, 1), "network": given, "condition": condition}
    recipe = recipes.Regression(**shape) if inject is None else recipes.Distributional(**shape, inject=inject)
    shared = {"classes": recipe.classes, "cond_size": recipe.cond_size, "inject": inject}
    if isinstance(given, Dit):
        net = networks.dit((8, 8, 1), patch=given.patch, width=given.width, depth=given.depth, **shared)
    else:
        widths = tuple(given.width * times for times in (1, 2, 2))
        net = networks.unet((8, 8, 1), width=widths, depth=given.depth, attention=given.attention, **shared)
    got, want = (jax.eval_shape(of.init, jax.random.key(0)) for of in (recipes.build(recipe).network, net))
    assert jax.tree.structure(got) == jax.tree.structure(want)
    assert [leaf.shape for leaf in jax.tree.leaves(got)] == [leaf.shape for leaf in jax.tree.leaves(want)]


def test_a_vector_network_sees_any_event_as_one_vector():
    """Also a matrix. Mutation: flattened only from three axes on."""
    recipe = recipes.Distributional(name="a", event_shape=(3, 2), network=recipes.Mlp(width=8, depth=2))
    model = recipes.build(recipe)
    params = model.network.init(jax.random.key(0))
    wanted = networks.mlp(6, width=8, depth=2, inject=recipe.inject).init(jax.random.key(0))
    assert jax.tree.map(jax.numpy.shape, params) == jax.tree.map(jax.numpy.shape, wanted)
    assert model.draw(params, jax.random.key(1), 4, steps=2).shape == (4, 3, 2)


def test_what_predicts_drops_nothing_out():
    """A net trained with dropout predicts as the same weights without. Mutation: any other rate while sampling."""
    dropping, plain = (
        recipes.Regression(name="a", event_shape=(8, 8, 1), network=Dit(width=8, depth=1, patch=4, dropout=rate))
        for rate in (0.5, 0.0)
    )
    params = jax.tree.map(lambda leaf: leaf + 0.1, recipes.build(plain).network.init(jax.random.key(0)))
    x_t, t = jax.random.normal(jax.random.key(1), (2, 8, 8, 1)), jnp.array([0.3, 0.6])
    predicted = [recipe.predictor()(params, jax.random.key(2), x_t, t, None) for recipe in (dropping, plain)]
    np.testing.assert_array_equal(*predicted)
    assert jnp.any(
        recipes.build(dropping).network.apply(params, x_t, t, None, None)
        != recipes.build(plain).network.apply(params, x_t, t, None, None)
    )
