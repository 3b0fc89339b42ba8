"""What every distance and coupling must do with hostile input: far away, in pixels, in half precision, with NaN, again and again.

The oracles are SciPy and NumPy in float64, on the numbers as the library is given them.
"""

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from ddjax import couplings, metrics, transport
from ddjax.metrics import reference

N = 40
GENERATOR = np.random.default_rng(0)
X, Y = GENERATOR.gamma(1.5, size=(N, 2)), GENERATOR.normal(1.0, 0.5, size=(N, 2))
SEED = 0


def entropic(cost, epsilon):
    """The plan of marginals 1/n, and <P, C> + epsilon KL(P || 1/n^2), in float64."""
    f, g = np.zeros(N), np.zeros(N)
    for _ in range(3000):
        f = -epsilon * np.log(np.mean(np.exp((g[None] - cost) / epsilon), 1))
        g = -epsilon * np.log(np.mean(np.exp((f[:, None] - cost) / epsilon), 0))
    return np.exp((f[:, None] + g[None] - cost) / epsilon) / N**2, f.mean() + g.mean()


def exact(x, y, p):
    powered = cdist(x, y) ** p
    return powered[linear_sum_assignment(powered)].mean() ** (1 / p)


def divergence(x, y, blur):
    values = [entropic(cdist(a, b, "sqeuclidean") / 2, blur**2)[1] for a, b in ((x, y), (x, x), (y, y))]
    return values[0] - values[1] / 2 - values[2] / 2


def sliced(x, y, p):
    directions = np.array(jax.random.normal(jax.random.key(SEED), (64, 2), jnp.float32), np.float64)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return np.mean(np.abs(np.sort(x @ directions.T, 0) - np.sort(y @ directions.T, 0)) ** p) ** (1 / p)


def plan_cost(x, y, epsilon):
    cost = cdist(x, y, "sqeuclidean")
    return np.sum(entropic(cost, epsilon)[0] * cost)


# the distance, its definition in float64, and its hyper-parameters at a scale of the data
DISTANCES = {
    "wasserstein 1": (lambda x, y, unit: transport.wasserstein(x, y, p=1.0), lambda x, y, unit: exact(x, y, 1)),
    "wasserstein 2": (lambda x, y, unit: transport.wasserstein(x, y, p=2), lambda x, y, unit: exact(x, y, 2)),
    "sliced": (
        lambda x, y, unit: metrics.sliced_wasserstein(x, y, jax.random.key(SEED), p=2.0, projections=64),
        lambda x, y, unit: sliced(x, y, 2),
    ),
    "divergence": (
        lambda x, y, unit: transport.sinkhorn_divergence(x, y, blur=0.5 * unit),
        lambda x, y, unit: divergence(x, y, 0.5 * unit),
    ),
    "blocked": (
        lambda x, y, unit: transport.sinkhorn_blocked(x, y, blur=0.5 * unit).divergence,
        lambda x, y, unit: divergence(x, y, 0.5 * unit),
    ),
    "W_1 of the page": (
        lambda x, y, unit: reference.wasserstein_1(x, y),
        lambda x, y, unit: exact((x - x.mean(0)) / x.std(0), (y - x.mean(0)) / x.std(0), 1),
    ),
    "entropic cost": (
        lambda x, y, unit: reference.sinkhorn_cost(x, y, regularisation=0.25 * unit**2).cost,
        lambda x, y, unit: np.sum(entropic(cdist(x, y, "sqeuclidean"), 0.25 * unit**2)[0] * cdist(x, y, "sqeuclidean")),
    ),
}
# dtype, what is added to both samples, and the unit of the data
GIVEN = {
    "float32": ("float32", 0.0, 1.0),
    "far": ("float32", 1e3, 1.0),
    "farther": ("float32", 1e5, 1.0),
    "bytes": ("uint8", 0.0, 30.0),
    "int32": ("int32", 1e6, 30.0),
    "float16": ("float16", 0.0, 1.0),
    "float16, large": ("float16", 0.0, 5e3),
    "bfloat16": ("bfloat16", 0.0, 1.0),
}


