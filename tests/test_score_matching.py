"""Objectives of score matching against integration by parts, closed forms and each other; conditional scores against Bayes."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as same

from ddjax import denoisers, flows, mixtures, predictions, schedules, score_matching, weights
from ddjax.types import Network, standard_normal

SCHEDULE = schedules.Cosine()
MATRIX = np.array([[0.7, -0.4, 0.2], [0.1, 0.9, -0.5], [-0.3, 0.2, 0.4]])
POINT = np.array([0.6, -1.1, 0.8])


def affine(matrix=MATRIX, shift=POINT):
    """A score that belongs to no density."""
    return lambda x: jnp.asarray(matrix, x.dtype) @ x + jnp.asarray(shift, x.dtype)


def bent(x):
    """A score in three dimensions with a Jacobian that is neither constant nor symmetric."""
    return jnp.tanh(jnp.asarray(MATRIX, x.dtype) @ x) - 0.3 * x * x[::-1]


def jitted(objective, *functions, **settings):
    """An objective of these functions as one program: what is left to give are arrays."""
    return jax.jit(partial(objective, *functions, **settings))


def many(point, n):
    """The same point n times."""
    return jnp.broadcast_to(jnp.asarray(point, float), (n, len(point)))


def assert_unbiased(draws, expected, sigmas=4):
    assert abs(draws.mean() - expected) < sigmas * draws.std() / np.sqrt(len(draws))


def cubature(mean, cov):
    """Points whose average is the expectation under N(mean, cov) of every quadratic."""
    arms = np.sqrt(len(mean)) * np.linalg.cholesky(cov).T
    return jnp.asarray(np.concatenate([mean + arms, mean - arms]))


def test_explicit_minus_implicit_is_half_the_trace_of_the_precision(x64, skewed):
    """Of a Gaussian, for every affine score, to rounding. Mutations: |s|^2 for |s|^2 / 2, or -div s."""
    mean, cov = np.asarray(skewed.means[0]), np.asarray(skewed.covs[0])
    precision = np.linalg.inv(cov)
    x, truth = cubature(mean, cov), affine(-precision, precision @ mean)
    for score in (affine(), affine(-MATRIX, 2 * POINT), truth):
        gap = score_matching.explicit(score, truth, x) - score_matching.implicit(score, x)
        close(gap.mean(), np.trace(precision) / 2, rtol=1e-12)


def test_explicit_minus_implicit_is_a_number_of_the_density_alone(skewed):
    """E|grad log p|^2 / 2 for a mixture and a score that bends. Mutation: the sign of the divergence."""
    truth = jax.grad(skewed.log_prob)

    @jax.jit
    def off(key):
        x = skewed.sample(key, 20_000)
        gap = score_matching.explicit(bent, truth, x) - score_matching.implicit(bent, x)
        return gap - jax.vmap(lambda x: jnp.sum(truth(x) ** 2) / 2)(x)

    assert_unbiased(off(jax.random.key(0)), 0)


def test_uniform_on_an_interval_has_no_implicit_objective():
    """p score does not vanish at the boundary: explicit - implicit is -(score(1) - score(0)), not a number of p alone.

    score = -3 x has the implicit value -3/2, less than the 0 of the true score; with a score that is 0 at both ends the
    identity holds. Mutations: -div s, or a divergence without the Jacobian's own values.
    """
    nodes, mass = np.polynomial.legendre.leggauss(8)
    x = jnp.asarray((nodes + 1) / 2, jnp.float32)[:, None]

    @partial(jax.jit, static_argnums=0)
    def gap(score):
        each = score_matching.explicit(score, jnp.zeros_like, x) - score_matching.implicit(score, x)
        return each @ jnp.asarray(mass / 2, jnp.float32)

    for score in (affine(np.array([[-2.0]]), np.array([0.5])), lambda x: x**3 - 0.2):
        ends = score(jnp.ones(1)) - score(jnp.zeros(1))
        close(gap(score), -ends[0], rtol=1e-5)
    implicit = score_matching.implicit(lambda x: -3 * x, x) @ jnp.asarray(mass / 2, jnp.float32)
    close(implicit, -1.5, rtol=1e-5)
    assert score_matching.implicit(jnp.zeros_like, x)[0] == 0
    close(gap(lambda x: 3 * x * (1 - x)), 0, atol=1e-6)


def test_hutchinson_and_sliced_have_the_mean_of_the_exact_trace():
    """At one point, over keys of its own for each example. Mutations: a forgotten 1/2 or 1/probes, probes of variance 2."""
    x = many(POINT, 8000)
    exact = score_matching.implicit(bent, x[:1])[0]
    draws = {
        "hutchinson": jitted(score_matching.implicit, bent, divergence=flows.hutchinson())(x, key=jax.random.key(1)),
        **{f"sliced {p}": jitted(score_matching.sliced, bent, probes=p)(jax.random.key(2), x) for p in (1, 3)},
        "reduced": jitted(score_matching.sliced, bent, probes=3, reduced=True)(jax.random.key(3), x),
    }
    for values in draws.values():
        assert_unbiased(values, exact)
        assert values.std() > 0.1
    close(draws["sliced 1"].var() / draws["sliced 3"].var(), 3, rtol=0.1)


def test_reduced_is_hutchinsons_trace_and_shares_the_probes():
    """To the bit. Mutation: other probes for the reduced form."""
    x = jnp.asarray(np.stack([POINT, -POINT]), jnp.float32)
    key = jax.random.key(4)
    reduced = score_matching.sliced(bent, key, x, probes=2, reduced=True)
    trace = score_matching.implicit(bent, x, key=jax.random.clone(key), divergence=flows.hutchinson(2))
    same(reduced, trace)
    one_dimension = score_matching.sliced(lambda x: -x, jax.random.clone(key), x[:, :1])
    close(one_dimension, score_matching.implicit(lambda x: -x, x[:, :1]), rtol=1e-6)  # signs square to 1


@pytest.mark.parametrize(("correlation", "lower"), [(0.3, True), (0.95, False)])
def test_the_variance_over_probes_is_known_and_reduced_has_less_of_it_unless_coordinates_are_nearly_equal(
    correlation, lower
):
    """2 sum_{i != j} (J_ij + s_i s_j / 2)^2 against 2 sum_{i != j} J_ij^2, for the true score of a Gaussian.

    In the mean over x the first is (P_11 P_22 + 2 P_12^2), the second 4 P_12^2: reduced wins below a correlation of
    sqrt(1/2). Mutations: the two forms exchanged, or Gaussian probes, which add the diagonal.
    """
    precision = np.linalg.inv(np.array([[1.0, correlation], [correlation, 1.0]]))
    score, x = affine(-precision, np.zeros(2)), np.array([0.9, -0.7])
    s = -precision @ x
    expected = {
        False: 4 * (-precision[0, 1] + s[0] * s[1] / 2) ** 2,
        True: 4 * precision[0, 1] ** 2,
    }
    points = np.random.default_rng(0).multivariate_normal(np.zeros(2), np.linalg.inv(precision), 20_000)
    points = jnp.asarray(points, jnp.float32)
    exact, over_probes = score_matching.implicit(score, points), {}
    for reduced, variance in expected.items():
        found = jitted(score_matching.sliced, score, reduced=reduced)
        close(found(jax.random.key(5), many(x, 20_000)).var(), variance, rtol=0.02)
        over_probes[reduced] = float(((found(jax.random.key(7), points) - exact) ** 2).mean())
    close(over_probes[False], precision[0, 0] * precision[1, 1] + 2 * precision[0, 1] ** 2, rtol=0.15)
    assert (over_probes[True] < over_probes[False]) == lower


def test_the_best_linear_denoising_score_is_the_gaussian_of_the_same_moments(skewed):
    """-(alpha^2 S + sigma^2 I)^-1 (x_t - alpha mu), for the moments of a mixture, by least squares on 20,000 pairs.

    Mutations: + noise / sigma as the target, alpha and sigma exchanged, one noise for all examples.
    """
    x_0, t = skewed.sample(jax.random.key(0), 20_000), 0.4
    alpha, sigma = SCHEDULE(t)

    @jax.jit
    def loss(params, x_0):
        score = lambda x, t: params[:3] @ x + params[3]  # noqa: E731
        return score_matching.denoising(score, SCHEDULE, jax.random.key(8), x_0, t).mean()

    zero = jnp.zeros((4, 3))
    gradient, curvature = jax.grad(loss)(zero, x_0), jax.hessian(loss)(zero, x_0)
    found = -jnp.linalg.solve(curvature.reshape(12, 12), gradient.reshape(12)).reshape(4, 3)
    precision = np.linalg.inv(alpha**2 * np.asarray(skewed.cov()) + sigma**2 * np.eye(3))
    close(found[:3], -precision, atol=0.05)
    close(found[3], precision @ (alpha * np.asarray(skewed.mean())), atol=0.05)


def test_weighted_by_the_variance_it_is_regression_on_the_noise(schedule):
    """To the bit, at a time for each example. Mutations: no 1/2, sigma for sigma^2, the sign of the noise."""
    x_0, t = many(POINT, 16), jnp.linspace(0.05, 0.95, 16)
    key, score = jax.random.key(9), lambda x, t: bent(x) * jnp.cos(t)
    found = jitted(score_matching.denoising, score, schedule, weight=weights.variance(schedule))(key, x_0, t)
    noise = standard_normal(jax.random.clone(key), x_0.shape)
    alpha, sigma = jax.vmap(schedule)(t)
    x_t = alpha[:, None] * x_0 + sigma[:, None] * noise
    noise_hat = (
        -sigma[:, None] * (jnp.tanh(x_t @ MATRIX.T.astype(np.float32)) - 0.3 * x_t * x_t[:, ::-1]) * jnp.cos(t)[:, None]
    )
    close(found, jnp.sum((noise_hat - noise) ** 2, -1) / 2, rtol=2e-5)


def network_of_matrices(params, key, x_t, t, cond):
    """A score network in miniature, natively batched."""
    return jnp.tanh(x_t @ params["mix"]) * (1 + t[:, None]) + params["shift"][None]


def test_all_losses_have_the_same_gradient_in_the_mean(skewed):
    """Over 24 batches, at a time for each example, weighted alike. Mutations: a weight left out of one, x_0 for x_t, a
    forgotten 1/2, one probe for the batch."""
    params = {"mix": jnp.asarray(MATRIX, jnp.float32), "shift": jnp.asarray(POINT, jnp.float32)}
    truth = score_matching.mixture_score(skewed, SCHEDULE)
    law = lambda key, n: jnp.linspace(0.3, 0.9, n)  # noqa: E731
    losses = {
        "explicit": score_matching.explicit_loss(network_of_matrices, truth, SCHEDULE, times=law),
        "implicit": score_matching.implicit_loss(network_of_matrices, SCHEDULE, times=law),
        "hutchinson": score_matching.implicit_loss(
            network_of_matrices, SCHEDULE, times=law, divergence=flows.hutchinson()
        ),
        "sliced": score_matching.sliced_loss(network_of_matrices, SCHEDULE, times=law),
        "denoising": score_matching.denoising_loss(network_of_matrices, SCHEDULE, times=law),
    }

    @jax.jit
    def gradients(key):
        key_data, *keys = jax.random.split(key, 1 + len(losses))
        x_0 = skewed.sample(key_data, 1024)
        found = {
            name: jax.grad(lambda p, loss=loss, key=key: loss(p, key, x_0)[0])(params)
            for (name, loss), key in zip(losses.items(), keys, strict=True)
        }
        return {name: jnp.concatenate([leaf.ravel() for leaf in tree.values()]) for name, tree in found.items()}

    found = jax.lax.map(gradients, jax.random.split(jax.random.key(10), 24))
    reference = found["explicit"].mean(0)
    assert (jnp.abs(reference) > 0.02).all()
    for name, each in found.items():
        error = jnp.sqrt((each.var(0) + found["explicit"].var(0)) / 23)
        assert (jnp.abs(each.mean(0) - reference) < 4.5 * error).all(), name


def test_a_loss_on_data_is_the_mean_of_its_objective():
    """Any objective, a score without time. Mutation: a sum for the mean."""
    x, key = jnp.asarray(np.stack([POINT, -POINT]), jnp.float32), jax.random.key(11)
    params = jnp.asarray(MATRIX, jnp.float32)
    loss_fn = score_matching.data_loss(partial(score_matching.sliced, probes=2), lambda params, x: jnp.sin(params @ x))
    loss, metrics = loss_fn(params, key, x)
    each = score_matching.sliced(lambda x: jnp.sin(params @ x), jax.random.clone(key), x, probes=2)
    close(loss, each.mean(), rtol=1e-6)
    assert metrics["loss"] == loss


def test_a_loss_sees_the_condition_of_each_example():
    """Denoising with a condition is a loss of that example's. Mutation: the condition of the batch for each example."""
    score = lambda params, key, x_t, t, cond: x_t * cond[:, None]  # noqa: E731
    loss_fn = jax.jit(score_matching.denoising_loss(score, SCHEDULE))
    x, key = many(POINT, 4), jax.random.key(12)
    ones = loss_fn(None, key, (x, jnp.ones(4)))[0]
    mixed = loss_fn(None, jax.random.clone(key), (x, jnp.array([1.0, 1.0, 1.0, -3.0])))[0]
    assert mixed > ones + 0.1


