"""Diffusion on images with an optimal-transport loss: the gap to the data in features, measured, then trained away.

Passive phase: a DDPM (noise regression, a chain of 1,000 steps), judged at every checkpoint in the features of a frozen
classifier. Active phase: the loss gains a Sinkhorn divergence between denoised batches and the data in these features.
A denoised mean is less spread than the data, so the term is biased for the DDPM; for draws of DDM it is not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ddjax import cli
from ddjax.cli.settings import MAY_BE_EMPTY, Count, FolderToRead, Fraction, Multiple, Positive, Range, Steps
from ddjax.runs import engine
from experiments.common import runner
from experiments.common.images.settings import Networks, Source
from experiments.common.runner import Experiment, Findings, Trained
from experiments.common.settings import Training
from experiments.lazy import classifiers, data, feeds, gap_judges, gap_pages, image_pages, jax, jnp, judging, types
from experiments.ot_loss import models as gap_models

if TYPE_CHECKING:
    from ddjax.data import Images
    from ddjax.recipes import Model, Recipe
    from ddjax.runs import Run
    from ddjax.types import Batch, Key, Params
    from experiments.ot_loss.evaluate import Space


@dataclass(frozen=True)
class Config(Source, Networks, Training):
    """Measure the gap between generated and real images in features (passive), and train it away (active).

    Presets: passive-longer (the passive model trained on, and nothing else), resume-* and retrain-* (transport weighs a
    tenth of the regression or as much, absolute blur), adaptive and late-blur.3 (blur in units of the median distance, falling
    or fixed, from small times alone), ddm and ddm-transport (distributional diffusion without and with transport of draws).

    Example: python -m experiments.ot_loss --phase both --preset all
    """

    phase: Literal["passive", "active", "both"] = "both"
    """Train the passive model, the presets, or all of them."""
    preset: tuple[Literal[(*gap_models.PRESETS, "all")], ...] = ("passive-longer", "adaptive", "late-blur.3")  # pyright: ignore[reportInvalidTypeForm]
    """Models of the active phase."""
    passive: FolderToRead | None = None
    """A passive run, for presets that go on from it in --phase active."""
    steps: Count = 4000
    """Training steps of each model, those of the passive phase included."""
    passive_steps: Annotated[int, Multiple(100)] = 2800
    """Steps of the passive phase."""
    batch: Annotated[int, Range(2)] = 128
    width: Count = 256
    clip: Positive | None = 1.0
    depth: Annotated[int, Range(2, 1000)] = 4
    """Hidden layers (mlp), blocks (dit), or residual blocks at each resolution (unet)."""
    save_every: Annotated[int, Multiple(100)] = 400
    """Training steps between checkpoints, at each of which the gap is measured."""
    conditional: bool = False
    """Tell the nets the classes; transport then stays within them."""
    blur: Positive = 0.3
    """Of the transport that is measured, in units of the median distance between features."""
    blurs: Annotated[tuple[Positive, ...], MAY_BE_EMPTY] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
    """Blurs to compare, in the same units; none leaves the study out."""
    samples: Annotated[int, Range(50)] = 1000
    """Largest number of images in a measured set; all sets are of one size, at most that of the held-out images."""
    nfe: tuple[Steps, ...] = (1, 2, 4, 50)
    """Numbers of sampling steps to judge; checkpoints are judged at the largest."""
    churn: Fraction = 1.0
    """Noise of the bridge sampler: 0 is DDIM, 1 is DDPM."""

    def check(self) -> None:
        """Raises: UserError for settings that do not go together."""
        super().check()
        if self.together:
            raise cli.UserError("--together trains every seed from scratch, and these models go on from one another")
        if self.passive_steps >= self.steps:
            raise cli.UserError(f"--passive-steps must be below --steps {self.steps}, got {self.passive_steps}")
        resumed = [name for name in self.chosen() if gap_models.PRESETS[name].resumes]
        if self.phase == "active" and resumed and self.passive is None:
            raise cli.UserError(f"{resumed[0]} goes on from a passive run: name it in --passive, or take --phase both")

    def chosen(self) -> list[str]:
        """The presets to train."""
        every = "all" in self.preset
        return [] if self.phase == "passive" else [name for name in gap_models.PRESETS if every or name in self.preset]


def drawn(settings: Config, recipe: Recipe, model: Model, where: Space, params: Params, key: Key, steps: int) -> Batch:
    """As many images as a set has, of the classes of the training images that they are compared with."""
    labels = None
    if recipe.classes and where.labels is not None:
        labels = jnp.asarray(where.labels[data.subsets.in_turns(where.labels)])
    x_0 = model.draw(params, key, where.n, steps=steps, churn=settings.churn, cond=labels)
    return types.Batch(jnp.clip(x_0, -1, 1), labels)


def watch(where: Space, settings: Config, recipe: Recipe, model: Model, folder: Run) -> Any:
    """The trio at a checkpoint: generated against held-out and training images, always from the same noise; and a picture."""

    def watching(params: Params) -> dict[str, float]:
        fake = drawn(settings, recipe, model, where, params, jax.random.key(77), max(settings.nfe)).x_0
        gap_pages.while_training(folder, recipe, fake)
        return gap_judges.trio(gap_judges.of(where.features, fake), where)

    return watching


def judge(settings: Config, trained: Trained, *, where: Space, train: Images, test: Images, last: set[str]) -> Findings:
    """Every model at every number of steps; then what the three distances see, and at which blur."""
    floors = {name: (value, None) for name, value in gap_judges.floors(where).items()}
    numbers, rows = [], {}
    judged = lambda batch, key, steps: gap_judges.trio(gap_judges.of(where.features, batch.x_0), where)  # noqa: E731
    for recipe, model in trained.pairs():
        if model.name in last:
            draw = lambda params, key, steps, churn, of=(recipe, model): drawn(settings, *of, where, params, key, steps)  # noqa: E731
            params, key = trained.params[model.name], jax.random.key(2026)
            numbers += judging.sweep(model.name, draw, params, judged, floors, key, nfe=settings.nfe)
            rows[model.name] = draw(params[0], jax.random.key(3), max(settings.nfe), None).x_0
    curves = gap_judges.curves(where, train, test)
    studied = gap_judges.blur_study(curves, where, settings.blurs)
    held_out = image_pages.by_class(test, gap_pages.SHOWN)
    return gap_pages.findings(trained, numbers, where, curves, studied, rows, data.to_float(jnp.asarray(held_out)))


def run(settings: Config) -> None:
    """Train, judge, write the report, print the tables."""
    engine.start(settings)
    with feeds.in_flags():
        train, test = feeds.splits(settings)
        gap_models.require_measurable(train, test)
    features = str(classifiers.folder_of(train))
    planned = gap_models.planned(settings, train.shape, len(train.classes), features, train.digest)
    classifier = classifiers.trained(train, test)
    where = gap_judges.space(
        classifier.features,
        train,
        test,
        blur=settings.blur,
        largest=settings.samples,
        random_classes=not settings.conditional,
    )
    narrow = gap_models.narrow(settings.net, settings.width, train.shape)
    told = train if settings.conditional else replace(train, labels=None, classes=())
    runner.run(
        Experiment(
            "ot_loss",
            [stage.recipe for stage in planned],
            lambda settings, recipe, seed: data.batches(told, settings.batch),
            partial(judge, where=where, train=train, test=test, last={s.recipe.name for s in planned if s.last}),
            partial(watch, where),
            partial(gap_models.start, planned),
            all_watched=True,
            preset=f"{test.name}-{settings.phase}",
            notes=[train.describe(), test.describe(), gap_pages.told(classifier, where), *filter(None, [narrow])],
            facts={"digest": train.digest, "event_shape": list(train.shape), "classes": list(train.classes)},
        ),
        settings,
    )


if __name__ == "__main__":
    cli.main(Config, run)
