# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Distributional diffusion in ten minutes
#
# A diffusion model learns to undo noise. The classical denoiser answers with one point, the mean of everything that the
# noisy state could have come from. A **distributional** denoiser answers with a *draw*: it eats extra noise `xi` and learns
# the whole posterior $p(x_0 \mid x_t)$ with a proper scoring rule (De Bortoli et al., arXiv 2502.02483). This notebook trains
# one on two Gaussians, where every posterior is known in closed form, and asks three questions: what can be reached at all,
# what training reaches, and what $\lambda$ does.
#
# *On Colab, install from the repository first, in a cell of its own:* `%pip install -q "ddjax @ git+ADDRESS"`, *with the address that you clone from.*

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from ddjax import (
    denoisers,
    metrics,
    mixtures,
    networks,
    objectives,
    paths,
    samplers,
    schedules,
    scoring,
    times,
    training,
)

schedule = schedules.Rectified()  # alpha = 1 - t, sigma = t
means = np.array([[3.0, 3.0], [-3.0, 3.0]])
truth = mixtures.GaussianMixture(np.array([0.5, 0.5]), means, np.stack([0.25 * np.eye(2)] * 2))

# %% [markdown]
# ## 1. What can be reached: the oracles
#
# Because the target is a mixture, the posterior of $x_0$ given $x_t$ is one too. `mixtures.oracle` draws from it and
# `mixtures.mean_oracle` returns its mean, which is the best that a classical model can learn. Both are denoisers like any other, so the
# same sampler takes them. The bridge sampler: draw $\hat x_0$, then step to $x_s$ between $\hat x_0$ and $x_t$.


# %%
def draw(denoiser, params, key, steps, n=4000, churn=1.0):
    key_prior, key_steps = jax.random.split(key)
    step = samplers.bridge(denoisers.bind(denoiser, params), schedule, churn=churn)
    return samplers.sample(step, key_steps, paths.prior(schedule, key_prior, (n, 2)), times.grid(steps))


def show(rows, steps=(1, 2, 4, 16)):
    figure, axes = plt.subplots(
        len(rows), len(steps), figsize=(2 * len(steps), 1.8 * len(rows)), sharex=True, sharey=True
    )
    for row, (name, denoiser, params) in zip(axes, rows, strict=True):
        for axis, n in zip(row, steps, strict=True):
            x = draw(denoiser, params, jax.random.key(n), n)
            axis.scatter(x[:, 0], x[:, 1], s=1, alpha=0.3)
            axis.set(xlim=(-5.5, 5.5), ylim=(0, 6), xticks=[], yticks=[])
        row[0].set_ylabel(name)
    for axis, n in zip(axes[0], steps, strict=True):
        axis.set_title("1 step" if n == 1 else f"{n} steps")
    figure.tight_layout()


oracle, mean_oracle = mixtures.oracle(truth, schedule), mixtures.mean_oracle(truth, schedule)
show([("exact posterior", oracle, None), ("exact mean", mean_oracle, None)])

# %% [markdown]
# The exact posterior is right at *every* number of steps, one included. The exact mean collapses at one step, and needs many to
# recover. No amount of training helps a classical model here: this is its limit. In numbers, with the floor that two
# samples of the truth have between each other:


# %%
def distance(denoiser, params, steps):
    key_model, key_truth = jax.random.split(jax.random.key(100 + steps))
    return float(metrics.mmd(draw(denoiser, params, key_model, steps), truth.sample(key_truth, 4000)))


floor = metrics.floor(metrics.mmd, truth.sample, jax.random.key(0), n=4000)
print(f"floor {floor.mean:.1e} +- {floor.std:.1e}")
for n in (1, 4, 16):
    print(
        f"{n:2d} steps: exact posterior {distance(oracle, None, n):+.1e}   exact mean {distance(mean_oracle, None, n):+.1e}"
    )

# %% [markdown]
# ## 2. What training reaches
#
# A network that also eats `xi`, a population of 8 draws for each example, and the energy score:
# *confinement* pulls the draws to the data, *interaction* pushes them apart,
# $$\text{mean}_j \lVert x_0 - \hat x_j\rVert^\beta - \tfrac{\lambda}{2}\, \text{mean}_{j \ne j'} \lVert \hat x_j - \hat x_{j'}\rVert^\beta .$$
# At $\lambda = 1$ the minimum is the true posterior and nothing else.


