"""Settings."""

from dataclasses import dataclass
from typing import Any

from experiments.common.images.settings import ImageSettings, by_size, of_data


@dataclass(frozen=True)
class Config(ImageSettings):
    """Train distributional diffusion (DDM) and x_0 regression on images, and judge both at 1 to 50 steps.

    The embedded sets (digits, glyphs, photos) need nothing; `ddjax fetch` downloads MNIST, Fashion-MNIST and
    CIFAR-10. Writes config.yaml, metrics.jsonl, summary.json, sample grids, figures, report.html and checkpoints into --out.

    Example: python -m experiments.images --data digits --preset digits --out runs/digits
    """


def presumed(settings: Config) -> dict[str, Any]:
    """Where no preset is named: that of the data, or what suits images of their size."""
    if settings.preset is not None:
        return {}
    from experiments.common.images import feeds  # looks at the images, which needs jax

    side = settings.image_size
    follow = of_data(settings.data) or by_size(*((side, side) if side else feeds.shape(settings)[:2]))
    if "inject" in follow and settings.depth != Config.depth:  # fewer blocks than these have: xi joins before the last
        follow |= {"inject": min(follow["inject"], settings.depth - 1)}
    return follow
