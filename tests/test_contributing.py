"""The examples of CONTRIBUTING run as they stand, and do what their docstrings say."""

import re
import sys
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ddjax import recipes, training

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()


def example(title, name):
    """The module of the code below a title; dataclasses look their module up."""
    [code] = re.findall(r"```python\n(.*?)```", TEXT.split(f"## {title}\n")[1].split("\n## ")[0], re.S)
    assert len(code.splitlines()) <= 60
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(code, name, "exec"), module.__dict__)
    return module


def test_a_kind_of_model():
    """At t = 1 nothing is known: the least expected distance is at the median, -1, of a law whose mean is -0.55.

    Mutation: beta=2.0 in the example.
    """
    kind = example("How to add a kind of model", "example_kind").Median
    optimizer = recipes.Optimizer(steps=400, learning_rate=1e-2, ema_decay=0.9)
    network = recipes.Mlp(width=16, depth=2)
    recipe = kind(name="median", event_shape=(1,), network=network, optimizer=optimizer, predicts="x0")
    model = recipes.build(recipe)

    def batch(key):
        return jnp.where(jax.random.uniform(key, (256, 1)) < 0.85, -1.0, 2.0)

    state = training.TrainState.create(model.network.init(jax.random.key(0)), model.optimizer, jax.random.key(1))
    state = training.fit(state, training.make_train_step(model.loss_fn, model.optimizer), batch, steps=400)
    draws = model.draw(state.ema, jax.random.key(2), 200, steps=1)
    assert np.abs(np.median(np.asarray(draws)) + 1) < 0.1


def test_a_scoring_rule():
    """rho is c (k(0) - k), and the score of two draws is that of the formula by hand. Mutation: c**2 for a scale."""
    module = example("How to add a scoring rule", "example_rule")
    rule = module.RationalQuadratic(bandwidth=3.0).make()
    draws, x_0 = jnp.array([[0.0, 1.0], [2.0, -1.0]]), jnp.array([1.0, 1.0])
    k = lambda s: 1 / (1 + s / 3.0)  # noqa: E731
    confinement = 3 * (1 - (k(1.0) + k(5.0)) / 2)  # squared distances to x_0: 1 and 5
    interaction = 3 * (1 - k(8.0))
    terms = rule(draws, x_0, 0.5)
    np.testing.assert_allclose(terms.score, confinement - interaction / 2, rtol=1e-6)
    np.testing.assert_allclose(rule(draws * 1e-6, x_0 * 0, 0.5).confinement, 3e-12, rtol=1e-5)  # digits at small s