def given(values, dtype, offset, unit):
    """The array as the library gets it, and the numbers that it holds."""
    values = np.clip(np.rint(unit * values), 0, 255) if dtype == "uint8" else unit * values + offset
    array = jnp.asarray(values.astype(dtype))
    return array, np.asarray(array, np.float64)


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("case", GIVEN)
def test_distances_far_away_in_pixels_and_in_half_precision(name, case):
    """As in float64. Mutations: a Gram product without centring (far), integers that wrap, sums in half precision."""
    (x, wide_x), (y, wide_y) = given(X, *GIVEN[case]), given(Y, *GIVEN[case])
    distance, definition = DISTANCES[name]
    unit = GIVEN[case][2]
    found = distance(x, y, unit)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, definition(wide_x, wide_y, unit), rtol=5e-3)


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distances_under_double_precision(x64, name, dtype):
    """float64 is kept, float32 stays. Mutation: ott given float32 where it makes float64 arrays, which raises."""
    (x, wide_x), (y, wide_y) = given(X, dtype, 0.0, 1.0), given(Y, dtype, 0.0, 1.0)
    distance, definition = DISTANCES[name]
    found = distance(x, y, 1.0)
    assert found.dtype == (jnp.float64 if dtype == "float64" else jnp.float32)
    np.testing.assert_allclose(found, definition(wide_x, wide_y, 1.0), rtol=5e-3)


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_distances_of_what_is_not_finite_are_nan(name, bad):
    """One number of either sample. Mutations: NaN sorted to the end and dropped; a NaN cost that is paired."""
    for arrays in ((X.copy(), Y.copy()), (Y.copy(), X.copy())):
        for place in (0, 1):
            x, y = (array.copy() for array in arrays)
            (x, y)[place][7, 1] = bad
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that the solver did not converge
                assert np.isnan(DISTANCES[name][0](*(jnp.asarray(a, jnp.float32) for a in (x, y)), 1.0))


@pytest.mark.parametrize("bad", [np.nan, 1e30])
def test_no_solver_converges_without_a_finite_value(bad):
    """NaN, or a number whose square is beyond float32. Mutation: the solver's word alone."""
    x, y = jnp.asarray(X, jnp.float32).at[3, 0].set(bad), jnp.asarray(Y, jnp.float32)
    for solved in (
        transport.sinkhorn(x, y, blur=0.5),
        transport.sinkhorn_blocked(x, y, blur=0.5),
        reference.sinkhorn_cost(x, y),
        *(planner(couplings.squared(x, y)) for planner in (couplings.annealed, couplings.entropic)),
    ):
        assert not solved.converged
        assert not np.isfinite(solved[0]).any()


@pytest.mark.parametrize("name", DISTANCES)
def test_distances_compile_once(name):
    """Twenty calls with new numbers of one shape. Mutation: a function made anew in each call."""
    distance = DISTANCES[name][0]
    x, y = jnp.asarray(X, jnp.float32), jnp.asarray(Y, jnp.float32)
    shifts = [jnp.full((1, 2), 0.01 * i) for i in range(20)]
    distance(x, y + shifts[1], 1.0)
    assert count_compilations(lambda: [distance(x, y + shift, 1.0) for shift in shifts]) == 0


def count_compilations(run):
    """How many programs XLA was asked to compile meanwhile."""
    seen = []
    listener = lambda event, _, **kwargs: seen.append(event) if "backend_compile" in event else None  # noqa: E731
    jax.monitoring.register_event_duration_secs_listener(listener)
    try:
        run()
    finally:
        jax.monitoring.unregister_event_duration_listener(listener)
    return len(seen)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_distances_of_a_sample_to_itself_have_a_gradient(p):
    """0 and finite, also with p traced. Mutations: the plain power of a distance or of the mean."""
    x = jnp.asarray(X, jnp.float32)
    for distance in (
        transport.wasserstein,
        partial(metrics.sliced_wasserstein, key=jax.random.key(SEED), projections=16),
    ):
        value, gradient = jax.value_and_grad(lambda a, p, distance=distance: distance(a, x, p=p))(x, jnp.float32(p))
        assert value == 0 and (np.asarray(gradient) == 0).all()


