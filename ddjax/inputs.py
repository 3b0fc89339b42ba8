"""What users give, checked at the call where it is given: keys, arrays and functions.

Each rule stands here once, and every public function that takes such a value has it by one of these calls. Beside what they check
stand `types.Batch.of`, `types.Network.of` and `schedules.checked_schedule`. All raise ValueError, with what was expected and what
came.
"""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PRNGKeyArray


def checked_key(key: Any) -> PRNGKeyArray:
    """The key, typed: `jax.random.PRNGKey(0)`, an array of two integers, is read as the `jax.random.key(0)` that it is.

    Raises: ValueError for a seed, several keys, or anything else.
    """
    keys = checked_keys(key)
    if keys.ndim:
        raise ValueError(
            f"need one key, as jax.random.key(0) is, got {keys.size} of them, in an array of {keys.shape=}"
        )
    return keys


def checked_keys(keys: Any) -> Key[Array, "*size"]:
    """One key or an array of them, typed; the last axis of untyped ones is that of a key's own integers.

    Raises: ValueError for anything else.
    """
    dtype = getattr(keys, "dtype", None)
    if dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key):
        return keys
    if dtype == np.uint32:
        try:
            return jax.random.wrap_key_data(jnp.asarray(keys))
        except TypeError:  # integers of another length than a key has
            pass
    raise ValueError(f"need a key: use jax.random.key(0), got {described(keys)}")


def checked_array(value: Any, form: str = "an array") -> Any:  # both kinds of array, whatever shape a caller declares
    """The value where it is an array of JAX or NumPy, else an array of JAX of the number, list, tuple or frame that it is.

    Args:
        form: what is expected, for the message.
    Raises: ValueError for what is no numbers in a rectangle.
    """
    if isinstance(value, jax.Array | np.ndarray):
        return value
    try:
        return jnp.asarray(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"need {form}, or lists of numbers that make one, got {described(value)}") from None


def checked_draws(samples: Any, observation: Any) -> tuple[Any, Any]:
    """Draws [m, *event] and an observation [*event] as arrays. Raises: ValueError for others, or events of two shapes."""
    samples, observation = checked_array(samples, "samples [m, *event]"), checked_array(observation, "an observation")
    if samples.shape[1:] != observation.shape:
        raise ValueError(f"samples must be [m, *event] of the observation, got {samples.shape=}, {observation.shape=}")
    return samples, observation


def checked_count(value: Any, name: str, *, least: int = 1) -> int:
    """The number of things, as an integer of Python. Raises: ValueError for 2.0, True, what is no number, or one below `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"need a whole number, at least {least}, got {name}={described(value)}")
    return int(value)


def checked_function(function: Any, name: str, *arguments: str, instead: str = "") -> Callable[..., Any]:
    """The function, once its signature takes these arguments by position; one without a signature is believed.

    Args:
        instead: what to give in the place of the usual mistake, a half sentence.
    Raises: ValueError for anything else, a class among it.
    """
    came = described(function)
    if callable(function) and not isinstance(function, type):
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):  # of a builtin
            return function
        try:
            signature.bind(*arguments)
            return function
        except TypeError:
            came = f"one of ({', '.join(signature.parameters)})"
    raise ValueError(f"need a function {name}({', '.join(arguments)}), got {came}{instead and f'; {instead}'}")


def checked_denoiser(denoiser: Any, name: str = "denoiser") -> Callable[..., Array]:
    """A denoiser, a velocity or a score of all its arguments. Raises: ValueError for anything else, one already bound too."""
    arguments = ("params", "key", "x_t", "t", "cond")
    return checked_function(denoiser, name, *arguments, instead="its params come with each call, unbound")


def checked_denoise(denoise: Any, name: str = "denoise") -> Callable[..., Array]:
    """A denoiser or a field with its params bound. Raises: ValueError for anything else, one without them too."""
    cure = "denoisers.bind(denoiser, params, cond) binds the parameters"
    return checked_function(denoise, name, "key", "x_t", "t", instead=cure)


def checked_field(field: Any, cond: Any) -> Callable[..., Array]:
    """A field, which takes a fourth argument where there is a condition. Raises: ValueError for anything else."""
    return (
        checked_denoise(field, "field") if cond is None else checked_function(field, "field", "key", "x", "t", "cond")
    )


def checked_average(average: Any) -> Callable[..., Array]:
    """An average velocity. Raises: ValueError for anything else, a velocity among it."""
    return checked_function(average, "average", "params", "key", "x_t", "t", "r", "cond")


def checked_step(step: Any) -> Callable[..., Array]:
    """A step of a sampler. Raises: ValueError for anything else, a denoiser or a field among it."""
    return checked_function(step, "step", "key", "x_t", "t", "s", instead="samplers.bridge makes one of a denoiser")


def checked_rule(rule: Any) -> Callable[..., Any]:
    """A scoring rule. Raises: ValueError for anything else, the class of one among it."""
    return checked_function(rule, "rule", "samples", "observation", "t", instead="scoring.Energy() is one")


def checked_law(law: Any) -> Callable[..., Array]:
    """A law of times. Raises: ValueError for anything else, a grid among it."""
    return checked_function(law, "law", "key", "n", instead="times.uniform and times.power(0.5) are such")


def checked_weight(weight: Any) -> Callable[..., Array]:
    """A weight of times. Raises: ValueError for anything else, a number among it."""
    return checked_function(weight, "weight", "t", instead="weights.uniform and weights.snr(schedule) are such")


def checked_loss(loss_fn: Any) -> Callable[..., Any]:
    """A loss, or a term of one. Raises: ValueError for anything else."""
    return checked_function(loss_fn, "loss_fn", "params", "key", "batch")


def checked_coupling(coupling: Any) -> Callable[..., Array]:
    """A coupling. Raises: ValueError for anything else."""
    return checked_function(coupling, "coupling", "key", "x_0", "x_1", "cond", instead="couplings.sinkhorn is one")


def checked_prior(prior: Any) -> Callable[..., Array]:
    """The law that a flow starts from. Raises: ValueError for anything else."""
    return checked_function(prior, "prior", "key", "shape")


def checked_likelihood(log_likelihood: Any, y: Any = None) -> Callable[..., Array]:
    """A log-likelihood of one event, and of its measurement where there is one. Raises: ValueError for anything else."""
    return checked_function(log_likelihood, "log_likelihood", "x_0", *(() if y is None else ("y",)))


def described(value: Any) -> str:
    """What came, in a few words: a number or a word itself, of an array dtype and shape, else the class."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}: ({', '.join(map(described, value))})"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)[:80]
    shape = getattr(value, "shape", None)
    return (
        type(value).__name__
        if shape is None
        else f"an array of {getattr(value, 'dtype', 'numbers')} and shape {tuple(shape)}"
    )
