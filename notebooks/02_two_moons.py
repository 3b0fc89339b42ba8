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
# # Flow matching on two moons: what a coupling does, and when it lies
#
# Flow matching learns a velocity that carries noise to data. Which noise each example meets while training is free: any pairing that
# leaves the noise N(0, I) gives the right law in the end, and a clever one (minibatch optimal transport) makes the paths straight, so
# that **one** Euler step is enough. With a condition the freedom is gone: a pairing that does not see the label makes the start
# depend on it, and the sampler cannot know. This notebook trains both and looks.
#
# *On Colab, install from the repository first, in a cell of its own:* `%pip install -q "ddjax @ git+ADDRESS"`, *with the address that you clone from.*

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from ddjax import (
    couplings,
    denoisers,
    flows,
    metrics,
    networks,
    objectives,
    paths,
    samplers,
    schedules,
    times,
    training,
)
from ddjax.data import toys

schedule = schedules.Rectified()  # x_t = (1 - t) x_0 + t x_1


def moons(key, n):
    return toys.two_moons(key, n, noise=0.03)


def train(velocity, network, batch, coupling, dropout=None, steps=1500):
    loss_fn = objectives.flow_matching(velocity, schedule, coupling=coupling)
    if dropout is not None:
        loss_fn = objectives.condition_dropout(loss_fn, probability=0.1, null=dropout)
    optimizer = optax.adamw(2e-3, weight_decay=0.01)
    state = training.TrainState.create(network.init(jax.random.key(0)), optimizer, jax.random.key(1))
    train_step = training.make_train_step(loss_fn, optimizer, ema_decay=0.99)
    return training.fit(state, train_step, batch, steps=steps, label=None).ema


# %% [markdown]
# ## 1. Independent pairs and coupled ones
#
# `couplings.sinkhorn` re-pairs the noise of each batch by a permutation that nearly minimises the squared distances. A permutation, not a
# resampling: the batch keeps exactly the noise that was drawn.

# %%
network = networks.mlp(2, width=128, depth=3, inject=None)
velocity = flows.network_velocity(network, schedule)
pairings = {"independent": couplings.independent, "optimal transport": couplings.sinkhorn}
learned = {
    name: train(velocity, network, lambda key: moons(key, 256).x_0, coupling) for name, coupling in pairings.items()
}


def draw(params, steps, n=1000, cond=None, field=velocity):
    step = flows.euler(denoisers.bind(field, params, cond))
    x_1 = paths.prior(schedule, jax.random.key(2), (n, 2))
    return samplers.sample_path(step, jax.random.key(3), x_1, times.grid(steps))


figure, axes = plt.subplots(2, 4, figsize=(9, 4.4), sharex=True, sharey=True)
for row, (name, params) in zip(axes, learned.items(), strict=True):
    for axis, steps in zip(row, (1, 2, 5, 50), strict=True):
        x_0 = draw(params, steps)[-1]
        axis.scatter(x_0[:, 0], x_0[:, 1], s=1)
        axis.set(title=f"{steps} steps", xlim=(-1.5, 2.5), ylim=(-1.1, 1.6), xticks=[], yticks=[])
    row[0].set_ylabel(name)

# %% [markdown]
# Independent pairs cross, so the velocity is an average over many lines, and one step along it lands on the mean of the data. Coupled
# pairs hardly cross. In numbers: $W_1$ with its floor, the same distance between two fresh samples of the truth; and
# straightness, 0 for straight lines at constant speed.

# %%
real = moons(jax.random.key(4), 1000).x_0
w_1 = metrics.reference.wasserstein_1
floor = metrics.floor(w_1, lambda key, n: moons(key, n).x_0, jax.random.key(5), n=1000, repeats=6)
print(f"floor of W_1: {floor.mean:.3f} +- {floor.std:.3f}")
for name, params in learned.items():
    told = "  ".join(f"{steps}: {float(w_1(real, draw(params, steps)[-1])):.3f}" for steps in (1, 5, 50))
    straightness = float(flows.straightness(draw(params, 50), times.grid(50)).mean())
    print(f"{name:18s} W_1 by steps  {told}   straightness {straightness:.3f}")

# %% [markdown]
# ## 2. With labels: the curse of conditions
#
# Now the model is told the moon, and trained with some labels hidden so that guidance works. The default coupling respects the labels: it
# permutes the noise within each class alone. `couplings.blind` takes that sight away.

# %%
labelled = networks.labelled(networks.mlp(2, width=128, depth=3, inject=None, cond_size=2), 2)
conditional = flows.network_velocity(labelled, schedule)
sighted = {"blind": couplings.blind(couplings.sinkhorn), "class-aware": couplings.sinkhorn}
conditioned = {
    name: train(conditional, labelled, lambda key: tuple(moons(key, 256)), coupling, dropout=2)
    for name, coupling in sighted.items()
}
labels = jnp.arange(1000, dtype=jnp.int32) % 2
x_0, classes = moons(jax.random.key(6), 1000)

figure, axes = plt.subplots(2, 3, figsize=(8, 4.6), sharex=True, sharey=True)
for row, (name, params) in zip(axes, conditioned.items(), strict=True):
    for axis, weight in zip(row, (1.0, 2.0, 3.0), strict=True):
        guided = denoisers.guided(conditional, weight, null=2)
        fake = draw(params, 10, cond=labels, field=guided)[-1]
        axis.scatter(fake[:, 0], fake[:, 1], s=1, c=np.array(["C0", "C1"])[labels])
        found = metrics.per_class(metrics.mmd, x_0, classes, fake, labels, classes=2)
        axis.set(title=f"w = {weight:g}: MMD² {float(sum(found)) / 2:.3f}", xticks=[], yticks=[])
        axis.set(xlim=(-1.8, 2.8), ylim=(-1.3, 1.8))
    row[0].set_ylabel(f"{name} coupling")

# %% [markdown]
# Blind coupling is wrong by construction, and no guidance weight repairs it: while training, noise on the left belonged to one moon; while
# sampling it is given to both. Where does it come from? The mean of the noise that each class met:

# %%
noise = jax.random.normal(jax.random.key(7), (2048, 2))
x_0, classes = moons(jax.random.key(8), 2048)
for name, coupling in sighted.items():
    met = coupling(jax.random.key(9), x_0, noise, classes)
    means = [np.round(np.asarray(met[classes == label].mean(0)), 2) for label in (0, 1)]
    print(f"{name:12s} mean noise of class 0: {means[0]}   of class 1: {means[1]}")

# %% [markdown]
# With class-aware coupling both stay within chance of 0 (one standard error is .03). Guidance above w = 1 is another matter: it sharpens
# each class by design and leaves the law of the data, with any coupling.
#
# **Exercise.** Give `train` a batch of 16 in place of 256 with the coupling `couplings.sinkhorn`: how much of the straightness is left? Then pair by
# `couplings.assignment`, the exact permutation: is it worth its time?
#
# From here: `python -m experiments.two_moons` trains all of this for longer, with three seeds, and distributional diffusion beside it;
# `python -m experiments.conditional_ot` shows the same curse for continuous conditions.
