"""Inverse problems: the measurements against dense definitions, and coverage that is nominal where the posterior is exact."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from numpy.testing import assert_allclose as close

from ddjax import cli, denoisers, mixtures, recipes
from ddjax.mixtures import GaussianMixture
from experiments.common import conditioning as conditionings
from experiments.common import runner
from experiments.inverse_problems import coverages, measurements
from experiments.inverse_problems import evaluate as judges
from experiments.inverse_problems import experiment as family
from experiments.inverse_problems.measurements import Measurement

SHAPE = (4, 6, 1)
IMAGES = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)

# Pixels of 2 x 2, a correlated Gaussian, of which two combinations are measured: the law given y is known.
COV = np.array([[0.30, 0.15, 0.05, 0.0], [0.15, 0.25, 0.0, 0.05], [0.05, 0.0, 0.2, 0.1], [0.0, 0.05, 0.1, 0.3]])
LAW = GaussianMixture(np.ones(1), np.array([[0.1, -0.2, 0.0, 0.15]]), COV[None])
SMALL = Measurement("some", np.array([[1.0, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, -0.5]]), 0.4, (2, 2, 1), np.ones(4, bool))
ALL = np.ones(4, bool)


@pytest.fixture(autouse=True)
def few_rows(monkeypatch):
    """So that few draws are made for nothing."""
    monkeypatch.setattr(judges, "STEPS", (1, 2))


def as_images(oracle):
    flat = denoisers.bind(oracle(LAW, judges.SCHEDULE), None)
    return lambda key, x_t, t: flat(key, x_t.reshape(-1, 4), t).reshape(x_t.shape)


EXACT = judges.Denoisers(as_images(mixtures.oracle), as_images(mixtures.mean_oracle), 0.26)


@pytest.mark.parametrize("name", measurements.PROBLEMS)
def test_a_measurement_is_what_it_is_called(name):
    """Against slices, a separable filter of scipy, and means of blocks; <A x, v> = <x, A^T v>.

    Mutations: rows and columns exchanged; the lower half; a blur of another width.
    """
    of = measurements.measurement(name, SHAPE, 0.3)
    plain = scipy.ndimage.gaussian_filter(IMAGES, (0, 1, 1, 0), mode="constant", radius=8)
    border = scipy.ndimage.gaussian_filter(np.ones_like(IMAGES), (0, 1, 1, 0), mode="constant", radius=8)
    expected = {
        "inpainting": IMAGES[:, :2],
        "deblurring": plain / border,
        "super-resolution": IMAGES.reshape(3, 2, 2, 3, 2, 1).mean((2, 4)),
    }[name]
    y = of.clean(jnp.asarray(IMAGES))
    close(y, expected.reshape(3, -1), atol=1e-5)
    v = np.random.default_rng(1).normal(size=y.shape).astype(np.float32)
    close((np.asarray(y) * v).sum(), (IMAGES.reshape(3, -1) * (v @ of.matrix)).sum(), rtol=1e-4)
    assert of.shown(np.asarray(y)).shape == IMAGES.shape
    assert of.hidden.sum() == (12 if name == "inpainting" else 24)


def test_noise_and_likelihood_agree():
    """The misfit of the truth is 1 on average, and the log-likelihood is that of the noise. Mutation: noise for noise^2."""
    x = jnp.zeros((4000, 2, 2, 1))
    y = SMALL.measure(jax.random.key(0), x)
    assert float(jnp.mean(SMALL.misfit(x, y))) == pytest.approx(1, abs=0.05)
    close(SMALL.log_likelihood(x[0], y[0]), -jnp.sum(y[0] ** 2) / (2 * 0.4**2), rtol=1e-5)


def measured(n):
    key_x, key_y = jax.random.split(jax.random.key(3))
    truth = LAW.sample(key_x, n).reshape(n, 2, 2, 1)
    return truth, SMALL.measure(key_y, truth)


def judged(way, n=210, **told):
    truth, y = measured(n)
    x = way(jax.random.key(4), y, coverages.SAMPLES, noise=SMALL.noise, **told)
    return x, coverages.judged(x, truth, y, SMALL, ALL, jax.random.key(5))


def test_an_exact_posterior_conditioned_by_draws_covers():
    """Coverage within 4 standard errors of its level, uniform ranks, misfit 1, and the moments of the law given one y.

    Mutations: a likelihood that is twice as sharp; draws that forget y; an interval of one rank more.
    """
    way = judges.conditioned(EXACT, SMALL, draws=32)
    x, found = judged(way, steps=2)
    for level, value, error in zip(coverages.LEVELS, found.coverage, found.coverage_error, strict=True):
        assert abs(value - level) < 4 * error
    assert found.pvalue > 1e-3 and found.spread_skill == pytest.approx(1, abs=0.1)
    assert found.misfit == pytest.approx(1, abs=0.2)
    y = jnp.array([[0.9, -0.4]])
    x = np.asarray(way(jax.random.key(6), y, 1140, noise=0.4, steps=2)).reshape(-1, 4)
    law = LAW.given_linear(SMALL.matrix, np.asarray(y[0]), 0.16 * np.eye(2))
    close(x.mean(0), law.mean(), atol=0.08)
    close(np.cov(x.T), law.cov(), atol=0.06)


def test_what_is_not_the_law_given_y_is_seen():
    """Draws without y fit it badly and score worse; a mean plugged in at one step is far too narrow."""
    _, free = judged(judges.unconditional(EXACT, SMALL), steps=2)
    _, given = judged(judges.conditioned(EXACT, SMALL, draws=32), steps=2)
    _, plugged = judged(judges.dps(EXACT, SMALL, most=2), steps=1, scale=0.1)
    assert free.misfit > 2 and free.energy > given.energy + 2 * given.energy_error
    assert plugged.coverage[1] < 0.5 and plugged.pvalue < 1e-6


def test_particles_cover_too():
    """One of four particles for each sample, each image with its own y. Fails for the y of another image."""
    _, found = judged(judges.particles(EXACT, SMALL, draws=2), n=40, steps=2)
    assert abs(found.coverage[1] - 0.8) < 4 * found.coverage_error[1] + 0.03
    assert found.misfit == pytest.approx(1, abs=0.35)


def test_pseudoinverse_guidance_with_many_steps_has_nearly_the_law():
    """Misfit and coverage near those of the law where v is about right; a scale is tuned by the loss that it is told."""
    way = judges.pigdm(EXACT, SMALL, most=64)
    _, found = judged(way, steps=64)
    assert found.coverage[1] == pytest.approx(0.8, abs=0.08) and found.misfit == pytest.approx(1, abs=0.15)
    y = measured(30)[1]
    at = lambda key, y, m, *, scale: jnp.full((), scale)  # noqa: E731
    assert judges.tuned(at, lambda x: abs(float(x) - 1.1), y, jax.random.key(0)) == 1.0


def test_grey_levels_and_intervals():
    """Values of the data stay; ranks of a constant truth in the middle are inside, at the end outside; odd levels refused."""
    levels = np.arange(17) / 8 - 1
    close(coverages.greys(jnp.asarray(levels, jnp.float32)), levels)
    close(coverages.greys(jnp.array([-1.3, 0.06, 0.07, 5.0])), [-1, 0, 0.125, 1])
    x = jnp.tile(jnp.linspace(-1, 1, 19)[None, :, None], (2, 1, 1))
    inside = coverages.covered(x, jnp.array([[0.01], [2.0]]), jax.random.key(0), 0.9)
    assert inside.ravel().tolist() == [True, False]
    with pytest.raises(ValueError, match="no central interval of 19 samples has probability"):
        coverages.covered(x, jnp.zeros((2, 1)), jax.random.key(0), 0.33)


def test_a_measurement_has_a_name():
    with pytest.raises(ValueError, match="one of inpainting, deblurring, super-resolution, got 'x'"):
        measurements.measurement("x", SHAPE, 0.3)


@pytest.mark.exhaustive
def test_the_family_judges_and_writes_every_table(monkeypatch, tmp_path):
    """All ways of a problem, their numbers as words, and figures; sampling is tied off, and knows the law of no digit.

    Fails for a way that is left out, or a digit that is tuned and judged by.
    """
    seen = []

    def noise(key, y, m, *, noise, steps, scale=1.0):
        seen.append(len(y))
        return jax.random.uniform(key, (len(y), m, 8, 8, 1), minval=-1.0)

    for name in ("unconditional", "conditioned", "particles", "dps", "pigdm"):
        monkeypatch.setattr(judges, name, lambda *_, **__: noise)
    monkeypatch.setattr(judges, "effective", lambda *_, **__: [1.0, 2.0])
    monkeypatch.setattr(conditionings, "ways", lambda *_: {conditionings.PLUGGED: None})
    monkeypatch.setattr(conditionings, "measured", lambda *_: {"4 draws": {1: conditionings.Judged(0.9, 0.01, 0.1)}})
    monkeypatch.setattr(measurements, "PROBLEMS", ("super-resolution",))
    settings = family.Config(digits=20, tuning=10, width=8, depth=2, draws=(4,))
    chosen = family.recipes_of(settings, (8, 8, 1))
    params = {recipe.name: [recipes.build(recipe).network.init(jax.random.key(0))] for recipe in chosen}
    found = family.judge(settings, runner.Trained(None, chosen, (), params))
    assert set(seen) == {20, 10} and len(found.tables) == 4
    assert {line[0].text.split(",")[0] for line in found.tables[0].lines} == {
        "nothing (unconditional)", "64 draws", "particles of 16 draws", "DPS", "PiGDM"
    }  # fmt: skip
    json.dumps(found.summary)
    for name, (figure, _) in found.figures.items():
        figure.savefig(tmp_path / name, dpi=40)
    bench = family.Bench(family.Config(digits=240, tuning=120))
    rows = [{np.asarray(x).tobytes() for x in part} for part in (bench.tuning, bench.truth)]
    assert not rows[0] & rows[1]


def test_more_than_one_seed_is_refused():
    with pytest.raises(cli.UserError, match="with one seed, got --seeds 2"):
        family.Config(seeds=2).check()