# conditional scores
CLASSES = np.array([0, 1, 1])
OPERATOR, MEASURED = np.array([[1.0, -0.5, 0.3], [0.2, 0.4, -1.0]]), np.array([0.4, -0.7])
NOISE = np.array([[0.2, 0.05], [0.05, 0.1]])


def test_bayes_identity_of_classes(x64, skewed):
    """grad log p(x_t | c) = grad log p(x_t) + grad log p(c | x_t) for a class of two components, to 1e-9.

    Mutations: weights of the class not kept in proportion, the gradient left out, -grad.
    """
    prior, x = score_matching.mixture_score(skewed, SCHEDULE), jnp.asarray(POINT)

    @jax.jit
    def both(label, t, weight):
        classifier = score_matching.class_likelihood(skewed, SCHEDULE, CLASSES, label)
        conditional = score_matching.mixture_score(skewed.given_class(CLASSES, label), SCHEDULE)
        return score_matching.bayes(prior, classifier, weight=weight)(x, t), conditional(x, t), prior(x, t)

    for label, t in ((0, 0.1), (1, 0.1), (1, 0.7)):
        by_bayes, conditional, _ = both(label, t, 1.0)
        close(by_bayes, conditional, rtol=1e-9)
        unconditional, _, plain = both(label, t, 0.0)
        same(unconditional, plain)
    close(skewed.given_class(CLASSES, 0).log_prob(x), skewed.tilted_log_prob(x, 0, 1.0) - np.log(0.6), rtol=1e-12)


