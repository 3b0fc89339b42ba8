"""A number that is not finite never makes a good figure: NaN comes out, or a ValueError that names the array.

One table over everything public that measures, scores, pairs or trains, and `rows_of_states` over what walks or draws; what is
added to these rooms needs a row. The first number of each array in turn becomes NaN, inf and -inf. Mutations: `squared > 0` as the
guard of a power, `nan_to_num` or `fmax` anywhere, a bounded kernel, score or field that sees infinity, a host metric without its
door, a solver that has converged beside an infinite state.
"""

import inspect
import tempfile
import typing
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rows_of_states

from ddjax import couplings, metrics, objectives, samplers, schedules, score_matching, scoring, transport
from ddjax.metrics import reference

ROOMS = {
    "metrics": metrics, "metrics.reference": reference, "scoring": scoring, "couplings": couplings,
    "transport": transport, "objectives": objectives, "score_matching": score_matching, **rows_of_states.ROOMS,
}  # fmt: skip

GENERATOR = np.random.default_rng(0)
X, Y = (jnp.asarray(GENERATOR.gamma(1.5, size=(12, 2)), jnp.float32) for _ in range(2))
WIDE_X, WIDE_Y = (jnp.asarray(GENERATOR.gamma(1.5, size=(12, 30)), jnp.float32) for _ in range(2))
IMAGES, IMAGE = (jnp.asarray(GENERATOR.gamma(1.5, size=(*m, 4, 4, 1)), jnp.float32) for m in ((4,), ()))
AREA = np.linspace(0.5, 1.0, 4)[:, None, None]
COST = jnp.asarray(GENERATOR.gamma(1.5, size=(6, 6)), jnp.float32)
LABELS = np.arange(12) % 2
KERNELS = [scoring.rbf(), scoring.imq(), scoring.exponential(), scoring.energy(0.5), scoring.energy(2)]
RULES = [
    scoring.Energy(), scoring.estimated(scoring.Energy(0.1), scoring.paired), scoring.Energy(2, 0),
    scoring.by_element(scoring.Energy()),
    scoring.Energy(lambda t: 2 - 1.9 * t, lambda t: t), *[scoring.KernelRule(kernel) for kernel in KERNELS],
    scoring.KernelRule(scoring.imq(), lam=0), scoring.Patched(scoring.Energy(0.1), 2),
]  # fmt: skip
SUM = scoring.Sum(
    (
        (1.0, scoring.Energy(), scoring.pooling(2)),
        (0.5, scoring.by_position(scoring.KernelRule(scoring.rbf())), scoring.spectrum),
        (0.5, scoring.by_element(scoring.Energy()), scoring.finite_differences(0, wrap=True)),
        (2.0, scoring.by_groups(scoring.Energy(0.5), scoring.Windows(2, (1,))), None),
    )
)


def key():
    return jax.random.key(0)


def norm(differences):
    return jnp.sqrt(jnp.sum(differences**2, -1))


def scored(rule):
    """Score and confinement, which hold every draw; the interaction of pairs may leave one out."""
    return jax.jit(lambda samples, observation: rule(samples, observation, 0.4)[:2])


def converged(solve):
    """The number, and NaN for a solver that says it did not converge."""

    def number(*samples):
        value, flag = solve(*samples)
        return value, jnp.where(flag, 0.0, jnp.nan)

    return number


def loss_of(make, **settings):
    """The loss of a denoiser or velocity that returns tanh(x_t) + params, bounded as many networks are."""
    apply = lambda params, key, x_t, t, cond: jnp.tanh(x_t) + params  # noqa: E731
    loss_fn = make(apply, schedules.Rectified(), **settings)
    return jax.jit(lambda params, x_0: loss_fn(params, key(), x_0)[0])


def matched(objective):
    """The first example of an objective, that whose number is damaged."""
    return jax.jit(lambda x: objective(x)[0])


def dropping():
    loss_fn = objectives.condition_dropout(
        objectives.flow_matching(lambda params, key, x_t, t, cond: x_t + cond, schedules.Rectified()),
        probability=0.5,
        null=jnp.zeros(2),
    )
    return jax.jit(lambda x_0, cond: loss_fn(None, key(), (x_0, cond))[0])


def beside():
    """A loss and a term of the same parameters, in proportion."""
    squares = lambda params, key, x_0: (jnp.sum(params["network"] ** 2) + jnp.sum(x_0**2), {})  # noqa: E731
    loss_fn = objectives.balanced(squares, squares)
    return jax.jit(lambda params, x_0: loss_fn({"network": params, "ratio": jnp.ones(())}, key(), x_0)[0])


