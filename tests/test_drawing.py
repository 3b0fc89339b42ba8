"""Samples drawn as a sampler written out here draws them: prior, bound model, steps, chunks, guidance, paths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddjax import paths, recipes, schedules, times
from ddjax.recipes import sampling
from ddjax.recipes.sampling import _padded

S = schedules.Rectified()


def key(i=3):
    return jax.random.key(i)


def painter(params, key, x_t, t, cond=None):
    """A denoiser whose x_0 shows its parameter, its label and its key, and nothing of x_t."""
    shown = params + (0.0 if cond is None else 10.0 * cond.astype(jnp.float32))
    return jnp.broadcast_to(jnp.reshape(shown, (-1, 1)), x_t.shape) + 0.01 * jax.random.normal(key, x_t.shape)


def written_out(denoise, key, n, steps, churn):
    """Algorithm 2, in the open."""
    key_prior, key_steps = jax.random.split(key)
    x, grid = jax.random.normal(key_prior, (n, 2)), jnp.linspace(1, 0, steps + 1)
    for key_step, t, s in zip(jax.random.split(key_steps, steps), grid[:-1], grid[1:], strict=True):
        key_xi, key_z = jax.random.split(key_step)
        x_0, z = denoise(key_xi, x, jnp.full(n, t)), jax.random.normal(key_z, x.shape)
        mean, std = jax.vmap(lambda x_0, x_t, t=t, s=s: paths.bridge(S, x_0, x_t, t, s, churn=churn))(x_0, x)
        x = mean + jnp.reshape(std, (-1, 1)) * z
    return x


@pytest.mark.parametrize(("churn", "steps"), [(None, 3), (0.0, 3), (0.4, 3), (1.0, 65)])
def test_a_draw_is_the_algorithm_written_out(churn, steps):
    """Also with more steps than the shortest padded grid holds.

    Mutations: churn dropped or fixed at 1, the key of the prior used for the steps, the grid reversed, or cut to 64 steps.
    """
    draw = sampling.drawing(sampling.by_bridge(painter, S, (2,)))
    drawn = draw(jnp.asarray(3.0), key(), 5, steps=steps, churn=churn)
    right = written_out(
        lambda k, x, t: painter(jnp.asarray(3.0), k, x, t), key(), 5, steps, 1.0 if churn is None else churn
    )
    np.testing.assert_allclose(drawn, right, rtol=1e-5, atol=1e-5)


def test_chunks_keep_keys_conditions_and_order():
    """7 samples in chunks of 3: each chunk is its own draw, row i has condition i. Mutation: conditions rolled or repeated."""
    sampler = sampling.by_bridge(painter, S, (2,))
    cond = jnp.arange(7)
    drawn = sampling.drawing(sampler, chunk=3)(jnp.asarray(0.0), key(), 7, steps=2, cond=cond)
    np.testing.assert_allclose(drawn.mean(1), 10.0 * np.arange(7), atol=0.1)
    keys = jax.random.split(key(), 3)
    second = sampler(jnp.asarray(0.0), keys[1], 3, times.grid(2), cond[3:6])
    np.testing.assert_allclose(drawn[3:6], second, rtol=1e-6)


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_guidance_is_linear_in_its_weight(weight):
    """(1 - w) D(null) + w D(cond) at one step. Mutations: 1 - w for w; a real class as the null."""
    draw = sampling.drawing(sampling.by_bridge(painter, S, (2,), null=4))
    drawn = draw(jnp.asarray(1.0), key(), 6, steps=1, cond=jnp.full(6, 2), guidance=weight)
    plain = draw(jnp.asarray(1.0), key(), 6, steps=1, cond=jnp.full(6, 2))
    np.testing.assert_allclose(drawn - plain, 10.0 * ((1 - weight) * 4 + weight * 2) - 20.0, atol=1e-4)


def test_a_flow_follows_its_velocity_from_its_prior():
    """Constant velocity 5: x_0 = x_1 - 5, with x_1 of the given prior. Mutations: sign, prior ignored, N(0, I) always."""
    velocity = lambda params, key, x_t, t, cond=None: jnp.full(x_t.shape, params)  # noqa: E731
    prior = lambda key, shape: jnp.full(shape, 2.0)  # noqa: E731
    draw = sampling.drawing(sampling.by_flow(velocity, S, (2,), prior=prior))
    np.testing.assert_allclose(draw(jnp.asarray(5.0), key(), 4, steps=3), -3.0, rtol=1e-5)
    with pytest.raises(ValueError, match="without noise"):
        draw(jnp.asarray(5.0), key(), 4, steps=3, churn=1.0)


def test_a_draw_compiles_once_for_all_numbers_of_steps():
    """New parameters, keys, steps, churn and guidance are values: a trace for each branch, however often it is used.

    Mutation: a grid that is not padded.
    """
    traces = []

    def counted(params, key, x_t, t, cond=None):
        traces.append(x_t.shape)
        return painter(params, key, x_t, t, cond)

    draw = sampling.drawing(sampling.by_bridge(counted, S, (2,), null=9))
    for i in range(4):
        draw(jnp.asarray(float(i)), jax.random.key(i), 3, steps=2, churn=0.1 * i)
    once = len(traces)
    for i in range(4):
        draw(jnp.asarray(float(i)), jax.random.key(i), 3, steps=1 + 9 * i, churn=0.2 * i)
    assert len(traces) == once
    for i in range(2, 5):
        draw(jnp.asarray(0.0), jax.random.key(i), 3, steps=2, churn=0.5, cond=jnp.full(3, i), guidance=1.5 * i)
    assert len(traces) <= 4 * once


def test_impossible_draws_are_refused():
    draw = sampling.drawing(sampling.by_bridge(painter, S, (2,)))
    params = jnp.asarray(0.0)
    for words, said in (
        ({"n": 0, "steps": 1}, "at least 1, got n=0"),
        ({"n": 2, "steps": 1, "churn": 1.5}, "churn must lie"),
        ({"n": 2, "steps": jnp.array([0.0, 1.0])}, "strictly decreasing"),
        ({"n": 2, "steps": 1, "cond": jnp.zeros(3)}, "a condition for each"),
        ({"n": 2, "steps": 1, "cond": jnp.zeros(2), "guidance": 2.0}, "guidance needs"),
    ):
        with pytest.raises(ValueError, match=said):
            draw(params, key(), **words)


def test_a_flow_of_classes_keeps_its_path_and_its_null():
    """The path ends in the samples, guided too.

    Mutations: `path` or `null` not handed on to the flow.
    """
    recipe = recipes.Flow(
        name="f",
        event_shape=(2,),
        network=recipes.Mlp(width=8, depth=2),
        condition=recipes.Labels(classes=3, label_dropout=0.1),
    )
    params = recipes.build(recipe).network.init(key(1))
    grid, cond = times.grid(3), jnp.arange(4, dtype=jnp.int32) % 3
    for guidance in (1.0, 2.0):
        drawn = recipe.sampler()(params, key(), 4, grid, cond, guidance=guidance)
        path = recipe.sampler(path=True)(params, key(), 4, grid, cond, guidance=guidance)
        assert path.shape == (4, 4, 2)
        np.testing.assert_allclose(path[-1], drawn, rtol=1e-6)


@pytest.mark.parametrize(("steps", "length"), [(1, 65), (64, 65), (65, 129), (128, 129)])
def test_grids_are_padded_to_few_lengths(steps, length):
    """To 64 steps, 128, 256: as many programs. Mutations: twice as long; one step less."""
    padded = _padded(times.grid(steps))
    assert padded.shape == (length,)
    np.testing.assert_array_equal(padded[: steps + 1], times.grid(steps))
    assert (padded[steps:] == 0).all()
