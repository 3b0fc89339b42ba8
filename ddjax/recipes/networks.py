"""Networks as plain values, each with what it has and nothing else.

`make` gives a `types.Network` without importing jax before it is called.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from ddjax.cli.settings import MAY_BE_EMPTY, Count, Depth, Fraction, Range

Kernel = Literal["auto", "xla", "cudnn"]
Number = Annotated[int, Range(0)]


@dataclass(frozen=True, kw_only=True)
class Layers:
    """The size of a network of hidden layers."""

    width: Count = 128
    """Width of the hidden layers."""
    depth: Depth = 4
    """Number of hidden layers."""


@dataclass(frozen=True, kw_only=True)
class Mlp(Layers):
    """A multi-layer perceptron, which sees an event as one vector."""

    residual: bool = False
    """Add each hidden layer to its input."""
    time: Literal["features", "raw"] = "features"
    """What the network sees of t."""

    def make(
        self,
        event_shape: tuple[int, ...],
        *,
        classes: int = 0,
        cond_size: int = 0,
        inject: int | None = None,
        gate: bool = False,
        dropout: bool = True,
        kernel: Kernel = "auto",
    ):
        """The `types.Network` of events of any shape; it has neither dropout nor attention."""
        from ddjax import networks

        network = networks.mlp(
            math.prod(event_shape),
            width=self.width,
            depth=self.depth,
            inject=inject,
            classes=classes,
            cond_size=cond_size,
            time=networks.raw_time if self.time == "raw" else networks.time_features,
            residual=self.residual,
            gate=gate,
        )
        return network if len(event_shape) == 1 else networks.flattened(network, event_shape)


@dataclass(frozen=True, kw_only=True)
class _OfImages:
    """What both networks of images have."""

    width: Count
    depth: Depth
    dropout: Fraction = 0.0
    """Rate inside the blocks while training, in [0, 1]."""
    bfloat16: bool = False
    """Compute in bfloat16; parameters and loss stay float32."""
    remat: bool = False
    """Recompute blocks in the backward pass: less memory, more time."""

    def make(self, event_shape: tuple[int, ...], *, inject: int | None = None, dropout: bool = True, **sizes: Any):
        """The `types.Network` of images.

        Args:
            inject: the block that xi joins, None without xi. sizes: classes, cond_size and kernel, as `networks.unet` and
                `networks.dit` take them.
        Raises: ValueError as these do, and for events that are no images.
        """
        import jax.numpy as jnp

        if len(event_shape) != 3:
            raise ValueError(f"{type(self).__name__} sees images [height, width, channels], got {event_shape=}")
        dtype = jnp.bfloat16 if self.bfloat16 else jnp.float32
        sizes |= {"width": self.width, "depth": self.depth, "dropout": self.dropout if dropout else 0.0}
        return self._network(event_shape, inject=inject, dtype=dtype, remat=self.remat, **sizes)

    def _network(self, event_shape: tuple[int, ...], **settings: Any) -> Any:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Unet(_OfImages):
    """A U-Net, of width, 2 width and 2 width at its three resolutions."""

    width: Count = 128
    """Channels at the first resolution; twice as many at the others."""
    depth: Depth = 4
    """Residual blocks at each resolution."""
    attention: Annotated[tuple[Count, ...], MAY_BE_EMPTY] = ()
    """Heights in pixels at which the network attends."""

    def _network(self, event_shape: tuple[int, ...], **settings: Any) -> Any:
        from ddjax import networks

        return networks.unet(event_shape, attention=self.attention, **settings)


@dataclass(frozen=True, kw_only=True)
class Dit(_OfImages):
    """A diffusion transformer."""

    width: Count = 128
    """Width of the tokens."""
    depth: Depth = 4
    """Number of blocks."""
    patch: Count = 4
    """Pixels along the side of a token."""
    overlap: Number = 0
    """Pixels beyond each side that a token sees and draws too, at most `patch`."""

    def _network(self, event_shape: tuple[int, ...], **settings: Any) -> Any:
        from ddjax import networks

        return networks.dit(event_shape, patch=self.patch, overlap=self.overlap, **settings)


Network = Mlp | Unet | Dit
