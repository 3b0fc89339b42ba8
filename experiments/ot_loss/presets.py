"""Models of the active phase as data: the stages of each and what its loss gains."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from ddjax.recipes import Distributional, Energy, Recipe, Regression, Transport

DDPM = partial(Regression, schedule="ddpm", predicts="noise", weight="snr")
_DDM = partial(Distributional, rule=Energy(beta=0.1), predicts="x0", score_patch=3, time_exponent=0.5, population=4)
NONE = Transport(weight=0.0)
_HIGH, _EQUAL = (
    partial(Transport, weight=0.1),
    partial(Transport, weight=1.0),
)  # the loss weighs ten times as much, or as much
_BLUR_10, _BLUR_05 = {"blur": 10.0, "relative_blur": False}, {"blur": 0.05, "relative_blur": False}
_LATE = partial(_EQUAL, until=0.3)  # where the posterior is narrow, and its mean nearly a draw
_FALLING = ((0.8, 0.5), (0.9, 0.3), (1.0, 0.15))  # by (share of the steps): the blur in median distances


class Preset(NamedTuple):
    """A model in stages, each (share of the steps at which it ends, its transport); `resumes` the passive model."""

    make: Callable[..., Recipe]
    stages: tuple[tuple[float, Transport], ...]
    resumes: bool = False


def _whole(transport: Transport) -> tuple[tuple[float, Transport], ...]:
    return ((1.0, transport),)


PRESETS = {
    "passive-longer": Preset(DDPM, _whole(NONE), resumes=True),
    "resume-mse-high-blur10": Preset(DDPM, _whole(_HIGH(**_BLUR_10)), resumes=True),
    "retrain-mse-high-blur10": Preset(DDPM, _whole(_HIGH(**_BLUR_10))),
    "retrain-mse-high-blur.05": Preset(DDPM, _whole(_HIGH(**_BLUR_05))),
    "retrain-equal-blur10": Preset(DDPM, _whole(_EQUAL(**_BLUR_10))),
    "adaptive": Preset(DDPM, tuple((share, _LATE(blur=blur)) for share, blur in _FALLING), resumes=True),
    "late-blur.3": Preset(DDPM, _whole(_LATE(blur=0.3)), resumes=True),
    "ddm": Preset(_DDM, _whole(NONE)),
    "ddm-transport": Preset(_DDM, _whole(Transport(weight=0.003, blur=1.0))),  # an energy score has small gradients
}