def measured(mixture):
    """Its score given the measurement, by the mixture given it and by Bayes' rule."""

    @jax.jit
    def given(x, t):
        return score_matching.mixture_score(mixture.given_linear(OPERATOR, MEASURED, NOISE), SCHEDULE)(x, t)

    @jax.jit
    def by_bayes(x, t):
        likelihood = score_matching.linear_likelihood(mixture, SCHEDULE, OPERATOR, MEASURED, NOISE)
        return score_matching.bayes(score_matching.mixture_score(mixture, SCHEDULE), likelihood)(x, t)

    return given, by_bayes


def joint_log_prob(mixture, schedule, t, x_t):
    """log p(x_t, y) as one mixture in d + m dimensions, written out."""
    alpha, sigma = schedule(t)
    terms = []
    for weight, mean, cov in zip(mixture.weights, mixture.means, mixture.covs, strict=True):
        cross = alpha * cov @ OPERATOR.T
        block = jnp.block(
            [[alpha**2 * cov + sigma**2 * np.eye(3), cross], [cross.T, OPERATOR @ cov @ OPERATOR.T + NOISE]]
        )
        centre = jnp.concatenate([alpha * mean, OPERATOR @ mean])
        both = jnp.concatenate([x_t, MEASURED])
        terms.append(jnp.log(weight) + jax.scipy.stats.multivariate_normal.logpdf(both, centre, block))
    return jax.nn.logsumexp(jnp.stack(terms))


