"""The family of inflationary flows: its data, what is judged of a flow, and a small run from end to end."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddjax import cli, data, inflation, recipes
from ddjax.__main__ import main
from ddjax.recipes.inflation import written
from ddjax.runs import classifiers
from experiments.inflation import evaluate as judges
from experiments.inflation import experiment as family
from experiments.inflation import report as pages

COV = np.array([[1.0, 0.6], [0.6, 0.9]])
EIGEN = inflation.eigenbasis_of(np.array([0.2, -0.1]), COV)


def gaussian(key, n):
    """Draws of N(mean, COV)."""
    return EIGEN.points(jnp.sqrt(EIGEN.variances)[None] * jax.random.normal(key, (n, 2)))


def exact(**changed):
    """A recipe, and parameters of 0, with which it is exact for the Gaussian."""
    net = recipes.Mlp(width=8, depth=2)
    recipe = recipes.Inflation(name="a", event_shape=(2,), network=net, eigen=written(EIGEN), **changed)
    return recipe, jax.tree.map(jnp.zeros_like, recipes.build(recipe).network.init(jax.random.key(0)))


@pytest.fixture(scope="module")
def judged():
    """A reducing flow of the Gaussian, nothing left to learn."""
    recipe, still = exact(keep=1)
    points = gaussian(jax.random.key(1), 20_000)
    return recipe, judges.judged(recipe, still, points, jax.random.key(2), steps=64, method="heun")


def test_a_flow_with_nothing_left_to_learn_meets_every_expectation(judged):
    """Round trip, chi law at every radius, and the variance that a dropped direction costs.

    Fails for latents in other units than the prior's, a way back on another grid, or a truncation of the wrong direction.
    """
    _, found = judged
    assert found.full < 1e-6  # of float32, in which the map there and back is a product of 128 factors
    n = len(found.clouds["data"])
    for way in judges.WAYS:
        law = np.asarray(inflation.chi_coverage(2))
        assert (np.abs(found.departures[way]) < 100 * 4 * np.sqrt(law * (1 - law) / n)).all()
    assert found.kept == pytest.approx(float(EIGEN.variances[1]) / 2, rel=0.05)  # a coordinate, of two
    np.testing.assert_allclose(found.clouds["there and back"], found.clouds["data"], atol=1e-3)
    np.testing.assert_allclose(np.cov(found.clouds["generated"].T), COV, atol=0.05)
    np.testing.assert_allclose(np.cov(found.clouds["latents"].T), np.eye(2), atol=0.05)


def test_its_density_and_its_errors_are_those_of_the_gaussian(judged):
    """Log-likelihood within 4 errors of minus the entropy, and that of PCA's Gaussian the same; innovations uncorrelated.

    With the exact mean they are so within 4 / sqrt(n d), and residuals along the flow are not: they are +-1. Fails for a density
    in other units, an innovation to the wrong neighbour, or times in the wrong order.
    """
    _, found = judged
    entropy = 1 + np.log(2 * np.pi) + np.linalg.slogdet(COV)[1] / 2
    assert abs(found.likelihood.mean + entropy) < 4 * found.likelihood.error
    assert abs(found.likelihood.mean - found.likelihood.gaussian) < 0.02
    off = ~np.eye(16, dtype=bool)
    innovations = found.correlations["innovations along the process"]
    assert np.abs(innovations[off]).max() < 5 / np.sqrt(2 * 2000)
    np.testing.assert_allclose(np.diag(innovations), 1, rtol=1e-5)
    assert np.abs(found.correlations["residuals along the flow"][off]).min() > 0.3
    assert np.abs(found.correlations["outputs along the flow"][off]).min() > 0.3


def test_a_flow_of_other_data_is_found_out():
    """Latents of data twice as wide leave the chi law by more than 20 points. Fails for an empirical prior."""
    recipe, still = exact()
    wide = EIGEN.mean[None] + 2 * (gaussian(jax.random.key(3), 4000) - EIGEN.mean[None])
    found = judges.judged(recipe, still, wide, jax.random.key(4), steps=16, method="rk4")
    assert np.abs(found.departures["data"]).max() > 20
    assert np.abs(found.correlations["innovations along the process"][~np.eye(16, dtype=bool)]).max() > 0.1


def test_what_kept_latents_alone_draw_is_the_gaussian_of_pca():
    """For Gaussian data the flow adds nothing: both lie on the first direction, with its variance. Fails for another direction."""
    recipe, still = exact(keep=1)
    alone = judges.from_the_kept(recipe, recipes.build(recipe), steps=64, method="heun")
    plain = judges.pca_gaussian(EIGEN, 1)
    for drawn in (alone(still, jax.random.key(5), 20_000), plain(None, jax.random.key(6), 20_000)):
        y = np.asarray(EIGEN.coordinates(drawn))
        assert y[:, 0].var() == pytest.approx(float(EIGEN.variances[0]), rel=0.05)
        np.testing.assert_allclose(y[:, 1], 0, atol=1e-4)


@pytest.mark.parametrize("name", judges.TOYS)
def test_toys_are_standardised_by_axis(name):
    """Mean 0 and variance 1 of each axis, within 4 standard errors. Fails for one scale for both."""
    x = np.asarray(judges.standardised(name, n=50_000)(jax.random.key(9), 50_000))
    np.testing.assert_allclose(x.mean(0), 0, atol=0.03)
    np.testing.assert_allclose(x.var(0), 1, atol=0.05)


def test_radii_of_many_dimensions_hold_the_shares_that_are_told():
    """Seven of them; in 64 dimensions 5 to 99 percent, where those of the plane would hold nothing."""
    assert judges.radii(2) == inflation.priors.RADII
    shares = inflation.chi_coverage(64, radii=judges.radii(64))
    np.testing.assert_allclose(shares, [0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 0.99], atol=1e-3)
    assert float(inflation.chi_coverage(64)[-1]) < 1e-6


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that is too short to be good."""
    out = tmp_path_factory.mktemp("inflation") / "run"
    settings = family.Config(
        out=out, steps=100, save_every=100, seeds=1, samples=1000, repeats=5, nfe=(4,), width=16, data="circles"
    )
    family.run(settings)
    return out


