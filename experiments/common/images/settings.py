"""Settings of image families: where images come from, how they are kept and judged, on which nets, and the presets."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from ddjax.cli import UserError
from ddjax.cli.settings import (
    MAY_BE_EMPTY,
    Count,
    Exponent,
    FileToRead,
    Fraction,
    NonNegative,
    Positive,
    Range,
    Steps,
)
from ddjax.recipes import Dit, Mlp, Network, Unet, part
from experiments.common.settings import Scored
from experiments.common.variants import OBJECTIVE, variants

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
class Networks(Mlp, Unet, Dit):
    """Networks for images: each takes those of the settings that it has."""

    net: Literal["mlp", "unet", "dit"] = "mlp"
    """mlp sees an image as a vector; unet and dit as an image."""
    width: Count = 512
    """Width of the hidden layers (mlp, dit); the UNet has width, 2 width, 2 width at its resolutions."""
    depth: Annotated[int, Range(1, 1000)] = 5
    """Hidden layers (mlp), blocks (dit), or residual blocks at each resolution (unet)."""
    residual: bool = True
    """Add each hidden layer to its input (mlp)."""
    time: Literal["features", "raw"] = "features"
    """What the network sees of t (mlp)."""
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

    def network(self) -> Network:
        """The one that is named."""
        return part({"mlp": Mlp, "unet": Unet, "dit": Dit}[self.net], self)


@dataclass(frozen=True)
class Nets(Networks, Scored):
    """Networks for images, and their optimiser."""

    learning_rate: Positive = 3e-3
    warmup: Annotated[int, Range(0)] | None = 200
    clip: Positive | None = 1.0
    weight_decay: NonNegative = 0.01


VARIED = (*OBJECTIVE, "score_patch", "score_differences", "patch", "overlap", "weight_decay", "dropout")


@dataclass(frozen=True)
class ImageSettings(Nets, Fed):
    """Everything that is set of models of images."""

    preset: Preset | None = None
    """Settings for one data set (default: those of --data, or for images of your own those for their size); explicit flags
    still win. mnist has those of glyphs; those of cifar10 are for accelerators."""
    steps: Count = 6000
    beta: Annotated[tuple[Exponent, ...], MAY_BE_EMPTY] = (0.1,)
    score_patch: Annotated[int, Range(0)] = 3
    """Side of the patches whose mean score joins that of the whole image, up to the image's; 0 is the paper's score alone."""
    score_scales: Annotated[tuple[Count, ...], MAY_BE_EMPTY] = ()
    """Sides k of blocks that tile an image: their means are scored too, as a smaller image, with weight k."""
    score_differences: NonNegative = 0.0
    """Weight of the score of differences between neighbouring pixels, which see edges between tokens."""
    population: Count = 4
    baseline: bool = True
    """Train the regression baseline too, with the same net and budget."""
    vary: Annotated[tuple[str, ...], MAY_BE_EMPTY] = ()
    """Variants beside every distributional model: `beta=.5,1.5 score_patch=3+inject=0` adds three to each."""
    predicts: Literal["x0", "velocity", "v"] = "x0"
    bias: float = 0.0
    """Shift b of the sigmoid weight, sigmoid(logsnr - b)."""
    time_exponent: Positive = 0.5
    label_dropout: Fraction = 0.1
    """Share of labels hidden while training, for guidance."""
    guidance: float = 1.0
    """Guidance weight w while sampling: 1 is conditional, above it pulls towards the class."""
    churn: Fraction = 1.0
    """Noise of the bridge sampler: 0 is DDIM, 1 is DDPM."""
    nfe: tuple[Steps, ...] = (1, 2, 4, 8, 16, 50)

    def check(self) -> None:
        """Raises: UserError for settings that do not go together."""
        super().check()
        if not (self.beta or self.baseline):
            raise UserError("nothing to train: give --beta a value or leave --baseline on")
        variants(self.vary, VARIED)


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
