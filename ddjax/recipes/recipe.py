"""A model as plain values: what a run folder stores, and `recipes.build` makes the same model of anywhere."""

from dataclasses import dataclass, fields, replace
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

Number = Annotated[int, Range(0)]
Share = Annotated[float, Range(0, 1, "(]")]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Network, objective and optimiser of one model.

    kind: `distributional` learns draws of x_0 by a scoring rule, `regression` its mean, `flow` a velocity, `inflation` the mean of
        x_0 along an inflationary flow, `consistency` the end of the flow, `mean_flow` its average velocity between two times.
    """

    name: str
    kind: Literal["distributional", "regression", "flow", "inflation", "consistency", "mean_flow"] = "distributional"
    event_shape: Annotated[tuple[Count, ...], MAY_REPEAT]
    """[d] for vectors, [height, width, channels] for images."""
    classes: Number = 0
    """Labels 0 .. classes - 1 are the condition; 0 for none."""
    cond_size: Number = 0
    """Length of a condition of real numbers; 0 for none."""
    schedule: Literal["rectified", "ddpm"] = "rectified"
    """Straight lines, or the chain of 1,000 steps, which is also trained on its own times."""
    predicts: Literal["x0", "velocity", "v", "noise"] = "velocity"
    """What the network outputs; the score is taken of x_0 all the same."""

    net: Literal["mlp", "unet", "dit"] = "mlp"
    width: Count = 128
    """Of the hidden layers; the UNet has width, 2 width, 2 width at its resolutions."""
    depth: Depth = 4
    """Hidden layers (mlp), blocks (dit), residual blocks at each resolution (unet)."""
    inject: Number = 1
    """The layer or block that xi joins, 0 being the input; only distributional models have xi."""
    gate: bool = False
    """Of an mlp: xi joins behind a gate of t, as it does in later blocks of unet and dit."""
    residual: bool = False
    """Add each hidden layer of an mlp to its input."""
    time: Literal["features", "raw"] = "features"
    """What an mlp sees of t."""
    patch: Count = 4
    """Pixels along the side of a token (dit)."""
    overlap: Number = 0
    """Pixels beyond each side that a token sees and draws too (dit), at most `patch`."""
    attention: Annotated[tuple[Count, ...], MAY_BE_EMPTY] = ()
    """Heights in pixels at which the unet attends."""
    dropout: Fraction = 0.0
    """Rate inside the blocks of unet and dit while training, in [0, 1]."""
    bfloat16: bool = False
    """Compute of unet and dit; parameters and loss stay float32."""
    remat: bool = False
    """Recompute blocks of unet and dit in the backward pass."""

    rule: Literal["energy", "imq", "rbf", "exponential", "iddm", "sddm"] = "energy"
    """Scoring rule: the energy score or that of a kernel; iddm has exponent 2 - (2 - beta) t, interaction lam t and norms by
    position; sddm is t CRPS + (1 - t) squared error, by element."""
    beta: Exponent = 1.0
    """Exponent of the energy score, in (0, 2]."""
    lam: NonNegative = 1.0
    """Weight of the interaction; 1 is the proper rule."""
    bandwidth: Positive = 1.0
    """Of the kernel, in units of the data; the constant c of imq."""
    score_patch: Number = 0
    """Side of the patches whose mean score joins that of the whole image; 0 for none."""
    score_scales: Annotated[tuple[Count, ...], MAY_BE_EMPTY] = ()
    """Sides k of blocks that tile the image, whose means are scored as an image of their own, with weight k."""
    score_differences: NonNegative = 0.0
    """Weight of the CRPS of differences between neighbours, along both axes."""
    population: Count = 8
    """Draws m of each example in the loss."""
    references: Count = 1
    """Of a distributional model: examples of the batch against which an x_t is scored, of which any may have made it."""
    weight: Literal["uniform", "sigmoid", "snr"] = "uniform"
    """w(t), which a mean flow has none of: sigmoid is sigmoid(logsnr - bias); under snr regression on x_0 is regression on the
    noise."""
    bias: float = 0.0
    time_exponent: Positive = 1.0
    """Training times of the rectified schedule are u^exponent with stratified u; a flow's are uniform, a mean flow's
    sigmoid(N(-.4, 1))."""
    coupling: Literal["independent", "blind", "aware"] = "independent"
    """Of a flow's noise with the data: blind and aware are Sinkhorn's, without and with sight of the condition."""
    share: Fraction = 0.99
    """Pairs that keep a condition of real numbers under the aware coupling, in [0, 1]."""
    transport: NonNegative | None = None
    """Weight of transport between denoised batches and the data, in proportion to the loss (`objectives.balanced`). 0 computes
    none and trains the same parameters, so that training can go on from there with another weight; None has no ratio in them."""
    blur: Positive = 0.1
    """Of the transport, in the space of `features`."""
    relative_blur: bool = True
    """Whether blur is in units of the median distance between the data of a batch."""
    transport_until: Share = 1.0
    """Times of the noisy batch that is denoised are those of training, times this: a mean is near a draw at small ones alone."""
    within_classes: bool = False
    """Transport moves nothing from class to class."""
    features: Annotated[str, MAY_BE_EMPTY] = ""
    """Folder of the classifier (`runs.classifiers`) in whose features transport is; the data themselves without one."""
    stride: Share = 0.05
    """Of a consistency model: t - q, between the two times whose answers it compares, in (0, 1]."""
    huber: NonNegative = 0.0
    """Of a consistency model: the constant of Huber's distance, 0 for the square."""
    improved: bool = False
    """Of a mean flow: regression on the velocity itself."""
    equal: Fraction | None = None
    """Of a mean flow: share of examples whose two times are one; the paper's where there is none."""
    power: NonNegative = 1.0
    """Of a mean flow: each example has weight 1 / (loss + .01)^power."""
    prior: Literal["normal", "eight_gaussians"] = "normal"
    """Where a flow starts."""
    eigen: Annotated[str, MAY_BE_EMPTY] = ""
    """Of an inflation, the eigenbasis of its data (`recipes.inflations.written`)."""
    keep: Number = 0
    """Directions that an inflation keeps; 0 preserves the participation ratio instead."""
    gap: Annotated[float, Range(0, 2, "(]")] = 1.0
    """By how much slower than the kept directions, at 2, the others grow, in (0, 2]."""
    gamma: Positive = 5e-4
    """C(0) / s^2 of an inflation: the noise at t = 0, without which the score there is infinite."""
    preconditioning: Literal["anisotropic", "edm", "eigen_edm"] = "anisotropic"
    """What keeps input and target of an inflation's network at unit variance."""
    space: Literal["eigen", "data"] = "eigen"
    """Where an inflation's network lives."""
    time_law: Literal["quadratic", "uniform", "normal"] = "quadratic"
    """Training times of an inflation: u^2 with uniform u, u itself, or N(12, 1.2^2) in units of 1 / rho, to a horizon of 15.01."""
    label_dropout: Fraction = 0.0
    """Share of labels hidden while training, for guidance."""
    guidance: float = 1.0
    """Weight at which a saved model is sampled unless told otherwise: 1 is conditional."""

    steps: Count = 3000
    learning_rate: Positive = 1e-3
    """Peak rate of AdamW."""
    cosine: bool = False
    """Warm up, then decay to 1 percent along a cosine; otherwise the rate is constant."""
    warmup: Number = 100
    """Steps of warm-up, a tenth of all steps at the most."""
    clip: Positive | None = None
    """Largest norm of the gradient."""
    weight_decay: NonNegative = 0.0
    ema_decay: Decay = 0.999
    """Decay of the averaged parameters that are sampled from, in [0, 1)."""
    other_decays: Annotated[tuple[Decay, ...], MAY_BE_EMPTY] = ()
    """Of averages that are kept beside it: each is a model of its own when training is done (`averages`)."""


