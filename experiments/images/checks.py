"""What can be known of a run's images before anything is trained, so that no run trains and then cannot be judged."""

import hashlib
from typing import Any

import jax
import numpy as np

from ddjax.cli import UserError
from ddjax.data import Folder, Images
from experiments.common.images import evaluate as judging
from experiments.common.images import feeds
from experiments.common.images.settings import Fed, Nets


def require_judgeable(train: Images | Folder, test: Images | Folder, settings: Fed) -> None:
    """Raises: UserError for images that cannot be trained on and judged as the settings say, naming what would help."""
    if train.shape != test.shape:
        raise UserError(f"training images are {train.shape} and held-out images {test.shape} (height, width, channels)")
    least = judging.K + 1
    if len(test) < least:
        total = len(train) + len(test)
        fits = (total - 1) // judging.K  # the largest share, one in so many, that leaves enough
        help_ = f"or hold out more of these with --hold-out {fits}" if fits > 1 else "and to train on"
        raise UserError(
            f"samples are judged by their k = {judging.K} nearest neighbours, which needs at least {least} held-out images, "
            f"got {len(test)}: give more in --data {settings.data}, {help_}"
        )
    if len(train) < least:
        raise UserError(
            f"at least {least} training images are needed, got {len(train)}: give more in --data {settings.data}"
        )
    if train.labels is not None and (missing := set(test.labels.tolist()) - set(train.labels.tolist())):  # pyright: ignore[reportOptionalMemberAccess]
        names = ", ".join(repr(train.classes[label]) for label in sorted(missing))
        raise UserError(
            f"classes without a training image: {names}: add some in --data {settings.data}, or leave them out"
        )
    if feeds.streamed(train, settings) and settings.batch > len(train):
        raise UserError(f"--batch must be at most the {len(train)} images of a streamed set, got {settings.batch}")
    if settings.inception is not None:
        from ddjax.networks import inception

        jax.block_until_ready(inception.load(settings.inception))


def chosen(settings: Nets, shape: tuple[int, int, int]) -> str:
    """A line on the settings that follow from the size of images, whether by a preset or by flags."""
    names = ["net", "width", "depth"] + (["patch", "overlap"] if settings.net == "dit" else [])
    told = [
        f"--{name.replace('_', '-')} {getattr(settings, name)}" for name in (*names, "batch", "steps", "learning_rate")
    ]
    return f"images of {shape[0]} x {shape[1]}: {' '.join(told)}"


def require_bfloat16(settings: Nets, device: Any) -> None:
    """Raises: UserError for bfloat16 on an NVIDIA GPU older than Ampere, which computes it through float32."""
    capability = getattr(device, "compute_capability", None)
    if settings.bfloat16 and capability is not None and float(capability) < 8:
        raise UserError(
            f"{device.device_kind} (compute capability {capability}) has no bfloat16: give --no-bfloat16, and --remat "
            "where memory is short"
        )


def copies(train: Images | Folder, test: Images | Folder, settings: Fed) -> str:
    """A line on held-out images that are training images too, empty if there are none or a set is streamed."""
    if any(feeds.streamed(images, settings) for images in (train, test)):
        return ""
    seen = {_digest(image) for image in train.x}  # pyright: ignore[reportAttributeAccessIssue]
    n = sum(_digest(image) in seen for image in test.x)  # pyright: ignore[reportAttributeAccessIssue]
    if not n:
        return ""
    return f"{n} of {len(test)} held-out images are copies of training images: distances to them flatter what remembers"


def _digest(image: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image), digest_size=16).digest()