def test_the_score_given_a_measurement_is_that_of_the_joint_density(x64, skewed):
    """By autodiff of log p(x_t, y); the mixture given y and Bayes' rule both agree with it, to 1e-9.

    Mutations: R^-1 for its root, S for S', p(k) for p(k | y), alpha^2 for alpha in the likelihood, C_k left out of it.
    """
    given, by_bayes = measured(skewed)
    joint = jax.jit(jax.grad(partial(joint_log_prob, skewed, SCHEDULE), 1))
    for t in (0.05, 0.5, 0.95):
        exact = joint(t, jnp.asarray(POINT))
        close(given(jnp.asarray(POINT), t), exact, rtol=1e-9)
        close(by_bayes(jnp.asarray(POINT), t), exact, rtol=1e-9)


def test_conditions_hold_in_float32_and_far_from_the_mixture(skewed):
    """To 1e-5 relative near it, and finite where the posterior's weights underflow. Mutation: log of those weights."""
    given, by_bayes = measured(skewed)
    point = jnp.asarray(POINT, jnp.float32)
    for t in (0.2, 0.7):
        close(by_bayes(point, t), given(point, t), rtol=1e-5, atol=1e-5)
    assert jnp.isfinite(by_bayes(40 * point, 0.1)).all()


def test_a_precise_measurement_leaves_what_it_sees():
    """Given y = x_1 + N(0, 1e-8): x_1 is y to 1e-4, and the rest keeps its own law, in float32.

    Mutation: S' as the difference S - S A^T (A S A^T + R)^-1 A S, which is 0 or negative here.
    """
    mixture = mixtures.GaussianMixture(np.ones(1), np.zeros((1, 2)), np.diag([1.0, 4.0])[None])
    given = jax.jit(mixture.given_linear)(np.array([[1.0, 0.0]]), np.array([0.5]), np.array([[1e-8]]))
    close(given.means[0], [0.5, 0.0], atol=1e-6)
    close(np.sort(given.variances[0]), [1e-8, 4.0], rtol=1e-4)