def paired(coupling):
    """As it is, where a mistake is told, and under a trace."""
    keyed = lambda x_0, x_1: coupling(key(), x_0, x_1)  # noqa: E731
    return [(function, {"x_0": X, "x_1": Y}) for function in (keyed, jax.jit(keyed))]


def costing(cost):
    """All of the row of the damaged example, and so every permutation."""
    return lambda *arrays: cost(*arrays)[0]


SCORES = (jnp.negative, jnp.tanh)
SAMPLES, DRAWS = {"x": X, "y": Y}, {"samples": IMAGES, "observation": IMAGE}
REAL, WIDE = {"real": X, "fake": Y}, {"real": WIDE_X, "fake": WIDE_Y}
TRAINED = {"params": jnp.zeros((1, 2)), "x_0": X}
STATISTICS = {"mean": np.zeros(2), "cov": np.eye(2)}

FORETOLD = {"samples": X[:, None] + jnp.asarray([[[-0.5], [0.1], [0.4]]]), "observations": Y}
PRERANKS = [None, metrics.average_prerank, metrics.energy_prerank]


def first(histograms):
    """Of the first element, that whose number is damaged."""
    return jax.tree.map(lambda leaf: leaf[0] if histograms.pvalue.ndim else leaf, histograms)


def weighed(samples, observation, weights):
    return metrics.variogram_score(samples, observation, weights=weights)


