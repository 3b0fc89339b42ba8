"""Every public function under values of the wrong kind, found by the names of its arguments: a new function is tested as it is.

Where an argument has a name that `good_inputs` does not know, the test fails and asks for a row. Mutations: any call of
`ddjax.inputs` left out.
"""

import functools
import inspect

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from good_inputs import DRAWS, GOOD, GRID, IMAGES, PARAMETERS, POINT, PUBLIC, SCHEDULE, TRUTH, T, X, called, fitting

from ddjax import couplings, denoisers, flows, inflation, networks, schedules, scoring, sde, times, training, types

pytestmark = pytest.mark.usefixtures("unchecked")

# arguments whose names mean a number, or something else, there
OTHERWISE = {
    ("denoisers.guided", "weight"),
    ("score_matching.bayes", "weight"),
    ("inflation.stirred", "prior"),
    ("inflation.coverage", "prior"),
    ("scoring.needs_pairs", "rule"),
    ("scoring.Terms", "score"),
    ("training.may_scan", "network"),
    ("training.Interrupted", "step"),
}

UNBOUND, BOUND = GOOD["denoiser"], GOOD["denoise"]
FUNCTION = "need a function"
WRONG = {
    "schedule": [
        ("cosine", "need a schedule"),
        (schedules.Rectified, "need a schedule"),
        (lambda t: (1 - t, t), "a schedule returns"),
    ],
    "network": [
        (lambda params, x, t, cond, xi: x, "need a networks.Network"),
        (nn.Dense(2), "need a networks.Network"),
    ],
    "denoiser": [(BOUND, FUNCTION), ("mlp", FUNCTION)],
    "velocity": [(BOUND, FUNCTION)],
    "average": [(UNBOUND, FUNCTION)],
    "denoise": [(UNBOUND, "denoisers.bind"), (None, FUNCTION)],
    "field": [(UNBOUND, FUNCTION)],
    "step": [(lambda x: x, FUNCTION)],
    "law": [(0.5, FUNCTION)],
    "times": [],
    "weight": [(1.0, FUNCTION)],
    "coupling": [("sinkhorn", FUNCTION)],
    "base": [(GRID, FUNCTION)],
    "prior": [(X, FUNCTION)],
    "log_likelihood": [(1.0, FUNCTION)],
    "rule": [(scoring.Energy, FUNCTION)],
    "loss_fn": [(X, FUNCTION)],
    "score": [(lambda: 0.0, FUNCTION)],
    "term": [(None, FUNCTION)],
    "metric": [("mmd", FUNCTION)],
    "sample": [(X, FUNCTION)],
    "prerank": [("energy", FUNCTION)],
    "train_step": [(None, FUNCTION)],
}
LAWS = {
    f"objectives.{name}"
    for name in ("consistency", "denoising", "distributional", "flow_matching", "mean_flow", "sinkhorn_term")
}
LAWS |= {f"score_matching.{name}_loss" for name in ("denoising", "explicit", "implicit", "sliced")}


def cases():
    for name, parameters in PARAMETERS.items():
        for parameter in parameters:
            wrong = WRONG.get(parameter, [])
            if parameter == "times" and name in LAWS:
                wrong = WRONG["law"]
            if (name, parameter) not in OTHERWISE:
                yield from ((name, parameter, i, *pair) for i, pair in enumerate(wrong))


@pytest.mark.parametrize(
    ("name", "parameter", "i", "value", "says"),
    [pytest.param(*case, id="-".join(map(str, case[:3]))) for case in cases()],
)
def test_a_value_of_the_wrong_kind_is_refused_where_it_is_given(name, parameter, i, value, says):
    """ValueError with what was expected, at the call of the factory, not from inside of the loss."""
    with pytest.raises(ValueError, match=says):
        called(name, **{parameter: value})


COUNTED = (int, int | None, int | tuple[int, ...])
NO_COUNTS = ("axis", "inject", "label", "seed")  # places and names


