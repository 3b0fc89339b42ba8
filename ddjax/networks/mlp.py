"""The MLP denoiser for vectors, with xi concatenated early or late, or behind a gate."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.inputs import checked_count, checked_key
from ddjax.networks.adapters import labelled
from ddjax.networks.conditions import checked_condition, condition_shape
from ddjax.networks.embeddings import TimeFeatures, time_features
from ddjax.networks.injection import Injection
from ddjax.networks.populations import folding, repeated
from ddjax.types import Network


class MLP(nn.Module):
    """`depth` hidden layers of `width` on [x_t, time features, cond], xi concatenated at the input of layer `inject`, or gated.

    A layer on a concatenation is the sum of two layers, and that is how it is written: the large product with the
    hidden state is shared by the population, and only the small one with xi, and what follows, repeats.
    """

    out: int
    width: int
    depth: int
    inject: int | None
    time: TimeFeatures
    residual: bool
    gate: bool
    dtype: Any

    @nn.compact
    def __call__(
        self,
        x_t: Float[Array, "batch d"],
        t: Float[Array, " batch"],
        cond: Float[Array, "batch c"] | None = None,
        xi: Float[Array, "rows d"] | None = None,
    ) -> Float[Array, "_ out"]:
        """The prediction at each (x_t, t), or row of xi."""
        features = self.time(t.astype(x_t.dtype))
        inputs = [x_t, features]
        h = jnp.concatenate(inputs if cond is None else [*inputs, cond], -1)
        for layer in range(self.depth):
            if self.gate and layer == self.inject:
                h = Injection(self.dtype, name="injection")(h, features, xi)
            update = nn.Dense(self.width, dtype=self.dtype, name=f"hidden_{layer}")(h)
            if not self.gate and layer == self.inject:
                of_xi = nn.Dense(self.width, use_bias=False, dtype=self.dtype, name="xi")(xi)
                update = repeated(update, xi.shape[0]) + of_xi  # pyright: ignore[reportOptionalMemberAccess]
            update = nn.silu(update)
            h = repeated(h, update.shape[0]) + update if self.residual and layer > 0 else update
        return nn.Dense(self.out, dtype=self.dtype, name="out")(h)


def mlp(
    size: int,
    *,
    width: int = 128,
    depth: int = 4,
    inject: int | None = 0,
    classes: int = 0,
    cond_size: int = 0,
    time: TimeFeatures = time_features,
    residual: bool = False,
    gate: bool = False,
    dtype: Any = None,
) -> Network:
    """An MLP on vectors of `size` numbers.

    Args:
        inject: the hidden layer whose input xi joins: 0 is early (the paper's concatenation), k > 0 means "after hidden
            layer k" and shares everything above over the population; None is a network without xi, for mean denoisers.
        classes: number of labels, 0 for none; the label `classes` is the null, as in `networks.labelled`. cond_size: length of
            the condition vector [batch, cond_size], 0 for none. One of the two. residual: add each hidden layer to its input.
        gate: xi joins in a block of its own before hidden layer `inject` > 0, behind a gate of t that is zero at first
            (`networks.injection`), in place of a concatenation.
        time: features of t, `embeddings.time_features` or `embeddings.raw_time`.
        dtype: of the compute, None for that of x_t and the parameters together; these, and the output where it is told, keep
            theirs.
    Returns: Network(init(key), apply(params, x_t [batch, size], t [batch], cond | None, xi)).
    Raises: ValueError for an injection outside the hidden layers, or two kinds of conditions; `apply`, for events or a
        condition of another shape.

    >>> network = mlp(2, width=8, depth=2)
    >>> params = network.init(jax.random.key(0))
    >>> network.apply(params, jnp.zeros((5, 2)), jnp.full(5, 0.5), None, jnp.zeros((5, 2))).shape
    (5, 2)
    """
    size, width, depth = (checked_count(n, name) for n, name in ((size, "size"), (width, "width"), (depth, "depth")))
    if inject is not None and not 0 <= inject < depth:
        raise ValueError(f"xi joins one of the hidden layers 0..{depth - 1}, got {inject=}")
    if gate and not inject:
        raise ValueError(f"a gate stands before a later hidden layer than the first, got {inject=}")
    cond_shape = condition_shape((size,), classes=classes, cond_size=cond_size)
    module = MLP(size, width, depth, inject, time, residual, gate, dtype)

    def init(key: Array) -> Any:
        x = jnp.zeros((1, size))
        cond = None if cond_shape is None else jnp.zeros((1, *cond_shape))
        return module.init(checked_key(key), x, jnp.zeros((1,)), cond, None if inject is None else x)

    def apply(params: Any, x_t: Array, t: Array, cond: Any = None, xi: Array | None = None) -> Array:
        cond = checked_condition(x_t, cond, xi, event_shape=(size,), cond_shape=cond_shape, inject=inject)
        out = module.apply(params, x_t, t, cond, xi)
        return out if dtype is None else out.astype(x_t.dtype)  # pyright: ignore[reportAttributeAccessIssue]

    network = Network(jax.jit(init), folding(apply))
    return labelled(network, classes) if classes else network
