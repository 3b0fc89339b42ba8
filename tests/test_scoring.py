"""Scoring rules against brute-force float64 loops, closed forms, propriety, and an independent library."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scoringrules
from numpy.testing import assert_allclose as close
from scipy import optimize, stats

from ddjax import metrics, scoring
from ddjax.scoring import (
    Energy,
    KernelRule,
    by_element,
    by_position,
    crps,
    energy,
    energy_score,
    estimated,
    exponential,
    imq,
    kernel_score,
    rbf,
)

# each kernel beside scale * (k(0) - k), written plainly in terms of the distance r
KERNELS = {
    "energy .1": (energy(0.1), lambda r: r**0.1),
    "energy .5": (energy(0.5), lambda r: r**0.5),
    "energy 1": (energy(1.0), lambda r: r),
    "energy 1.5": (energy(1.5), lambda r: r**1.5),
    "energy 2": (energy(2.0), lambda r: r**2),
    "imq": (imq(0.7), lambda r: 2 * 0.7**1.5 * (0.7**-0.5 - (r**2 + 0.7) ** -0.5)),
    "rbf": (rbf(1.3), lambda r: 2 * 1.3**2 * (1 - np.exp(-(r**2) / (2 * 1.3**2)))),
    "exponential": (exponential(0.6), lambda r: 0.6 * (1 - np.exp(-r / 0.6))),
}
ESTIMATORS = {
    "fair": scoring.fair,
    "v": scoring.biased,
    "almost_fair": scoring.almost_fair(),
    "paired": scoring.paired,
    "banded": scoring.banded(2),
}
OVER = {"event": lambda rule: rule, "position": by_position, "element": by_element}
CHOSEN_PAIRS = {
    "paired": lambda m: [(j, j + 1) for j in range(0, m - 1, 2)],
    "banded": lambda m: [(i, j) for i in range(m) for j in range(i + 1, min(i + 3, m))],
}


def dissimilarity(a, b, rho, scope):
    """rho of the norm over the axes of the scope, averaged over the rest, one vector at a time."""
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    length = {"event": difference.size, "position": difference.shape[-1], "element": 1}[scope]
    return np.mean([rho(np.sqrt(np.sum(vector**2))) for vector in difference.reshape(-1, length)])


def brute(samples, observation, rho, *, lam=1.0, estimator="fair", scope="event"):
    """Score, confinement and interaction by double loops."""
    m = len(samples)
    pair = lambda i, j: dissimilarity(samples[i], samples[j], rho, scope)  # noqa: E731
    confinement = np.mean([dissimilarity(x, observation, rho, scope) for x in samples])
    if estimator in CHOSEN_PAIRS:
        interaction = np.mean([pair(i, j) for i, j in CHOSEN_PAIRS[estimator](m)])
    else:
        total = sum(pair(i, j) for i in range(m) for j in range(m) if i != j)
        fair, biased = total / (m * (m - 1)), total / m**2
        interaction = {"fair": fair, "v": biased, "almost_fair": 0.95 * fair + 0.05 * biased}[estimator]
    return confinement - lam / 2 * interaction, confinement, interaction


def image_draws(m=5, event=(2, 3, 2), seed=0):
    """Skewed draws and an observation, in float64."""
    generator = np.random.default_rng(seed)
    return generator.gamma(1.5, 1.0, (m, *event)), generator.gamma(1.5, 1.0, event)


def test_hand_cases():
    """Draws 1, 2, 4 against 3: pairs 1, 3, 2. Fails for a second division by m - 1, or pairs j = j' (trap 2).

    V at lam = 3/4 is fair at lam (m - 1) / m = 1/2; lam = 0, beta = 2 is the squared error, of one draw too.
    """
    draws, x_0 = jnp.array([1.0, 2.0, 4.0]), jnp.array(3.0)
    close(Energy()(draws, x_0), (1 / 3, 4 / 3, 2), rtol=1e-6)
    close(energy_score(draws, x_0, lam=0.5), 5 / 6, rtol=1e-6)
    close(estimated(Energy(lam=0.75), scoring.biased)(draws, x_0).score, 5 / 6, rtol=1e-6)
    assert Energy(beta=2.0, lam=0.0)(jnp.array([[1.0, 3.0]]), jnp.array([2.0, 5.0])) == (5.0, 5.0, 0.0)


@pytest.mark.parametrize("scope", ["event", "position", "element"])
@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_and_scope_is_its_double_loop(x64, name, scope):
    """Fails for a scope over the wrong axes, norms of means for means of norms, or a wrong scale."""
    kernel, rho = KERNELS[name]
    samples, observation = image_draws()
    terms = jax.jit(OVER[scope](KernelRule(kernel, lam=0.7)))(jnp.asarray(samples), jnp.asarray(observation))
    close(terms, brute(samples, observation, rho, lam=0.7, scope=scope), rtol=1e-11)


@pytest.mark.parametrize("scope", ["event", "element"])
@pytest.mark.parametrize("m", [2, 5])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_is_its_double_loop(x64, name, m, scope):
    """Fails for a band one too wide, or pairs that share a draw."""
    samples, observation = image_draws(m, (3,))
    terms = jax.jit(estimated(OVER[scope](Energy(1.5, 0.7)), ESTIMATORS[name]))(
        jnp.asarray(samples), jnp.asarray(observation)
    )
    expected = brute(samples, observation, lambda r: r**1.5, lam=0.7, estimator=name, scope=scope)
    close(terms, expected, rtol=1e-12)


@pytest.mark.parametrize("event", [(), (4,)])
def test_scopes_of_a_vector_and_a_scalar(x64, event):
    """A vector is one position; a scalar is its own element: all scopes agree there."""
    samples, observation = image_draws(4, event)
    for scope in ("event", "position", *(["element"] if event == () else [])):
        score = OVER[scope](Energy(0.5))(jnp.asarray(samples), jnp.asarray(observation)).score
        expected = brute(np.reshape(samples, (4, -1)), np.reshape(observation, -1), lambda r: r**0.5)[0]
        close(score, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_bias_of_each_estimator(name):
    """E|x - x'| = 1 for exponential draws: V reads (m - 1) / m, almost fair 5 % of that bias, others 1."""
    m, repeats = 6, 8000
    samples = jax.random.exponential(jax.random.key(0), (repeats, m))
    rule = estimated(Energy(), ESTIMATORS[name])
    interaction = np.asarray(jax.jit(jax.vmap(rule))(samples, jnp.zeros(repeats)).interaction, np.float64)
    expected = {"v": 1 - 1 / m, "almost_fair": 1 - 0.05 / m}.get(name, 1.0)
    assert abs(interaction.mean() - expected) < 4 * interaction.std() / np.sqrt(repeats)


