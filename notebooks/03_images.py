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
# # Images: digits in one to four steps, and how sure the model is
#
# A distributional denoiser answers a noisy image with *possible* clean images. This notebook trains one on 1,437 real handwritten digits of
# 8 x 8 pixels (shipped with scikit-learn), for about half a minute on a laptop CPU, and uses what a classical denoiser does not have:
# draws of the posterior, from noise in few steps, from a noisy image, and from half an image.
#
# *On Colab, install from the repository first, in a cell of its own:* `%pip install -q "ddjax @ git+ADDRESS"`, *with the address that you clone from.*

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from ddjax import data, denoisers, metrics, networks, objectives, paths, samplers, schedules, scoring, times, training

schedule = schedules.Rectified()
train, test = data.load("digits", "train"), data.load("digits", "test")
print(train.describe())


def show(rows, title=""):
    figure, axes = plt.subplots(len(rows), 12, figsize=(9, 0.8 * len(rows) + 0.3), squeeze=False)
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        for axis, image in zip(row, images, strict=False):
            axis.imshow(np.squeeze(image), cmap="gray", vmin=-1, vmax=1)
        for axis in row:
            axis.set_axis_off()
        row[0].text(-0.2, 0.5, name, transform=row[0].transAxes, ha="right", va="center", fontsize=8)
    figure.suptitle(title, fontsize=10)


# %% [markdown]
# ## 1. Two denoisers, one net
#
# A residual MLP on the 64 pixels, told the class, which is hidden from it one time in five. `inject=2` lets the noise `xi` join after the second layer, so that the first two are computed
# once for the whole population. The regression beside it is the same net without `xi`.

# %%
def build(inject):
    vector = networks.mlp(64, width=256, depth=4, inject=inject, cond_size=10, residual=True)
    return networks.labelled(networks.flattened(vector, (8, 8, 1)), 10)


def fit(network, loss_fn, steps=1200):
    loss_fn = objectives.condition_dropout(loss_fn, probability=0.2, null=10)  # label 10 is "not told"
    optimizer = optax.adamw(optax.cosine_decay_schedule(2e-3, steps), weight_decay=0.01)
    state = training.TrainState.create(network.init(jax.random.key(0)), optimizer, jax.random.key(1))
    train_step = training.make_train_step(loss_fn, optimizer, ema_decay=0.99)
    return training.fit(state, train_step, data.batches(train, 128), steps=steps, label=None).ema


law = times.power(0.7, base=times.stratified)
network, plain = build(inject=2), build(inject=None)
ddm = denoisers.distributional(network, schedule)
ddm_params = fit(network, objectives.distributional(ddm, schedule, times=law, score=scoring.Energy(beta=1.0), size=4))
mean = denoisers.mean(plain, schedule)
mean_params = fit(plain, objectives.denoising(mean, schedule, times=law))


# %% [markdown]
# ## 2. Samples in 1, 2 and 4 steps

# %%
def draw(denoiser, params, steps, n, key=2):
    labels = jnp.arange(n, dtype=jnp.int32) % 10
    step = samplers.bridge(denoisers.bind(denoiser, params, labels), schedule)
    x_1 = paths.prior(schedule, jax.random.key(key), (n, 8, 8, 1))
    return jnp.clip(samplers.sample(step, jax.random.key(key + 1), x_1, times.grid(steps)), -1, 1)


models = {"DDM": (ddm, ddm_params), "regression": (mean, mean_params)}
show({f"{name}, {n}": draw(*model, n, 12) for name, model in models.items() for n in (1, 2, 4)}, "model, steps")


# %% [markdown]
# At one step the regression shows the mean of each class, which is nobody's digit. In numbers, the Fréchet distance of pixels to the 360 held-out
# digits; the training set itself is at the floor.

# %%
def pixels(images):
    return np.asarray(images).reshape(len(images), -1)


held_out = pixels(data.to_float(jnp.asarray(test.x)))
floor = metrics.frechet_distance(held_out, pixels(data.to_float(jnp.asarray(train.x))))
print(f"floor {floor:.2f}")
for name, model in models.items():
    told = "  ".join(
        f"{n}: {metrics.frechet_distance(held_out, pixels(draw(*model, n, 1000))):.2f}" for n in (1, 2, 4, 16)
    )
    print(f"{name:12s} by steps  {told}")

# %% [markdown]
# ## 3. What could this have been?
#
# One held-out digit under more and more noise, and draws of $p(x_0 \mid x_t)$. Nothing is told of the class: its label is hidden. At $t = .4$ the
# draws agree; at $t = .9$ they are other digits altogether, as they should be.

# %%
x_0 = data.to_float(jnp.asarray(test.x[4:5]))
no_label = jnp.full(1, 10, jnp.int32)
rows = {}
for t in (0.4, 0.7, 0.9):
    x_t = paths.interpolate(schedule, x_0, jax.random.normal(jax.random.key(5), x_0.shape), t)
    draws = denoisers.population(ddm, ddm_params, jax.random.key(6), x_t, jnp.full(1, t), no_label, size=10)[0]
    rows[f"t = {t}"] = [x_0[0], x_t[0], *draws]
show(rows, "clean, noisy, ten draws")

# %% [markdown]
# ## 4. Inpainting with uncertainty
#
# The lower half is missing. Each step of the sampler keeps what is known: the draw of $x_0$ gets the true upper half before the bridge goes on.
# Several completions of one image, and their standard deviation, pixel by pixel: the model says where it does not know.

# %%
mask = (jnp.arange(8) < 4)[None, :, None, None]  # the rows that are known


def complete(image, n, key, steps=8):
    def denoise(key, x_t, t):
        x_0 = ddm(ddm_params, key, x_t, t, jnp.full(n, 10, jnp.int32))
        return jnp.where(mask, image, x_0)

    x_1 = paths.prior(schedule, jax.random.key(key), (n, 8, 8, 1))
    step = samplers.bridge(denoise, schedule)
    return jnp.clip(samplers.sample(step, jax.random.key(key + 1), x_1, times.grid(steps)), -1, 1)


rows = {}
for i in (4, 9, 11):
    image = data.to_float(jnp.asarray(test.x[i : i + 1]))
    completions = complete(image, 9, key=20 + i)
    spread = completions.std(0)
    rows[f"digit {test.labels[i]}"] = [jnp.where(mask, image, -1)[0], *completions, image[0], spread * 2 - 1]
    print(
        f"digit {test.labels[i]}: mean spread of known pixels {spread[:4].mean():.3f}, of missing ones {spread[4:].mean():.3f}"
    )
show(rows, "known half, nine completions, truth, spread")

# %% [markdown]
# **Exercise.** Know the left half in place of the upper one: one line changes. Then give `complete` one step in place of eight: what becomes of the
# spread, and of the seam between the halves?
#
# From here: `python -m experiments.images` trains longer, judges in the features of a classifier too and writes a report; `--preset glyphs` and
# `--preset photos` use a transformer on larger images, and `--data PATH` takes your own.
