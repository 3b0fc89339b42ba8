"""What the two-moons page measures, on how many points, and against what.

The real set is balanced, half of its points on each moon, as scikit-learn draws it. A model's samples are not: even the
exact sampler puts a binomial number of points on each moon.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from ddjax import judging, metrics, transport
from ddjax.data import toys
from ddjax.judging import Judge, Metric, Truth
from ddjax.types import Batch, Key

CLASSES, BLOCK = 2, 1000  # BLOCK: points of the distances whose floor the page quotes


def few_step() -> dict[str, Metric]:
    """The distances at every number of steps."""
    return {
        "w1": Metric(
            "W₁, coordinates standardised by the real set, n = 1,000",
            judging.on_points(metrics.reference.wasserstein_1),
            BLOCK,
        ),
        "mmd2": Metric(
            "MMD², Gaussian kernel of bandwidth 1, U-statistic (may be negative)", judging.on_points(metrics.mmd)
        ),
        "coverage": Metric("coverage, k = 5 (truth: about .97)", judging.on_points(metrics.reference.coverage)),
        "density": Metric("density, k = 5 (truth: 1)", judging.on_points(metrics.reference.density)),
    }


def per_class() -> dict[str, Metric]:
    """The distances within each class, for models with labels."""
    within = partial(judging.class_mean, classes=CLASSES)
    w1 = within(lambda real, fake: metrics.wasserstein(real, fake, p=1.0))
    return {
        "class_w1": Metric("W₁ within each class, mean over classes, n = 500 for each", w1, BLOCK),
        "class_mmd2": Metric("MMD² within each class, U-statistic, mean over classes", within(metrics.mmd)),
        "class_coverage": Metric(
            "coverage within each class, k = 5, mean over classes", within(metrics.reference.coverage)
        ),
    }


def at_the_end() -> dict[str, Metric]:
    """The distances at the largest number of steps alone."""
    prdc = lambda name: lambda real, fake: getattr(metrics.prdc(real, fake, k=5), name)  # noqa: E731
    # here five times faster than ott's, and equal
    divergence = lambda real, fake: transport.sinkhorn_divergence(real, fake, blur=0.1, solver="blocked")  # noqa: E731
    of = {
        "precision": ("precision, k = 5", prdc("precision"), None),
        "recall": ("recall, k = 5", prdc("recall"), None),
        "kde_nll": (
            "KDE negative log-likelihood, bandwidth .1, nats",
            lambda real, fake: metrics.kde_nll(real, fake, bandwidth=0.1),
            None,
        ),
        "sinkhorn": ("Sinkhorn divergence, cost |x - y|²/2, blur .1, n = 1,000", divergence, BLOCK),
        "mmd_v": ("MMD², gamma = 1, V-statistic (biased), n = 1,000", metrics.reference.mmd_v, BLOCK),
        "sinkhorn_cost": (
            "Sinkhorn cost, regularisation .1 (biased), n = 1,000",
            jax.jit(lambda real, fake: metrics.reference.sinkhorn_cost(real, fake).cost),
            BLOCK,
        ),
    }
    return {name: Metric(title, judging.on_points(how), points) for name, (title, how, points) in of.items()}


def watched() -> dict[str, Metric]:
    """The distances at every checkpoint, on one block."""
    last, few = at_the_end(), few_step()
    chosen = {"w1": few["w1"], "mmd_v": last["mmd_v"], "sinkhorn_cost": last["sinkhorn_cost"]}
    chosen |= {"coverage": few["coverage"], "density": few["density"]}
    return {name: metric._replace(points=BLOCK) for name, metric in chosen.items()}


def judge(real: Truth, *, labelled: bool, last: int, blocks: int) -> Judge:
    """The distances at every number of steps, within classes too where there are labels, and at `last` those of the end."""
    always = few_step() | (per_class() if labelled else {})
    usual = judging.against(real, always, blocks=blocks)
    full = judging.against(real, always | at_the_end(), blocks=blocks)
    return lambda fake, key, steps: (full if steps == last else usual)(fake, key, steps)


def floors(real: Truth, key: Key, *, labelled: bool, n: int, repeats: int) -> dict[str, metrics.Floor]:
    """Of all distances; those of the checkpoints begin with `watched_`."""
    chosen = few_step() | at_the_end() | {f"watched_{name}": metric for name, metric in watched().items()}
    return judging.floors(real, chosen | (per_class() if labelled else {}), key, n=n, repeats=repeats)


def at_a_checkpoint(draw: Callable[[Key], Batch], noise: float) -> dict[str, float]:
    """The watched distances of one block, always on the same draw and the same real set."""
    key_truth, key_draw = jax.random.split(jax.random.key(77))
    real, fake = truth(key_truth, BLOCK, noise=noise), draw(key_draw)
    return {name: metric.distance(real, fake) for name, metric in watched().items()}


def truth(key: Key, n: int, *, noise: float) -> Batch:
    """The real set: iid angles, half of the points on each moon, in turns (so that every block is balanced)."""
    points, labels = toys.two_moons(key, n - n % CLASSES, noise=noise)
    turns = jnp.argsort(labels).reshape(CLASSES, -1).T.reshape(-1)
    return Batch(points[turns], labels[turns])


def exact_sampler(key: Key, n: int, *, noise: float) -> Batch:
    """The law itself, each point on either moon by the toss of a coin: what a balanced real set costs even the truth."""
    key_pool, key_coin = jax.random.split(key)
    pool, labels = toys.two_moons(key_pool, 2 * n, noise=noise)
    by_class = pool[jnp.argsort(labels)].reshape(CLASSES, n, 2)
    tossed = jax.random.randint(key_coin, (n,), 0, CLASSES)
    return Batch(by_class[tossed, jnp.arange(n)], tossed)