def counts():
    for name, parameters in PARAMETERS.items():
        for parameter, told in parameters.items():
            if told.annotation in COUNTED and parameter not in NO_COUNTS and name != "data.load":  # which reads files
                yield pytest.param(name, parameter, id=f"{name}-{parameter}")


@pytest.mark.parametrize(("name", "parameter"), [*counts()])
def test_a_number_of_things_is_whole(name, parameter):
    """2.0, True, a word and an array are refused by name; an integer of NumPy is one. Mutation: any `checked_count` left out."""
    for wrong in (2.0, 2.5, True, "2", np.full(2, 2)):
        with pytest.raises(ValueError, match=f"need a whole number, .* got {parameter}="):
            called(name, **{parameter: wrong})
    good = fitting(name).get(parameter, PARAMETERS[name][parameter].default)
    if isinstance(good, int):
        called(name, **{parameter: np.int64(good)})


@pytest.mark.parametrize("method", ["sample", "mean", "cov"])
def test_a_number_of_draws_is_whole(method):
    """The methods, which the table above does not see."""
    for wrong in (2.0, True):
        with pytest.raises(ValueError, match=r"need a whole number, .* got (n|size)="):
            getattr(denoisers.posterior(UNBOUND, None, X, T), method)(jax.random.key(0), wrong)


CALLS = {  # what a factory makes is called with a key too, by the type that its signature tells
    types.Denoiser: lambda made, key: made(None, key, X, T, jnp.zeros(4)),
    types.Denoise: lambda made, key: made(key, X, T),
    types.Step: lambda made, key: made(key, X, jnp.asarray(0.9), jnp.asarray(0.4)),
    types.LossFn: lambda made, key: made({"ratio": jnp.ones(())}, key, (X, jnp.zeros(4))),
    types.Network: lambda made, key: made.init(key),
    times.Law: lambda made, key: made(key, 4),
}
MADE = {
    name: CALLS[told]
    for name, function in PUBLIC.items()
    if (told := inspect.signature(function).return_annotation) in CALLS and name not in ("networks.from_nnx",)
}
OWN_KEYS = {
    "Posterior.sample": lambda key: denoisers.posterior(UNBOUND, None, X, T).sample(key, 3),
    "Posterior.mean": lambda key: denoisers.posterior(UNBOUND, None, X, T).mean(key, 3),
    "Posterior.cov": lambda key: denoisers.posterior(UNBOUND, None, X, T).cov(key, 3),
    "GaussianMixture.sample": lambda key: TRUTH.sample(key, 3),
    "Prior.sample": lambda key: inflation.analytic_prior(SCHEDULE, jnp.ones(2)).sample(key, 3),
    "TrainState.create": lambda key: training.TrainState.create({"a": X}, optax.sgd(0.1), key).keys(),
    "TrainState.keys": lambda key: (
        training.TrainState.create({"a": X}, optax.sgd(0.1), jax.random.key(1))._replace(key=key).keys()
    ),
    "hutchinson": lambda key: flows.hutchinson(2)(lambda x: 2 * x * x[0], key, POINT),
    "predictor_corrector": lambda key: sde.predictor_corrector(lambda x, s: -x, size=0.1)(
        GOOD["sde"], key, POINT, T[0], T[1]
    ),
    "mlp.init": lambda key: networks.mlp(2, width=4, depth=1).init(key),
}
KEYED = {
    **{
        name: functools.partial(lambda name, key: called(name, key=key), name)
        for name, told in PARAMETERS.items()
        if "key" in told
    },
    **{f"made by {name}": functools.partial(lambda name, key: MADE[name](called(name), key), name) for name in MADE},
    **OWN_KEYS,
}
POPULATIONS = {
    "made by denoisers.distributional",
    "made by denoisers.guided",
    "made by denoisers.mean",
    "TrainState.keys",
}


