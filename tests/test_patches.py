"""Scores of patches against hand-made loops, rules that they reduce to, and a spread that only patches see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params
from numpy.testing import assert_allclose as close

from ddjax import objectives, schedules, scoring
from ddjax.scoring import (
    Energy,
    KernelRule,
    Patched,
    Terms,
    Windows,
    biased,
    by_element,
    by_groups,
    by_position,
    estimated,
    imq,
)


def drawn(m=5, event=(4, 6, 2), seed=0):
    """Skewed draws and an observation, in float64."""
    generator = np.random.default_rng(seed)
    return generator.gamma(1.5, 1.0, (m, *event)), generator.gamma(1.5, 1.0, event)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("rule", [Energy(0.5), estimated(Energy(1.5, 0.7), biased), KernelRule(imq(0.7))])
def test_every_term_is_that_of_the_whole_and_the_mean_of_each_window(x64, rule, size):
    """Eq. (A), one window at a time. Mutations: a window that misses a border; a sum for the mean; one term forgotten."""
    samples, observation = drawn()
    corners = [(i, j) for i in range(4 - size + 1) for j in range(6 - size + 1)]
    windows = [(slice(i, i + size), slice(j, j + size)) for i, j in corners]
    each = [rule(jnp.asarray(samples[:, i, j]), jnp.asarray(observation[i, j])) for i, j in windows]
    whole = rule(jnp.asarray(samples), jnp.asarray(observation))
    close(
        Patched(rule, size)(jnp.asarray(samples), jnp.asarray(observation)),
        np.asarray(whole) + np.mean(np.asarray(each), 0),
        rtol=1e-12,
    )


def absolute(samples, observation, t):
    """A rule of one's own, without pairs."""
    confinement = jnp.mean(jnp.abs(samples - observation[None]))
    return Terms(confinement, confinement, jnp.zeros_like(confinement))


@pytest.mark.parametrize("wrap", [(), (1,), (0, 1)])
@pytest.mark.parametrize(
    "rule", [Energy(0.5), KernelRule(imq(0.7), 0.7), by_position(Energy()), by_element(Energy(0.5)), absolute]
)
def test_patches_go_round_where_the_image_does(x64, rule, wrap):
    """Each window by hand, of indices modulo the side along what wraps; box sums and rules that are called with patches.

    Mutations: wrap of the other axis; one row too few behind the last; a scope "element" taken for a norm.
    """
    samples, observation = drawn()
    starts = [range(side if axis in wrap else side - 2) for axis, side in enumerate((4, 6))]
    windows = [np.ix_((i + np.arange(3)) % 4, (j + np.arange(3)) % 6) for i in starts[0] for j in starts[1]]
    flat = [(samples[:, i, j].reshape(5, -1), observation[i, j].reshape(-1)) for i, j in windows]
    of_vector = jax.jit(lambda x, y: rule(x, y, 0.0))
    each = np.mean([np.asarray(of_vector(x, y)) for x, y in flat], 0)
    close(
        jax.jit(Patched(rule, 3, wrap))(samples, observation),
        np.asarray(of_vector(samples, observation)) + each,
        rtol=1e-12,
    )


def test_windows_are_box_sums_to_rounding():
    """Also where one pixel is a million times the others: their sums keep six digits.

    Mutation: differences of running totals.
    """
    squares = np.random.default_rng(0).gamma(1.5, size=(2, 40, 30, 3)).astype(np.float32)
    squares[:, 0, 0] = 1e6
    found = Windows(5)(jnp.asarray(squares))
    view = np.lib.stride_tricks.sliding_window_view(squares.astype(np.float64), (5, 5), (1, 2))
    close(found, view.sum((3, 4, 5)), rtol=5e-7)


def sizes(jaxpr):
    """Of every array that a program makes, those inside its functions too."""
    for equation in jaxpr.eqns:
        yield from (variable.aval.size for variable in equation.outvars)
        for inner in jaxprs_in_params(equation.params):
            yield from sizes(inner)


@pytest.mark.parametrize("rule", [Energy(0.1), KernelRule(imq())])
def test_no_patch_is_built(rule):
    """No array of value and gradient is larger than the draws (a border goes round). Mutation: windows as vectors."""
    samples, observation = jnp.ones((4, 12, 12, 3)), jnp.ones((12, 12, 3))
    gradient = jax.value_and_grad(lambda samples: Patched(rule, 3, (1,))(samples, observation).score)
    assert max(sizes(jax.make_jaxpr(gradient)(samples).jaxpr)) <= 4 * 12 * 14 * 3


