"""Areas, missing values and almost fair estimators, against weighted loops, the observed part alone and double sums."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from test_scoring import KERNELS, OVER, brute, image_draws

from ddjax import scoring
from ddjax.scoring import Energy, KernelRule, Windows, by_element, by_groups, by_position, crps, imq, scaled
from ddjax.scoring.scopes import Over

EVENT = (4, 6, 2)
LATITUDE = np.cos(np.linspace(-1.2, 1.3, 4))[:, None, None]


def skewed():
    """Five draws and an observation, in the precision of the test."""
    return map(jnp.asarray, image_draws(event=EVENT))


@pytest.mark.parametrize("scope", ["position", "element"])
@pytest.mark.parametrize("name", ["energy .5", "imq"])
def test_areas_weigh_the_mean_of_the_parts(x64, name, scope):
    """The scores of all positions or elements one by one, in a weighted mean. Mutations: a root, no total, the other axis."""
    samples, observation = image_draws(event=EVENT)
    kernel, rho = KERNELS[name]
    parts = np.ndindex(*(EVENT[:2] if scope == "position" else EVENT))
    each = [brute(samples[:, *i].reshape(5, -1), observation[i].reshape(-1), rho) for i in parts]
    shape = (4, 6, 1) if scope == "position" else EVENT
    expected = np.average(each, axis=0, weights=np.broadcast_to(LATITUDE, shape).reshape(-1))
    rule = OVER[scope](KernelRule(kernel), LATITUDE)
    close(jax.jit(rule)(jnp.asarray(samples), jnp.asarray(observation)), expected, rtol=1e-12)


def test_equal_areas_are_none_and_their_unit_is_free(x64):
    """Mutation: areas that are not divided by their sum."""
    samples, observation = skewed()
    plain = crps(samples, observation)
    close(crps(samples, observation, area=np.full((1, 1, 1), 7.0)), plain, rtol=1e-12)
    by_latitude = [by_position(Energy(), c * LATITUDE)(samples, observation).score for c in (1.0, 1e3)]
    close(*by_latitude, rtol=1e-12)
    assert abs(by_latitude[0] - by_position(Energy())(samples, observation).score) > 1e-3


def test_what_is_missing_is_left_out(x64):
    """NaN and infinity under an area 0, in observation and draws: value and gradient of what is seen alone, 0 elsewhere.

    Mutations: the mask after the difference (a gradient of NaN); the mean over all; draws that are not masked.
    """
    samples, observation = skewed()
    seen = np.random.default_rng(1).random(EVENT) < 0.6
    holes = jnp.where(seen, observation, jnp.nan)
    damaged = jnp.where(~seen[None] & (jnp.arange(5) == 2)[:, None, None, None], jnp.inf, samples)
    score = jax.jit(jax.value_and_grad(lambda samples, x_0, area: crps(samples, x_0, area=area)))
    value, gradient = score(damaged, holes, ~jnp.isnan(holes))  # the mask traced, as for each example of a batch
    expected, by_seen = jax.value_and_grad(crps)(samples[:, seen], observation[seen])
    close(value, expected, rtol=1e-12)
    close(gradient[:, seen], by_seen, rtol=1e-12)
    assert (gradient[:, ~seen] == 0).all()
    close(crps(damaged, holes, area=seen), expected, rtol=1e-12)


def test_nothing_is_left_out_in_silence():
    """NaN where no area is given, or where it is not 0; a mask that is empty under jit. Mutation: isnan for the mask."""
    samples, observation = (jnp.asarray(x, jnp.float32) for x in image_draws(event=EVENT))
    holes = observation.at[1, 2, 0].set(jnp.nan)
    seen = jnp.ones(EVENT).at[0, 0, 0].set(0.0)
    assert np.isnan(crps(samples, holes)) and np.isnan(crps(samples, holes, area=seen))
    assert np.isnan(jax.jit(lambda area: crps(samples, observation, area=area))(jnp.zeros(EVENT)))


def test_a_mask_for_each_example_under_vmap(x64):
    """As rules are lifted over a batch. Mutation: the mask of the first example for all."""
    samples, observation = skewed()
    masks = jnp.asarray(np.random.default_rng(2).random((3, *EVENT[:2], 1)) < 0.5)
    rule = lambda mask: by_position(Energy(), mask)(samples, observation).score  # noqa: E731
    found = jax.jit(jax.vmap(rule))(masks)
    for value, mask in zip(found, masks, strict=True):
        at = np.asarray(mask[..., 0])
        close(value, by_position(Energy())(samples[:, at], observation[at]).score, rtol=1e-12)


def test_rules_with_areas_are_values():
    """Equal for equal numbers, and different programs for others. Mutation: an area that is not compared."""
    make = lambda c: by_element(Energy(), c * LATITUDE)  # noqa: E731
    assert make(1) == make(1) and hash(make(1)) == hash(make(1))
    assert (
        make(1) != make(2)
        and make(1) != "a rule"
        and make(1) != by_element(Energy())
        and make(1) != by_element(KernelRule(imq()))
    )
    samples, observation = (jnp.asarray(x, jnp.float32) for x in image_draws(event=EVENT))
    for area in (LATITUDE, LATITUDE**4):
        rule = by_element(Energy(), area)
        close(jax.jit(rule)(samples, observation), rule(samples, observation), rtol=1e-6)


def test_weights_inside_the_norm(x64):
    """One for each channel, by hand; 0 leaves a channel out, missing values and all, with a gradient. Mutation: a root."""
    samples, observation = image_draws(event=EVENT)
    weights = np.array([0.5, 3.0])[None, None]
    rule = scoring.Sum(((1.0, Energy(0.5), scaled(weights)),))
    expected = brute(samples * weights, observation * weights, lambda r: r**0.5)
    close(rule(jnp.asarray(samples), jnp.asarray(observation)), expected, rtol=1e-12)
    first = scoring.Sum(((1.0, Energy(0.5), scaled(np.array([2.0, 0.0])[None, None])),))
    observation[..., 1] = np.nan
    value, gradient = jax.value_and_grad(lambda x: first(x, jnp.asarray(observation)).score)(jnp.asarray(samples))
    close(value, brute(2 * samples[..., :1], 2 * observation[..., :1], lambda r: r**0.5)[0], rtol=1e-12)
    assert np.isfinite(gradient).all() and (gradient[..., 1] == 0).all() and (gradient[..., 0] != 0).all()


@pytest.mark.parametrize("fairness", [0.0, 0.8, 0.95, 1.0])
@pytest.mark.parametrize("m", [2, 3, 5])
def test_almost_fair_is_its_double_sum_for_every_population(x64, m, fairness):
    """a U + (1 - a) V, pair by pair. Mutation: the shortcut epsilon = (1 - a) / 2, which the last line refuses at m > 2."""
    draws, x_0 = image_draws(m, ())
    pairs = sum(abs(a - b) for a in draws for b in draws)
    spread = fairness * pairs / (m * (m - 1)) + (1 - fairness) * pairs / m**2
    confinement = np.mean(np.abs(draws - x_0))
    found = crps(jnp.asarray(draws), jnp.asarray(x_0), estimator=scoring.almost_fair(fairness))
    close(found, confinement - spread / 2, rtol=1e-12)
    shortcut = confinement - (1 - (1 - fairness) / 2) * pairs / (m * (m - 1)) / 2
    assert (abs(found - shortcut) < 1e-12) == (m == 2 or fairness == 1)


TWO, ONE = jnp.ones((2, 4, 6, 2)), jnp.ones(EVENT)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: by_element(Energy(), -np.ones(EVENT)), "not negative"),
        (lambda: by_element(Energy(), np.zeros(EVENT)), "somewhere positive"),
        (lambda: by_position(KernelRule(imq()), np.full(EVENT, np.inf)), "area must be finite"),
        (lambda: Energy(area=np.ones(EVENT)), "area weighs what is averaged"),
        (lambda: Over(Windows(2), LATITUDE), "area weighs what is averaged"),
        (lambda: crps(TWO, ONE, area=np.ones(4)), r"area must be of shape \(4, 6, 2\)"),
        (lambda: crps(TWO, ONE, area=np.ones((4, 3, 1))), r"got area of shape \(4, 3, 1\)"),
        (lambda: by_position(Energy(), np.ones(EVENT))(TWO, ONE), r"area must be of shape \(4, 6, 1\)"),
        (lambda: by_groups(Energy(), jnp.sum)(TWO, ONE), "groups keep the first axis"),
        (lambda: scaled(np.array([np.nan])), "weights of a scaled event"),
        (lambda: scaled(np.zeros(3)), "somewhere not 0"),
        (lambda: scaled(np.ones(3))(ONE), r"weights must be of shape \(4, 6, 2\)"),
    ],
)
def test_mistakes_are_told(unchecked, make, says):
    with pytest.raises(ValueError, match=says):
        make()