def test_the_gradient_of_wasserstein_is_that_of_its_pairs():
    """d W_2 / d x_i = (x_i - y_pi(i)) / (n W_2). Mutations: the unit differentiated too, or left out."""
    x, y = jnp.asarray(X, jnp.float32), jnp.asarray(Y, jnp.float32)
    _, columns = linear_sum_assignment(cdist(X, Y, "sqeuclidean"))
    found = jax.grad(lambda x: transport.wasserstein(x, y, p=2.0))(x)
    np.testing.assert_allclose(found, (X - Y[columns]) / N / exact(X, Y, 2), rtol=1e-3, atol=1e-6)


def test_powers_of_distances_neither_vanish_nor_overflow():
    """W_8 at 1e-8 and at 1e8. Mutation: powers in the unit that the data came in."""
    for unit in (1e-8, 1e8):
        x, y = jnp.asarray(unit * X, jnp.float32), jnp.asarray(unit * Y, jnp.float32)
        np.testing.assert_allclose(transport.wasserstein(x, y, p=8.0), unit * exact(X, Y, 8), rtol=1e-4)
        found = metrics.sliced_wasserstein(x, y, jax.random.key(SEED), p=8.0, projections=64)
        np.testing.assert_allclose(found, unit * sliced(X, Y, 8), rtol=1e-4)


def test_a_nearly_constant_coordinate_is_not_standardised():
    """.1 in all rows, whose mean is rounded and whose standard deviation is not 0. Mutation: std > 0."""
    x = jnp.stack([jnp.asarray(X[:, 0], jnp.float32), jnp.full(N, 0.1)], 1)
    with pytest.raises(ValueError, match="constant coordinate"):
        reference.wasserstein_1(x, x)


LABELS = jnp.asarray(GENERATOR.integers(0, 3, size=N))
CONDITIONS = {"none": None, "classes": LABELS, "numbers": jnp.asarray(GENERATOR.gamma(2.0, size=(N, 1)), jnp.float32)}
PAIRING = {
    "assignment": couplings.assignment,
    "sinkhorn": couplings.sinkhorn,
    "by ott": partial(couplings.sinkhorn, planner=couplings.entropic),
}
DATA = {
    "float32": ("float32", 0.0, 1.0),
    "far": ("float32", 1e4, 1.0),
    "farther": ("float32", 1e5, 1.0),
    "bytes": ("uint8", 0.0, 30.0),
    "float16": ("float16", 0.0, 1.0),
    "bfloat16": ("bfloat16", 0.0, 1.0),
    "both far": ("float32", 1e4, 1.0),
}


@pytest.mark.parametrize("name", PAIRING)
@pytest.mark.parametrize("case", DATA)
@pytest.mark.parametrize("condition", ["none", "classes"])
def test_couplings_far_away_in_pixels_and_in_half_precision(name, case, condition):
    """Nearly all of SciPy's gain, in float64, within classes where there are; the noise keeps its dtype.

    Mutations: products without centring; a planner in the precision of the batch.
    """
    dtype, offset, unit = DATA[case]
    x_0, wide_0 = given(X, dtype, offset, unit)
    x_1, wide_1 = given(Y, "float32" if dtype == "uint8" else dtype, offset if case == "both far" else 0.0, 1.0)
    cond = CONDITIONS[condition]
    paired = PAIRING[name](jax.random.key(SEED), x_0, x_1, cond)
    assert paired.dtype == x_1.dtype
    cost = cdist(wide_0, wide_1, "sqeuclidean")
    allowed = cost if cond is None else np.where(np.equal.outer(*2 * [np.asarray(cond)]), cost, np.inf)
    best, start = cost[linear_sum_assignment(allowed)].sum(), np.trace(cost)
    found = np.sum((wide_0 - np.asarray(paired, np.float64)) ** 2)
    assert found - best < (1e-3 if name == "assignment" else 0.12) * (start - best)


