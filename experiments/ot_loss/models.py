"""The models of `ot_loss`: presets as data, stages that go on from one another, and the passive run that they may start from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ddjax import runs
from ddjax.cli import UserError
from ddjax.runs import engine
from experiments.lazy import data, recipes, saved

if TYPE_CHECKING:
    from ddjax.data import Folder, Images
    from ddjax.recipes import Recipe
    from ddjax.runs import Run
    from ddjax.runs.jobs import Start

PASSIVE = "passive"
_DDPM = {"kind": "regression", "schedule": "ddpm", "predicts": "noise", "weight": "snr"}
_DDM = {"beta": 0.1, "predicts": "x0", "score_patch": 3, "time_exponent": 0.5, "population": 4}
_HIGH, _EQUAL = {"transport": 0.1}, {"transport": 1.0}  # what the loss beside it weighs: ten times as much, or as much
_BLUR_10, _BLUR_05 = {"blur": 10.0, "relative_blur": False}, {"blur": 0.05, "relative_blur": False}
_LATE = _EQUAL | {"transport_until": 0.3}  # where the posterior is narrow, and its mean nearly a draw
_FALLING = ((0.8, 0.5), (0.9, 0.3), (1.0, 0.15))  # by (share of the steps): the blur in median distances


class Preset(NamedTuple):
    """Stages of one model, each (share of the steps at which it ends, entries of its recipe); `resumes` the passive model."""

    stages: tuple[tuple[float, dict[str, Any]], ...]
    resumes: bool = False


def _whole(*entries: dict[str, Any]) -> tuple[tuple[float, dict[str, Any]]]:
    return ((1.0, {name: value for some in entries for name, value in some.items()}),)


PRESETS = {
    "passive-longer": Preset(_whole(_DDPM, {"transport": 0.0}), resumes=True),
    "resume-mse-high-blur10": Preset(_whole(_DDPM, _HIGH, _BLUR_10), resumes=True),
    "retrain-mse-high-blur10": Preset(_whole(_DDPM, _HIGH, _BLUR_10)),
    "retrain-mse-high-blur.05": Preset(_whole(_DDPM, _HIGH, _BLUR_05)),
    "retrain-equal-blur10": Preset(_whole(_DDPM, _EQUAL, _BLUR_10)),
    "adaptive": Preset(tuple((share, _DDPM | _LATE | {"blur": blur}) for share, blur in _FALLING), resumes=True),
    "late-blur.3": Preset(_whole(_DDPM, _LATE, {"blur": 0.3}), resumes=True),
    "ddm": Preset(_whole(_DDM, {"transport": 0.0})),
    "ddm-transport": Preset(_whole(_DDM, {"transport": 0.003, "blur": 1.0})),  # an energy score has small gradients
}


class Stage(NamedTuple):
    """A recipe, and the name of the one whose trained state it goes on from; models are judged after their last."""

    recipe: Recipe
    after: str | None = None
    last: bool = True


def planned(settings: Any, shared: dict[str, Any], digest: str) -> list[Stage]:
    """The passive model, where it is trained here, and every stage of the presets chosen.

    Args:
        shared: entries of all recipes. digest: of the training images.
    Raises: UserError for a passive run that was trained otherwise.
    """
    passive = shared | _DDPM | {"name": PASSIVE, "transport": 0.0, "steps": settings.passive_steps}
    if settings.passive is not None:
        _require_alike(settings.passive, recipes.Recipe(**passive), digest=digest, seeds=settings.seeds)
    found = [] if settings.phase == "active" else [Stage(recipes.Recipe(**passive))]
    for name in settings.chosen():
        preset = PRESETS[name]
        after = PASSIVE if preset.resumes else None
        for share, entries in preset.stages:
            of_stage = {"steps": round(share * settings.steps), "name": name}
            if share < 1:
                of_stage["name"] += f", blur {entries['blur']:g}"
            found.append(Stage(recipes.Recipe(**shared | entries | of_stage), after, share == 1))
            after = of_stage["name"]
    return found


def start(planned: list[Stage], settings: Any, recipe: Recipe, seed: int, folder: Run) -> Start | None:
    """The trained state that a stage goes on from, of this run or of the passive one that was named."""
    after = next(stage.after for stage in planned if stage.recipe == recipe)
    if after is None:
        return None
    elsewhere = after == PASSIVE and settings.passive is not None
    origin = _run(settings.passive) if elsewhere else folder
    return lambda fresh: saved.state(origin, recipes.job(after, seed), fresh)


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
    found = [recipes.read(values) for values in there.get("models") or [] if values.get("name") == PASSIVE]
    if there.get("experiment") != "ot_loss" or not found:
        raise UserError(f"--passive {path} holds no passive model of ot_loss")
    old, new = recipes.stored(found[0]), recipes.stored(wanted)
    new["features"] = old["features"]  # wherever it lies, it is that of the images
    differing = [f"{key} ({old[key]} there, {new[key]} now)" for key in new if old[key] != new[key]]
    if differing:
        raise UserError(f"--passive {path} was trained otherwise: {', '.join(differing)}")
    if there.get("digest") != digest or there["seeds"] < seeds:
        raise UserError(f"--passive {path} was trained on other images, or has fewer than {seeds} seeds")
