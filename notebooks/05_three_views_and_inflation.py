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
# # Three views of one diffusion, and a flow that inflates
#
# A diffusion can be told as a stochastic differential equation, as a density that evolves, or as an ordinary differential equation with the
# same density. The first half of this notebook runs all three on exact scores and looks for what tells them apart. The second uses the one
# that can be undone: an inflationary flow carries data to a Gaussian and back, and says how many dimensions the data keep on the way.
#
# *On Colab, install from the repository first, in a cell of its own:* `%pip install -q "ddjax @ git+ADDRESS"`, *with the address that you clone from.*

# %%
from functools import partial

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML, display
from matplotlib.animation import FuncAnimation

from ddjax import denoisers, flows, inflation, schedules, sde
from ddjax.data import toys
from ddjax.mixtures import GaussianMixture

# %% [markdown]
# ## 1. Paths: noisy, reversed, smooth
#
# An Ornstein-Uhlenbeck process, $dx = -\tfrac g2 x\,dt + \sqrt g\,dW$ with $g = 10$, from two humps. `sde.reverse` runs it backwards from where it ended,
# `sde.probability_flow` is the velocity with the same marginals; both need the score $\nabla \log p_t$, which a mixture has in closed form.

# %%
mixture = GaussianMixture(np.array([0.35, 0.65]), np.array([[-1.5], [1.0]]), np.array([[[0.1]], [[0.3]]]))
schedule = schedules.OrnsteinUhlenbeck(10.0)
process = sde.of_schedule(schedule)


def score(x, t):
    return mixture.score(schedule, x, t)


times, n = np.linspace(0, 1, 41) ** 2, 2000  # finer near the data
key_data, key_forward, key_backward = jax.random.split(jax.random.key(0), 3)
walk = partial(sde.simulate, method="heun", substeps=6)
x_0 = mixture.sample(key_data, n)
forward = walk(process, key_forward, x_0, times)
backward = walk(sde.reverse(process, score, 1.0), key_backward, forward[-1], 1 - times[::-1])[::-1]
flow = walk(sde.ordinary(sde.probability_flow(process, score)), key_forward, x_0, times)
views = {"SDE": forward, "reverse SDE": backward, "probability flow": flow}

figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), sharey=True)
for axis, (name, path) in zip(axes, views.items(), strict=True):
    for track in np.asarray(path[:, :24, 0]).T:
        axis.plot(times**0.5, track, linewidth=0.7, color="C1" if track[0] > -0.6 else "C0")
    axis.set(title=name, xlabel="square root of t", ylim=(-3.2, 3.2))

# %% [markdown]
# Paths of the flow never cross: in 1-D they cannot, and so they keep the order of the points. Those of the SDEs cross all the time. And yet, at every single time,
# all three are samples of the same density:

# %%
grid = np.linspace(-3.2, 3.2, 161)


def density(t):
    return jnp.exp(jax.vmap(mixture.diffuse(schedule, t).log_prob)(jnp.asarray(grid[:, None], float)))


densities = np.asarray(jax.jit(jax.vmap(density))(jnp.asarray(times, float)))
figure, axes = plt.subplots(1, 4, figsize=(9, 2.2), sharey=True)
for axis, k in zip(axes, (0, 8, 16, 40), strict=True):
    for name, path in views.items():
        axis.hist(np.asarray(path[k, :, 0]), bins=40, range=(-3.2, 3.2), density=True, histtype="step", label=name)
    axis.plot(grid, densities[k], color="black", linewidth=0.8)
    axis.set(title=f"t = {times[k]:.2g}", yticks=[], ylim=(0, 0.7))
axes[-1].legend(fontsize=6, frameon=False, loc="upper left")
plt.show()

film, (left, right) = plt.subplots(1, 2, figsize=(5.4, 2.4), dpi=60)
left.set(xlim=(-3.2, 3.2), ylim=(-0.1, 2.1), yticks=(0.5, 1.5), yticklabels=("flow", "SDE"))
heights = np.random.default_rng(0).uniform(0, 0.9, 200)
colors = np.where(np.asarray(x_0[:200, 0]) > -0.6, "C1", "C0")
dots = [left.scatter(np.zeros(200), heights + level, s=3, c=colors) for level in (1.05, 0.05)]
(curve,) = right.plot(grid, densities[0], color="black")
right.set(ylim=(0, 0.55), title="density")


