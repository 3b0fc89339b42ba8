"""Image networks of recipes: exactly those that the library makes of the same entries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddjax import networks, recipes

SMALL = {"event_shape": (8, 8, 1), "width": 8, "depth": 1, "inject": 0, "population": 2, "steps": 40}
IMAGES = [
    {"net": "unet"}, {"net": "unet", "width": 16}, {"net": "unet", "depth": 2}, {"net": "unet", "attention": (4,)},
    {"net": "unet", "inject": 1}, {"net": "unet", "classes": 3}, {"net": "unet", "kind": "regression"},
    {"net": "dit", "patch": 2}, {"net": "dit", "patch": 4, "width": 16}, {"net": "dit", "patch": 2, "depth": 2},
    {"net": "dit", "patch": 2, "classes": 3},
]  # fmt: skip


@pytest.mark.parametrize("changed", IMAGES, ids=lambda changed: "-".join(map(str, changed.values())))
def test_an_image_network_is_the_one_composed_by_hand(changed):
    """Names and shapes of all parameters. Mutations: an entry ignored; widths of another pyramid; labels where there are none."""
    recipe = recipes.Recipe(name="a", **SMALL | changed)
    shared = {"classes": recipe.classes, "inject": recipe.inject if recipe.kind == "distributional" else None}
    if recipe.net == "dit":
        net = networks.dit((8, 8, 1), patch=recipe.patch, width=recipe.width, depth=recipe.depth, **shared)
    else:
        widths = tuple(recipe.width * times for times in (1, 2, 2))
        net = networks.unet((8, 8, 1), width=widths, depth=recipe.depth, attention=recipe.attention, **shared)
    got, want = (jax.eval_shape(of.init, jax.random.key(0)) for of in (recipes.build(recipe).network, net))
    assert jax.tree.structure(got) == jax.tree.structure(want)
    assert [leaf.shape for leaf in jax.tree.leaves(got)] == [leaf.shape for leaf in jax.tree.leaves(want)]


def test_a_vector_network_sees_any_event_as_one_vector():
    """Also a matrix. Mutation: flattened only from three axes on."""
    recipe = recipes.Recipe(name="a", event_shape=(3, 2), width=8, depth=2)
    model = recipes.build(recipe)
    params = model.network.init(jax.random.key(0))
    wanted = networks.mlp(6, width=8, depth=2, inject=recipe.inject).init(jax.random.key(0))
    assert jax.tree.map(jax.numpy.shape, params) == jax.tree.map(jax.numpy.shape, wanted)
    assert model.draw(params, jax.random.key(1), 4, steps=2).shape == (4, 3, 2)


def test_what_predicts_drops_nothing_out():
    """A net trained with dropout predicts as the same weights without. Mutation: any other rate while sampling."""
    entries = SMALL | {"name": "a", "net": "dit", "patch": 4, "kind": "regression"}
    dropping, plain = (recipes.Recipe(**entries, dropout=rate) for rate in (0.5, 0.0))
    params = jax.tree.map(lambda leaf: leaf + 0.1, recipes.build(plain).network.init(jax.random.key(0)))
    x_t, t = jax.random.normal(jax.random.key(1), (2, 8, 8, 1)), jnp.array([0.3, 0.6])
    predicted = [recipe.predictor()(params, jax.random.key(2), x_t, t, None) for recipe in (dropping, plain)]
    np.testing.assert_array_equal(*predicted)
    assert jnp.any(
        recipes.build(dropping).network.apply(params, x_t, t, None, None)
        != recipes.build(plain).network.apply(params, x_t, t, None, None)
    )