def test_guidance_of_scores_is_guidance_of_denoisers():
    """A score is affine in x_0 and the weights sum to 1: guiding either is the same. Mutation: weights w and -w."""
    apply = lambda params, x_t, t, cond, xi: params * x_t + cond[:, None]  # noqa: E731
    network = Network(lambda key: jnp.ones(()), apply)
    x_t, t, cond = many(POINT, 3), jnp.array([0.2, 0.5, 0.8]), jnp.array([1.0, -2.0, 0.5])
    score = denoisers.guided(score_matching.network_score(network, SCHEDULE), 2.5, null=0.0)
    denoiser = denoisers.guided(denoisers.mean(network, SCHEDULE, predicts="noise"), 2.5, null=0.0)
    params, key = jnp.float32(0.7), jax.random.key(13)
    x_0 = denoiser(params, key, x_t, t, cond)
    read = lambda x_t, t, x_0: predictions.convert(SCHEDULE, x_t, t, x_0, source="x0", target="score")  # noqa: E731
    close(score(params, jax.random.clone(key), x_t, t, cond), jax.vmap(read)(x_t, t, x_0), rtol=1e-4, atol=1e-5)


def test_a_network_of_any_kind_has_the_score_of_the_mixture(x64, skewed):
    """The mean of the noise, read as a score. Mutation: + noise / sigma."""
    apply = lambda params, x_t, t, cond, xi: jax.vmap(  # noqa: E731
        lambda x, t: -SCHEDULE(t).sigma * skewed.score(SCHEDULE, x, t)
    )(x_t, t)
    score = score_matching.network_score(Network(lambda key: None, apply), SCHEDULE)
    x_t, t = many(POINT, 2), jnp.array([0.2, 0.8])
    truth = jax.jit(jax.vmap(score_matching.mixture_score(skewed, SCHEDULE)))(x_t, t)
    close(jax.jit(score)(None, jax.random.key(14), x_t, t), truth, rtol=1e-12)