def averages(recipe: Recipe) -> list[Recipe]:
    """The models that training one recipe yields: itself, and one for each other decay.

    >>> [each.name for each in averages(Recipe(name="small", event_shape=(2,), other_decays=(0.99,)))]
    ['small', 'small, average 0.99']
    """
    others = [replace(recipe, name=f"{recipe.name}, average {d:g}", ema_decay=d) for d in recipe.other_decays]
    return [replace(each, other_decays=()) for each in (recipe, *others)]


def stored(recipe: Recipe) -> dict[str, Any]:
    """The recipe as a run folder stores it: plain values, tuples as lists.

    >>> read(stored(Recipe(name="small", event_shape=(2,)))) == Recipe(name="small", event_shape=(2,))
    True
    """
    values = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def read(values: dict[str, Any]) -> Recipe:
    """The recipe that was stored, entries that it lacks at their defaults.

    Raises: ValueError for what is not one, an entry that no recipe has, or a value that it cannot have.
    """
    if not isinstance(values, dict):
        raise ValueError(f"a recipe is a mapping, got {type(values).__name__}")
    known = {field.name: field for field in fields(Recipe)}
    if unknown := [name for name in values if name not in known]:
        raise ValueError(f"a recipe has no entry {str(unknown[0])[:60]!r}: this version does not know it")
    entries = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    if reason := refusal(Recipe, entries):
        raise ValueError(f"the recipe {str(entries.get('name'))[:60]!r}: {reason}")
    try:
        return Recipe(**entries)
    except TypeError as error:
        raise ValueError(f"not a recipe: {error}") from None
