"""The few-step family as data: what makes each preset what it is, and what its training step costs."""

from __future__ import annotations

from typing import Any, Literal

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
DEFINED: dict[Preset, dict[str, Any]] = {
    "ddm": {"population": 4, **_NOISY},
    "iddm": {"rule": "iddm", "beta": 0.1, "population": 4, "inject": 2, **_NOISY},
    "sddm": {"rule": "sddm", "population": 3, **_NOISY},
    "ddm-imq": {"rule": "imq", "population": 4, **_NOISY},
    "ddm-rbf": {"rule": "rbf", "population": 4, **_NOISY},
    "ddm-exp": {"rule": "exponential", "population": 4, **_NOISY},
    "ddm-patched": {"score_patch": 3, "population": 4, **_NOISY},
    "fm": {"kind": "flow"},
    "fm-ot": {"kind": "flow", "coupling": "aware"},
    "ddpm": {"kind": "regression", **_NOISY},
    "consistency": {"kind": "consistency", "huber": 0.03},
    "mean-flow": {"kind": "mean_flow", "time": "raw"},
    "imf": {"kind": "mean_flow", "time": "raw", "improved": True},
}

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
PRESETS = {name: DEFINED[name] | changes for name, changes in TUNED.items()}
ON_DIGITS = {name: DEFINED[name] | changes for name, changes in TUNED_ON_DIGITS.items()}


OF_IMAGES: tuple[Preset, ...] = ("ddm-patched",)  # which a law in the plane has none of


def of_target(target: str) -> dict[Preset, dict[str, Any]]:
    """The presets that were tuned on a target, or on its kind."""
    return ON_DIGITS if target == "digits" else PRESETS


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

VARIED = (*OBJECTIVE, "bandwidth", "references", "gate", "coupling", "stride", "huber", "equal", "power", "cosine")
