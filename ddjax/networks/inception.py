"""InceptionV3 as the Frechet inception distance uses it: the network of 2015 with 1008 outputs, up to its 2048 pooled features.

It differs from the classifier of today's libraries: averages at the border leave the padding out, and the last block pools
by the maximum. Images are resized to 299 x 299 by bilinear interpolation between pixel centres, without smoothing when they
shrink, and run over [-1, 1]. Weights come from a file of the user, `pt_inception-2015-12-05` as safetensors
(docs/how-to/torch_weights.md); modules are named as there.

References: Szegedy et al., arXiv 1512.00567; Heusel et al., arXiv 1706.08500.
"""

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.networks import weights
from ddjax.networks.initial import lecun_normal
from ddjax.types import Key, Params

FEATURES = 2048
_SIDE = 299
_UNUSED = ("fc.", "AuxLogits.")  # the classifiers


class Norm(nn.Module):
    """Normalisation by the stored mean and variance."""

    @nn.compact
    def __call__(self, h: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """The normalised image."""
        ones, zeros, shape = nn.initializers.ones, nn.initializers.zeros, h.shape[-1:]
        weight, bias = self.param("weight", ones, shape), self.param("bias", zeros, shape)
        mean, variance = self.param("running_mean", zeros, shape), self.param("running_var", ones, shape)
        scale = weight * jax.lax.rsqrt(variance + 1e-3)
        return h * scale.reshape(1, 1, 1, -1) + (bias - mean * scale).reshape(1, 1, 1, -1)


class Convolution(nn.Module):
    """relu(norm(convolution)), without bias; padded to the same size unless it strides or narrows."""

    features: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    narrows: bool = False

    @nn.compact
    def __call__(self, h: Float[Array, "b h w c"]) -> Float[Array, "b _ _ {self.features}"]:
        """The next image."""
        padding = "VALID" if self.narrows or self.stride > 1 else "SAME"
        strides = (self.stride, self.stride)
        h = nn.Conv(
            self.features,
            self.kernel,
            strides,
            padding,
            use_bias=False,
            kernel_init=lecun_normal,
            name="conv",
        )(h)
        return nn.relu(Norm(name="bn")(h))


def _average(h: Array) -> Array:
    return nn.avg_pool(h, (3, 3), padding="SAME", count_include_pad=False)


def _largest(h: Array) -> Array:
    return nn.max_pool(h, (3, 3), padding="SAME")


def _halved(h: Array) -> Array:
    return nn.max_pool(h, (3, 3), (2, 2))


# A branch is a list of (name, features, kernel, stride); a tuple of names at its end is a fork: both, side by side.
_3, _5, _ROW, _COLUMN = (3, 3), (5, 5), (1, 7), (7, 1)


def _mixed_5(pooled: int) -> tuple:
    return (
        [("branch1x1", 64)],
        [("branch5x5_1", 48), ("branch5x5_2", 64, _5)],
        [("branch3x3dbl_1", 64), ("branch3x3dbl_2", 96, _3), ("branch3x3dbl_3", 96, _3)],
        [_average, ("branch_pool", pooled)],
    )


def _mixed_6(c: int) -> tuple:
    double = [("branch7x7dbl_1", c), ("branch7x7dbl_2", c, _COLUMN), ("branch7x7dbl_3", c, _ROW)]
    return (
        [("branch1x1", 192)],
        [("branch7x7_1", c), ("branch7x7_2", c, _ROW), ("branch7x7_3", 192, _COLUMN)],
        [*double, ("branch7x7dbl_4", c, _COLUMN), ("branch7x7dbl_5", 192, _ROW)],
        [_average, ("branch_pool", 192)],
    )


def _mixed_7(pool: Any) -> tuple:
    return (
        [("branch1x1", 320)],
        [("branch3x3_1", 384), ("branch3x3_2",)],
        [("branch3x3dbl_1", 448), ("branch3x3dbl_2", 384, _3), ("branch3x3dbl_3",)],
        [pool, ("branch_pool", 192)],
    )


_MIXED = {
    "Mixed_5b": _mixed_5(32),
    "Mixed_5c": _mixed_5(64),
    "Mixed_5d": _mixed_5(64),
    "Mixed_6a": (
        [("branch3x3", 384, _3, 2)],
        [("branch3x3dbl_1", 64), ("branch3x3dbl_2", 96, _3), ("branch3x3dbl_3", 96, _3, 2)],
        [_halved],
    ),
    "Mixed_6b": _mixed_6(128),
    "Mixed_6c": _mixed_6(160),
    "Mixed_6d": _mixed_6(160),
    "Mixed_6e": _mixed_6(192),
    "Mixed_7a": (
        [("branch3x3_1", 192), ("branch3x3_2", 320, _3, 2)],
        [
            ("branch7x7x3_1", 192),
            ("branch7x7x3_2", 192, _ROW),
            ("branch7x7x3_3", 192, _COLUMN),
            ("branch7x7x3_4", 192, _3, 2),
        ],
        [_halved],
    ),
    "Mixed_7b": _mixed_7(_average),
    "Mixed_7c": _mixed_7(_largest),
}


class Mixed(nn.Module):
    """Branches side by side."""

    branches: Any

    @nn.compact
    def __call__(self, h: Float[Array, "b h w c"]) -> Float[Array, "b _ _ _"]:
        """The channels of all branches."""
        return jnp.concatenate([self._through(branch, h) for branch in self.branches], -1)

    def _through(self, branch: Any, h: Array) -> Array:
        for layer in branch:
            match layer:
                case (name,):  # a fork: a row and a column of three, side by side
                    parts = [(f"{name}a", (1, 3)), (f"{name}b", (3, 1))]
                    h = jnp.concatenate([Convolution(384, kernel, name=part)(h) for part, kernel in parts], -1)
                case (name, *settings):
                    h = Convolution(*settings, name=name)(h)
                case pool:
                    h = pool(h)
        return h


class Inception(nn.Module):
    """Images [batch, 299, 299, 3] in [-1, 1] to features [batch, 2048]."""

    @nn.compact
    def __call__(self, h: Float[Array, "batch h w 3"]) -> Float[Array, "batch 2048"]:
        """The pooled features."""
        h = Convolution(32, _3, 2, name="Conv2d_1a_3x3")(h)
        h = Convolution(32, _3, narrows=True, name="Conv2d_2a_3x3")(h)
        h = _halved(Convolution(64, _3, name="Conv2d_2b_3x3")(h))
        h = Convolution(80, name="Conv2d_3b_1x1")(h)
        h = _halved(Convolution(192, _3, narrows=True, name="Conv2d_4a_3x3")(h))
        for name, branches in _MIXED.items():
            h = Mixed(branches, name=name)(h)
        return h.mean((1, 2))


def init(key: Key) -> Params:
    """Random parameters, for tests and for the structure of `load`."""
    return Inception().init(key, jnp.zeros((1, _SIDE, _SIDE, 3)))


def load(path: str | Path) -> Params:
    """The published weights, from a safetensors copy of torch's file.

    Raises: FileNotFoundError; ValueError for a file of another network, or one that is not safetensors.
    """
    return weights.from_torch(weights.read(path), jax.eval_shape(init, jax.random.key(0)), ignored=_UNUSED)


@jax.jit
def features(params: Params, images: Float[Array, "batch h w c"]) -> Float[Array, "batch 2048"]:
    """Features of images with 1 or 3 channels in [0, 1] (bytes divided by 255)."""
    if images.shape[-1] not in (1, 3):
        raise ValueError(f"need grey or colour images [batch, h, w, 1 or 3], got {images.shape=}")
    images = jnp.broadcast_to(images, (*images.shape[:-1], 3))
    sides = (images.shape[0], _SIDE, _SIDE, 3)
    return Inception().apply(params, 2 * jax.image.resize(images, sides, "bilinear", antialias=False) - 1)