@pytest.mark.parametrize("scope", ["event", "element"])
@pytest.mark.parametrize("name", KERNELS)
def test_coincident_draws_have_value_gradient_and_curvature(name, scope):
    """All draws on the observation: value and gradient exactly 0, Hessian finite.

    Fails for (d2 + 1e-12) ** (beta / 2), which leaves .25 at beta = .1, and for the bare power: NaN (trap 4).
    """
    score = lambda x: OVER[scope](KernelRule(KERNELS[name][0]))(x, jnp.ones(3)).score  # noqa: E731
    derivatives = jax.jit(lambda x, v: jax.jvp(jax.value_and_grad(score), (x,), (v,)))
    together, along = jnp.ones((3, 3)), jnp.full((3, 3), 0.3)
    (value, gradient), curvature = derivatives(together, along)
    assert value == 0
    assert (gradient == 0).all()
    assert np.isfinite(curvature[1]).all()
    apart = together.at[2, 2].set(-0.5)  # two draws coincide in all elements, the third in two
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(derivatives(apart, along)))


def test_a_coincident_pair_adds_nothing_to_the_gradient():
    """Draws a, a, b against a: of draw 0 only its pair with b is left, -(1/2)(2/6) (a - b) / |a - b|."""
    a, b = jnp.array([1.0, 2.0]), jnp.array([4.0, -2.0])
    gradient = jax.grad(lambda x: energy_score(x, a))(jnp.stack([a, a, b]))
    unit = np.array([-0.6, 0.8])
    close(gradient, [-unit / 6, -unit / 6, -unit / 3 + unit / 3], atol=1e-7)


QUANTILES = np.asarray(stats.norm.ppf((np.arange(400) + 0.5) / 400), np.float32)