def draw(k):
    for dot, path in zip(dots, (forward, flow), strict=True):
        dot.set_offsets(np.stack([np.asarray(path[k, :200, 0]), dot.get_offsets()[:, 1]], -1))
    curve.set_ydata(densities[k])
    left.set_title(f"t = {times[k]:.2f}")


display(HTML(FuncAnimation(film, draw, frames=range(0, 41, 3)).to_jshtml(fps=4, default_mode="loop")))
plt.close(film)

# %% [markdown]
# ## 2. The density obeys its equation, the joint laws differ
#
# `sde.fokker_planck_residual` is $(\partial_t p + \nabla \cdot (v p)) / p$ by automatic differentiation, $v$ the velocity of the flow: 0 for the law of the SDE, and not for one whose
# noise lost its ½. Rounding needs float64.

# %%
with jax.enable_x64(True):
    exact = GaussianMixture(*(np.asarray(part, np.float64) for part in (mixture.weights, mixture.means, mixture.covs)))
    louder = process._replace(diffusion=lambda x, t: np.sqrt(2) * process.diffusion(x, t))
    log_density = lambda x, t: exact.diffuse(schedule, t).log_prob(x)  # noqa: E731
    for name, law in (("as it is", process), ("without the 1/2", louder)):
        residual = jax.jit(jax.vmap(lambda x, law=law: sde.fokker_planck_residual(law, log_density, x, 0.05)))
        print(f"largest residual {name:16s} {np.abs(residual(jnp.linspace(-3, 3, 25)[:, None])).max():.1e}")

# %% [markdown]
# What tells the views apart is how two times hang together. For data $N(0, 4)$, $g = 2$ and $T = 1$ the correlation of both ends is
# $2 \alpha / \sqrt{4 \alpha^2 + 1 - \alpha^2} = .6205$ for the SDE and for its reverse, and 1 for the flow. No distance between samples at one time can see this.

# %%
gaussian, slow = GaussianMixture(np.ones(1), np.zeros((1, 1)), np.array([[[4.0]]])), schedules.OrnsteinUhlenbeck(2.0)
law, ends = sde.of_schedule(slow), np.array([0.0, 1.0])
pull = lambda x, t: gaussian.score(slow, x, t)  # noqa: E731
walk = partial(sde.simulate, method="heun", substeps=50)
y_0 = gaussian.sample(jax.random.key(1), 20_000)
there = walk(law, jax.random.key(2), y_0, ends)
back = walk(sde.reverse(law, pull, 1.0), jax.random.key(3), there[-1], ends)[::-1]
pushed = walk(sde.ordinary(sde.probability_flow(law, pull)), jax.random.key(4), y_0, ends)
figure, axes = plt.subplots(1, 3, figsize=(8, 2.6), sharex=True, sharey=True)
for axis, (name, path) in zip(axes, {"SDE": there, "reverse SDE": back, "flow": pushed}.items(), strict=True):
    correlation = np.corrcoef(path[0, :, 0], path[-1, :, 0])[0, 1]
    print(f"{name:12s} stds {path[0].std():.3f} and {path[-1].std():.3f}   corr(x_0, x_T) {correlation:.4f}")
    axis.scatter(path[0, :2000, 0], path[-1, :2000, 0], s=1)
    axis.set(title=f"{name}: {correlation:.3f}", xlabel="$x_0$")
axes[0].set_ylabel("$x_T$")
plt.show()

# %% [markdown]
# ## 3. Inflation
#
# A flow with a score can be undone, so its end is a code of its start. An inflationary flow is that flow in the eigenbasis of the data, with noise of its own in
# each direction. *Preserving*: noise of the shape of the data, so that the participation ratio $(\mathrm{tr}\,S)^2 / \mathrm{tr}\,S^2$, the number of directions that the law spreads over,
# stays. *Reducing*: noise that outgrows the data in the directions to keep, so that the ratio falls to theirs. The public code has one scale for all directions in its "preserving" flow,
# whose ratio rises to that of a ball. Here: two moons as a mixture of 16 small Gaussians, whose score is exact.

