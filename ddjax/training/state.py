"""What training carries from step to step, and the step itself."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int

from ddjax.inputs import checked_count, checked_key, checked_keys, checked_loss
from ddjax.types import Key, Keys, LossFn, Metrics, Params

# what jax says when NumPy, or a list, gets a traced array
NUMPY_ON_TRACERS = (jax.errors.TracerArrayConversionError, jax.errors.TracerIntegerConversionError)


class TrainState(NamedTuple):
    """All that a run needs to go on: resuming from it is exact, because every key is folded from (key, step).

    `ema` is the averaged parameters, `others` are averages of other lengths, to choose from when training is done.
    """

    step: Int[Array, ""]
    params: Params
    ema: Params
    opt_state: Any
    key: Key | Keys
    others: tuple[Params, ...] = ()

    @classmethod
    def create(
        cls, params: Params, optimizer: optax.GradientTransformation, key: Key, *, others: int = 0
    ) -> "TrainState":
        """Step 0, with `ema` and so many other averages equal to the parameters; `params` and `key` stay the caller's."""
        key = checked_key(key)
        state = cls(jnp.zeros((), jnp.int32), params, params, optimizer.init(params), key, (params,) * others)
        return state.copy()

    def copy(self) -> "TrainState":
        """The same numbers in buffers of their own, no two of them one, so that they may be donated."""
        return jax.tree.map(jnp.copy, self)

    @property
    def averages(self) -> tuple[Params, ...]:
        """`ema`, then the others."""
        return (self.ema, *self.others)

    def keys(self) -> tuple[Key | Keys, Key | Keys]:
        """The keys of this step's batch and of its loss; of several seeds together (`training.together`), those of each."""
        keys = checked_keys(self.key)
        if keys.ndim:
            return jax.vmap(lambda key: self._replace(key=key).keys())(keys)
        key_batch, key_loss = jax.random.split(jax.random.fold_in(keys, self.step))
        return key_batch, key_loss


def bare(state: TrainState) -> TrainState:
    """The state with its key as plain integers."""
    return state._replace(key=jax.random.key_data(state.key))


def require_finite(state: TrainState, good: Callable[[], str] = lambda: "none") -> None:
    """Refuse a state that cannot be gone on from. A scalar of the optimizer may be infinite: some begin so.

    Args:
        good: tells the last good checkpoint.
    Raises: FloatingPointError naming what is not finite.
    """
    names = ("parameters", "averaged parameters", "numbers of the optimizer")
    found = np.asarray(_finite((state.params, state.averages, state.opt_state)))
    if not found.all():
        told = " and ".join(name for name, finite in zip(names, found, strict=True) if not finite)
        raise FloatingPointError(
            f"the {told} are not finite after step {int(state.step) - 1}; last good checkpoint: {good()}"
        )


@jax.jit
def _finite(parts: tuple[Params, Params, Any]) -> Array:
    def fine(leaf: Array, optimizer: bool) -> Array:
        return (~jnp.isnan(leaf) if optimizer and leaf.ndim == 0 else jnp.isfinite(leaf)).all()

    def whole(tree: Any, optimizer: bool) -> Array:
        numbers = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
        return jnp.stack([jnp.array(True), *(fine(leaf, optimizer) for leaf in numbers)]).all()

    return jnp.stack([whole(part, optimizer) for part, optimizer in zip(parts, (False, False, True), strict=True)])


TrainStep = Callable[[TrainState, Any], tuple[TrainState, Metrics]]


def make_train_step(
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    *,
    ema_decay: float = 0.999,
    accumulate: int = 1,
    other_decays: Sequence[float] = (),
) -> TrainStep:
    """One step of stochastic gradient descent with an exponential moving average of the parameters.

    An average warms up, decay = min(ema_decay, (1 + step) / (10 + step)): a plain average of .999 would still carry a
    third of the initial weights after 1,000 steps.

    Args:
        loss_fn: from `ddjax.objectives`. optimizer: any optax transformation, clipping included.
        ema_decay: in [0, 1); 0 keeps the parameters themselves.
        accumulate: parts of a batch, at least 1; gradients and metrics are means over the parts, each with a key of its
            own, computed one after the other in the memory of one.
        other_decays: of the state's other averages, as many as it has.
    Returns: train_step(state, batch) -> (state, metrics), pure, to be jitted or scanned. Metrics: those of loss_fn, `loss`
        itself, and `grad_norm` before clipping.
    Raises: ValueError for a decay outside [0, 1) or accumulate < 1; the step, for a batch that the parts do not divide,
        a state with another number of averages, or a loss_fn that cannot be traced.
    """
    accumulate = checked_count(accumulate, "accumulate")
    loss_fn = checked_loss(loss_fn)
    decays = (ema_decay, *other_decays)
    if not all(0 <= decay < 1 for decay in decays):
        raise ValueError(f"ema_decay must lie in [0, 1), got {ema_decay=}, {other_decays=}")

    def gradient(params: Params, key: Key, batch: Any) -> tuple[Params, Metrics]:
        try:
            (loss, metrics), grads = jax.value_and_grad(loss_fn, has_aux=True)(params, key, batch)
        except NUMPY_ON_TRACERS as error:
            raise ValueError("loss_fn gives traced arrays to NumPy: compute with jax.numpy instead") from error
        if not isinstance(metrics, dict):
            raise ValueError(f"loss_fn must return (scalar, dict of metrics), got metrics of {type(metrics)}")
        return grads, metrics | {"loss": loss}

    if accumulate > 1:
        gradient = _accumulated(gradient, accumulate)

    def train_step(state: TrainState, batch: Any) -> tuple[TrainState, Metrics]:
        if len(state.averages) != len(decays):
            raise ValueError(f"a state of {len(state.averages)} averages has as many decays, got {decays}")
        _, key_loss = state.keys()
        grads, metrics = gradient(state.params, key_loss, batch)
        slowest = (1 + state.step) / (10 + state.step)
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
            params = optax.apply_updates(state.params, updates)
            ema, *others = (
                optax.incremental_update(params, average, 1 - jnp.minimum(decay, slowest))
                for average, decay in zip(state.averages, decays, strict=True)
            )
            metrics = metrics | {"grad_norm": optax.tree.norm(grads)}
        return TrainState(state.step + 1, params, ema, opt_state, state.key, tuple(others)), metrics

    return train_step


def _accumulated(gradient: Callable, parts: int) -> Callable:
    """The mean of (gradients, metrics) over the parts i, i + parts, i + 2 parts, ... of the batch.

    Strided, so that each part of a batch that is split over devices is split over all of them.
    """

    def accumulated(params: Params, key: Key, batch: Any) -> tuple[Params, Metrics]:
        def split(leaf: Array) -> Array:
            if leaf.shape[0] % parts:
                raise ValueError(f"a batch of {leaf.shape[0]} examples cannot be divided into {parts} parts")
            return jnp.moveaxis(leaf.reshape(-1, parts, *leaf.shape[1:]), 1, 0)

        def add(total: Any, part: Any) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, total, gradient(params, *part)), None

        keys, shares = jax.random.split(key, parts), jax.tree.map(split, batch)
        shapes = jax.eval_shape(gradient, params, key, jax.tree.map(lambda leaf: leaf[0], shares))
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        # unrolled on a CPU, where the gradient of a convolution inside a loop is slow (`training.may_scan`)
        total, _ = jax.lax.scan(add, zeros, (keys, shares), unroll=jax.default_backend() == "cpu")
        return jax.tree.map(lambda leaf: leaf / parts, total)

    return accumulated
