"""Posteriors of mixture weights: the density, the ranks, exact flows, and the study that carries one through the other."""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from ddjax import inflation
from ddjax.cli import UserError
from ddjax.data import toys
from ddjax.mixtures import GaussianMixture
from experiments.common import exact_flows
from experiments.inflation_inference import evaluate as judges
from experiments.inflation_inference import experiment as inflation_inference

PRIOR = np.array([1.5, 0.7, 2.0])


def test_the_jacobian_of_the_weights(x64):
    """|det dw/du| = prod w, eq. (B). Mutation: `sum(w)` for the product; the last weight left out of it."""
    u = jnp.array([0.7, -1.2])
    determinant = jnp.linalg.det(jax.jacfwd(judges.weights_of)(u)[:2])
    np.testing.assert_allclose(determinant, jnp.prod(judges.weights_of(u)), rtol=1e-12)


def test_the_prior_is_dirichlet_and_integrates_to_one(x64):
    """Over u, by quadrature; and over w it is scipy's. Mutations: a_k - 1 for a_k (no Jacobian); log B(a) left out."""
    grid = np.linspace(-40, 40, 801)
    u = jnp.asarray(np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2))
    total = jnp.sum(jnp.exp(jax.vmap(lambda u: judges.log_prior(u, jnp.asarray(PRIOR)))(u))) * (grid[1] - grid[0]) ** 2
    np.testing.assert_allclose(total, 1, rtol=1e-6)
    u = jnp.log(jnp.array([0.2, 0.5]) / 0.3)
    expected = scipy.stats.dirichlet.logpdf([0.2, 0.5, 0.3], PRIOR) + np.log(0.2 * 0.5 * 0.3)
    np.testing.assert_allclose(judges.log_prior(u, jnp.asarray(PRIOR)), expected, rtol=1e-10)


def far_apart():
    return GaussianMixture(np.full(3, 1 / 3), np.array([[0.0, 0], [30, 0], [0, 30]]), np.stack([np.eye(2)] * 3))


def test_with_known_labels_the_posterior_is_dirichlet(x64):
    """Components 30 apart: log p(u | x) is the log prior of concentration a + counts, up to a constant.

    Mutations: likelihoods with the weights of the mixture left in them; `log(L) @ w` for `log(L @ w)`.
    """
    counts = np.array([5, 9, 2])
    mixture = far_apart()
    x = mixture.means[np.repeat(np.arange(3), counts)] + 0.5
    seen = judges.likelihoods(GaussianMixture(np.array([0.7, 0.2, 0.1]), mixture.means, mixture.covs), x)
    u = jax.random.normal(jax.random.key(0), (20, 2))
    prior = jnp.asarray(PRIOR)
    found = jax.vmap(lambda u: judges.log_posterior(u, seen, prior))(u)
    exact = jax.vmap(lambda u: judges.log_prior(u, prior + counts.astype(float)))(u)
    np.testing.assert_allclose(found - found[0], exact - exact[0], rtol=1e-8, atol=1e-8)


def test_overlapping_components_against_the_density_of_the_mixture(x64):
    """log p(u | x) - log p(u) is the log likelihood of the mixture of those weights, up to a constant of x."""
    mixture = inflation_inference.target()
    x = mixture.sample(jax.random.key(1), 30)
    seen, prior = judges.likelihoods(mixture, x), jnp.asarray(PRIOR)

    def gap(u):
        reweighted = GaussianMixture(judges.weights_of(u), mixture.means, mixture.covs)
        exact = jnp.sum(jax.vmap(reweighted.log_prob)(x)) + judges.log_prior(u, prior)
        return judges.log_posterior(u, seen, prior) - exact

    gaps = jax.vmap(gap)(jax.random.normal(jax.random.key(2), (10, 2)))
    np.testing.assert_allclose(gaps, np.full(10, gaps[0]), rtol=1e-9)


