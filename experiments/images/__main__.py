"""Distributional diffusion on images, beside regression with the same net and budget.

The recipe is the paper's (De Bortoli et al., arXiv 2502.02483): x_0 prediction by the energy score, xi as channels or late,
class conditioning, an average of the parameters. Sizes of the nets are ours; the paper's could not be read.
Expected with --preset digits: distributional diffusion at 1 step closer to the held-out digits than regression at 4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ddjax import cli
from ddjax.cli.settings import MAY_BE_EMPTY, Count, Exponent, Fraction, NonNegative, Positive, Range, Steps
from ddjax.recipes import Distributional, Energy, Labels, Recipe, Regression, part
from ddjax.runs import engine
from experiments.common import runner
from experiments.common.images.settings import PRESETS, VARIED, Fed, Nets, Preset, by_size, of_data
from experiments.common.runner import Experiment, Findings, Trained
from experiments.common.variants import variants, varied
from experiments.lazy import (
    data,
    feeds,
    image_checks,
    image_judges,
    image_pages,
    image_spaces,
    jax,
    jnp,
    judging,
    recipes,
    types,
)

if TYPE_CHECKING:
    from ddjax.data import Folder, Images
    from ddjax.types import Batch, Key, Params


@dataclass(frozen=True)
class Config(Nets, Fed):
    """Train distributional diffusion (DDM) and x_0 regression on images, and judge both at 1 to 50 steps.

    The embedded sets (digits, glyphs, photos) need nothing; `ddjax fetch` downloads MNIST, Fashion-MNIST and
    CIFAR-10. Writes config.yaml, metrics.jsonl, summary.json, sample grids, figures, report.html and checkpoints into --out.

    Example: python -m experiments.images --data digits --preset digits --out runs/digits
    """

    preset: Preset | None = None
    """Settings for one data set (default: those of --data, or for images of your own those for their size); explicit flags
    still win. mnist has those of glyphs; those of cifar10 are for accelerators."""
    steps: Count = 6000
    beta: Annotated[tuple[Exponent, ...], MAY_BE_EMPTY] = (0.1,)
    score_patch: Annotated[int, Range(0)] = 3
    """Side of the patches whose mean score joins that of the whole image, up to the image's; 0 is the paper's score alone."""
    score_scales: Annotated[tuple[Count, ...], MAY_BE_EMPTY] = ()
    """Sides k of blocks that tile an image: their means are scored too, as a smaller image, with weight k."""
    score_differences: NonNegative = 0.0
    """Weight of the score of differences between neighbouring pixels, which see edges between tokens."""
    population: Count = 4
    baseline: bool = True
    """Train the regression baseline too, with the same net and budget."""
    vary: Annotated[tuple[str, ...], MAY_BE_EMPTY] = ()
    """Variants beside every distributional model: `beta=.5,1.5 score_patch=3+inject=0` adds three to each."""
    predicts: Literal["x0", "velocity", "v"] = "x0"
    bias: float = 0.0
    """Shift b of the sigmoid weight, sigmoid(logsnr - b)."""
    time_exponent: Positive = 0.5
    label_dropout: Fraction = 0.1
    """Share of labels hidden while training, for guidance."""
    guidance: float = 1.0
    """Guidance weight w while sampling: 1 is conditional, above it pulls towards the class."""
    churn: Fraction = 1.0
    """Noise of the bridge sampler: 0 is DDIM, 1 is DDPM."""
    nfe: tuple[Steps, ...] = (1, 2, 4, 8, 16, 50)

    def check(self) -> None:
        """Raises: UserError for settings that do not go together."""
        super().check()
        if not (self.beta or self.baseline):
            raise cli.UserError("nothing to train: give --beta a value or leave --baseline on")
        variants(self.vary, VARIED)


def presumed(settings: Config) -> dict[str, Any]:
    """Where no preset is named: that of the data, or what suits images of their size."""
    if settings.preset is not None:
        return {}
    side = settings.image_size
    follow = of_data(settings.data) or by_size(*((side, side) if side else feeds.shape(settings)[:2]))
    if "inject" in follow and settings.depth != Config.depth:  # fewer blocks than these have: xi joins before the last
        follow |= {"inject": min(follow["inject"], settings.depth - 1)}
    return follow


def recipes_of(settings: Config, shape: tuple[int, int, int], classes: int) -> list[Recipe]:
    """One distributional model for each beta, and regression with the same net and budget."""
    shared = {"event_shape": shape, "network": settings.network(), "optimizer": settings.optimizer()}
    if classes:
        shared["condition"] = part(Labels, settings, classes=classes)
    models = [
        part(Distributional, settings, name=f"DDM beta {beta:g}", rule=Energy(beta=beta, lam=settings.lam), **shared)
        for beta in settings.beta
    ]
    models = varied(models, settings.vary, VARIED)
    baseline = [part(Regression, settings, name="regression", **shared)] if settings.baseline else []
    for recipe in (*models, *baseline):
        image_checks.require_patches(recipe)
    return [*models, *baseline]


def judge(
    settings: Config, trained: Trained, *, train: Images | Folder, held_out: Images | Folder, copies: str
) -> Findings:
    """Every model at every number of steps, in pixels and in features."""
    if not feeds.streamed(train, settings):  # the floor is of as many training images: there must be so many
        settings = replace(settings, samples=min(settings.samples, len(train)))
    seen, test = feeds.judged(train, settings), data.part(held_out, settings.samples)  # equal numbers: no bias of n
    judges = image_spaces.of(seen, test, settings.inception)
    floors = {name: (value, None) for name, value in image_judges.floors(judges, seen, test, settings.samples).items()}
    judged = lambda batch, key, steps: image_judges.judge(batch, judges)  # noqa: E731
    numbers = []
    for recipe, model in trained.pairs():

        def drawn(params: Params, key: Key, steps: int, churn: float, recipe=recipe, model=model) -> Batch:
            key_labels, key_draw = jax.random.split(key)
            labels = image_judges.labels_like(train, key_labels, settings.samples)
            told = {"cond": None if labels is None else jnp.asarray(labels), "guidance": recipe.guidance}
            x_0 = model.draw(params, key_draw, settings.samples, steps=steps, churn=settings.churn, **told)
            return types.Batch(jnp.clip(x_0, -1, 1), labels)

        key, params = jax.random.key(2026), trained.params[model.name]
        numbers += judging.sweep(model.name, drawn, params, judged, floors, key, nfe=settings.nfe)
    sizes = {"n": settings.samples, "test": len(test), "train": min(settings.samples, len(seen)), "all": len(train)}
    protocol = image_spaces.PROTOCOL.format(ema=settings.ema_decay, **sizes)
    return Findings(
        numbers,
        image_pages.TABLES,
        "value is the median over seeds; low and high are the smallest and largest seed",
        {
            "data": [train.describe(), held_out.describe(), seen.attribution, copies],
            "classes": list(train.classes),
            "digest": {"train": train.digest, "test": held_out.digest},
            "parameters": {model.name: recipes.parameters(model) for model in trained.models},
            "protocol": protocol,
        },
        image_pages.drawn(trained, test, numbers, nfe=settings.nfe, churn=settings.churn),
        notes=[*filter(None, (seen.attribution, copies)), protocol],
        warnings=image_spaces.too_few(judges, settings.samples),
    )


def run(settings: Config) -> None:
    """Train, judge, write the report, print the tables."""
    engine.start(settings)
    image_checks.require_bfloat16(settings, jax.local_devices()[0])
    print(cli.message(f"reading --data {settings.data}"), flush=True)
    with feeds.in_flags():
        train, held_out = feeds.load(settings)
        image_checks.require_judgeable(train, held_out, settings)
        copies = image_checks.copies(train, held_out, settings)
        notes = (
            image_checks.chosen(settings, train.shape),
            train.describe(),
            held_out.describe(),
            feeds.told(train, settings),
            copies,
        )
        family = Experiment(
            "images",
            recipes_of(settings, train.shape, len(train.classes)),
            lambda settings, recipe, seed: feeds.batches(train, settings, seed),
            partial(judge, train=train, held_out=held_out, copies=copies),
            lambda settings, *of: image_pages.while_training(settings.churn, *of),
            chunk=image_judges.CHUNK,
            preset=settings.preset or "digits",
            notes=[line for line in notes if line],
            facts={"event_shape": list(train.shape), "classes": list(train.classes)},
        )
        runner.run(family, settings)


if __name__ == "__main__":
    cli.main(Config, run, presets=PRESETS, presumed=presumed)