# %%
centres, labels = toys.two_moons(jax.random.key(5), 16, noise=0.0, angles=lambda key, n: (jnp.arange(n) // 2 + 0.5) / 8)
moons = GaussianMixture(np.full(16, 1 / 16), np.asarray(centres), np.stack([0.01 * np.eye(2)] * 16))
eigen = inflation.eigenbasis_of(moons.mean(), np.asarray(moons.cov()))
turned = np.einsum("ji,kjl,lm->kim", eigen.basis, moons.covs, eigen.basis)
law = GaussianMixture(moons.weights, eigen.coordinates(moons.means), (turned + turned.swapaxes(1, 2)) / 2)
kinds = {
    "preserving": inflation.preserving(eigen.variances, gamma=5e-4),
    "reducing to 1": inflation.reducing(eigen.variances, keep=1, gamma=5e-4),
    "one scale, as in the public code": inflation.preserving(inflation.one_scale(eigen.variances), gamma=5e-4),
}
figure, axis = plt.subplots(figsize=(5, 2.8))
t = np.linspace(0, 1, 50)
for name, kind in kinds.items():
    ratio = inflation.participation(kind, eigen.variances, t).scaled
    axis.plot(t, ratio, label=name)
    print(f"{name:34s} participation ratio {float(ratio[0]):.3f} at the data, {float(ratio[-1]):.3f} at the end")
axis.set(xlabel="t", ylabel="participation ratio", ylim=(0.95, 2.05))
axis.legend(fontsize=7, frameon=False)
plt.show()

# %% [markdown]
# Inflate data to latents, generate from the Gaussian prior at the end, and go there and back. With one latent of two, the other at its mean, a curve
# comes back, bent towards the moons; where both moons share the first coordinate one number cannot say which. Its squared error is larger than that of the first principal
# component: squared error asks for means, and the middle of the latents does not go to the mean of the data.

# %%
points = eigen.coordinates(moons.sample(jax.random.key(6), 1000))
steps = inflation.variance_preserving(64)
figure, axes = plt.subplots(2, 4, figsize=(9, 3.6), layout="constrained")
trips = {}
print(f"one principal component of two: mean squared error {jnp.mean(points[:, 1] ** 2) / 2:.2e}")
for row, name in zip(axes, ("preserving", "reducing to 1"), strict=True):
    kind = kinds[name]
    field = flows.velocity(denoisers.bind(inflation.mixture_oracle(law, kind), None), kind)
    prior = inflation.analytic_prior(kind, eigen.variances)
    trip = inflation.round_trip(field, jax.random.key(7), points, steps)
    kept = inflation.round_trip(field, jax.random.key(7), points, steps, send=inflation.truncated(1))
    fresh = inflation.generate(field, jax.random.key(8), prior.sample(jax.random.key(9), 1000), steps)
    trips[name] = (trip, prior)
    print(
        f"{name:14s} round trip: mean squared error {trip.error.mean():.1e}, with one latent of two {kept.error.mean():.2e}"
    )
    shown = {"data": points, "latents": trip.latents, "generated": fresh, "back from one latent": kept.x_0}
    for axis, (title, x) in zip(row, shown.items(), strict=True):
        axis.scatter(
            x[:, 0], x[:, 1], s=1, **({"color": "0.5"} if title == "generated" else {"c": np.asarray(points[:, 0])})
        )
        reach = 3 if title == "latents" else 1.5
        axis.set(
            title=title, xticks=[], yticks=[], aspect="equal", xlim=(-reach, reach), ylim=(-reach / 1.5, reach / 1.5)
        )
    row[0].set_ylabel(name)
plt.show()

# %% [markdown]
# Are the latents where the prior says? The share of a Gaussian in $d$ dimensions within Mahalanobis radius $r$ is the law of $\chi_d$.

# %%
radii = np.array(inflation.priors.RADII)
print("radius        " + "".join(f"{radius:8.1f}" for radius in radii))
print("chi law       " + "".join(f"{100 * share:8.2f}" for share in inflation.chi_coverage(2)))
for name, (trip, prior) in trips.items():
    shares = inflation.coverage(trip.latents, prior)
    print(f"{name:14s}" + "".join(f"{100 * share:8.2f}" for share in shares))

# %% [markdown]
# **Exercise.** Set `gamma=0.0` in section 3 and end the grid above 0, `inflation.variance_preserving(64, last=1e-3)`: the flow then starts at the data themselves, and where does
# the round trip lose its digits? And draw section 1 for `schedules.VariancePreserving()`: the same picture on another clock.
#
# From here: `python -m experiments.three_views` judges the views at 9 times, in 1-D and 2-D ([docs/three_views.md](../docs/three_views.md)).
