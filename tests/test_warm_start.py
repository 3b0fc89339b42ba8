"""DDM from a regression model: the study starts where it says, gives each way its steps, and tells all seeds."""

import jax
import numpy as np
from numpy.testing import assert_allclose as close

from ddjax import networks, recipes
from experiments.family import experiment as family
from experiments.family import tuning as family_tuning
from experiments.family import warm_start
from experiments.family.presets import COST, TUNED, recipe_of
from experiments.family.settings import WarmStart


def test_training_goes_on_from_the_regression():
    """At a rate of almost 0 the parameters stay those of the mean denoiser with xi, and its own are left to it.

    Mutations: a start from scratch; the regression's buffers, which training donates.
    """
    settings, of = family.Config(width=8, steps=1), {"name": "a", "event_shape": (2,)}
    ddm = recipe_of("ddm", settings, **of | TUNED["ddm"] | {"learning_rate": 1e-12})
    regression = recipes.build(recipe_of("ddpm", settings, **of | TUNED["ddpm"]))
    mean = jax.tree.map(lambda leaf: leaf + 0.1, regression.network.init(jax.random.key(3)))
    params = family_tuning.trained(ddm, "moons", 0, mean)
    wanted = networks.from_mean(recipes.build(ddm).network.init(jax.random.key(4)), mean)
    jax.tree.map(lambda a, b: close(a, b, rtol=0, atol=1e-6), params, wanted)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(mean))


def test_every_way_has_the_steps_of_its_name():
    """A quarter of the budget, and as much time as that with all of the regression before it, by the measured costs.

    Mutations: costs the other way round; the gate on another way.
    """
    ways = warm_start.ways(WarmStart(steps=4000))
    assert {way.steps for name, way in ways.items() if name.endswith("as many steps") or way.warm} == {1000}
    as_long = ways["DDM, as much time"].steps
    assert abs(as_long * COST["ddm"] - (1000 * COST["ddm"] + 4000 * COST["ddpm"])) < COST["ddm"]
    assert ways["DDM, the whole budget"] == (4000, False, False)
    assert {(way.warm, way.gate) for way in ways.values()} == {
        (False, False),
        (True, False),
        (False, True),
        (True, True),
    }


def test_rows_are_medians_and_ranges_of_seeds():
    """Mutations: means; steps of sampling and seeds exchanged."""
    [row] = warm_start.rows({"a": [[0.1, 0.5, 1.0], [0.3, 0.4, 3.0], [0.2, 0.6, 2.0]]}, {"a": 1250})
    assert row == ["a", "1,250", "0.200 (0.100, 0.300)", "0.500 (0.400, 0.600)", "2.000 (1.000, 3.000)"]
