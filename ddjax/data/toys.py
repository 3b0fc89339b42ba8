"""Toy laws in the plane: pure, jittable samplers `(key, n, *, ...) -> Batch(points [n, 2], labels [n])`.

A curve is a parameter u ~ law on [0, 1], a map to the plane, and isotropic noise of standard deviation
`noise`. The law is a function as in `ddjax.times`: `times.uniform` draws independent parameters,
`times.stratified` one in each of n equal cells, which takes most of the sampling noise out of a batch. Where
a law has two branches, half of the points lie on each (the odd one on the second), and rows come in random
order. Labels are branches and components (integers), or the curve's own parameter (floats); `.x_0` of the
result is the unlabelled data.

References: scikit-learn's `make_moons`, `make_circles`, `make_swiss_roll` and `make_s_curve`, whose
coordinates are kept; Grathwohl et al. (checkerboard), arXiv 1810.01367; Tong et al. (eight Gaussians), arXiv
2302.00482; Midgley et al. (forty Gaussians), arXiv 2208.01893.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ddjax import times
from ddjax.inputs import checked_count, checked_key
from ddjax.types import Batch, Key, Scalar, known

Curve = Callable[[Array], tuple[Array, Array]]


def two_moons(key: Key, n: int, *, noise: Scalar = 0.05, angles: times.Law = times.uniform) -> Batch:
    """Two half circles, a = pi u: (cos a, sin a) with label 0, (1 - cos a, 1/2 - sin a) with label 1.

    Raises: ValueError for n < 1 or negative noise.
    """

    def outer(u: Array) -> tuple[Array, Array]:
        return jnp.cos(jnp.pi * u), jnp.sin(jnp.pi * u)

    def inner(u: Array) -> tuple[Array, Array]:
        return 1 - jnp.cos(jnp.pi * u), 0.5 - jnp.sin(jnp.pi * u)

    return _branches(key, n, (outer, inner), noise, angles)


def circles(
    key: Key, n: int, *, noise: Scalar = 0.05, factor: Scalar = 0.5, angles: times.Law = times.uniform
) -> Batch:
    """Two circles about the origin: radius 1 with label 0, radius `factor` with label 1.

    Raises: ValueError for n < 1, negative noise, or a factor outside [0, 1).
    """
    if known(factor) and not 0 <= factor < 1:
        raise ValueError(f"the inner circle's factor must lie in [0, 1), got {factor=}")

    def circle(radius: Scalar) -> Curve:
        return lambda u: (radius * jnp.cos(2 * jnp.pi * u), radius * jnp.sin(2 * jnp.pi * u))

    return _branches(key, n, (circle(1.0), circle(factor)), noise, angles)


def swiss_roll(key: Key, n: int, *, noise: Scalar = 0.0, angles: times.Law = times.uniform) -> Batch:
    """The spiral (a cos a, a sin a) with a = 3/2 pi (1 + 2 u), labelled by a: 1.5 turns, radius 4.7 to 14.1.

    Raises: ValueError for n < 1 or negative noise.
    """

    def spiral(a: Array) -> tuple[Array, Array]:
        return a * jnp.cos(a), a * jnp.sin(a)

    return _curve(key, n, spiral, lambda u: 1.5 * jnp.pi * (1 + 2 * u), noise, angles)


def s_curve(key: Key, n: int, *, noise: Scalar = 0.0, angles: times.Law = times.uniform) -> Batch:
    """The letter S, (sin a, sign(a) (cos a - 1)) with a = 3 pi (u - 1/2), labelled by a.

    Raises: ValueError for n < 1 or negative noise.
    """

    def letter(a: Array) -> tuple[Array, Array]:
        return jnp.sin(a), jnp.sign(a) * (jnp.cos(a) - 1)

    return _curve(key, n, letter, lambda u: 3 * jnp.pi * (u - 0.5), noise, angles)


def sine(key: Key, n: int, *, noise: Scalar = 0.1, angles: times.Law = times.uniform) -> Batch:
    """One period of the sine, (a, sin a) with a = pi (2 u - 1), labelled by a.

    Raises: ValueError for n < 1 or negative noise.
    """
    return _curve(key, n, lambda a: (a, jnp.sin(a)), lambda u: jnp.pi * (2 * u - 1), noise, angles)


def checkerboard(key: Key, n: int) -> Batch:
    """Uniform on the 8 dark squares of the 4 x 4 board [-4, 4]^2, labelled 0..7 by column, then by height.

    Raises: ValueError for n < 1.
    """
    _require_points(n)
    key_square, key_point = jax.random.split(checked_key(key))
    label = jax.random.randint(key_square, (n,), 0, 8)
    column = label // 2
    row = 2 * (label % 2) + column % 2
    corner = 2 * jnp.stack([column, row], -1).astype(float) - 4
    return Batch(corner + 2 * jax.random.uniform(key_point, (n, 2)), label)


class Components(NamedTuple):
    """The components of a law, in the order in which `mixtures.GaussianMixture` takes them."""

    weights: Float[np.ndarray, " k"]
    means: Float[np.ndarray, "k 2"]
    covs: Float[np.ndarray, "k 2 2"]


def eight_components(*, radius: float = 5.0, std: float = 0.1**0.5) -> Components:
    """Eight equal Gaussians N(., std^2 I) on a circle, the k-th at angle k pi / 4.

    `GaussianMixture(*eight_components())` is the law of `eight_gaussians`, with its density and its oracles.

    Raises: ValueError for a std that is not positive.
    """
    angle = np.arange(8) * np.pi / 4
    return _equal_gaussians(radius * np.stack([np.cos(angle), np.sin(angle)], -1), std)


def forty_components(*, extent: float = 40.0, std: float = 1.3133**0.5) -> Components:
    """Forty equal Gaussians N(., std^2 I) at fixed places, drawn once and for all from U(-extent, extent)^2.

    `GaussianMixture(*forty_components())` is the law, with its density and its oracles.

    Raises: ValueError for a std that is not positive.
    """
    return _equal_gaussians(np.random.default_rng(0).uniform(-extent, extent, (40, 2)), std)


def eight_gaussians(key: Key, n: int, *, radius: float = 5.0, std: float = 0.1**0.5) -> Batch:
    """Draws from `eight_components`, labelled by component.

    Raises: ValueError for n < 1 or a std that is not positive.
    """
    return _from_components(key, n, eight_components(radius=radius, std=std), std)


def _branches(key: Key, n: int, branches: tuple[Curve, Curve], noise: Scalar, angles: times.Law) -> Batch:
    """Half of the points on each branch, in random order."""
    _require_points(n, noise)
    key_first, key_second, key_noise, key_order = jax.random.split(checked_key(key), 4)
    sizes = (n // 2, n - n // 2)
    laws = zip((key_first, key_second), branches, sizes, strict=True)
    points = jnp.concatenate([jnp.stack(curve(angles(key, size)), -1) for key, curve, size in laws])
    label = jnp.repeat(jnp.arange(2), jnp.array(sizes), total_repeat_length=n)
    order = jax.random.permutation(key_order, n)
    return Batch(_noisy(key_noise, points[order], noise), label[order])


def _curve(
    key: Key, n: int, curve: Curve, parameter: Callable[[Array], Array], noise: Scalar, angles: times.Law
) -> Batch:
    """Points of one curve, in random order, with the parameter as label."""
    _require_points(n, noise)
    key_angle, key_noise, key_order = jax.random.split(checked_key(key), 3)
    a = jax.random.permutation(key_order, parameter(angles(key_angle, n)))
    return Batch(_noisy(key_noise, jnp.stack(curve(a), -1), noise), a)


def _noisy(key: Key, points: Array, noise: Scalar) -> Array:
    return points + noise * jax.random.normal(key, points.shape)


def _equal_gaussians(means: np.ndarray, std: float) -> Components:
    if not std > 0:
        raise ValueError(f"std must be positive, got {std=}")
    k = len(means)
    return Components(np.full(k, 1 / k), means, np.stack([std**2 * np.eye(2)] * k))


def _from_components(key: Key, n: int, components: Components, std: float) -> Batch:
    _require_points(n)
    key_label, key_noise = jax.random.split(checked_key(key))
    label = jax.random.randint(key_label, (n,), 0, len(components.weights))  # the weights are equal
    return Batch(_noisy(key_noise, jnp.asarray(components.means, float)[label], std), label)


def _require_points(n: int, noise: Scalar = 0.0) -> None:
    checked_count(n, "n")
    if known(noise) and not noise >= 0:
        raise ValueError(f"noise is a standard deviation and not negative, got {noise=}")
