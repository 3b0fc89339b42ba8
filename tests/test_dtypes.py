"""Every public figure in every precision, against its value in float64.

The numbers are small integers, which half precision and bytes hold exactly: what differs is what was computed. Metrics,
rules and losses come in float32 or better and agree to its rounding; a state of a sampler or a noise of a coupling keeps
its dtype, and agrees to that. Mutations: sums in the dtype that came in (the energy distance 0 in half precision, bytes that
wrap), float64 cast to float32 at a door, a carry of a scan whose dtype changes.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from test_not_finite import KERNELS, RULES, SUM, public

from ddjax import couplings, metrics, objectives, samplers, schedules, score_matching, scoring, times, transport
from ddjax.metrics import reference

GENERATOR = np.random.default_rng(0)
X, Y = GENERATOR.integers(0, 12, (20, 3)), GENERATOR.integers(3, 16, (20, 3))
LABELS = np.arange(20) % 2
SCHEDULE = schedules.Rectified()
HALVES, INTEGERS = (jnp.float16, jnp.bfloat16), (jnp.uint8, jnp.int32)


def key():
    return jax.random.key(0)


def whole(key, shape, dtype):
    """Numbers 0..7 that depend on the key, and not on the precision."""
    mixed = jnp.arange(np.prod(shape), dtype=jnp.uint32) + jax.random.key_data(key)[-1:]
    return ((mixed * jnp.uint32(2654435761)) >> 29).reshape(shape).astype(dtype)


def drawn(params, key, x_t, t, cond):
    return whole(key, x_t.shape, x_t.dtype)


def halved(key, x_t, t):
    return x_t / 2


def curved(x):
    return x * x[::-1] - 3 * x


def loss(make, cond=None, **settings):
    loss_fn = make(drawn, SCHEDULE, **settings)
    return lambda x, y: loss_fn(None, key(), x)


def flow_loss(coupling):
    return loss(objectives.flow_matching, coupling=coupling, prior=lambda key, shape: whole(key, shape, jnp.float32))


def dropped(x, y):
    loss_fn = objectives.condition_dropout(
        objectives.denoising(drawn, SCHEDULE), probability=1.0, null=jnp.zeros(3, x.dtype)
    )
    return loss_fn(None, key(), (x, y))


AT_HALF = {"times": lambda key, n: jnp.full(n, 0.5), "prior": lambda key, shape: whole(key, shape, jnp.float32)}


def stepped(x, y):
    """A consistency loss of a map that is 3 at t = .5 and 1 before."""
    late = lambda params, key, x_t, t, cond: jnp.full_like(x_t, 1) + 2 * (t > 0.49).astype(x_t.dtype)[:, None]  # noqa: E731
    return objectives.consistency(late, SCHEDULE, times=AT_HALF["times"], gap=0.25)(None, key(), x)


def averaged(x, y):
    """A mean flow whose average velocity is x_t itself."""
    of_span = lambda params, key, x_t, t, r, cond: x_t  # noqa: E731
    return objectives.mean_flow(of_span, SCHEDULE, power=0.0, **AT_HALF)(None, key(), x)


FIGURES = {
    **{f"metrics.mmd {i}": partial(metrics.mmd, kernel=kernel) for i, kernel in enumerate(KERNELS)},
    **{f"metrics.energy_distance {beta}": partial(metrics.energy_distance, beta=beta) for beta in (0.5, 1, 2)},
    "metrics.kde_nll": partial(metrics.kde_nll, bandwidth=0.7),
    "metrics.prdc": partial(metrics.prdc, k=3),
    "metrics.nearest": metrics.nearest,
    "metrics.memorisation": lambda x, y: metrics.memorisation(x, y, x[::2] + y[::2]),
    "metrics.frechet_distance": metrics.frechet_distance,
    "metrics.Statistics": lambda x, y: metrics.Statistics.of(x),
    "metrics.kernel_distance": lambda x, y: metrics.kernel_distance(x, y, key()).mean,
    "metrics.per_class": lambda x, y: metrics.per_class(metrics.mmd, x, LABELS, y, LABELS, classes=2),
    "metrics.floor": lambda x, y: metrics.floor(metrics.mmd, lambda key, n: x, key(), n=20, repeats=5),
    "metrics.rank_histogram": lambda x, y: metrics.rank_histogram(x.reshape(4, 5, 3), y[:4], key()),
    "metrics.pit": lambda x, y: metrics.pit(x.reshape(4, 5, 3), y[:4], key()),
    **{
        f"metrics.{prerank.__name__}": lambda x, y, prerank=prerank: (
            prerank(x),
            metrics.pit(x.reshape(4, 5, 3), y[:4], key(), prerank=prerank),
        )
        for prerank in (metrics.average_prerank, metrics.energy_prerank)
    },
    "metrics.tarp": lambda x, y: metrics.tarp(x.reshape(4, 5, 3), y[:4], y[4:8]),
    "metrics.spread_skill": lambda x, y: metrics.spread_skill(x.reshape(4, 5, 3), y[:4]),
    "metrics.variogram_score": lambda x, y: metrics.variogram_score(x, y[0]),
    "metrics.wasserstein": partial(metrics.wasserstein, p=2.0),
    "metrics.sliced_wasserstein": lambda x, y: metrics.sliced_wasserstein(
        x[:, :1], y[:, :1], key()
    ),  # directions are +-1
    "metrics.sinkhorn_divergence": partial(metrics.sinkhorn_divergence, blur=1.0),
    "metrics.reference.coverage": reference.coverage,
    "metrics.reference.density": reference.density,
    "metrics.reference.wasserstein_1": reference.wasserstein_1,
    "metrics.reference.mmd_v": reference.mmd_v,
    "metrics.reference.sinkhorn_cost": reference.sinkhorn_cost,
    "transport.sinkhorn": partial(transport.sinkhorn, blur=1.0),
    "transport.sinkhorn_blocked": partial(transport.sinkhorn_blocked, blur=1.0),
    **{f"scoring {i}": lambda x, y, rule=rule: rule(x[:4], y[0], 0.5) for i, rule in enumerate(RULES[:-1])},
    "scoring.Patched": lambda x, y: RULES[-1](x[:12].reshape(3, 4, 3, 1), y[:4].reshape(4, 3, 1), 0.5),
    "scoring.crps": lambda x, y: scoring.crps(x[:4], y[0]),
    "scoring.crps area": lambda x, y: scoring.crps(x[:4], y[0], area=np.array([1, 0, 3])),
    "scoring.Sum": lambda x, y: SUM(x[:16].reshape(3, 4, 4, 1), y[:16].reshape(3, 4, 4, 1)[0], 0.5),
}
LOSSES = {
    **{
        f"objectives.distributional {i}": loss(objectives.distributional, score=rule, size=4)
        for i, rule in enumerate(RULES[1:3])
    },
    "objectives.denoising": loss(objectives.denoising),
    "objectives.consistency": stepped,
    "objectives.mean_flow": averaged,
    "objectives.sinkhorn_term": loss(objectives.sinkhorn_term, blur=1.0),
    "objectives.condition_dropout": dropped,
    "objectives.flow_matching": flow_loss(couplings.independent),
    "objectives.flow_matching pairs": lambda x, y: flow_loss(couplings.assignment)(x, y)[1][
        "pair_cost"
    ],  # whichever they are
    "score_matching.explicit": lambda x, y: score_matching.explicit(curved, jnp.negative, x),
    "score_matching.implicit": lambda x, y: score_matching.implicit(curved, x),
}
SAMPLERS = {
    "samplers.bridge": partial(samplers.bridge, churn=0.0),
    **{f"samplers.{name}": getattr(samplers, name) for name in ("euler", "midpoint", "heun", "rk4")},
}
COUPLINGS = ("independent", "assignment", "sinkhorn")
ELSEWHERE = {"metrics.cached_statistics", "couplings.blind"}  # which only hand on what others compute
ELSEWHERE |= {f"objectives.{name}" for name in ("balanced", "descend_ratio", "flat", "with_ratio")}


def in_double(function, x=X, y=Y):
    """The same in float64."""
    with jax.enable_x64(True):
        found = function(jnp.asarray(x, jnp.float64), jnp.asarray(y, jnp.float64))
        leaves = jax.tree.leaves(found)
        assert all(leaf.dtype != jnp.float32 for leaf in leaves if isinstance(leaf, jax.Array))
        return [np.asarray(leaf) for leaf in leaves]


def assert_precise(function, dtypes):
    wanted = in_double(function)
    for dtype in dtypes:
        found = jax.tree.leaves(function(jnp.asarray(X, dtype), jnp.asarray(Y, dtype)))
        assert all(
            leaf.dtype in (jnp.float32, jnp.int32, jnp.bool_) for leaf in found if isinstance(leaf, jax.Array)
        ), dtype
        for a, b in zip(found, wanted, strict=True):
            close(np.asarray(a, np.float64), b, rtol=3e-5, atol=1e-5, err_msg=str(dtype))


@pytest.mark.sampled(4, 1)
@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_precise(name):
    assert_precise(FIGURES[name], (*HALVES, jnp.float32, *INTEGERS))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_precise(name):
    assert_precise(LOSSES[name], (*HALVES, jnp.float32))


def test_bytes_and_halves_do_not_wrap_or_overflow():
    """Pixels 0 and 255, and numbers whose squares leave float16: by hand."""
    black, white = (np.full((4, 8), value, np.uint8) for value in (0, 255))
    far = 255 * 8**0.5
    for x, y in ((black, white), (white, black), (white.astype(np.float16), black.astype(np.float16))):
        close(metrics.energy_distance(x, y), 2 * far, rtol=1e-6)
        close(metrics.wasserstein(jnp.asarray(x), jnp.asarray(y), p=2.0), far, rtol=1e-6)
        close(metrics.frechet_distance(x, y), far**2, rtol=1e-6)
        close(scoring.energy_score(x, y[0]), far, rtol=1e-6)
        close(metrics.kde_nll(x, y, bandwidth=100.0), far**2 / 2e4 + 4 * np.log(2 * np.pi * 1e4), rtol=1e-6)


@pytest.mark.parametrize("dtype", [*HALVES, jnp.float32])
@pytest.mark.parametrize("name", SAMPLERS)
def test_states_keep_their_dtype(name, dtype):
    """Eight steps of a denoiser that halves; the exact answer to a few roundings of the dtype."""
    walk = lambda x, y: samplers.sample(SAMPLERS[name](halved, SCHEDULE), key(), x, times.grid(8))  # noqa: E731
    (wanted,) = in_double(walk)
    found = walk(jnp.asarray(X, dtype), None)
    with jax.enable_x64(True):
        assert found.dtype == walk(jnp.asarray(X, dtype), None).dtype == dtype
    close(np.asarray(found, np.float64), wanted, rtol=0, atol=100 * float(jnp.finfo(dtype).eps))
    if name != "samplers.bridge":
        return
    noisy = samplers.sample(samplers.bridge(halved, SCHEDULE), key(), jnp.asarray(X, dtype), times.grid(8))
    assert noisy.dtype == dtype and np.isfinite(np.asarray(noisy, np.float64)).all()


@pytest.mark.parametrize("dtype", [*HALVES, jnp.float32])
@pytest.mark.parametrize("name", COUPLINGS)
def test_couplings_keep_the_noise_and_pair_as_in_double(name, dtype):
    """The same cost as in float64, far below that of no coupling; the noise comes back as it was."""
    coupled = lambda x, y: getattr(couplings, name)(key(), x, y)  # noqa: E731
    found = coupled(jnp.asarray(X, dtype), jnp.asarray(Y, dtype))
    assert found.dtype == dtype
    rows = {tuple(row) for row in np.asarray(found, np.float64)}
    assert rows <= {tuple(row) for row in Y.astype(float)}
    (wanted,) = in_double(coupled)
    cost, best = (((np.asarray(x_1, np.float64) - X) ** 2).sum() for x_1 in (found, wanted))
    close(cost, best, rtol=1e-6 if name != "sinkhorn" else 0.02)


def test_every_figure_has_a_row():
    """Of what computes; factories, plans and costs are used through the others."""
    rooms = ("metrics.", "objectives.", "transport.s", "couplings.")
    named = {name.split()[0] for name in (*FIGURES, *LOSSES)} | {f"couplings.{name}" for name in COUPLINGS} | ELSEWHERE
    parts = {f"couplings.{name}" for name in couplings.__all__ if name not in (*COUPLINGS, "blind")}
    assert {name for name in public() if name.startswith(rooms)} - parts <= named | {"transport.sinkhorn_divergence"}