# %%
def train(lam=1.0, steps=600, seed=0):
    network = networks.mlp(2, inject=1)
    denoiser = denoisers.distributional(network, schedule, predicts="velocity")
    law = times.power(0.7, base=times.stratified)  # a little more often near the noise
    loss_fn = objectives.distributional(denoiser, schedule, times=law, score=scoring.Energy(beta=1.0, lam=lam), size=8)
    optimizer = optax.adam(optax.cosine_decay_schedule(5e-3, steps))
    key_init, key_state = jax.random.split(jax.random.key(seed))
    state = training.TrainState.create(network.init(key_init), optimizer, key_state)
    train_step = training.make_train_step(loss_fn, optimizer, ema_decay=0.99)
    state = training.fit(state, train_step, lambda key: truth.sample(key, 256), steps=steps, label=None)
    return denoiser, state.ema


learned, params = train()
show([("learned posterior", learned, params), ("exact posterior", oracle, None)])
for n in (1, 4, 16):
    print(f"{n:2d} steps: learned {distance(learned, params, n):+.1e}")

# %% [markdown]
# A look inside: one noisy state halfway between the modes, and what could have been there. The denoiser's draws against the exact
# posterior's.

# %%
x_t, t = jnp.array([[0.3, 1.0]]), jnp.array([0.7])
figure, axes = plt.subplots(1, 2, figsize=(6, 2.6), sharex=True, sharey=True)
for axis, (name, denoiser, p) in zip(axes, [("learned", learned, params), ("exact", oracle, None)], strict=True):
    draws = denoisers.population(denoiser, p, jax.random.key(5), x_t, t, size=1500)[0]
    axis.scatter(draws[:, 0], draws[:, 1], s=2, alpha=0.4)
    axis.plot(*x_t[0], "k+", markersize=12)
    axis.set_title(f"{name}: {100 * float((draws[:, 0] > 0).mean()):.0f} % on the right")

# %% [markdown]
# ## 3. What lambda does
#
# Below 1 the push apart is too weak and the posterior too narrow: for a Gaussian of standard deviation $S$ the optimum is
# $s^2 / S^2 = q / (2 - q)$ with $q = \lambda^{2 / (2 - \beta)}$, which is .38 S already at $\lambda = 1/2$, $\beta = 1$. At
# $\lambda = 0$ it is regression to the median.
#
# The same happens by accident when the pair sum, already divided by $m(m-1)$, is divided by $m - 1$ once more: with 8 draws
# that is $\lambda = 1/7$, a tenth of the spread.

# %%
narrow, narrow_params = train(lam=0.5)
at = jnp.full(2000, 0.5)
x_0 = truth.sample(jax.random.key(6), 2000)
x_t = 0.5 * x_0 + 0.5 * jax.random.normal(jax.random.key(7), x_0.shape)
exact = float(jnp.sqrt(jax.vmap(lambda x: jnp.trace(truth.posterior(schedule, x, 0.5).cov()))(x_t).mean() / 2))
for lam, denoiser, p in ((1.0, learned, params), (0.5, narrow, narrow_params)):
    draws = denoisers.population(denoiser, p, jax.random.key(8), x_t, at, size=32)
    spread = float(jnp.sqrt(jnp.var(draws, axis=1, ddof=1).sum(-1).mean() / 2))
    q = lam**2
    print(f"lambda {lam}: learned spread / exact spread = {spread / exact:.2f}, closed form {(q / (2 - q)) ** 0.5:.2f}")

# %% [markdown]
# The closed form is for one Gaussian; near $t = 1/2$ the posterior here is close to one, and the numbers agree.
#
# **Exercise.** Set `lam=1.5` in `train`: the score is not proper any more, and nothing holds the draws together. What does the spread say, and
# after how many steps? Then `beta=2.0` with `lam=0.0`: which row of section 1 do the samples become?
#
# From here: `python -m experiments.two_gaussians` trains longer and writes a report, `python -m experiments.limits` prints the ladder of the
# oracles, and docs/mathematics.md maps each equation to its function.