def test_values_and_gradients_are_finite_and_in_single_precision():
    """Also a rounding error above t = 0, where scores are 1e7, and for halves. Mutation: |score + noise / sigma|^2 before
    the weight, or all in the dtype of the data.
    """
    score = lambda params, key, x_t, t, cond: jnp.sin(x_t * params)  # noqa: E731
    truth = lambda x, t: -x  # noqa: E731

    def losses(params, x, t):
        law = lambda key, n: jnp.full(n, t)  # noqa: E731
        values = [
            loss(params, jax.random.key(0), x)[0]
            for loss in (
                score_matching.denoising_loss(score, SCHEDULE, times=law),
                score_matching.implicit_loss(score, SCHEDULE, times=law),
                score_matching.sliced_loss(score, SCHEDULE, times=law),
                score_matching.explicit_loss(score, truth, SCHEDULE, times=law),
            )
        ]
        return jnp.stack(values), values

    both = jax.jit(jax.jacfwd(losses, has_aux=True))
    for dtype in (jnp.float32, jnp.bfloat16):
        for t in (1.2e-7, 0.5, 1.0):
            arguments = jnp.float32(0.5), many(POINT, 2).astype(dtype), jnp.float32(t)
            slopes, values = both(*arguments)
            assert jnp.isfinite(slopes).all()
            assert all(value.dtype == jnp.float32 and jnp.isfinite(value) for value in values)


TWO = jnp.ones((2, 2))
REFUSED = {
    "a score that returns a number": (
        r"a score.*must return an array of shape \(2,\), got .* shape \(\)",
        lambda: score_matching.implicit(jnp.sum, TWO),
    ),
    "a score of another length": (r"shape \(2,\)", lambda: score_matching.sliced(lambda x: x[:1], key(), TWO)),
    "a truth of another length": (
        "a true score",
        lambda: score_matching.explicit(lambda x: x, lambda x: x[:1], TWO),
    ),
    "a score of x alone": (
        "a score.*a batch of one",
        lambda: score_matching.denoising_loss(lambda p, k, x, t, c: x[0], SCHEDULE)(None, key(), TWO),
    ),
    "no probes": ("at least 1, got probes=0", lambda: score_matching.sliced(lambda x: x, key(), TWO, probes=0)),
    "no probes of a loss": ("at least 1, got probes=0", lambda: score_matching.sliced_loss(None, SCHEDULE, probes=0)),
    "times of another length": (
        r"each of 2 examples, got t.shape=\(3,\)",
        lambda: score_matching.denoising(lambda x, t: x, SCHEDULE, key(), TWO, jnp.ones(3)),
    ),
    "a law of other times": (
        "a law of times",
        lambda: score_matching.denoising_loss(network_of_matrices, SCHEDULE, times=lambda key, n: jnp.ones(3))(
            None, key(), TWO
        ),
    ),
    "a divergence without its key": (
        "needs a key, got key=None",
        lambda: score_matching.implicit(lambda x: x, TWO, divergence=flows.hutchinson()),
    ),
    "one number": ("a batch of examples", lambda: score_matching.explicit(jnp.sin, jnp.sin, jnp.float32(1))),
    "an objective without examples": (
        "an objective must return",
        lambda: score_matching.data_loss(lambda s, k, x: jnp.ones(()), lambda p, x: x)(None, key(), TWO),
    ),
    "classes of another length": ("a class for each of 2", lambda: pair().given_class(np.array([0]), 0)),
    "a class that nobody has": ("no component has this class", lambda: pair().given_class(np.array([0, 1]), 2)),
    "a measurement that does not fit": (
        "a measurement has matrix",
        lambda: pair().given_linear(np.ones((1, 3)), np.ones(1), np.eye(1)),
    ),
    "noise that is no covariance": (
        "positive definite",
        lambda: score_matching.linear_likelihood(pair(), SCHEDULE, np.ones((1, 2)), np.ones(1), -np.eye(1)),
    ),
}


def key():
    return jax.random.key(0)


def pair():
    return mixtures.GaussianMixture(np.array([0.4, 0.6]), np.eye(2), np.stack([np.eye(2)] * 2))


@pytest.mark.parametrize("case", REFUSED)
def test_impossible_requests_are_refused(unchecked, case):
    told, call = REFUSED[case]
    with pytest.raises(ValueError, match=told):
        call()