def gaussian_ranks(narrow, runs=400):
    """Of truths N(0, 1), seen with noise N(0, 1), among 99 draws from a posterior N(x / 2, 1 / 2) of 1 / narrow of its width."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(runs, 2))
    x = truth + rng.normal(size=truth.shape)
    draws = x[:, None] / 2 + rng.normal(size=(runs, 99, 2)) * 0.5**0.5 / narrow
    return np.asarray(judges.ranks(jnp.asarray(truth, float), jnp.asarray(draws, float)))


def test_ranks_are_uniform_for_an_exact_sampler_and_not_for_a_narrow_one():
    """Half of the width is rejected by both tests at p = .001, and truths leave the central 95 %. Mutations: places without the
    division by kept + 1; `inside` of (.25, .975)."""
    for column in gaussian_ranks(1.0).T:
        found = judges.uniformity(column, 99)
        assert min(found.ks, found.chi2) > 0.05 and abs(found.inside - 0.95) < 0.035
    for column in gaussian_ranks(2.0).T:
        found = judges.uniformity(column, 99)
        assert max(found.ks, found.chi2) < 1e-3 and found.inside < 0.8
    assert judges.bonferroni([judges.Uniformity(0.01, 1, 1), judges.Uniformity(0.5, 1, 1)]) == pytest.approx(0.02)
    with pytest.raises(ValueError, match="equally many of the 100 ranks"):
        judges.uniformity(np.arange(100), 99, bins=7)


def test_a_rank_counts_the_draws_below():
    """By hand. Mutation: `>`."""
    draws = jnp.array([[[0.1, 0.9], [0.4, 0.2], [0.8, 0.3]]])
    assert judges.ranks(jnp.array([[0.5, 0.1]]), draws).tolist() == [[2, 0]]


def test_balanced_data():
    """4000 points hold 2000, 1000 and 1000, with the moments of their components, and 6 of thirds 2 each. Mutation: `left`."""
    mixture = inflation_inference.target()
    x = np.asarray(judges.balanced(mixture, jax.random.key(0), 4000))
    for k, rows in enumerate(np.split(x, [2000, 3000])):
        assert np.abs(rows.mean(0) - mixture.means[k]).max() < 5 * 0.71 / len(rows) ** 0.5
        np.testing.assert_allclose(np.cov(rows.T), mixture.covs[k], atol=0.08)
    labels = np.argmax(judges.likelihoods(far_apart(), judges.balanced(far_apart(), jax.random.key(1), 6)), 1)
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert len(judges.balanced(mixture, jax.random.key(2), 23)) == 23


@pytest.mark.parametrize("make", [exact_flows.preserving, exact_flows.reducing])
def test_an_exact_flow_returns_its_data_and_generates_its_law(make):
    """Round trip in full; latents of the prior; truncation loses. Mutation: the prior's mean at 0 for another law's latents."""
    flow, times = make(inflation_inference.target()), inflation.variance_preserving(64)
    key_x, key_trip, key_up, key_down, key_lost, key_made = jax.random.split(jax.random.key(0), 6)
    x = inflation_inference.target().sample(key_x, 1000)
    back = exact_flows.returned(flow, key_trip, x, times)
    assert float(jnp.sqrt(jnp.mean((back - x) ** 2))) < 2e-3
    white = exact_flows.inflated(flow, key_up, x, times)
    np.testing.assert_allclose(exact_flows.deflated(flow, key_down, white, times), back, atol=1e-4)
    np.testing.assert_allclose(np.cov(white.T), np.eye(2), atol=5 * (2 / 1000) ** 0.5)
    assert float(jnp.mean((exact_flows.returned(flow, key_lost, x, times, keep=1) - x) ** 2)) > 0.05
    other = exact_flows.reweighted(flow, jnp.array([0.1, 0.8, 0.1]))
    alpha, sigma = flow.schedule(1.0)
    prior = exact_flows.latent_prior(other)
    np.testing.assert_allclose(prior.mean, alpha * other.mixture.mean(), rtol=1e-5)
    np.testing.assert_allclose(prior.std**2, alpha**2 * np.diag(other.mixture.cov()) + sigma**2, rtol=1e-5)
    exact = flow.eigen.points(other.mixture.mean()[None])[0]
    made = exact_flows.generated(other, key_made, 1000, times)
    assert jnp.abs(made.mean(0) - exact).max() < 0.1
    turned = flow.eigen.coordinates(made)
    np.testing.assert_allclose(np.cov(turned.T), other.mixture.cov(), atol=0.2)


def test_the_moons_are_a_mixture():
    """Moments of the law and of scikit-learn's own moons agree. Mutation: angles that stop short of pi."""
    x = np.asarray(toys.two_moons(jax.random.key(0), 40_000, noise=0.08).x_0)
    law = exact_flows.moons(noise=0.08)
    np.testing.assert_allclose(law.mean(), x.mean(0), atol=0.02)
    np.testing.assert_allclose(law.cov(), np.cov(x.T), atol=0.02)
    fresh = law.sample(jax.random.key(1), 1000)
    gap = jnp.mean(jax.vmap(law.log_prob)(jnp.asarray(x[:1000]))) - jnp.mean(jax.vmap(law.log_prob)(fresh))
    assert abs(float(gap)) < 0.1