def all_pairs(samples, rho):
    """The double integral of rho by the midpoint rule, as an estimator of the user's own."""
    return jnp.mean(rho((samples[:, None] - samples[None, :]).reshape(-1)))


def expected_score(kernel, lam):
    """(mean, std) -> expected score of N(mean, std^2) under N(0, 1), by quadrature in quantiles."""
    rule = estimated(KernelRule(kernel, lam), all_pairs)
    return jax.jit(lambda mean, std: jnp.mean(jax.vmap(lambda y: rule(mean + std * QUANTILES, y).score)(QUANTILES)))


@pytest.mark.parametrize("name", ["energy .5", "energy 1", "energy 1.5", "imq", "rbf", "exponential"])
def test_rules_are_proper(name):
    """lam = 1: no location and no spread scores better than the true one.

    Fails for a lost 1/2, or lam scaled by m.
    """
    score = expected_score(KERNELS[name][0], 1.0)
    best = score(0.0, 1.0)
    for mean, std in [(0.2, 1.0), (-0.2, 1.0), (0.0, 0.85), (0.0, 1.15), (0.2, 0.85), (0.0, 0.5), (0.0, 2.0)]:
        assert score(mean, std) > best + 1e-4


@pytest.mark.parametrize(("beta", "lam"), [(1.0, 1.0), (1.0, 0.5), (0.5, 0.7), (1.5, 0.8)])
def test_dispersion_law(beta, lam):
    """The best spread under lam: s^2 / S^2 = q / (2 - q), q = lam^(2 / (2 - beta)).

    Fails for a wrong factor of lam.
    """
    score = expected_score(energy(beta), lam)
    found = optimize.minimize_scalar(lambda std: float(score(0.0, std)), bounds=(0.05, 2), method="bounded").x
    q = lam ** (2 / (2 - beta))
    close(found, np.sqrt(q / (2 - q)), rtol=0.02)


@pytest.mark.parametrize(("ours", "theirs"), [(scoring.fair, "fair"), (scoring.biased, "nrg")])
def test_values_agree_with_scoringrules(x64, ours, theirs):
    samples, observation = image_draws(7, (4,))
    x, y = jnp.asarray(samples), jnp.asarray(observation)
    energy_rule = scoringrules.es_ensemble(observation, samples, estimator=theirs)
    close(estimated(Energy(), ours)(x, y).score, energy_rule, rtol=1e-9)
    by_element = scoringrules.crps_ensemble(observation, samples.T, estimator=theirs)
    close(crps(x, y, estimator=ours), by_element.mean(), rtol=1e-9)
    kernel_rule = scoringrules.gksmv_ensemble(observation, samples, estimator=theirs)  # scale 1 where ours is 2
    close(estimated(KernelRule(rbf()), ours)(x, y).score, 2 * kernel_rule, rtol=1e-9)


def test_wide_kernels_become_norms_without_cancellation():
    """imq and rbf -> ||.||^2, exponential -> ||.||, in float32.

    Fails for k(0) - k as it is written on paper.
    """
    squared = jnp.asarray(np.geomspace(1e-4, 10, 20), jnp.float32)
    close(imq(1e7).rho(squared), squared, rtol=1e-5)
    close(rbf(3e3).rho(squared), squared, rtol=1e-5)
    close(exponential(1e6).rho(squared), jnp.sqrt(squared), rtol=1e-5)


def test_beta_and_lam_may_depend_on_t():
    """The iDDM rule at three times, under vmap; at t = 0 it is the MSE.

    Fails when t does not reach one of them.
    """
    rule = by_position(Energy(beta=lambda t: 2 - 1.9 * t, lam=lambda t: t))
    samples, observation = (jnp.asarray(x, jnp.float32) for x in image_draws())
    times = jnp.array([0.0, 0.3, 1.0])
    found = jax.jit(jax.vmap(lambda t: rule(samples, observation, t).score))(times)
    rho = lambda t: lambda r: r ** (2 - 1.9 * t)  # noqa: E731
    expected = [brute(samples, observation, rho(t), lam=t, scope="position")[0] for t in times]
    close(found, expected, rtol=1e-5)
    close(found[0], 2 * np.mean((samples - observation[None]) ** 2), rtol=1e-6)
    gradient = jax.jit(jax.vmap(jax.grad(lambda x, t: rule(x, observation, t).score), (None, 0)))
    assert (gradient(jnp.stack([observation] * 5), times) == 0).all()


