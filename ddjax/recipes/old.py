"""The flat form in which versions before 0.4 stored recipes: the entries of all kinds side by side, most without effect.

What had none is left out. Runs and exports of those versions are sampled and resumed through it.
"""

from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from ddjax.cli.settings import (
    MAY_BE_EMPTY,
    MAY_REPEAT,
    Count,
    Decay,
    Depth,
    Exponent,
    Fraction,
    NonNegative,
    Positive,
    Range,
    refusal,
)
from ddjax.recipes import rules
from ddjax.recipes.conditions import Condition, Labels, Numbers
from ddjax.recipes.consistency import Consistency
from ddjax.recipes.distributional import Distributional
from ddjax.recipes.flow import Flow
from ddjax.recipes.inflation import Inflation
from ddjax.recipes.mean_flow import MeanFlow
from ddjax.recipes.networks import Dit, Mlp, Unet
from ddjax.recipes.optimizer import Optimizer
from ddjax.recipes.parts import part
from ddjax.recipes.recipe import Recipe
from ddjax.recipes.regression import Regression
from ddjax.recipes.transport import Transport

Number = Annotated[int, Range(0)]
Share = Annotated[float, Range(0, 1, "(]")]


@dataclass(frozen=True, kw_only=True)
class _Flat:
    """All entries, with the defaults that they had."""

    name: str
    kind: Literal["distributional", "regression", "flow", "inflation", "consistency", "mean_flow"] = "distributional"
    event_shape: Annotated[tuple[Count, ...], MAY_REPEAT]
    classes: Number = 0
    cond_size: Number = 0
    schedule: Literal["rectified", "ddpm"] = "rectified"
    predicts: Literal["x0", "velocity", "v", "noise"] = "velocity"
    net: Literal["mlp", "unet", "dit"] = "mlp"
    width: Count = 128
    depth: Depth = 4
    inject: Number = 1
    gate: bool = False
    residual: bool = False
    time: Literal["features", "raw"] = "features"
    patch: Count = 4
    overlap: Number = 0
    attention: Annotated[tuple[Count, ...], MAY_BE_EMPTY] = ()
    dropout: Fraction = 0.0
    bfloat16: bool = False
    remat: bool = False
    rule: Literal["energy", "imq", "rbf", "exponential", "iddm", "sddm"] = "energy"
    beta: Exponent = 1.0
    lam: NonNegative = 1.0
    bandwidth: Positive = 1.0
    score_patch: Number = 0
    score_scales: Annotated[tuple[Count, ...], MAY_BE_EMPTY] = ()
    score_differences: NonNegative = 0.0
    population: Count = 8
    references: Count = 1
    weight: Literal["uniform", "sigmoid", "snr"] = "uniform"
    bias: float = 0.0
    time_exponent: Positive = 1.0
    coupling: Literal["independent", "blind", "aware"] = "independent"
    share: Fraction = 0.99
    transport: NonNegative | None = None
    blur: Positive = 0.1
    relative_blur: bool = True
    transport_until: Share = 1.0
    within_classes: bool = False
    features: Annotated[str, MAY_BE_EMPTY] = ""
    stride: Share = 0.05
    huber: NonNegative = 0.0
    improved: bool = False
    equal: Fraction | None = None
    power: NonNegative = 1.0
    prior: Literal["normal", "eight_gaussians"] = "normal"
    eigen: Annotated[str, MAY_BE_EMPTY] = ""
    keep: Number = 0
    gap: Annotated[float, Range(0, 2, "(]")] = 1.0
    gamma: Positive = 5e-4
    preconditioning: Literal["anisotropic", "edm", "eigen_edm"] = "anisotropic"
    space: Literal["eigen", "data"] = "eigen"
    time_law: Literal["quadratic", "uniform", "normal"] = "quadratic"
    label_dropout: Fraction = 0.0
    guidance: float = 1.0
    steps: Count = 3000
    learning_rate: Positive = 1e-3
    cosine: bool = False
    warmup: Number = 100
    clip: Positive | None = None
    weight_decay: NonNegative = 0.0
    ema_decay: Decay = 0.999
    other_decays: Annotated[tuple[Decay, ...], MAY_BE_EMPTY] = ()


