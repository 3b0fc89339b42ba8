"""From a recipe to a model."""

from functools import partial

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from ddjax import couplings, denoisers, flows, objectives, schedules, scoring, times, weights
from ddjax.data import toys
from ddjax.networks import classifier
from ddjax.networks.attention import Kernel
from ddjax.recipes import drawing, inflations
from ddjax.recipes.model import Model
from ddjax.recipes.nets import network
from ddjax.recipes.recipe import Recipe
from ddjax.types import Denoiser, Key, LossFn, Network, Schedule, Velocity, standard_normal

SCHEDULE = schedules.Rectified()
_SCHEDULES = {"rectified": SCHEDULE, "ddpm": schedules.DDPM()}


def build(recipe: Recipe, *, chunk: int = drawing.CHUNK) -> Model:
    """The model of a recipe: trained with dropout, where it has any, and sampled without.

    Raises: ValueError for a recipe that no network, rule or optimiser can follow.
    """
    trained = network(recipe, dropout=recipe.dropout)
    model = _of_network(recipe, trained)
    loss_fn = _loss(recipe, model)
    if recipe.transport:
        loss_fn = objectives.balanced(loss_fn, _transport(recipe, model), lam=recipe.transport)
    if recipe.label_dropout:
        loss_fn = objectives.condition_dropout(loss_fn, probability=recipe.label_dropout, null=recipe.classes)
    return Model(recipe.name, trained, loss_fn, _optimizer(recipe), drawing.drawing(sampler(recipe), chunk=chunk))


def schedule(recipe: Recipe) -> Schedule:
    """The schedule that a model is trained and sampled on; of an inflation with a scale for each direction of its eigenbasis."""
    return inflations.schedule(recipe) if recipe.kind == "inflation" else _SCHEDULES[recipe.schedule]


Predictor = Denoiser | Velocity | flows.AverageVelocity


def predictor(recipe: Recipe, *, kernel: Kernel = "auto") -> Predictor:
    """What a trained model predicts with: a denoiser (of an inflation in its eigenbasis), of a flow its velocity, average or not.

    `kernel` is that of `networks.dit`.
    """
    return _of_network(recipe, network(recipe, dropout=0.0, kernel=kernel))


def sampler(recipe: Recipe, *, path: bool = False, kernel: Kernel = "auto") -> drawing.Sampler:
    """The pure sampler behind `Model.draw`: the bridge of a denoiser, Euler's method along a velocity, Heun's of an inflation,
    fresh noise for a consistency model, jumps along an average velocity."""
    model = predictor(recipe, kernel=kernel)
    if recipe.kind == "inflation":
        return inflations.by_inflation(recipe, model, path=path)
    if recipe.kind == "mean_flow":
        return drawing.by_jumps(model, schedule(recipe), recipe.event_shape, prior=_start(recipe), path=path)
    kept: dict = {"null": recipe.classes or None, "path": path}
    if recipe.kind == "consistency":
        return drawing.by_renoise(model, schedule(recipe), recipe.event_shape, **kept)
    if recipe.kind == "flow":
        return drawing.by_flow(model, schedule(recipe), recipe.event_shape, prior=_start(recipe), **kept)
    return drawing.by_bridge(model, schedule(recipe), recipe.event_shape, **kept)


def _of_network(recipe: Recipe, network: Network) -> Predictor:
    if recipe.kind == "inflation":
        return inflations.denoiser(recipe, network)
    if recipe.kind == "mean_flow":
        return flows.average_velocity(network)
    make = {
        "distributional": denoisers.distributional,
        "regression": denoisers.mean,
        "consistency": denoisers.mean,
        "flow": flows.network_velocity,
    }[recipe.kind]
    return make(network, schedule(recipe), predicts=recipe.predicts)


def _loss(recipe: Recipe, model: Predictor) -> LossFn:
    if recipe.kind == "inflation":
        return inflations.loss(recipe, model)
    along = schedule(recipe)
    sigmoid = weights.sigmoid(along, bias=recipe.bias)
    weight = {"uniform": weights.uniform, "sigmoid": sigmoid, "snr": weights.snr(along)}[recipe.weight]
    if recipe.kind == "flow":
        return objectives.flow_matching(
            model, along, weight=weight, coupling=coupling(recipe), prior=_start(recipe) or standard_normal
        )
    if recipe.kind == "mean_flow":
        weighted = {"equal": recipe.equal, "power": recipe.power}
        start = _start(recipe) or standard_normal
        return objectives.mean_flow(model, along, improved=recipe.improved, prior=start, **weighted)
    sampled = {"times": _times(recipe), "weight": weight}
    if recipe.kind == "consistency":
        if recipe.predicts == "x0":
            raise ValueError(
                "the answer of a consistency model is x_t itself at t = 0: predict a velocity, not predicts=x0"
            )
        return objectives.consistency(model, along, gap=recipe.stride, huber=recipe.huber, **sampled)
    if recipe.kind == "regression":
        return objectives.denoising(model, along, **sampled)
    drawn = {"size": recipe.population, "population": denoisers.folded_population, "references": recipe.references}
    return objectives.distributional(model, along, score=_score(recipe), **drawn, **sampled)