@pytest.mark.parametrize("scope", ["event", "element"])
def test_bfloat16_is_accumulated_in_float32(scope):
    """Fails when differences or sums stay in bfloat16: two digits."""
    samples, observation = (jnp.asarray(x, jnp.bfloat16) for x in image_draws(8, (16,)))
    score = jax.jit(lambda x, y: OVER[scope](Energy())(x, y).score)(samples, observation)
    assert score.dtype == jnp.float32
    close(score, brute(samples, observation, lambda r: r, scope=scope)[0], rtol=1e-5)


@pytest.mark.parametrize("rule", [Energy(), *(estimated(Energy(), estimator) for estimator in ESTIMATORS.values())])
def test_a_gradient_in_bfloat16_is_rounded_once(rule):
    """That of the same numbers in float32, rounded. Mutation: draws made precise for each part by itself."""
    samples, observation = (jnp.asarray(x, jnp.bfloat16) for x in image_draws(5, (16,)))
    gradient = jax.jit(jax.grad(lambda x: rule(x, observation).score))
    exact = gradient(samples.astype(jnp.float32))
    assert (gradient(samples) == exact.astype(jnp.bfloat16)).all()


def test_rules_are_values():
    """Equal rules are equal and hash alike, so that they can be static arguments."""
    make = lambda: [Energy(), Energy(0.5), Energy(lam=0.5), KernelRule(imq()), KernelRule(rbf(2.0))]  # noqa: E731
    assert make() == make()
    assert len({*make(), *make()}) == 5


ONE, TWO, THREE = jnp.ones((1, 3)), jnp.ones((2, 3)), jnp.ones(3)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: energy_score(TWO, THREE, beta=0.0), "beta must lie in"),
        (lambda: energy_score(TWO, THREE, beta=2.1), "beta must lie in"),
        (lambda: Energy(beta=float("nan")), "beta must lie in"),
        (lambda: Energy(lam=-0.1), "lam must not be negative"),
        (lambda: KernelRule("rbf"), "need a kernel"),
        (lambda: by_element(lambda samples, observation, t: 0.0), "need a rule of a kernel"),
        (lambda: estimated(Energy(), scoring.paired)(ONE, THREE), "at least 2"),
        (lambda: KernelRule(rbf(), lam=-0.1), "lam must not be negative"),
        (lambda: energy_score(ONE, THREE), "at least 2"),
        (lambda: Energy(lam=lambda t: t)(ONE, THREE, 0.5), "at least 2"),
        (lambda: energy_score(TWO, jnp.ones(2)), "samples must be"),
        (lambda: energy_score(TWO, THREE, estimator="unbiased"), "estimator must be one of"),
        (lambda: Energy(estimator="u"), "estimator must be one of"),
        (lambda: energy_score(TWO, THREE, scope="pixel"), "scope must be one of"),
        (lambda: imq(0.0), "c must be positive"),
        (lambda: rbf(-1.0), "bandwidth must be positive"),
        (lambda: exponential(float("nan")), "bandwidth must be positive"),
        (lambda: rbf(float("inf")), "positive and finite"),
        (lambda: rbf(jnp.ones(3)), "bandwidth must be one number"),
        (lambda: Energy(lam=float("inf")), "negative or infinite"),
        (lambda: energy_score(TWO, THREE, lam=-1.0), "lam must not be negative"),
        (lambda: scoring.banded(0), "at least 1, got width=0"),
        (lambda: scoring.almost_fair(1.1), "fairness must lie"),
    ],
)
def test_mistakes_are_told(unchecked, make, says):
    with pytest.raises(ValueError, match=says):
        make()