@pytest.mark.parametrize("name", PAIRING)
@pytest.mark.parametrize("spoilt", ["x_0", "x_1", "cond"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_raises_and_is_named(name, spoilt, bad):
    """Mutation: no check where arrays are concrete."""
    arrays = {"x_0": jnp.asarray(X, jnp.float32), "x_1": jnp.asarray(Y, jnp.float32), "cond": CONDITIONS["numbers"]}
    with pytest.raises(ValueError, match=f"in {spoilt} "):
        PAIRING[name](jax.random.key(SEED), **arrays | {spoilt: arrays[spoilt].at[5, 0].set(bad)})


@pytest.mark.parametrize(
    ("name", "condition"),
    [*((name, "numbers") for name in PAIRING), ("assignment", "classes"), ("sinkhorn", "classes")],
)
def test_what_is_not_finite_turns_all_noise_into_nan_under_jit(name, condition):
    """One bad number of any array, or one whose square is infinite.

    Mutations: NaN as a dear pair, or as the least likely one; infinity as a forbidden pair.
    """
    jitted = jax.jit(PAIRING[name])
    good = (jnp.asarray(X, jnp.float32), jnp.asarray(Y, jnp.float32), CONDITIONS[condition])
    assert np.isfinite(jitted(jax.random.key(SEED), *good)).all()
    for place in (0, 1, 2) if condition == "numbers" else (0, 1):
        for bad in (jnp.nan, jnp.inf, 1e30):
            hostile = [*good]
            hostile[place] = good[place].at[5, 0].set(bad)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that the plan did not converge
                assert np.isnan(jitted(jax.random.key(SEED), *hostile)).all()
                jax.effects_barrier()


@pytest.mark.parametrize("name", PAIRING)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_couplings_compile_once(name, condition):
    """Calls outside of jit with new numbers of one shape. Mutation: a scan whose body is made anew in each call."""
    pair = lambda x: PAIRING[name](jax.random.key(SEED), x, x[::-1], CONDITIONS[condition])  # noqa: E731
    batches = [jnp.asarray(X + 0.01 * i, jnp.float32) for i in range(20)]
    pair(batches[0])
    assert count_compilations(lambda: [pair(batch) for batch in batches]) == 0


@pytest.mark.parametrize("share", [0.8, 0.99, 1.0])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_the_share_is_kept_to_the_pair_on_the_cost_as_it_is_rounded(share, offset):
    """Counted on the cost itself, far from the origin too. Mutation: w found by differences that the sum rounds otherwise."""
    x, y, cond = (jnp.asarray(a, jnp.float32) for a in (X + offset, Y, GENERATOR.gamma(2.0, size=(N, 2))))
    cost = np.asarray(couplings.near_condition(share)(x, y, cond))
    tempted = ((np.diag(cost)[:, None] > cost) & ~np.eye(N, dtype=bool)).sum() / (N * (N - 1))
    assert tempted <= 1 - share + 1e-6
    assert tempted >= 1 - share - 2 / (N * (N - 1))


@pytest.mark.parametrize("planner", [couplings.annealed, couplings.entropic])
def test_plans_of_half_precision_costs_are_those_of_single_precision(planner):
    """Mutation: a planner in the precision of its cost, which pairs as if independent."""
    cost = jnp.asarray(cdist(X, Y, "sqeuclidean"), jnp.float16)
    np.testing.assert_array_equal(planner(cost).log, planner(cost.astype(jnp.float32)).log)


def test_couplings_under_double_precision(x64):
    """float64 batches, and float32 ones with the double precision on. Mutation: ott given float32 there."""
    for dtype in (jnp.float32, jnp.float64):
        x, y = jnp.asarray(X, dtype), jnp.asarray(Y, dtype)
        for pairing in PAIRING.values():
            assert pairing(jax.random.key(SEED), x, y, LABELS).dtype == dtype