@pytest.mark.exhaustive
def test_a_small_run_writes_all_that_it_promises(run):
    """Numbers of every model, a verdict for each expectation, and figures."""
    summary = json.loads((run / "summary.json").read_text())
    models = {row["model"] for row in summary["numbers"]}
    assert {"preserving", "keep 1, gap 1", "keep 1, gap 1: the kept latents alone"} <= models
    assert set(summary["judged"]) == {"preserving", "keep 1, gap 1"}
    page = (run / "report.html").read_text()
    assert "latents within 2 points of the chi law" in page and "MISSED" in page
    for name in ("samples", "coverage", "correlations", "participation", "training"):
        assert (run / f"{name}.png").exists()


def test_a_saved_inflation_is_sampled_without_the_family(run, tmp_path, capsys):
    """`ddjax sample` on the run: the eigenbasis travels with the recipe. Fails where samples stay in the eigenbasis."""
    out = tmp_path / "samples.npz"
    main(["sample", str(run), "--n", "500", "--steps", "8", "--out", str(out)])
    with np.load(out, allow_pickle=False) as file:
        drawn = file[file.files[0]]
    assert drawn.shape == (500, 2) and np.isfinite(drawn).all()


def test_more_directions_than_there_are_cannot_be_kept():
    """One line, before any data are made."""
    with pytest.raises(cli.UserError, match=r"--keep lies in 0\.\.2, the directions of moons, got 3"):
        family.Config(keep=(3,)).check()
    family.Config(keep=(64,), data="digits").check()


def test_participation_is_preserved_or_reduced(judged):
    """1.67 stays, or falls to the kept direction's own 1. Fails for the scaled law, or variances for their squares."""
    recipe, _ = judged
    times = np.linspace(0, 1, 5)
    preserved = judges.participation(exact()[0], times).unscaled
    reduced = judges.participation(recipe, times).unscaled
    np.testing.assert_allclose(preserved, preserved[0], rtol=1e-5)
    assert reduced[0] == pytest.approx(float(preserved[0]), rel=1e-5) and 1 < reduced[-1] < 1.1
    assert pages.participation([recipe]).axes[0].get_xlabel() == "t"


@pytest.mark.parametrize("least", [1e-3, 0.1])
def test_digits_are_judged_against_held_out_ones(monkeypatch, least):
    """Training images to draw from, all held-out ones to compare with, and no variance below its share of the largest.

    Fails for a judge that sees training images, or a basis of the raw covariance, where pixels never change.
    """
    flat = classifiers.Trained(lambda x: x.reshape(len(x), -1)[:, 20:24], None, 1.0, Path("none"))
    monkeypatch.setattr(classifiers, "trained", lambda train, test: flat)
    source = family.source_of(family.Config(data="digits", least=least))
    test = np.asarray(data.to_float(jnp.asarray(data.load("digits", "test").x)))
    np.testing.assert_array_equal(source.held_out(jax.random.key(0), 5).x_0, test)
    train = {image.tobytes() for image in np.asarray(data.to_float(jnp.asarray(data.load("digits", "train").x)))}
    drawn = np.asarray(source.sample(jax.random.key(1), 40))
    assert all(image.tobytes() in train for image in drawn) and drawn.shape == (40, 8, 8, 1)
    assert float(source.eigen.variances[-1] / source.eigen.variances[0]) == pytest.approx(least, rel=1e-4)
    assert [
        recipe.name for recipe in family.recipes_of(family.Config(data="digits", keep=(0, 2), gap=(0.02, 0.5)), source)
    ] == [
        "preserving",
        "keep 2, gap 0.02",
        "keep 2, gap 0.5",
    ]