@pytest.mark.parametrize("scope", OVER)
@pytest.mark.parametrize("name", ["fair", "v", "almost_fair", "paired"])
def test_keywords_of_one_version_ago(unchecked, name, scope):
    """Deprecated, and the same numbers. Mutation: one of them not handed on."""
    samples, observation = (jnp.asarray(x, jnp.float32) for x in image_draws())
    area = None if scope == "event" else np.ones((1, 1, 1)) * 2
    old = {"lam": 0.7, "estimator": name, "scope": scope, "area": area}
    over = OVER[scope] if area is None else lambda rule: OVER[scope](rule, area)
    for rule, found in (
        (
            Energy(0.5, 0.7),
            (Energy(0.5, **old)(samples, observation).score, energy_score(samples, observation, beta=0.5, **old)),
        ),
        (KernelRule(imq(), 0.7), (kernel_score(samples, observation, kernel=imq(), **old),)),
    ):
        new = estimated(over(rule), ESTIMATORS[name])(samples, observation).score
        assert all(one == new for one in found)
    assert Energy(scope=scope, estimator="fair") == OVER[scope](Energy())
    assert Energy(scope=scoring.Windows(2)) == scoring.by_groups(Energy(), scoring.Windows(2))
    with pytest.raises(ValueError, match="area weighs what is averaged"):
        Energy(area=np.ones(1))


def test_whole_numbers_are_numbers():
    """beta = 2, lam = 0 as people write them. Mutation: an annotation that wants floats."""
    rule = scoring.Energy(beta=2, lam=0)
    assert float(rule(jnp.array([[1.0, 2.0]]), jnp.array([0.0, 0.0])).score) == 5.0


def pairwise(x, y):
    """Distances by differences."""
    return jnp.sqrt(jnp.sum((x[:, None] - y[None]) ** 2, -1))


def test_the_median_heuristic_and_other_numbers_that_are_arrays():
    """The value of the plain number; one compilation for all values, inside jit and out; a gradient in the number.

    Mutations: the kernel static, its scale left as a Python number, beta = 2 taken for a constant.
    """
    x, y = (jax.random.normal(jax.random.key(i), (20, 2)) + i for i in range(2))
    for make, value in {rbf: 1.3, imq: 0.7, exponential: 0.6, energy: 1.5}.items():
        traces = []

        def distance(number, make=make, traces=traces):
            traces.append(number)
            return metrics.mmd(x, y, kernel=make(number))

        traced = jax.jit(jax.value_and_grad(distance))
        (found, slope), (above, _), (below, _) = (traced(value + h) for h in (0, 0.01, -0.01))
        assert len(traces) == 1
        close(found, metrics.mmd(x, y, kernel=make(value)), rtol=1e-5)
        close(slope, (above - below) / 0.02, rtol=2e-2)
        close(metrics.mmd(x, y, kernel=make(np.float32(value))), found, rtol=1e-5)
    half = jnp.bfloat16(1.3)
    close(metrics.mmd(x, y, kernel=rbf(half)), metrics.mmd(x, y, kernel=rbf(float(half))), rtol=1e-5)
    median = jax.jit(lambda x, y: metrics.mmd(x, y, kernel=rbf(jnp.median(pairwise(x, y)))))
    close(median(x, y), metrics.mmd(x, y, kernel=rbf(float(jnp.median(pairwise(x, y))))), rtol=1e-5)
    assert np.isfinite(jax.grad(median)(x, y)).all()


def test_a_traced_beta_of_two_is_the_square():
    """And its gradient in the draws; a constant 2 has the second derivative of the square too, also at 0."""
    samples, observation = (jnp.asarray(x, jnp.float32) for x in image_draws(4, (3,)))
    rule = lambda x, beta: energy_score(x, observation, beta=beta)  # noqa: E731
    close(jax.jit(rule)(samples, 2.0), rule(samples, 2.0), rtol=1e-6)
    close(jax.jit(jax.grad(rule))(samples, 2.0), jax.grad(rule)(samples, 2.0), rtol=1e-5)
    for beta in (2, 2.0, jnp.float32(2)):
        assert jax.hessian(lambda x, beta=beta: energy(beta).rho(jnp.sum(x**2)))(jnp.zeros(1)) == 2
        error = lambda x, beta=beta: energy_score(x[None], jnp.zeros(1), beta=beta, lam=0)  # noqa: E731
        assert jax.hessian(error)(jnp.zeros(1)) == 2


def test_kernels_are_values_and_trees_of_their_numbers():
    """Equal and hashed alike for plain numbers. Mutation: the profile a leaf."""
    for make in (lambda: rbf(2.0), lambda: imq(), lambda: exponential(0.5), lambda: energy(0.5)):
        assert make() == make() and hash(make()) == hash(make())
        assert jax.tree.leaves(make()) == [make().width, make().scale]
    assert repr(rbf(2.0)).endswith("width=2.0, scale=8.0)")