# name: [(function, its arrays), ...]
ROWS = {
    "metrics.mmd": [(partial(metrics.mmd, kernel=kernel), SAMPLES) for kernel in KERNELS],
    "metrics.energy_distance": [
        (partial(metrics.energy_distance, beta=b), SAMPLES) for b in (1.0, 2, jnp.float32(1.5))
    ],
    "metrics.kde_nll": [(partial(metrics.kde_nll, bandwidth=0.3), REAL)],
    "metrics.prdc": [(partial(metrics.prdc, k=3), arrays) for arrays in (REAL, WIDE)],
    "metrics.nearest": [(metrics.nearest, {"points": X, "data": Y})],
    "metrics.memorisation": [(metrics.memorisation, {"samples": X, "train": Y, "held_out": X + 1})],
    "metrics.frechet_distance": [
        (metrics.frechet_distance, SAMPLES),
        (lambda mean, cov: metrics.frechet_distance(metrics.Statistics(mean, cov), Y), STATISTICS),
    ],
    "metrics.Statistics": [(metrics.Statistics.of, {"points": X})],
    "metrics.cached_statistics": [
        (lambda points: metrics.cached_statistics(tempfile.mkdtemp(), "none", lambda: points), {"points": X})
    ],
    "metrics.kernel_distance": [(lambda x, y: metrics.kernel_distance(x, y, key(), block=4), SAMPLES)],
    "metrics.per_class": [
        (lambda real, fake: metrics.per_class(metrics.mmd, real, LABELS, fake, LABELS, classes=2)[0], REAL)
    ],
    "metrics.floor": [
        (lambda x: metrics.floor(metrics.energy_distance, lambda key, n: x, key(), n=12, repeats=5), {"x": X})
    ],
    "metrics.rank_histogram": [
        (
            lambda samples, observations, how=how: first(
                metrics.rank_histogram(samples, observations, key(), prerank=how)
            ),
            FORETOLD,
        )
        for how in PRERANKS
    ],
    "metrics.pit": [
        (
            lambda samples, observations, how=how: metrics.pit(samples, observations, key(), prerank=how).ravel()[0],
            FORETOLD,
        )
        for how in PRERANKS
    ],
    "metrics.average_prerank": [(lambda points: metrics.average_prerank(points)[0], {"points": X})],
    "metrics.energy_prerank": [(lambda points: metrics.energy_prerank(points), {"points": X})],
    "metrics.tarp": [(lambda *arrays: metrics.tarp(*arrays)[1:], FORETOLD | {"references": Y})],
    "metrics.spread_skill": [(metrics.spread_skill, FORETOLD)],
    "metrics.variogram_score": [(metrics.variogram_score, DRAWS), (weighed, DRAWS | {"weights": jnp.ones((16, 16))})],
    "metrics.wasserstein": [(partial(metrics.wasserstein, p=p), SAMPLES) for p in (1.0, 2.0)],
    "metrics.sliced_wasserstein": [(lambda x, y: metrics.sliced_wasserstein(x, y, key(), projections=4), SAMPLES)],
    "metrics.sinkhorn_divergence": [(partial(metrics.sinkhorn_divergence, blur=1.0), SAMPLES)],
    "metrics.reference.coverage": [(reference.coverage, REAL)],
    "metrics.reference.density": [(reference.density, REAL)],
    "metrics.reference.wasserstein_1": [(reference.wasserstein_1, REAL)],
    "metrics.reference.mmd_v": [(reference.mmd_v, REAL)],
    "metrics.reference.sinkhorn_cost": [(converged(reference.sinkhorn_cost), REAL)],
    "scoring.energy_score": [(jax.jit(partial(scoring.energy_score, beta=0.1, lam=lam)), DRAWS) for lam in (0.0, 1.0)],
    "scoring.kernel_score": [(jax.jit(partial(scoring.kernel_score, kernel=KERNELS[0])), DRAWS)],
    "scoring.crps": [
        (jax.jit(scoring.crps), DRAWS),
        (jax.jit(lambda *given: scoring.crps(*given[:2], area=given[2])), DRAWS | {"area": AREA}),
        (lambda area: scoring.crps(IMAGES, IMAGE, area=area), {"area": AREA}),
    ],
    "scoring.Sum": [(scored(SUM), DRAWS)],
    "scoring.Windows": [(lambda squares: scoring.Windows(2)(squares[None])[0, 0, 0], {"squares": IMAGE})],
    "scoring.pooling": [(lambda image: scoring.pooling(2)(image)[0, 0], {"image": IMAGE})],
    "scoring.finite_differences": [(lambda image: scoring.finite_differences(0)(image)[0, 0], {"image": IMAGE})],
    "scoring.spectrum": [(lambda image: jnp.sum(scoring.spectrum(image) ** 2), {"image": IMAGE})],
    "scoring.scaled": [
        (lambda image: scoring.scaled(AREA)(image)[0, 0], {"image": IMAGE}),
        (lambda weights: scoring.scaled(weights)(IMAGE), {"weights": AREA}),
    ],
    "scoring.Energy": [(scored(rule), DRAWS) for rule in RULES[:4]],
    "scoring.KernelRule": [(scored(rule), DRAWS) for rule in RULES if isinstance(rule, scoring.KernelRule)],
    "scoring.Patched": [(scored(rule), DRAWS) for rule in RULES if isinstance(rule, scoring.Patched)],
    "scoring.score": [(jax.jit(lambda *given: scoring.score(norm, *given).score), DRAWS)],
    "scoring.by_position": [(scored(scoring.by_position(scoring.Energy())), DRAWS)],
    "scoring.by_element": [(scored(scoring.by_element(scoring.Energy())), DRAWS)],
    "scoring.by_groups": [(scored(scoring.by_groups(scoring.Energy(0.5), scoring.Windows(2))), DRAWS)],
    "scoring.estimated": [(scored(scoring.estimated(scoring.KernelRule(scoring.rbf()), scoring.paired)), DRAWS)],
    "scoring.fair": [(lambda samples: scoring.fair(samples, norm), {"samples": X[:4]})],
    "scoring.biased": [(lambda samples: scoring.biased(samples, norm), {"samples": X[:4]})],
    "scoring.paired": [(lambda samples: scoring.paired(samples, norm), {"samples": X[:4]})],
    "scoring.almost_fair": [(lambda samples: scoring.almost_fair()(samples, norm), {"samples": X[:4]})],
    "scoring.banded": [(lambda samples: scoring.banded(2)(samples, norm), {"samples": X[:4]})],
    "scoring.safe_power": [(lambda squared: scoring.safe_power(squared, 0.5)[0], {"squared": X[0]})],
    "scoring.rbf": [(scoring.rbf, {"bandwidth": np.float32(1)})],
    "scoring.imq": [(scoring.imq, {"c": np.float32(1)})],
    "scoring.exponential": [(scoring.exponential, {"bandwidth": np.float32(1)})],
    "scoring.energy": [(scoring.energy, {"beta": np.float32(1)})],
    "couplings.independent": [(lambda x_1: couplings.independent(key(), X, x_1)[0, 0], {"x_1": Y})],
    "couplings.assignment": paired(couplings.assignment),
    "couplings.sinkhorn": paired(couplings.sinkhorn),
    "couplings.blind": paired(couplings.blind(couplings.sinkhorn))[:1],
    "couplings.squared": [(costing(couplings.squared), {"x_0": X, "x_1": Y})],
    "couplings.conditional": [(costing(couplings.conditional), {"x_0": X, "x_1": Y, "cond": X})],
    "couplings.within_classes": [
        (lambda *x: couplings.within_classes(*x, jnp.asarray(LABELS))[0, 0], {"x_0": X, "x_1": Y})
    ],
    "couplings.near_condition": [(costing(couplings.near_condition()), {"x_0": X, "x_1": Y, "cond": X})],
    "couplings.annealed": [(converged(couplings.annealed), {"cost": COST})],
    "couplings.entropic": [(converged(couplings.entropic), {"cost": COST})],
    "couplings.to_permutation": [
        (lambda plan: couplings.to_permutation(couplings.Plan(plan, jnp.asarray(True))), {"plan": COST})
    ],
    "transport.assignment": [(transport.assignment, {"cost": COST})],
    "transport.wasserstein": [(partial(transport.wasserstein, p=2.0), SAMPLES)],
    "transport.sinkhorn": [(converged(partial(transport.sinkhorn, blur=1.0)), SAMPLES)],
    "transport.sinkhorn_divergence": [(partial(transport.sinkhorn_divergence, blur=1.0), SAMPLES)],
    "transport.sinkhorn_blocked": [(converged(partial(transport.sinkhorn_blocked, blur=1.0)), SAMPLES)],
    "objectives.distributional": [
        (loss_of(objectives.distributional, size=4, score=rule), TRAINED)
        for rule in (*RULES[1:3], scoring.KernelRule(scoring.rbf()))
    ],
    "objectives.denoising": [(loss_of(objectives.denoising), TRAINED)],
    "objectives.consistency": [
        (loss_of(objectives.consistency, huber=huber, times=lambda key, n: jnp.full(n, 0.3)), TRAINED)
        for huber in (0.0, 0.5)
    ],
    "objectives.mean_flow": [
        (
            jax.jit(
                lambda params, x_0, improved=improved: objectives.mean_flow(
                    lambda params, key, x_t, t, r, cond: x_t + params,
                    schedules.Rectified(),
                    improved=improved,
                    power=0.0,
                )(params, key(), x_0)[0]
            ),
            TRAINED,
        )
        for improved in (False, True)
    ],
    "objectives.flow_matching": [
        (loss_of(objectives.flow_matching, coupling=coupling), TRAINED)
        for coupling in (couplings.independent, couplings.sinkhorn)
    ],
    "score_matching.explicit": [
        (matched(lambda x, score=score: score_matching.explicit(score, jnp.arctan, x)), {"x": X}) for score in SCORES
    ],
    "score_matching.implicit": [
        (matched(lambda x, score=score: score_matching.implicit(score, x)), {"x": X}) for score in SCORES
    ],
    "score_matching.sliced": [
        (matched(lambda x, reduced=reduced: score_matching.sliced(jnp.tanh, key(), x, reduced=reduced)), {"x": X})
        for reduced in (False, True)
    ],
    "score_matching.denoising": [
        (
            matched(
                lambda x, score=score: score_matching.denoising(
                    lambda x, t: score(x), schedules.Cosine(), key(), x, 0.3
                )
            ),
            {"x_0": X},
        )
        for score in SCORES
    ],
    "score_matching.data_loss": [
        (
            jax.jit(
                lambda params, x_0: score_matching.data_loss(
                    score_matching.sliced, lambda params, x: jnp.sum(params) - jnp.tanh(x)
                )(params, key(), x_0)[0]
            ),
            TRAINED,
        )
    ],
    "score_matching.denoising_loss": [(loss_of(score_matching.denoising_loss), TRAINED)],
    "score_matching.explicit_loss": [
        (loss_of(lambda *given: score_matching.explicit_loss(given[0], lambda x, t: -x, given[1])), TRAINED)
    ],
    "score_matching.implicit_loss": [(loss_of(score_matching.implicit_loss), TRAINED)],
    "score_matching.sliced_loss": [(loss_of(score_matching.sliced_loss, probes=2), TRAINED)],
    "score_matching.bayes": [
        (
            lambda x, t: score_matching.bayes(lambda x, t: -x, lambda x, t: -t * jnp.sum(x**2))(x, t)[0],
            {"x_t": X[0], "t": jnp.float32(0.5)},
        )
    ],
    "objectives.sinkhorn_term": [(loss_of(objectives.sinkhorn_term, blur=1.0), TRAINED)],
    "objectives.balanced": [(beside(), TRAINED)],
    "objectives.condition_dropout": [(dropping(), {"x_0": X, "cond": jnp.ones((12, 2))})],
    **rows_of_states.STATE_ROWS,
}