def _transport(recipe: Recipe, model: Predictor) -> objectives.Term:
    if recipe.kind in ("flow", "mean_flow"):
        raise ValueError("transport is of denoised batches, which a flow has none of")
    phi = objectives.flat
    if recipe.features:
        net, params, _ = classifier.load(recipe.features)
        phi = lambda x: net.features(params, jnp.clip(x, -1, 1))  # noqa: E731 (a mean of noise leaves the range of images)
    classes = recipe.classes if recipe.within_classes else 0
    until = lambda key, n: recipe.transport_until * _times(recipe)(key, n)  # noqa: E731
    blurred = {"blur": recipe.blur, "relative": recipe.relative_blur}
    return objectives.sinkhorn_term(model, schedule(recipe), features=phi, classes=classes, times=until, **blurred)


def _times(recipe: Recipe) -> times.Law:
    if recipe.schedule == "ddpm":
        return times.steps_of(_SCHEDULES["ddpm"].n)
    return times.power(recipe.time_exponent, base=times.stratified)


def _score(recipe: Recipe) -> scoring.Rule:
    whole = _rule(recipe)
    if recipe.score_patch > min(recipe.event_shape[:2]):
        raise ValueError(f"patches of {recipe.score_patch} are larger than the images, {recipe.event_shape}")
    patched = scoring.Patched(whole, recipe.score_patch) if recipe.score_patch else whole
    maps = [(float(k), whole, scoring.pooling(k)) for k in recipe.score_scales]
    if recipe.score_differences:
        crps = scoring.by_element(scoring.Energy(1.0, recipe.lam))
        maps += [(recipe.score_differences, crps, scoring.finite_differences(axis)) for axis in (0, 1)]
    return scoring.Sum(((1.0, patched, None), *maps)) if maps else patched


def _rule(recipe: Recipe) -> scoring.Rule:
    """The rule of the whole event. References of iddm: arXiv 2609.37147."""
    if recipe.rule == "energy":
        return scoring.Energy(recipe.beta, recipe.lam)
    if recipe.rule == "iddm":
        return scoring.by_position(scoring.Energy(lambda t: 2 - (2 - recipe.beta) * t, lambda t: recipe.lam * t))
    if recipe.rule == "sddm":
        return _weather
    kernel = {"imq": scoring.imq, "rbf": scoring.rbf, "exponential": scoring.exponential}[recipe.rule]
    return scoring.KernelRule(kernel(recipe.bandwidth), recipe.lam)


def _weather(samples: Array, x_0: Array, t: Array) -> scoring.Terms:
    crps, squares = (scoring.by_element(scoring.Energy(*rule))(samples, x_0) for rule in ((1.0, 1.0), (2.0, 0.0)))
    return jax.tree.map(lambda a, b: t * a + (1 - t) * b, crps, squares)


def coupling(recipe: Recipe) -> couplings.Coupling:
    """How a flow's noise is paired with the data."""
    if recipe.coupling == "independent":
        return couplings.independent
    if recipe.coupling == "blind":
        return couplings.blind(couplings.sinkhorn)
    if recipe.cond_size:
        return partial(couplings.sinkhorn, cost=couplings.near_condition(recipe.share))
    return couplings.sinkhorn


def _start(recipe: Recipe) -> drawing.Prior | None:
    """The law that a flow starts from, None for the schedule's own."""
    return None if recipe.prior == "normal" else _eight_gaussians


def _eight_gaussians(key: Key, shape: tuple[int, ...]) -> Array:
    return toys.eight_gaussians(key, shape[0]).x_0


def _optimizer(recipe: Recipe) -> optax.GradientTransformation:
    """AdamW, with warm-up, cosine decay and clipping where the recipe says so."""
    rate = recipe.learning_rate
    if recipe.cosine:
        warmup = min(recipe.warmup, recipe.steps // 10)
        rate = optax.warmup_cosine_decay_schedule(0.0, rate, warmup, recipe.steps, rate / 100)
    adam = optax.adamw(rate, weight_decay=recipe.weight_decay)
    clipped = adam if recipe.clip is None else optax.chain(optax.clip_by_global_norm(recipe.clip), adam)
    return clipped if recipe.transport is None else objectives.descend_ratio(clipped)