def read(values: dict[str, Any]) -> Recipe:
    """The recipe of flat entries, those that are not there at their defaults.

    Raises: ValueError for an entry that no flat recipe has, or a value that it cannot have; TypeError without a name or a shape.
    """
    known = {field.name for field in fields(_Flat)}
    if unknown := [name for name in values if name not in known]:
        raise ValueError(f"a recipe has no entry {str(unknown[0])[:60]!r}: this version does not know it")
    entries = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    if reason := refusal(_Flat, entries):
        raise ValueError(reason)
    flat = _Flat(**entries)
    make = {
        "distributional": _distributional,
        "regression": lambda flat: Regression(**_denoising(flat)),
        "flow": _flow,
        "inflation": _inflation,
        "consistency": _consistency,
        "mean_flow": _mean_flow,
    }
    return make[flat.kind](flat)


def _named(flat: _Flat) -> dict[str, Any]:
    return {
        "name": flat.name,
        "event_shape": flat.event_shape,
        "network": part({"mlp": Mlp, "unet": Unet, "dit": Dit}[flat.net], flat),
        "optimizer": part(Optimizer, flat, warmup=flat.warmup if flat.cosine else None),
        "other_decays": flat.other_decays,
    }


def _condition(flat: _Flat) -> Condition | None:
    return part(Labels, flat) if flat.classes else part(Numbers, flat) if flat.cond_size else None


def _on_schedule(flat: _Flat) -> dict[str, Any]:
    bias = flat.bias if flat.weight == "sigmoid" else 0.0
    objective = {"schedule": flat.schedule, "predicts": flat.predicts, "weight": flat.weight, "bias": bias}
    return _named(flat) | objective | {"condition": _condition(flat)}


def _exponent(flat: _Flat) -> dict[str, float]:
    return {"time_exponent": 1.0 if flat.schedule == "ddpm" else flat.time_exponent}


def _denoising(flat: _Flat) -> dict[str, Any]:
    transport = None
    if flat.transport is not None:
        transport = Transport(
            weight=flat.transport,
            blur=flat.blur,
            relative_blur=flat.relative_blur,
            until=flat.transport_until,
            within_classes=flat.within_classes and flat.classes > 0,
            features=flat.features,
        )
    return _on_schedule(flat) | _exponent(flat) | {"transport": transport}


def _distributional(flat: _Flat) -> Recipe:
    rule = {
        "energy": rules.Energy,
        "imq": rules.Imq,
        "rbf": rules.Rbf,
        "exponential": rules.Exponential,
        "iddm": rules.Iddm,
        "sddm": rules.Sddm,
    }[flat.rule]
    names = ("score_patch", "score_scales", "score_differences", "population", "references", "inject")
    return Distributional(
        **_denoising(flat),
        rule=part(rule, flat),
        gate=flat.gate and flat.net == "mlp",
        **{name: getattr(flat, name) for name in names},
    )


def _flow(flat: _Flat) -> Recipe:
    share = flat.share if flat.coupling == "aware" and flat.cond_size and not flat.classes else Flow.share
    return Flow(**_on_schedule(flat), coupling=flat.coupling, share=share, prior=flat.prior)


def _consistency(flat: _Flat) -> Recipe:
    return Consistency(**_on_schedule(flat) | _exponent(flat), stride=flat.stride, huber=flat.huber)


def _mean_flow(flat: _Flat) -> Recipe:
    names = ("schedule", "improved", "equal", "power", "prior")
    return MeanFlow(**_named(flat), condition=_condition(flat), **{name: getattr(flat, name) for name in names})


def _inflation(flat: _Flat) -> Recipe:
    names = ("eigen", "keep", "gamma", "preconditioning", "space", "time_law")
    gap = flat.gap if flat.keep else Inflation.gap
    return Inflation(**_named(flat), gap=gap, **{name: getattr(flat, name) for name in names})