# the square of an infinity is one, and the worst there is: a sum or a loss may say so, and noise that is not paired stays
INFINITE = (
    "objectives", "score_matching", "scoring.fair", "scoring.biased", "scoring.paired", "scoring.almost_fair", "scoring.banded",
    "scoring.safe_power", "scoring.Windows", "scoring.pooling", "scoring.finite_differences", "scoring.spectrum", "scoring.scaled",
    "couplings.independent",
)  # fmt: skip
# what forbids a pair
MEANT = {
    "couplings.annealed": [np.inf], "couplings.entropic": [np.inf], "transport.assignment": [np.inf],
    "couplings.to_permutation": [np.inf, -np.inf], "samplers.effective_size": [-np.inf],
}  # fmt: skip
NO_NUMBERS = {
    "scoring.Kernel": "made by its factories",
    "scoring.needs_pairs": "takes a rule",
    "scoring.Pairing": "a protocol",
    "objectives.flat": "reshapes",
    "objectives.with_ratio": "makes a network",
    "objectives.descend_ratio": "makes an optimiser",
    "score_matching.class_likelihood": "of a mixture, which refuses them, at one point",
    "score_matching.linear_likelihood": "of a mixture, which refuses them, at one point",
    "score_matching.mixture_score": "of a mixture, which refuses them, at one point",
    "score_matching.network_score": "what the network makes of them",
    **rows_of_states.NO_STATES,
}


