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
# # Posteriors that users can work with
#
# A measurement $y = A x_0 + \text{noise}$ says something about an image, seldom everything. What one wants back is not *an* image but draws of
# $p(x_0 \mid y)$: then an interval has a probability, and one can check that it does. This notebook trains a distributional denoiser on 8 x 8 digits, conditions it
# on half a digit, and asks three questions: what could it have been, were the draws enough, and do the intervals cover?
#
# *On Colab, install from the repository first, in a cell of its own:* `%pip install -q "ddjax @ git+ADDRESS"`, *with the address that you clone from.*

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from ddjax import data, denoisers, metrics, networks, objectives, paths, samplers, schedules, scoring, times, training
from ddjax.types import Batch

schedule = schedules.Rectified()
train, test = data.load("digits", "train"), data.load("digits", "test")
network = networks.flattened(networks.mlp(64, width=256, depth=4, inject=1, residual=True), (8, 8, 1))
denoiser = denoisers.distributional(network, schedule, predicts="x0")
loss_fn = objectives.distributional(
    denoiser, schedule, times=times.power(0.5, base=times.stratified), score=scoring.Energy(beta=0.1), size=4
)
optimizer = optax.adamw(optax.cosine_decay_schedule(3e-3, 2000), weight_decay=0.01)
state = training.TrainState.create(network.init(jax.random.key(0)), optimizer, jax.random.key(1))
cut = data.batches(train, 256)
state = training.fit(
    state,
    training.make_train_step(loss_fn, optimizer, ema_decay=0.99),
    lambda key: Batch(cut(key).x_0),  # without labels
    steps=2000,
    label=None,
)
denoise = denoisers.bind(denoiser, state.ema)

# %% [markdown]
# ## 1. What could it have been?
#
# The upper half is seen, with noise of standard deviation .5 (pixels lie in $[-1, 1]$). All that conditioning needs is the logarithm of the likelihood, of one
# image: `samplers.conditioned` draws 64 of $x_0$ at every step and keeps one in proportion to it.

# %%
noise = 0.5


def measure(key, x):
    return x[..., :4, :, :] + noise * jax.random.normal(key, x[..., :4, :, :].shape)


def log_likelihood(x_0, y):
    return -jnp.sum((y - x_0[:4]) ** 2) / (2 * noise**2)


def posterior(key, y, *, draws=64, steps=4):
    """A sample for each y [n, 4, 8, 1]."""
    key_start, key_steps = jax.random.split(key)
    step = samplers.bridge(samplers.conditioned(denoise, log_likelihood, draws=draws, y=y), schedule)
    return samplers.sample(step, key_steps, paths.prior(schedule, key_start, (len(y), 8, 8, 1)), times.grid(steps))


chosen, samples = np.array([4, 9, 11, 20, 33]), 19
truth = data.to_float(jnp.asarray(test.x[chosen]))
y = measure(jax.random.key(2), truth)
x = posterior(jax.random.key(3), jnp.repeat(y, samples, 0)).reshape(len(chosen), samples, 8, 8, 1)

figure, axes = plt.subplots(len(chosen), 12, figsize=(9, 4))
for row, x_0, seen, drawn in zip(axes, truth, y, x, strict=True):
    for axis, image in zip(
        row, [x_0, jnp.pad(seen, ((0, 4), (0, 0), (0, 0)), constant_values=-1), *drawn[:10]], strict=True
    ):
        axis.imshow(np.squeeze(image), cmap="gray", vmin=-1, vmax=1)
        axis.set_axis_off()
axes[0, 0].set_title("truth", fontsize=8)
axes[0, 1].set_title("measured", fontsize=8)
axes[0, 6].set_title("samples given the measurement", fontsize=8)
plt.show()

# %% [markdown]
# ## 2. Were the draws enough?
#
# The effective size $(\sum w)^2 / \sum w^2$ of the 64 draws, at the start, where $x_t$ says nothing: near 1, one draw is kept because it is the least bad, not
# because it is drawn from the right law. Less noise makes that worse. `conditioned(..., least=8, most=1024)` goes on drawing until the size is reached.

