"""Sums of rules of linear images: the maps by hand and by their identities, and what each of them sees and forgets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close

from ddjax import objectives, schedules, scoring
from ddjax.scoring import (
    Energy,
    KernelRule,
    Patched,
    Sum,
    Terms,
    by_element,
    by_position,
    finite_differences,
    imq,
    pooling,
    scaled,
    spectrum,
)

WEIGHTS = np.linspace(0.5, 2.0, 8)[None, :, None]
MAPS = {
    "pooling": pooling(2),
    "differences": finite_differences(1),
    "differences wrap": finite_differences(0, wrap=True),
    "spectrum": spectrum,
    "scaled": scaled(WEIGHTS),
}


def image(shape=(4, 8, 2), seed=0):
    return np.random.default_rng(seed).gamma(1.5, 1.0, shape)


@pytest.mark.parametrize("name", MAPS)
def test_maps_are_linear(x64, name):
    """L(a x + b y) = a L x + b L y, so that x has 0 only where L x has. Mutation: an absolute value of the spectrum."""
    x, y = jnp.asarray(image()), jnp.asarray(image(seed=1))
    both = MAPS[name](2.0 * x - 3.0 * y)
    close(both, 2.0 * MAPS[name](x) - 3.0 * MAPS[name](y), atol=1e-12)
    assert np.abs(both).max() > 1


def test_maps_by_hand(x64):
    """Means of blocks, neighbours, products. Mutations: width and height exchanged, the difference backwards, no wrap."""
    x = image((4, 6, 2))
    blocks = [[x[i : i + 2, j : j + 2].mean((0, 1)) for j in range(0, 6, 2)] for i in range(0, 4, 2)]
    close(pooling(2)(jnp.asarray(x)), blocks, rtol=1e-12)
    close(finite_differences(1)(jnp.asarray(x)), x[:, 1:] - x[:, :-1], rtol=1e-12)
    close(finite_differences(-3, wrap=True)(jnp.asarray(x)), x[[1, 2, 3, 0]] - x, rtol=1e-12)
    close(scaled(WEIGHTS[:, :6])(jnp.asarray(x)), WEIGHTS[:, :6] * x, rtol=1e-12)


@pytest.mark.parametrize("shape", [(4, 6, 2), (5, 7, 1), (3, 1, 1), (6, 5, 2)])
def test_the_spectrum_is_an_orthogonal_map(x64, shape):
    """Parseval for even and odd sides, each coefficient by its sum, and the energy rule of the whole unchanged.

    Mutations: the last column of an even width doubled, that of an odd one not; another normalisation.
    """
    x = image(shape)
    found = spectrum(jnp.asarray(x))
    close(np.sum(found**2), np.sum(x**2), rtol=1e-12)
    height, width, _ = shape
    for k, column in ((0, 0), (1, width // 2)):
        rows, columns = np.ogrid[:height, :width]
        waves = np.exp(-2j * np.pi * (k * rows / height + column * columns / width))[..., None]
        wanted = np.sum(waves * x, (0, 1)) / (height * width) ** 0.5
        wanted *= 2**0.5 if 0 < 2 * column < width else 1
        close(found[k, column], [*wanted.real, *wanted.imag], atol=1e-12)
    samples = jnp.stack([jnp.asarray(image(shape, seed)) for seed in (1, 2, 3)])
    by_wave = Sum(((1.0, Energy(0.5), spectrum),))(samples, jnp.asarray(x))
    close(by_wave, Energy(0.5)(samples, jnp.asarray(x)), rtol=1e-12)


def test_a_sum_is_the_weighted_sum_of_its_parts(x64):
    """All three terms, t included, a sum inside and a kernel rule too. Mutations: a weight forgotten, t not handed on."""
    samples, observation = jnp.stack([jnp.asarray(image(seed=i)) for i in range(4)]), jnp.asarray(image(seed=9))
    timed, kernel, inner = (
        Energy(lambda t: 1 + t),
        by_position(KernelRule(imq(0.7))),
        Sum(((2.0, Energy(), None),)),
    )
    rule = Sum(
        ((1.0, timed, None), (0.5, kernel, pooling(2)), (3, inner, finite_differences(1)), (0.2, Patched(timed), None))
    )
    pooled, different = ([jax.vmap(f)(samples), f(observation)] for f in (pooling(2), finite_differences(1)))
    expected = np.asarray(timed(samples, observation, 0.5)) + 0.5 * np.asarray(kernel(*pooled))
    expected += 6 * np.asarray(Energy()(*different)) + 0.2 * np.asarray(Patched(timed)(samples, observation, 0.5))
    found = jax.jit(rule)(samples, observation, 0.5)
    assert isinstance(found, Terms)
    close(found, expected, rtol=1e-12)


def smooth(key, *shape):
    """Draws of a periodic Gaussian field with correlated neighbours."""
    white = jax.random.normal(key, (*shape, 8, 8, 1))
    return white + sum(jnp.roll(white, 1, axis) for axis in (-2, -3))


def excess(rule, change):
    """(mean, standard error) over observations: score of changed draws less that of true draws, common random numbers."""
    key_draws, key_truth = jax.random.split(jax.random.key(5))
    draws, truth = smooth(key_draws, 4000, 4), smooth(key_truth, 4000)
    score = jax.jit(jax.vmap(lambda draws, x_0: rule(draws, x_0).score))
    difference = score(change(draws), truth) - score(draws, truth)
    return float(jnp.mean(difference)), float(jnp.std(difference)) / 4000**0.5


def alone(draws):
    """Fields with the same law at each place, and no correlation."""
    return 3**0.5 * jax.random.normal(jax.random.key(7), draws.shape)


@pytest.mark.parametrize("change", [lambda x: 0.8 * x, lambda x: 1.25 * x], ids=["narrow", "wide"])
@pytest.mark.parametrize("name", MAPS)
def test_a_rule_of_each_map_is_proper(name, change):
    """No spread scores better than the true one, at 4 standard errors. Mutation: lam = 1.5 or .6 of the rule."""
    rule = Sum(((0.5, by_position(Energy()), MAPS[name]),))
    mean, error = excess(rule, change)
    assert mean > 4 * error


CHECKERS = jnp.asarray((-1.0) ** np.add.outer(range(8), range(8)), jnp.float32)[..., None]
FORGOTTEN = {
    "pooling": lambda draws: draws + 0.6 * CHECKERS[None, None],
    "differences": lambda draws: draws + 0.6,
    "scaled": lambda draws: draws.at[:, :, 0].add(0.9),
}
FORGETFUL = MAPS | {"scaled": scaled(np.r_[0.0, np.ones(7)][:, None, None])}


@pytest.mark.parametrize("name", FORGOTTEN)
def test_a_sum_with_one_strictly_proper_part_is_strictly_proper(name):
    """What a map forgets moves its own part by nothing, and the sum by 4 standard errors. Mutation: the first part dropped."""
    part = (1.0, by_position(Energy()), FORGETFUL[name])
    mean, _ = excess(Sum((part,)), FORGOTTEN[name])
    assert abs(mean) < 1e-5
    mean, error = excess(Sum(((1.0, by_element(Energy()), None), part)), FORGOTTEN[name])
    assert mean > 4 * error


@pytest.mark.parametrize("name", ["pooling", "differences", "spectrum"])
def test_maps_see_correlations_that_single_elements_do_not(name):
    """The right law at each place alone: the CRPS cannot tell, that of the image does, at 4 standard errors.

    Mutation: pooling by 1, differences of the observation alone.
    """
    mean, error = excess(by_element(Energy()), alone)
    assert abs(mean) < 4 * error
    mean, error = excess(Sum(((1.0, by_element(Energy()), MAPS[name]),)), alone)
    assert mean > 4 * error


def test_fair_rules_want_independent_draws():
    """Draws shuffled at each place have nearly the law of independent places, but depend on each other: the fair score of
    differences rewards four of them for it. By cases of which draws meet, in closed form. Mutation: "v" for the estimator.
    """
    m, spread = (
        4,
        lambda variance: (2 * variance / np.pi) ** 0.5,
    )  # of a difference of two differences; neighbours covary by 1 of 3
    confinement = spread(8) / m + spread(10) * (1 - 1 / m)
    one, both = (
        (m - 2) / (m * (m - 1)),
        1 / (m * (m - 1)),
    )  # one or both draws of a pair stand together at the two places
    interaction = both * (spread(8) + spread(16)) + 2 * one * (spread(10) + spread(14))
    interaction += (1 - 2 * both - 4 * one) * spread(12)
    expected = confinement - interaction / 2 - spread(8) / 2

    def shuffled(draws):
        noise = jax.random.uniform(jax.random.key(7), draws.shape)
        return jnp.take_along_axis(draws, jnp.argsort(noise, 1), 1)

    mean, error = excess(Sum(((1.0, by_element(Energy()), finite_differences(0, wrap=True)),)), shuffled)
    assert abs(mean - expected) < 4 * error
    assert mean < -4 * error


def test_maps_take_events_in_float32():
    """bfloat16 in, the score of the same numbers in float32. Mutation: a map before the precision."""
    rule = Sum(((1.0, Energy(), pooling(2)), (1.0, Energy(), lambda event: event * 3)))
    samples, observation = jnp.asarray(np.stack([image(seed=i) for i in range(3)]), jnp.bfloat16), image(seed=4)
    found = rule(samples, jnp.asarray(observation, jnp.bfloat16))
    exact = rule(samples.astype(jnp.float32), jnp.asarray(observation, jnp.bfloat16).astype(jnp.float32))
    assert found.score.dtype == jnp.float32
    close(found, exact, rtol=1e-6)


def test_coincident_draws_have_a_gradient():
    """All draws on the observation: 0 through every map, not NaN."""
    same = jnp.asarray(image((4, 4, 1)), jnp.float32)
    rule = Sum(tuple((1.0, by_position(Energy(0.1)), f) for f in (pooling(2), finite_differences(0), spectrum)))
    value, gradient = jax.jit(jax.value_and_grad(lambda x: rule(x, same).score))(jnp.stack([same, same]))
    assert value == 0 and (gradient == 0).all()


def test_sums_are_values():
    """Equal and hashed alike when built anew, maps of numbers included. Mutation: a factory that does not remember."""
    make = lambda: Sum(((1.0, Energy(), pooling(2)), (0.5, Energy(), finite_differences(0, wrap=True))))  # noqa: E731
    assert make() == make() and hash(make()) == hash(make())
    assert make() != Sum(((1.0, Energy(), pooling(4)),))


def test_a_sum_says_whether_it_needs_pairs(unchecked):
    """As one of its parts does; a loss with too few draws is refused. Mutation: all for any."""
    single = (1.0, Energy(2, 0), None)
    assert not Sum((single,)).pairs and Sum((single, (1.0, Energy(), None))).pairs
    with pytest.raises(ValueError, match="population size must be at least 2"):
        objectives.distributional(
            lambda *given: given[2], schedules.Rectified(), score=Sum((single, (1.0, Energy(), None))), size=1
        )


DRAWS, X_0 = jnp.ones((2, 4, 6, 1)), jnp.ones((4, 6, 1))


def called(*part):
    return Sum((part,))(DRAWS, X_0)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Sum(()), "at least one part"),
        (lambda: Sum(((0.0, Energy(), None),)), "positive and finite, got 0.0"),
        (lambda: Sum(((1.0, Energy(), None), (float("inf"), Energy(), None))), "positive and finite"),
        (lambda: Sum(((-1.0, Energy(), None),)), "positive and finite"),
        (lambda: called(1.0, Energy(), lambda event: (event, event)), "to an array, got tuple"),
        (lambda: called(1.0, Energy(), lambda event: None), "to an array, got NoneType"),
        (
            lambda: called(1.0, Energy(), lambda event: event @ jnp.ones((5, 2))),
            r"does not take events of shape \(4, 6, 1\)",
        ),
        (lambda: called(1.0, Energy(), pooling(4)), "blocks of 4 x 4 must tile the image, got 4 x 6"),
        (lambda: called(1.0, Energy(), jnp.fft.fft2), "need real numbers"),
        (lambda: called(1.0, lambda *_: jnp.ones(()), None), "rules of a sum return Terms"),
        (lambda: Sum(((1.0, Energy(), None),))(DRAWS, jnp.ones((6, 4, 1))), "samples must be"),
        (lambda: pooling(0), "at least 1, got size=0"),
        (lambda: pooling(2)(jnp.ones(4)), "need an image"),
        (lambda: spectrum(jnp.ones((4, 4))), "need an image"),
        (lambda: finite_differences(3)(X_0), "axis 3 need two places"),
        (lambda: finite_differences(2)(X_0), "axis 2 need two places"),
        (lambda: scoring.scaled(np.ones((1, 5, 1)))(X_0), r"weights must be of shape \(4, 6, 1\)"),
    ],
)
def test_mistakes_are_told(unchecked, make, says):
    with pytest.raises(ValueError, match=says):
        make()