def public():
    """Functions, and classes that compute: not modules, aliases of types, or tuples of results."""
    for room, module in ROOMS.items():
        own = [name for name, thing in vars(module).items() if inspect.getmodule(thing) is module and name[0] != "_"]
        for name in getattr(module, "__all__", own):
            thing = getattr(module, name)
            plain_tuple = hasattr(thing, "_fields") and not hasattr(thing, "of")
            if callable(thing) and typing.get_origin(thing) is None and not plain_tuple:
                yield f"{room}.{name}"


def test_everything_public_has_a_row():
    assert {*public()} == {*ROWS, *NO_NUMBERS}


CASES = {
    f"{name} {i} {argument}": (name, *row, argument)
    for name, rows in ROWS.items()
    for i, row in enumerate(rows)
    for argument in row[1]
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore:.*did not converge")
def test_what_is_not_finite_is_told(case):
    """Before that, the figure of the sound arrays is finite: a function that always fails proves nothing."""
    name, function, arrays, argument = CASES[case]
    assert all(np.isfinite(leaf).all() for leaf in figures(function(*arrays.values())))
    for bad in [bad for bad in (np.nan, np.inf, -np.inf) if bad not in MEANT.get(name, ())]:
        array = np.array(arrays[argument])
        array[(0,) * array.ndim] = bad
        damaged = arrays | {argument: array if isinstance(arrays[argument], np.ndarray) else array.dtype.type(bad)}
        if isinstance(arrays[argument], jax.Array):
            damaged[argument] = jnp.asarray(array)
        try:
            found = figures(function(*damaged.values()))
        except ValueError as error:
            assert argument in str(error), error
            continue
        if name in rows_of_states.STATE_ROWS:  # other examples and coordinates go their own ways
            assert all(not np.isfinite(leaf).all() for leaf in found), (bad, found)
            continue
        wanted = np.isnan if not (np.isinf(bad) and name.startswith(INFINITE)) else lambda leaf: ~np.isfinite(leaf)
        assert all(wanted(leaf).all() for leaf in found), (bad, found)


def figures(found):
    return [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(found) if not callable(leaf)]


def test_one_particle_among_thousands_is_told():
    """The maximum of thousands of numbers drops NaN on a CPU. Mutation: `jnp.max` in the place of the sum."""
    x_1 = jax.random.normal(key(), (4096, 1)).at[7].set(jnp.nan)
    found = samplers.particles(halved, flat, schedules.Rectified(), key(), x_1, 2, draws=2)
    assert all(np.isnan(leaf).all() for leaf in figures(found))


def halved(key, x_t, t):
    return x_t / 2


def flat(x_0):
    return 0.0 * jnp.sum(x_0)


def test_one_set_among_many_is_told():
    """As the maximum of a row, when many rows are reduced at once. Mutation: the maximum alone."""
    samples, points = jax.random.normal(key(), (1000, 12, 30, 2)), jnp.asarray(X)
    found = jax.vmap(lambda of: metrics.tarp(of, points, points + 1).deviation)(samples.at[3, 0, 0].set(jnp.nan))
    assert np.isnan(found[3]) and np.isfinite(np.delete(found, 3)).all()