def test_without_blackjax_one_line_says_what_to_install(tmp_path, monkeypatch):
    """Before anything is computed or written. Mutation: `require` after the folder."""
    monkeypatch.setitem(sys.modules, "blackjax", None)
    with pytest.raises(UserError, match=r'pip install "ddjax\[inference\]"'):
        inflation_inference.run(inflation_inference.Config(out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_chains_draw_the_dirichlet_posterior(optimised):
    """Moments of the closed form with known labels, within 5 standard errors; R-hat near 1. Mutation: half of the prior."""
    pytest.importorskip("blackjax")
    mixture, counts = far_apart(), np.array([20, 10, 10])
    seen = judges.likelihoods(mixture, mixture.means[np.repeat(np.arange(3), counts)])
    draws = judges.chains(jax.random.key(0), seen[None], jnp.ones(3), size=4, length=judges.Length(150, 250, 3))
    found = judges.summarised(np.asarray(draws[0]))
    exact = scipy.stats.dirichlet(1 + counts)
    std = exact.var() ** 0.5
    assert (np.abs(found.mean - exact.mean()) < 5 * std / found.effective**0.5).all() and found.rhat < 1.02
    np.testing.assert_allclose(np.asarray(draws[0]).reshape(-1, 3).std(0), std, rtol=0.15)
    low, high = (scipy.stats.beta(1 + counts, 43 - 1 - counts).ppf(p) for p in (0.025, 0.975))
    np.testing.assert_allclose([found.low, found.high], [low, high], atol=0.03)
    assert found.holds(exact.mean()) and not found.holds(np.array([0.9, 0.05, 0.05]))


def test_the_study_writes_all_that_it_promises(tmp_path, capsys, monkeypatch):
    """Every kind of data in every table, and the numbers of summary.json on the page; chains are drawn elsewhere."""
    pytest.importorskip("blackjax")

    def drawn(key, seen, prior, *, size, length):
        return jax.random.dirichlet(key, prior, (len(seen), size, length.kept))

    monkeypatch.setattr(judges, "chains", drawn)
    monkeypatch.setattr(inflation_inference, "CLOUD", 20)
    config = inflation_inference.Config(out=tmp_path / "out", n=20, runs=50, flow_steps=2, chains=2)
    inflation_inference.run(config)
    printed = capsys.readouterr().out
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert set(summary["calibration"]) == set(inflation_inference.ways(config)) <= set(summary["posteriors"])
    for name, of in summary["posteriors"].items():
        assert np.sum(of["mean"]) == pytest.approx(1, abs=1e-3)
        assert f"| {name} " in printed and f"{of['mean'][0]:.3f} [{of['low'][0]:.3f}" in printed
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"posteriors.png", "ranks.png", "balls.png", "report.html"} <= files