def leaves(result):
    numbers = [
        jax.random.key_data(a) if jnp.issubdtype(getattr(a, "dtype", float), jax.dtypes.prng_key) else a
        for a in jax.tree.leaves(result)
        if not callable(a)
    ]
    return [np.asarray(a) for a in numbers if not isinstance(a, str)]


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", KEYED)
def test_a_key_is_one_key_of_either_spelling(name):
    """PRNGKey(0) gives the numbers of key(0), never those of two keys; a seed is refused, unless no key is read at all."""
    wanted = leaves(KEYED[name](jax.random.key(0)))
    for a, b in zip(leaves(KEYED[name](jax.random.PRNGKey(0))), wanted, strict=True):
        np.testing.assert_array_equal(a, b)
    try:
        found = leaves(KEYED[name](0))
    except ValueError as error:
        assert "jax.random.key(0)" in str(error)
    else:
        assert all(map(np.array_equal, found, wanted)), "a seed was read"


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", [name for name in KEYED if name not in POPULATIONS])
def test_two_keys_are_not_one(name):
    """Refused, or not read; only denoisers with xi take several, for a population."""
    try:
        found = leaves(KEYED[name](jax.random.split(jax.random.key(0))))
    except ValueError:
        return
    assert all(map(np.array_equal, found, leaves(KEYED[name](jax.random.key(0))))), "two keys were read"


ROOMS = (
    *("metrics", "scoring", "transport", "couplings", "paths", "samplers", "times"),
    *("flows", "sde", "inflation", "score_matching", "denoisers"),
)
NO_ARRAYS = ("key", "null")  # a condition is any pytree
ARRAYS = {
    name: [p for p, value in fitting(name).items() if isinstance(value, jax.Array) and p not in NO_ARRAYS]
    for name in PUBLIC
    if name.split(".")[0] in ROOMS
}
MAKES = {  # functions that are made, and take arrays
    "scoring.Energy": lambda of: scoring.by_element(scoring.Energy(), of([0.5, 1.0]))(of(DRAWS[0]), of(POINT), 0.5),
    "scoring.KernelRule": lambda of: scoring.KernelRule(scoring.rbf())(of(DRAWS[0]), of(POINT), 0.5),
    "scoring.Patched": lambda of: scoring.Patched(scoring.Energy(), 2)(
        of(jnp.stack([IMAGES[0], IMAGES[1]])), of(IMAGES[0]), 0.5
    ),
    "scoring.Sum": lambda of: scoring.Sum(((1.0, scoring.Energy(), None),))(of(DRAWS[0]), of(POINT), 0.5),
    "scoring.Windows": lambda of: scoring.Windows(2)(of(IMAGES)),
    "scoring.pooling": lambda of: scoring.pooling(2)(of(IMAGES[0])),
    "scoring.scaled": lambda of: scoring.scaled(of([2.0, 1.0]))(of(POINT)),
    "scoring.finite_differences": lambda of: scoring.finite_differences(0)(of(POINT)),
    "scoring.almost_fair": lambda of: scoring.almost_fair()(of(DRAWS[0]), lambda x: jnp.sum(x**2, 1)),
    "scoring.banded": lambda of: scoring.banded(1)(of(DRAWS[0]), lambda x: jnp.sum(x**2, 1)),
    "couplings.near_condition": lambda of: couplings.near_condition()(of(X), of(X + 1), of([0.0, 0.0, 1.0, 1.0])),
    "couplings.within_classes": lambda of: couplings.within_classes(of(X), of(X + 1), of([0, 0, 1, 1])),
    "crps of a number": lambda of: scoring.crps(of([1.0, 2.0]), of(1.5)),
}
LISTED = {
    name: functools.partial(lambda name, of: called(name, **{p: of(fitting(name)[p]) for p in ARRAYS[name]}), name)
    for name in ARRAYS
    if ARRAYS[name]
} | MAKES


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", LISTED)
def test_lists_and_numbers_are_arrays(name):
    """The numbers of the array that they make. Mutation: a shape asked of what came before it is an array."""
    wanted = leaves(LISTED[name](jnp.asarray))
    for a, b in zip(leaves(LISTED[name](lambda x: np.asarray(x).tolist())), wanted, strict=True):
        np.testing.assert_array_equal(a, b)
    for bad in ([[1.0, 2.0], [3.0]], "words", None):
        with pytest.raises(ValueError):
            LISTED[name](lambda x, bad=bad: bad)
