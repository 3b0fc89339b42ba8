"""The models of `ot_loss`: presets as data, stages that go on from one another, and the passive run that they may start from."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ddjax import data, runs
from ddjax.cli import UserError
from ddjax.data import Folder, Images
from ddjax.recipes import Labels, Recipe, Transport, entries, job, read
from ddjax.runs import Run, engine, saved
from ddjax.runs.jobs import Start
from experiments.ot_loss.presets import DDPM, NONE, PRESETS

PASSIVE = "passive"


class Stage(NamedTuple):
    """A recipe, and the name of the one whose trained state it goes on from; models are judged after their last."""

    recipe: Recipe
    after: str | None = None
    last: bool = True


def planned(settings: Any, shape: tuple[int, ...], classes: int, features: str, digest: str) -> list[Stage]:
    """The passive model, where it is trained here, and every stage of the presets chosen.

    Args:
        shape: of the images. classes: how many they have. features: folder of their classifier. digest: of the training images.
    Raises: UserError for a passive run that was trained otherwise.
    """
    shared = {
        "event_shape": shape,
        "network": settings.network(),
        "condition": Labels(classes=classes) if settings.conditional else None,
    }

    def made(make: Callable[..., Recipe], name: str, steps: int, transport: Transport) -> Recipe:
        placed = replace(transport, features=features, within_classes=settings.conditional)
        optimizer = replace(settings.optimizer(), steps=steps)
        return make(name=name, optimizer=optimizer, transport=placed, **shared)

    passive = made(DDPM, PASSIVE, settings.passive_steps, NONE)
    if settings.passive is not None:
        _require_alike(settings.passive, passive, digest=digest, seeds=settings.seeds)
    stages = [] if settings.phase == "active" else [Stage(passive)]
    for preset in settings.chosen():
        make, parts, resumes = PRESETS[preset]
        after = PASSIVE if resumes else None
        for share, transport in parts:
            name = preset if share == 1 else f"{preset}, blur {transport.blur:g}"
            recipe = made(make, name, round(share * settings.steps), transport)
            stages.append(Stage(recipe, after, share == 1))
            after = name
    return stages


def start(planned: list[Stage], settings: Any, recipe: Recipe, seed: int, folder: Run) -> Start | None:
    """The trained state that a stage goes on from, of this run or of the passive one that was named."""
    after = next(stage.after for stage in planned if stage.recipe == recipe)
    if after is None:
        return None
    elsewhere = after == PASSIVE and settings.passive is not None
    origin = _run(settings.passive) if elsewhere else folder
    return lambda fresh: saved.state(origin, job(after, seed), fresh)


def require_measurable(train: Images | Folder, test: Images | Folder) -> None:
    """Raises: UserError for images without several classes to learn features from, or too many to keep at hand."""
    if len(train.classes) < 2:
        raise UserError(
            f"features are those of a classifier, which needs images of at least 2 classes, got {train.describe()}"
        )
    if isinstance(train, data.Folder) or isinstance(test, data.Folder):
        raise UserError(f"these images are too many to keep at hand: {train.describe()}")


def narrow(net: str, width: int, shape: tuple[int, ...]) -> str:
    """A line on a net that cannot say what it must, empty for one that can."""
    pixels = math.prod(shape)
    if net != "mlp" or width >= pixels:
        return ""
    return (
        f"an mlp of width {width} cannot tell the noise of {pixels} pixels: take --width {pixels} or more, or --net dit"
    )


def _run(path: Path) -> Run:
    return runs.Run(path, runs.read_settings(path), engine.Engine())


def _require_alike(path: Path, wanted: Recipe, *, digest: str, seeds: int) -> None:
    there = runs.read_settings(path)
    found = [read(values) for values in there.get("models") or [] if values.get("name") == PASSIVE]
    if there.get("experiment") != "ot_loss" or not found:
        raise UserError(f"--passive {path} holds no passive model of ot_loss")
    old, new = entries(found[0]), entries(wanted)
    new["transport.features"] = old["transport.features"]  # wherever it lies, it is that of the images
    differing = [f"{key} ({old.get(key)} there, {new[key]} now)" for key in new if old.get(key) != new[key]]
    if differing:
        raise UserError(f"--passive {path} was trained otherwise: {', '.join(differing)}")
    if there.get("digest") != digest or there["seeds"] < seeds:
        raise UserError(f"--passive {path} was trained on other images, or has fewer than {seeds} seeds")