def test_derivatives_are_those_of_patches(x64):
    """First and second, of box sums and of the rule called with each patch. Mutation: a stopped gradient of the box sums."""
    samples, observation = map(jnp.asarray, drawn())

    def derivatives(rule):
        gradient = jax.grad(lambda samples: Patched(rule, 3)(samples, observation).score)
        return jax.jit(lambda x: jax.jvp(gradient, (x,), (jnp.sin(x),)))(samples)

    by_sums, by_patches = map(derivatives, (Energy(0.5), lambda *given: Energy(0.5)(*given)))
    for found, expected in zip(by_sums, by_patches, strict=True):
        close(found, expected, rtol=1e-9, atol=1e-12)


def test_what_it_reduces_to(x64):
    """A patch as large as the image is the image; of one pixel, the rule of positions."""
    samples, observation = map(jnp.asarray, drawn(event=(3, 3, 2)))
    whole = Energy(0.5)(samples, observation)
    close(Patched(Energy(0.5), 3)(samples, observation), 2 * np.asarray(whole), rtol=1e-12)
    positions = by_position(Energy(0.5))(samples, observation)
    close(Patched(Energy(0.5), 1)(samples, observation), np.asarray(whole) + np.asarray(positions), rtol=1e-12)


def excess(rule, spread, where=np.s_[:, :]):
    """(mean, standard error) over observations of N(0, I): score of draws with this spread there, less that of true draws.

    Common random numbers throughout.
    """
    key_draws, key_truth = jax.random.split(jax.random.key(5))
    n, m, event = 4000, 4, (8, 8, 1)
    draws, truth = jax.random.normal(key_draws, (n, m, *event)), jax.random.normal(key_truth, (n, *event))
    scale = jnp.ones(event).at[where].set(spread)[None, None]
    score = jax.jit(jax.vmap(lambda draws, x_0: rule(draws, x_0).score))
    difference = score(draws * scale, truth) - score(draws, truth)
    return float(jnp.mean(difference)), float(jnp.std(difference)) / n**0.5


@pytest.mark.parametrize("spread", [0.8, 1.25])
def test_it_is_proper(spread):
    """No spread scores better than the true one, at 4 standard errors. Mutation: lam of the patches doubled."""
    mean, error = excess(Patched(Energy(0.1), 3), spread)
    assert mean > 4 * error


def test_patches_see_a_wrong_spread_in_one_place():
    """What it is for: half the spread in one corner stands out of the score's noise. Mutation: windows as large as the image."""
    corner = np.s_[:3, :3]
    (patched, patched_error), (whole, whole_error) = (
        excess(rule, 0.5, corner) for rule in (Patched(Energy(0.1), 3), Energy(0.1))
    )
    assert patched / patched_error > 3 * whole / whole_error


def test_coincident_draws_have_a_gradient():
    """Two equal draws, equal to the observation: value and gradient 0, not NaN."""
    same = jnp.ones((2, 4, 4, 1))
    value, gradient = jax.value_and_grad(lambda samples: Patched(Energy(0.1), 3)(samples, same[0]).score)(same)
    assert value == 0
    assert (gradient == 0).all()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Patched(Energy(), 0), "at least 1, got size=0"),
        (lambda: Patched(Energy(), 5)(jnp.ones((2, 4, 6, 1)), jnp.ones((4, 6, 1))), "at least 5 x 5"),
        (lambda: Patched(Energy(), 1)(jnp.ones((2, 6)), jnp.ones(6)), "need images"),
        (lambda: Patched(Energy(), 2, (2,)), "0 its height and 1 its width"),
        (lambda: by_groups(Energy(), Windows(5))(jnp.ones((2, 4, 6, 1)), jnp.ones((4, 6, 1))), "at least 5 x 5"),
        (lambda: Patched(lambda *_: 0.0, 5)(jnp.ones((2, 4, 6, 1)), jnp.ones((4, 6, 1))), "at least 5 x 5"),
        (
            lambda: objectives.distributional(
                lambda *given: given[2], schedules.Rectified(), score=Patched(Energy()), size=1
            ),
            "population size must be at least 2",
        ),
    ],
)
def test_mistakes_are_told(unchecked, make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_rules_say_whether_they_need_pairs():
    """As the rule inside does. Mutation: a lam that is a function is read as 0."""
    for rule, pairs in (
        (Energy(2, 0), False),
        (Energy(), True),
        (Energy(lam=lambda t: t), True),
        (KernelRule(imq()), True),
    ):
        assert rule.pairs is scoring.Patched(rule).pairs is scoring.needs_pairs(rule) is pairs
    assert not scoring.needs_pairs(lambda samples, observation, t: None)
