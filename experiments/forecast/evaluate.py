"""Ensemble forecasts of a tracer on a torus, whose law is known, and what scoring rules see of what is wrong with them.

(1)  u_t + c . grad u = nu lap u,   x in [0, 2 pi)^2
(2)  u_k(T) = exp(-(nu |k|^2 + i k . c) T) u_k(0)          exactly, wavenumber by wavenumber
(3)  u(0) = analysis + error,  c = wind + gust             error a Gaussian field, gust ~ N(0, .15^2) along each axis

Draws of error and gust make draws of u(T) given the analysis: the observation is one more of them, so that no law scores
better. It is not Gaussian, and its neighbours move together.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ddjax.scoring import Energy, Patched, Sum, by_element, by_position, finite_differences, pooling, spectrum
from ddjax.types import Key, standard_normal

SIDE, HORIZON, VISCOSITY = 16, 1.0, 0.02
WIND, GUST, ERROR = (0.9, -0.4), 0.15, 0.3
WAVES = np.stack(np.meshgrid(np.fft.fftfreq(SIDE, 1 / SIDE), np.fft.rfftfreq(SIDE, 1 / SIDE), indexing="ij"))
SQUARES = np.sum(WAVES**2, 0)

CRPS = by_element(Energy())
_BLOCKS = ((1.0, CRPS, pooling(2)), (1.0, CRPS, pooling(4)))
_SLOPES = tuple((1.0, CRPS, finite_differences(axis, wrap=True)) for axis in (0, 1))
_WAVES = (1.0, by_position(Energy()), spectrum)
RULES = {
    "CRPS of each pixel": CRPS,
    "energy of the whole": Energy(),
    "the same and of 3 x 3 patches": Patched(Energy(), 3, wrap=(0, 1)),
    "CRPS, and of means over 2 x 2 and 4 x 4": Sum(((1.0, CRPS, None), *_BLOCKS)),
    "CRPS, and of differences": Sum(((1.0, CRPS, None), *_SLOPES)),
    "energy of each wavenumber": Sum((_WAVES,)),
    "CRPS, means, differences and wavenumbers": Sum(((1.0, CRPS, None), *_BLOCKS, *_SLOPES, _WAVES)),
}
TRUE = "true law"
ENSEMBLES = (TRUE, "independent pixels", "shuffled", "narrow", "displaced", "smoothed")


def waves(key: Key, scale: float) -> Array:
    """A Gaussian field of variance 1 by wavenumber [side, side // 2 + 1], whose power falls as exp(-|k|^2 / scale^2)."""
    decay = np.exp(-SQUARES / (2 * scale**2)) * (np.abs(WAVES) < SIDE / 2).all(0)
    power = np.sum(decay**2 * np.where(WAVES[1] > 0, 2, 1)) / SIDE**2
    return jnp.fft.rfft2(standard_normal(key, (SIDE, SIDE))) * jnp.asarray(decay / power**0.5, jnp.complex64)


def moved(start: Array, wind: Array, viscosity: float = VISCOSITY) -> Array:
    """Eq. (2), from the wavenumbers of one field to an image [side, side, 1]."""
    phase = jnp.tensordot(wind, jnp.asarray(WAVES, jnp.float32), 1) * HORIZON
    decay = jnp.asarray(np.exp(-viscosity * HORIZON * SQUARES), jnp.float32)
    turned = jax.lax.complex(decay * jnp.cos(phase), -decay * jnp.sin(phase))
    return jnp.fft.irfft2(start * turned, (SIDE, SIDE))[..., None]


def uncertain(key: Key, m: int) -> tuple[Array, Array]:
    """m errors by wavenumber, and m gusts [m, 2]."""
    key_errors, key_gusts = jax.random.split(key)
    errors = jax.vmap(lambda key: ERROR * waves(key, 3.0))(jax.random.split(key_errors, m))
    return errors, GUST * jax.random.normal(key_gusts, (m, 2))


def law(
    analysis: Array, drawn: tuple[Array, Array], spread: float = 1.0, shift: float = 0.0, viscosity: float = VISCOSITY
) -> Array:
    """Eq. (3) and (2): draws [m, side, side, 1] given one analysis, true unless spread, wind or viscosity is another."""

    def one(error: Array, gust: Array) -> Array:
        wind = spread * gust + jnp.asarray((WIND[0] + shift, WIND[1]), jnp.float32)
        return moved(analysis + spread * error, wind, viscosity)

    return jax.vmap(one)(*drawn)


def independent(analysis: Array, key: Key, m: int) -> Array:
    """m draws whose every pixel comes of a field of its own: the true law at each place, and no correlation."""
    fields = law(analysis, uncertain(key, m * SIDE**2)).reshape(m, SIDE**2, SIDE**2)
    return jnp.diagonal(fields, axis1=1, axis2=2).reshape(m, SIDE, SIDE, 1)


def shuffled(key: Key, draws: Array) -> Array:
    """The draws [m, *event] permuted at each place on its own: nearly the same law, but draws that depend on each other."""
    return jnp.take_along_axis(draws, jnp.argsort(jax.random.uniform(key, draws.shape), 0), 0)


def forecast(key: Key, m: int) -> tuple[Array, Array, dict[str, Array]]:
    """An observation, draws of the true law, and by name: fresh draws of it, and wrong ones."""
    key_analysis, key_drawn, key_pixels, key_shuffle = jax.random.split(key, 4)
    analysis, drawn = waves(key_analysis, 2.0), uncertain(key_drawn, 2 * m + 1)
    observed, first, again = zip(*(jnp.split(part, (1, m + 1)) for part in drawn), strict=True)
    true = law(analysis, first)
    apart = independent(analysis, key_pixels, m), shuffled(key_shuffle, true)
    wrong = law(analysis, first, spread=0.8), law(analysis, first, shift=0.08), law(analysis, first, viscosity=0.03)
    others = dict(zip(ENSEMBLES, (law(analysis, again), *apart, *wrong), strict=True))
    return law(analysis, observed)[0], true, others


def excesses(n: int, m: int) -> dict[str, dict[str, tuple[float, float, float]]]:
    """By rule and ensemble: mean excess over the true law's score with its standard error, and that score."""
    keys = jax.random.split(jax.random.key(2026), n)
    observed, draws, others = jax.jit(lambda keys: jax.lax.map(lambda key: forecast(key, m), keys))(keys)
    found: dict[str, dict[str, tuple[float, float, float]]] = {}
    for name, rule in RULES.items():
        score = jax.jit(jax.vmap(lambda draws, x_0, rule=rule: rule(draws, x_0).score))
        true = np.asarray(score(draws, observed), np.float64)
        more = {other: np.asarray(score(wrong, observed), np.float64) - true for other, wrong in others.items()}
        found[name] = {k: (float(v.mean()), float(v.std(ddof=1) / n**0.5), float(true.mean())) for k, v in more.items()}
    return found