# %%
start = jax.random.normal(jax.random.key(4), truth.shape)
for draws in (16, 64, 256):
    sizes = samplers.effective_draws(
        denoise, log_likelihood, jax.random.key(5), start, jnp.ones(len(chosen)), draws=draws, y=y
    )
    print(f"{draws:4d} draws at t = 1: effective size", np.round(np.asarray(sizes), 1))

# %% [markdown]
# ## 3. An interval for every pixel
#
# Of 19 samples the truth is one among 20 equals, if they are draws of $p(x_0 \mid y)$. The interval from the second lowest to the second highest sample then holds it with
# probability $1 - 2 \cdot 2 / 20$, which is 80 %. Half of its width is the error bar that goes with the posterior mean.

# %%
ordered = np.sort(np.asarray(x), axis=1)
low, high = ordered[:, 1], ordered[:, -2]
figure, axes = plt.subplots(3, len(chosen), figsize=(7, 4.2))
for column, images in zip(axes.T, zip(truth, x.mean(1), (high - low) / 2, strict=True), strict=True):
    for axis, image, name in zip(column, images, ("truth", "mean", "half width"), strict=True):
        axis.imshow(np.squeeze(image), cmap="gray", vmin=0 if name == "half width" else -1, vmax=1)
        axis.set_axis_off()
        axis.set_title(name, fontsize=8)
plt.show()
print(
    f"half width, seen pixels {((high - low) / 2)[:, :4].mean():.2f}, hidden ones {((high - low) / 2)[:, 4:].mean():.2f}"
)

# %% [markdown]
# ## 4. Do they cover?
#
# A held-out digit *is* a draw of $p(x_0 \mid y)$ for the measurement that was taken of it. So the test needs no exact posterior: count how often the truth lies inside. Pixels are rounded to
# the 17 grey levels that the data have, and ties are broken at random (`metrics.pit`). Pixels that never change are left out. The ± is a standard error over digits.

# %%
truth = data.to_float(jnp.asarray(data.part(test, 100).x))
y = measure(jax.random.key(6), truth)
x = posterior(jax.random.key(7), jnp.repeat(y, samples, 0)).reshape(len(truth), samples, 8, 8, 1)
varies = np.asarray(data.to_float(jnp.asarray(train.x))).std(0)[4:, :, 0] > 0.1


def hidden(x):
    return (jnp.round(8 * jnp.clip(x, -1, 1)) / 8)[..., 4:, :, 0][..., varies]


pit = np.asarray(metrics.pit(hidden(x), hidden(truth), jax.random.key(8)))
for level in (0.5, 0.8, 0.9):
    inside = (np.abs(pit - 0.5) < level / 2).mean(1)
    print(f"interval of {level:.0%}: the truth inside in {inside.mean():.1%} ± {inside.std() / 10:.1%}")
print(f"spread over skill {metrics.spread_skill(hidden(x), hidden(truth)):.2f}, 1 if calibrated")

# %% [markdown]
# Coverage below its level says that the samples are too narrow. There are two suspects: the denoiser, whose draws without any measurement may be narrower than the data, and the
# choice among too few. The next cell tells them apart: the same test with no measurement at all.

# %%
free = samplers.sample(
    samplers.bridge(denoise, schedule),
    jax.random.key(9),
    jax.random.normal(jax.random.key(10), (1900, 8, 8, 1)),
    times.grid(4),
)
of_nothing = np.asarray(metrics.pit(hidden(free.reshape(100, 19, 8, 8, 1)), hidden(truth), jax.random.key(11)))
print(f"without y: 80 % intervals hold {(np.abs(of_nothing - 0.5) < 0.4).mean():.1%}")
print(f"given y:   80 % intervals hold {(np.abs(pit - 0.5) < 0.4).mean():.1%}")

# %% [markdown]
# ## Exercise
#
# 1. Set `noise = 0.2` and run from part 1. Where does the effective size go, and the coverage?
# 2. Give `posterior` eight steps, then one. Which matters more, steps or draws?
# 3. Hide the left half instead: three lines change. Nothing is trained again.
# 4. Replace `log_likelihood` by one that is no derivative's friend: the number of pixels above 0 in the upper half was 14.
#
# From here: `python -m experiments.inverse_problems` does this with inpainting, deblurring and super-resolution, beside diffusion posterior sampling and pseudoinverse guidance at equal
# cost ([results](../docs/inverse_problems.md)).
