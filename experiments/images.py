"""Distributional diffusion on images, beside regression with the same net and budget.

The recipe is the paper's (De Bortoli et al., arXiv 2502.02483): x_0 prediction by the energy score, xi as channels or late,
class conditioning, an average of the parameters. Sizes of the nets are ours; the paper's could not be read.
Expected with --preset digits: distributional diffusion at 1 step closer to the held-out digits than regression at 4.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments import cli, engine

Preset = Literal["digits", "glyphs", "photos", "cifar10", "cifar10-dit"]


@dataclass(frozen=True)
class Config(engine.Engine):
    """Train distributional diffusion (DDM) and x_0 regression on images, and judge both at 1 to 50 steps.

    The embedded sets (digits, glyphs, photos) need nothing; `python -m experiments.fetch` downloads MNIST, Fashion-MNIST and
    CIFAR-10. Writes config.yaml, metrics.jsonl, summary.json, sample grids, figures, report.html and checkpoints into --out.
    """

    preset: Preset = "digits"
    """Settings for one data set; explicit flags still win. cifar10 and cifar10-dit are for accelerators."""
    data: str = "digits"
    """digits, glyphs, photos, or a path: MNIST or CIFAR-10 files, a folder of images, a .npz, or .npy files.

    Arrays: x (images, data, arr_0, x_train, ...) [n, h, w], [n, h, w, c] or [n, c, h, w] with 1 or 3 channels, as bytes,
    uint16, booleans, or floats in [0, 1], [-1, 1] or [0, 255]; y (labels, arr_1, y_train, ...) [n], numbers or words. Folders:
    files, or a folder for each class, perhaps inside train and test (or val, valid, ...); transparency is shown on white."""
    image_size: int | None = None
    """Side of the square that the images of a folder are cropped and scaled to; needed where they differ in size."""
    hold_out: int = 10
    """Of --data PATH without splits of its own, one image in so many is held out for the judges, in all classes alike."""
    skip_unreadable: bool = False
    """Leave out image files that cannot be decoded, in place of an error that names them all."""
    resident: int = 1024
    """Largest training set, in MiB of pixels, that is kept on the device; a larger one streams through Grain."""
    seeds: int = 1
    """Number of seeds, 0 to seeds - 1."""
    steps: int = 6000
    """Training steps of each model."""
    batch: int = 512
    """Examples for each training step."""
    beta: tuple[float, ...] = (0.1,)
    """Exponents of the energy score, each in (0, 2]; one model for each."""
    lam: float = 1.0
    """Weight of the interaction: 1 is the proper rule."""
    score_patch: int = 3
    """Side of the patches whose mean score joins that of the whole image, up to the image's; 0 is the paper's score alone."""
    population: int = 4
    """Draws m for each example in the loss; at least 2 when lam > 0."""
    baseline: bool = True
    """Train the regression baseline too, with the same net and budget."""
    net: Literal["mlp", "unet", "dit"] = "mlp"
    """mlp sees an image as a vector; unet and dit as an image."""
    width: int = 512
    """Width of the hidden layers (mlp, dit); the UNet has width, 2 width, 2 width at its resolutions."""
    depth: int = 5
    """Hidden layers (mlp), blocks (dit), or residual blocks at each resolution (unet)."""
    patch: int = 4
    """Pixels along the side of a token (dit)."""
    attention: tuple[int, ...] = ()
    """Heights in pixels at which the UNet attends."""
    inject: int = 1
    """The layer or block that xi joins: 0 is the input (the paper's), later ones share more over the population."""
    dropout: float = 0.0
    """Rate inside the blocks of unet and dit while training."""
    bfloat16: bool = False
    """Compute of unet and dit in bfloat16; parameters and loss stay float32."""
    remat: bool = False
    """Recompute blocks of unet and dit in the backward pass: less memory, more time."""
    predicts: Literal["x0", "velocity"] = "x0"
    """What the nets output; the score is taken of x_0 either way."""
    weight: Literal["uniform", "sigmoid"] = "uniform"
    """w(t) of the loss: sigmoid is the paper's for images; it starves the first steps of few-step sampling."""
    bias: float = 0.0
    """Shift b of the sigmoid weight, sigmoid(logsnr - b)."""
    time_exponent: float = 0.5
    """Training times are u^exponent: below 1 favours the noise end."""
    learning_rate: float = 3e-3
    """Peak rate of AdamW, after a warm-up and before a cosine decay to 1 percent."""
    weight_decay: float = 0.01
    """Decoupled weight decay."""
    warmup: int = 200
    """Steps of warm-up."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    ema_decay: float = 0.999
    """Decay of the averaged parameters that are sampled from."""
    label_dropout: float = 0.1
    """Share of labels hidden while training, for guidance."""
    guidance: float = 1.0
    """Guidance weight w while sampling: 1 is conditional, above it pulls towards the class."""
    churn: float = 1.0
    """Noise of the bridge sampler in [0, 1]: 0 is DDIM, 1 is DDPM."""
    nfe: tuple[int, ...] = (1, 2, 4, 8, 16, 50)
    """Numbers of sampling steps to judge."""
    samples: int = 2000
    """Samples for each judged number."""
    inception: Path | None = None
    """Weights of the FID network (pt_inception-2015-12-05.pth, or a safetensors copy): adds FID to the numbers."""
    save_every: int = 1000
    """Training steps between checkpoints and sample grids, a multiple of 100."""
    config: Path | None = None
    """A YAML file of settings named as the flags; the command line wins over it."""


_LARGER = {  # what differs from the digits
    "beta": (1.0,), "score_patch": 0, "inject": 2, "time_exponent": 0.7, "learning_rate": 1e-3
}  # fmt: skip
_PAPER = _LARGER | {
    "data": "cifar10", "steps": 200_000, "batch": 256, "weight": "sigmoid", "learning_rate": 2e-4, "warmup": 5000,
    "ema_decay": 0.9999, "bfloat16": True, "samples": 10_000, "save_every": 10_000, "inject": 0, "dropout": 0.1,
}  # fmt: skip

PRESETS = {
    "preset glyphs": _LARGER | {"data": "glyphs", "net": "dit", "width": 128, "depth": 4, "batch": 128, "steps": 4000},
    "preset photos": _LARGER
    | {
        "data": "photos",
        "net": "dit",
        "width": 128,
        "depth": 6,
        "batch": 64,
        "inject": 3,
        "steps": 4000,
    },
    "preset cifar10": _PAPER | {"net": "unet", "width": 128, "depth": 2, "attention": (16,)},
    "preset cifar10-dit": _PAPER | {"net": "dit", "width": 384, "depth": 12, "patch": 2},
}


def check(config: Config) -> None:
    """Raises: ValueError for settings that no run can have, before any compute."""
    if config.population < 2 and config.lam > 0:
        raise ValueError(f"--population must be at least 2 when lam > 0, got {config.population}")
    if config.lam < 0:
        raise ValueError(f"--lam must not be negative, got {config.lam}")
    if bad := [beta for beta in config.beta if not 0 < beta <= 2]:
        raise ValueError(f"--beta must lie in (0, 2], got {bad[0]}")
    if not (config.beta or config.baseline) or not config.nfe:
        raise ValueError("nothing to do: give --beta a value or leave --baseline on, and give --nfe one")
    cli.require_at_least(config, 1, "seeds", "steps", "batch", "width", "depth", "patch", "save_every", "nfe")
    cli.require_at_least(config, 0, "resident", "score_patch")
    cli.require_at_least(config, 100, "samples")
    if config.inception is not None and not config.inception.is_file():
        raise ValueError(f"--inception {config.inception} is not a file")
    if config.save_every % 100:
        raise ValueError(f"--save-every must be a multiple of 100, got {config.save_every}")
    for name in ("dropout", "label_dropout", "churn"):
        if not 0 <= getattr(config, name) <= 1:
            raise ValueError(f"--{name.replace('_', '-')} must lie in [0, 1], got {getattr(config, name)}")
    if not (config.learning_rate > 0 and config.time_exponent > 0 and config.clip > 0 and config.weight_decay >= 0):
        raise ValueError("--learning-rate, --time-exponent and --clip must be positive, --weight-decay not negative")
    if not (0 <= config.ema_decay < 1 and config.warmup >= 0):
        raise ValueError("--ema-decay must lie in [0, 1), --warmup must not be negative")


def run(config: Config) -> None:
    """Train, judge, write the report, print the tables."""
    check(config)
    engine.start(config)
    from experiments.imaging import feeds, run

    with feeds.in_flags():
        run.run(config)


if __name__ == "__main__":
    cli.main(Config, run, presets=PRESETS)
