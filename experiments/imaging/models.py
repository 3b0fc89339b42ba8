"""The models of an image run: distributional diffusion for each beta, and regression with the same net."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ddjax import denoisers, networks, objectives, schedules, scoring, times, weights
from ddjax.data import Folder, Images
from ddjax.types import Denoiser, LossFn, Network

SCHEDULE = schedules.Rectified()
REGRESSION = "regression"


class Model(NamedTuple):
    """A model to train with its own network, and the same one without dropout to sample from."""

    name: str
    network: Network
    loss_fn: LossFn
    denoiser: Denoiser


class Subject(NamedTuple):
    """What a model must know of its images; a run keeps it with its settings, so that sampling needs no images."""

    shape: tuple[int, int, int]
    classes: tuple[str, ...]  # none without labels


def models(settings: Any, images: Images | Folder | Subject) -> Iterator[Model]:
    """The models of a run on `images`."""
    classes = len(images.classes)
    sampled = {
        "times": times.power(settings.time_exponent, base=times.stratified),
        "weight": {"uniform": weights.uniform, "sigmoid": weights.sigmoid(SCHEDULE, bias=settings.bias)}[
            settings.weight
        ],
    }
    drawn = {"size": settings.population, "population": denoisers.folded_population}
    build = partial(network_of, settings, images.shape, classes)
    for beta in settings.beta:
        make = partial(denoisers.distributional, schedule=SCHEDULE, predicts=settings.predicts)
        trained, sampled_from = make(build(settings.inject, settings.dropout)), make(build(settings.inject, 0.0))
        score = rule(settings, beta, images.shape)
        loss_fn = objectives.distributional(trained, SCHEDULE, score=score, **drawn, **sampled)
        network = build(settings.inject, settings.dropout)
        yield Model(
            f"DDM beta {beta:g}",
            network,
            _labelled(loss_fn, classes, settings),
            _guided(sampled_from, classes, settings),
        )
    if settings.baseline:
        make = partial(denoisers.mean, schedule=SCHEDULE, predicts=settings.predicts)
        loss_fn = objectives.denoising(make(build(None, settings.dropout)), SCHEDULE, **sampled)
        denoiser = _guided(make(build(None, 0.0)), classes, settings)
        yield Model(REGRESSION, build(None, settings.dropout), _labelled(loss_fn, classes, settings), denoiser)


def rule(settings: Any, beta: float, event_shape: tuple[int, int, int]) -> scoring.Rule:
    """The scoring rule of DDM. Raises: ValueError for a patch larger than the images."""
    if settings.score_patch > min(event_shape[:2]):
        raise ValueError(f"--score-patch {settings.score_patch} is larger than the images, {event_shape}")
    whole = scoring.Energy(beta, settings.lam)
    return scoring.Patched(whole, settings.score_patch) if settings.score_patch else whole


def network_of(
    settings: Any, event_shape: tuple[int, int, int], classes: int, inject: int | None, dropout: float
) -> Network:
    """The net that the settings name, on images of `event_shape`."""
    shared = {"classes": classes, "inject": inject, "dropout": dropout, "remat": settings.remat}
    shared["dtype"] = jnp.bfloat16 if settings.bfloat16 else jnp.float32
    makers: dict[str, Callable[[], Network]] = {
        "mlp": partial(_mlp, settings, event_shape, classes, inject),
        "dit": partial(
            networks.dit, event_shape, patch=settings.patch, width=settings.width, depth=settings.depth, **shared
        ),
        "unet": partial(
            networks.unet,
            event_shape,
            widths=(settings.width, 2 * settings.width, 2 * settings.width),
            blocks=settings.depth,
            attention=tuple(settings.attention),
            **shared,
        ),
    }
    return makers[settings.net]()


def _mlp(settings: Any, event_shape: tuple[int, int, int], classes: int, inject: int | None) -> Network:
    size = event_shape[0] * event_shape[1] * event_shape[2]
    shape = {"width": settings.width, "depth": settings.depth, "residual": True}
    network = networks.flattened(networks.mlp(size, inject=inject, cond_size=classes, **shape), event_shape)
    return networks.labelled(network, classes) if classes else network


def _labelled(loss_fn: LossFn, classes: int, settings: Any) -> LossFn:
    if not classes:
        return loss_fn
    return objectives.condition_dropout(loss_fn, probability=settings.label_dropout, null=classes)


def _guided(denoiser: Denoiser, classes: int, settings: Any) -> Denoiser:
    if not classes or settings.guidance == 1:
        return denoiser  # what guidance by 1 returns, without the second branch
    return denoisers.guided(denoiser, settings.guidance, null=classes)


def optimizer(settings: Any) -> optax.GradientTransformation:
    """AdamW with warm-up, cosine decay and clipping."""
    peak, steps = settings.learning_rate, settings.steps
    rate = optax.warmup_cosine_decay_schedule(0.0, peak, min(settings.warmup, steps // 10), steps, peak / 100)
    return optax.chain(optax.clip_by_global_norm(settings.clip), optax.adamw(rate, weight_decay=settings.weight_decay))


def parameters(model: Model) -> int:
    """Number of trained numbers."""
    shapes = jax.eval_shape(model.network.init, jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))
