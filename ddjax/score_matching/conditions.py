"""Conditional scores, by Bayes' rule.

    (A)  grad log p(x_t | y) = grad log p(x_t) + grad log p(y | x_t)
    (B)  log p(c | x_t) = log sum of p(k | x_t) over the components k of class c
    (C)  log p(y | x_t) = log sum_k p(k | x_t) N(y; A m_k, A C_k A^T + R),  x_0 | x_t, k ~ N(m_k, C_k),  y = A x_0 + N(0, R)

The gradients are in x_t. The left side of (A) has a closed form too: the score of the mixture given the class or y
(`mixtures.GaussianMixture.given_class`, `given_linear`), which need not know x_t. All is for one example at one time.
References: Song et al., arXiv 2011.13456, section 5 (A); Dhariwal and Nichol, arXiv 2105.05233 (its weight).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int

from ddjax.inputs import checked_array, checked_function
from ddjax.mixtures import GaussianMixture, Label, Matrix, Vector
from ddjax.schedules import checked_schedule
from ddjax.score_matching.noised import TimedScore
from ddjax.score_matching.plain import read
from ddjax.types import Scalar, Schedule

LogLikelihood = Callable[[Array, Scalar], Array]


def bayes(score: TimedScore, log_likelihood: LogLikelihood, *, weight: Scalar = 1.0) -> TimedScore:
    """score(x_t, t) + weight grad log p(y | x_t), eq. (A) at weight 1.

    Args:
        log_likelihood: of what was observed, log_likelihood(x_t, t) -> scalar, differentiable in x_t: exact, or a classifier
            trained on noisy examples.
        weight: above 1 sharpens the condition (classifier guidance), 0 drops it.
    Raises: the score, ValueError for a score of another shape than x_t.
    """
    score = checked_function(score, "score", "x_t", "t")
    log_likelihood = checked_function(log_likelihood, "log_likelihood", "x_t", "t")
    return Partial(_bayes, score, log_likelihood, jnp.asarray(weight, float))


def _bayes(
    score: TimedScore, log_likelihood: LogLikelihood, weight: Array, x_t: Float[Array, "*event"], t: Scalar
) -> Float[Array, "*event"]:
    x = jnp.asarray(x_t, float)
    return read(score, x, "a score", t) + weight * jax.grad(log_likelihood)(x, t)


def class_likelihood(
    mixture: GaussianMixture, schedule: Schedule, classes: Int[Array | np.ndarray, " k"], label: Label
) -> LogLikelihood:
    """log p(label | x_t), eq. (B), exactly: the classifier of a mixture whose component k is of class classes[k].

    Raises: ValueError for classes of another length, or a label that no component has.
    """
    classes = checked_array(classes, "a class of each component [k]")
    mixture.given_class(classes, label)  # refuses what makes no sense
    return Partial(_of_class, mixture, checked_schedule(schedule), jnp.asarray(classes) == label)


def _of_class(mixture: GaussianMixture, schedule: Schedule, member: Array, x_t: Array, t: Scalar) -> Array:
    logs = mixture.diffuse(schedule, t).component_log_prob(x_t)
    return jax.nn.logsumexp(jnp.where(member, logs, -jnp.inf))


def linear_likelihood(
    mixture: GaussianMixture,
    schedule: Schedule,
    matrix: Matrix,
    y: Vector,
    noise: Matrix,
) -> LogLikelihood:
    """log p(y | x_t), eq. (C), exactly, for a measurement y = matrix x_0 + N(0, noise).

    Args:
        matrix: [m, d]. y: [m]. noise: [m, m], covariance of the measurement's noise, symmetric positive definite.
    Raises: ValueError for shapes that do not fit, or a noise that is not positive definite.
    """
    matrix, y = checked_array(matrix, "a matrix [m, d]"), checked_array(y, "a measurement [m]")
    noise = checked_array(noise, "a covariance [m, m]")
    mixture.linear_log_prob(matrix, y, noise)  # refuses what makes no sense
    return Partial(
        _of_measurement,
        mixture,
        checked_schedule(schedule),
        *(jnp.asarray(value, float) for value in (matrix, y, noise)),
    )


def _of_measurement(
    mixture: GaussianMixture, schedule: Schedule, matrix: Array, y: Array, noise: Array, x_t: Array, t: Scalar
) -> Array:
    logs = mixture.diffuse(schedule, t).component_log_prob(x_t)  # the posterior's own weights underflow
    return jax.nn.logsumexp(logs + mixture.posterior(schedule, x_t, t).linear_log_prob(matrix, y, noise))
