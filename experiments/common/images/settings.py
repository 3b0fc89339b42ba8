"""Settings of image families: where images come from, how they are kept and judged, on which nets, and the presets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from ddjax.cli.settings import MAY_BE_EMPTY, Count, FileToRead, Fraction, NonNegative, Positive, Range
from experiments.common.settings import Scored
from experiments.common.variants import OBJECTIVE

Preset = Literal["digits", "glyphs", "photos", "mnist", "cifar10", "cifar10-dit"]


@dataclass(frozen=True)
class Source:
    """Where images come from."""

    data: str = "digits"
    """digits, glyphs, photos, or a path: MNIST or CIFAR-10 files, a folder of images, a .npz, or .npy files.

    Arrays: x (images, data, arr_0, x_train, ...) [n, h, w], [n, h, w, c] or [n, c, h, w] with 1 or 3 channels, as bytes,
    uint16, booleans, or floats in [0, 1], [-1, 1] or [0, 255]; y (labels, arr_1, y_train, ...) [n], numbers or words. Folders:
    files, or a folder for each class, perhaps inside train and test (or val, valid, ...); transparency is shown on white."""
    image_size: Count | None = None
    """Side of the square that the images of a folder are cropped and scaled to; needed where they differ in size."""
    hold_out: Annotated[int, Range(2)] = 10
    """Of --data PATH without splits of its own, one image in so many is held out for the judges, in all classes alike."""
    skip_unreadable: bool = False
    """Leave out image files that cannot be decoded, in place of an error that names them all."""
    follow_links: bool = False
    """Read what links out of a folder of images lead to, too: DVC, git-annex and the caches of hubs make such folders."""


@dataclass(frozen=True)
class Fed(Source, Scored):
    """How the images of a run are kept and judged."""

    resident: Annotated[int, Range(0)] = 1024
    """Largest training set, in MiB of pixels, that is kept on the device; a larger one streams through Grain."""
    samples: Annotated[int, Range(100)] = 2000
    """Samples for each judged number."""
    inception: FileToRead | None = None
    """Weights of the FID network as safetensors (docs/how-to/torch_weights.md): adds FID to the numbers."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once."""
        sides = {("image_size",): 3 * (self.image_size or 0) ** 2, ("samples",): 64 * self.samples}
        return super().floats() | sides


@dataclass(frozen=True)
class Nets(Scored):
    """Nets for images, and their optimiser."""

    net: Literal["mlp", "unet", "dit"] = "mlp"
    """mlp sees an image as a vector; unet and dit as an image."""
    width: Count = 512
    """Width of the hidden layers (mlp, dit); the UNet has width, 2 width, 2 width at its resolutions."""
    depth: Annotated[int, Range(1, 1000)] = 5
    """Hidden layers (mlp), blocks (dit), or residual blocks at each resolution (unet)."""
    patch: Count = 4
    """Pixels along the side of a token (dit)."""
    overlap: Annotated[int, Range(0)] = 0
    """Pixels beyond each side that a token sees and draws too (dit), up to --patch: its edges show less."""
    attention: Annotated[tuple[Count, ...], MAY_BE_EMPTY] = ()
    """Heights in pixels at which the UNet attends."""
    dropout: Fraction = 0.0
    """Rate inside the blocks of unet and dit while training."""
    bfloat16: bool = False
    """Compute of unet and dit in bfloat16; parameters and loss stay float32."""
    remat: bool = False
    """Recompute blocks of unet and dit in the backward pass: less memory, more time."""
    learning_rate: Positive = 3e-3
    weight_decay: NonNegative = 0.01
    """Decoupled weight decay."""
    warmup: Annotated[int, Range(0)] = 200
    """Steps of warm-up."""
    clip: Positive = 1.0
    """Largest norm of the gradient."""

    def recipe(self) -> dict[str, Any]:
        """What a `recipes.Recipe` takes of them."""
        return super().recipe() | {
            "net": self.net, "patch": self.patch, "overlap": self.overlap, "attention": self.attention, "dropout": self.dropout,
            "bfloat16": self.bfloat16, "remat": self.remat, "warmup": self.warmup, "clip": self.clip,
            "weight_decay": self.weight_decay, "residual": self.net == "mlp",
        }  # fmt: skip


VARIED = (*OBJECTIVE, "score_patch", "score_differences", "patch", "overlap", "weight_decay", "dropout")

_LARGER = {  # what differs from the digits
    "beta": (1.0,), "score_patch": 0, "inject": 2, "time_exponent": 0.7, "learning_rate": 1e-3
}  # fmt: skip
_PAPER = _LARGER | {
    "data": "cifar10", "steps": 200_000, "batch": 256, "weight": "sigmoid", "learning_rate": 2e-4, "warmup": 5000,
    "ema_decay": 0.9999, "bfloat16": True, "samples": 10_000, "save_every": 10_000, "inject": 0, "dropout": 0.1,
}  # fmt: skip
_DIT = _LARGER | {"net": "dit", "width": 128, "learning_rate": 3e-3}
_GLYPHS = _DIT | {
    "data": "glyphs", "depth": 6, "inject": 4, "patch": 7, "overlap": 3, "score_patch": 7, "batch": 128, "steps": 7000,
}  # fmt: skip
_PHOTOS = _DIT | {
    "data": "photos", "width": 192, "depth": 7, "inject": 5, "patch": 8, "overlap": 4, "batch": 64, "steps": 6000,
    "beta": (0.5,), "score_scales": (2, 4, 8, 16), "score_differences": 50.0,
}  # fmt: skip

PRESETS = {
    "preset glyphs": _GLYPHS,
    "preset mnist": _GLYPHS | {"data": "mnist"},
    "preset photos": _PHOTOS,
    "preset cifar10": _PAPER | {"net": "unet", "width": 128, "depth": 2, "attention": (16,)},
    "preset cifar10-dit": _PAPER | {"net": "dit", "width": 384, "depth": 12, "patch": 2},
}

_OF_DATA = {"digits": "digits", "glyphs": "glyphs", "photos": "photos", "mnist": "mnist", "fashion_mnist": "mnist"}
_TOKENS = 6  # along a side, at most


def of_data(data: str) -> dict[str, Any]:
    """The preset of a set by its name; nothing for other sets."""
    return PRESETS.get(f"preset {_OF_DATA[data]}", {}) | {"preset": _OF_DATA[data]} if data in _OF_DATA else {}


def by_size(height: int, width: int) -> dict[str, Any]:
    """Settings for images of a user's own: the preset of the embedded set that is next in size, its tokens and blocks fitted."""
    side, common = max(height, width), math.gcd(height, width)
    if side <= 16:
        return {"preset": "digits", "score_patch": min(3, height, width)}
    patch = next(n for n in range(1, common + 1) if common % n == 0 and (side <= _TOKENS * n or n == common))
    fitted = {"patch": patch, "overlap": patch // 2}
    if side <= 28:
        return _GLYPHS | fitted | {"preset": "glyphs", "score_patch": patch}
    scales = tuple(k for k in _PHOTOS["score_scales"] if common % k == 0)
    return _PHOTOS | fitted | {"preset": "photos", "score_scales": scales}
