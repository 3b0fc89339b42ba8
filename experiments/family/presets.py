"""The few-step family as data: what makes each preset what it is, and what its training step costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from ddjax.recipes import (
    Consistency,
    Distributional,
    Exponential,
    Flow,
    Iddm,
    Imq,
    MeanFlow,
    Optimizer,
    Rbf,
    Recipe,
    Regression,
    Sddm,
    changed,
    part,
)
from experiments.common.variants import OBJECTIVE

Preset = Literal[
    "ddm",
    "iddm",
    "sddm",
    "ddm-imq",
    "ddm-rbf",
    "ddm-exp",
    "ddm-patched",
    "fm",
    "fm-ot",
    "ddpm",
    "consistency",
    "mean-flow",
    "imf",
]

_NOISY = {"time_exponent": 0.7}  # training times u^.7, which favour the noise end
DEFINED: dict[Preset, Callable[..., Recipe]] = {
    "ddm": partial(Distributional, population=4, **_NOISY),
    "iddm": partial(Distributional, rule=Iddm(beta=0.1), population=4, inject=2, **_NOISY),
    "sddm": partial(Distributional, rule=Sddm(), population=3, **_NOISY),
    "ddm-imq": partial(Distributional, rule=Imq(), population=4, **_NOISY),
    "ddm-rbf": partial(Distributional, rule=Rbf(), population=4, **_NOISY),
    "ddm-exp": partial(Distributional, rule=Exponential(), population=4, **_NOISY),
    "ddm-patched": partial(Distributional, score_patch=3, population=4, **_NOISY),
    "fm": Flow,
    "fm-ot": partial(Flow, coupling="aware"),
    "ddpm": partial(Regression, **_NOISY),
    "consistency": partial(Consistency, huber=0.03),
    "mean-flow": MeanFlow,
    "imf": partial(MeanFlow, improved=True),
}


def recipe_of(preset: Preset, settings: Any, *, name: str, event_shape: tuple[int, ...], **changes: Any) -> Recipe:
    """The model of a preset at the size and with the optimiser of the settings, its fields changed by name."""
    optimizer = part(Optimizer, settings, **START)
    made = DEFINED[preset](name=name, event_shape=event_shape, optimizer=optimizer)
    return changed(made, width=settings.width, depth=settings.depth, **changes)


# the same search for every preset (`experiments.family_tuning`): where it begins, and 7 trials, one after the other
START = {"learning_rate": 5e-3}
_RATES: list[dict[str, Any]] = [{"learning_rate": 2e-3}, {"learning_rate": 1e-2}]
_DRAWN = [*_RATES, {"predicts": "v"}, {"references": 32}, {"time_exponent": 1.0}]
_KERNEL = [*_DRAWN, {"bandwidth": 0.3}, {"bandwidth": 3.0}]
_AVERAGE = [*_RATES, {"learning_rate": 2e-2}, {"ema_decay": 0.9995}, {"power": 0.5}, {"equal": 0.25}, {"equal": 0.9}]
_PLAIN = [*_RATES, {"learning_rate": 2e-2}, {"predicts": "v"}, {"ema_decay": 0.9995}, {"ema_decay": 0.99}]
TRIALS: dict[Preset, list[dict[str, Any]]] = {
    "ddm": [*_DRAWN, {"beta": 0.5}, {"inject": 2}],
    "iddm": [*_DRAWN, {"beta": 0.5}, {"inject": 1}],
    "sddm": [*_DRAWN, {"time_exponent": 0.5}, {"inject": 2}],
    "ddm-imq": _KERNEL,
    "ddm-rbf": _KERNEL,
    "ddm-exp": _KERNEL,
    "ddm-patched": [*_DRAWN, {"beta": 0.5}, {"score_patch": 5}],
    "fm": [*_PLAIN, {"weight": "sigmoid"}],
    "fm-ot": [*_PLAIN, {"weight": "sigmoid"}],
    "ddpm": [*_PLAIN, {"time_exponent": 1.0}],
    "consistency": [
        *_RATES,
        {"predicts": "v"},
        {"time_exponent": 0.7},
        {"stride": 0.1},
        {"stride": 0.025},
        {"huber": 0.0},
    ],
    "mean-flow": _AVERAGE,
    "imf": _AVERAGE,
}

# what the search kept, on moons (docs/family.md)
_PROPER = {"references": 32, "time_exponent": 1.0}
TUNED: dict[Preset, dict[str, Any]] = {
    "ddm": {"learning_rate": 1e-2, "beta": 0.5, **_PROPER},
    "iddm": {"learning_rate": 5e-3, "references": 32, "inject": 1},
    "sddm": {"learning_rate": 2e-3, "predicts": "v"},
    "ddm-imq": {"learning_rate": 1e-2, "bandwidth": 0.3, **_PROPER},
    "ddm-rbf": {"learning_rate": 5e-3, "predicts": "v", "bandwidth": 0.3, **_PROPER},
    "ddm-exp": {"learning_rate": 5e-3, "predicts": "v", "bandwidth": 0.3, **_PROPER},
    "fm": {"learning_rate": 1e-2, "predicts": "v", "weight": "sigmoid"},
    "fm-ot": {"learning_rate": 2e-2},
    "ddpm": {"learning_rate": 2e-2},
    "consistency": {"learning_rate": 5e-3},
    "mean-flow": {"learning_rate": 1e-2, "power": 0.5},
    "imf": {"learning_rate": 1e-2, "power": 0.5},
}
# the same on digits, for the presets that are compared there
_DRAWS = {"learning_rate": 1e-2, "predicts": "v", "references": 32, "beta": 0.5}
TUNED_ON_DIGITS: dict[Preset, dict[str, Any]] = {
    "ddm": {**_DRAWS, "inject": 2},
    "ddm-patched": _DRAWS,
    "sddm": {"learning_rate": 5e-3, "references": 32, "time_exponent": 1.0},
    "ddpm": {"learning_rate": 1e-2, "predicts": "v", "ema_decay": 0.99, "time_exponent": 1.0},
    "fm": {"learning_rate": 2e-2, "ema_decay": 0.99},
    "fm-ot": {"learning_rate": 2e-2, "predicts": "v", "ema_decay": 0.99},
}
OF_IMAGES: tuple[Preset, ...] = ("ddm-patched",)  # which a law in the plane has none of


def of_target(target: str) -> dict[Preset, dict[str, Any]]:
    """What the search changed in each preset that was tuned on a target, or on its kind."""
    return TUNED_ON_DIGITS if target == "digits" else TUNED


# seconds of a training step in the plane over those of ddpm's, on two CPU cores (docs/family.md)
COST: dict[Preset, float] = {
    "ddm": 3.6,
    "iddm": 3.2,
    "sddm": 2.0,
    "ddm-imq": 3.1,
    "ddm-rbf": 3.3,
    "ddm-exp": 3.3,
    "fm": 1.1,
    "fm-ot": 2.4,
    "ddpm": 1.0,
    "consistency": 1.4,
    "mean-flow": 1.3,
    "imf": 1.6,
}

VARIED = (*OBJECTIVE, "bandwidth", "references", "gate", "coupling", "stride", "huber", "equal", "power", "warmup")
