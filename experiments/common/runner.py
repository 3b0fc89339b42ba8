"""The one runner: open the run, train every model and seed, judge, write everything, print.

A family says what is different: its models, where their batches come from, and how they are judged.
"""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from matplotlib.figure import Figure

from ddjax import cli, judging, recipes, runs
from ddjax.files import require_plain
from ddjax.judging import Number
from ddjax.recipes import Model, Recipe
from ddjax.runs import Run, engine, jobs, saved
from ddjax.runs.jobs import Budget
from ddjax.training import TrainState
from ddjax.types import Params
from experiments.common import figures, report, verdicts
from experiments.common.settings import Training

SUMMARY, REPORT = "summary.json", "report.html"
Settings = TypeVar("Settings", bound="Training")


class Findings(NamedTuple):
    """What judging a family yields.

    Args:
        numbers: of all metrics. titles: of the metrics that have a table, on the page and on the terminal.
        interval: what low and high of a number are. summary: entries of summary.json besides those of every run.
        figures: by name of the file: the figure (None where the file is written already), and its caption.
        notes: sentences for page and terminal. tables: more of them, for the page.
        verdict: the sentence that the page begins with (default: how near the floor of the first table the best model came).
        warnings: where a number is not to be trusted.
    """

    numbers: Sequence[Number]
    titles: dict[str, str]
    interval: str
    summary: dict[str, Any] = {}  # noqa: RUF012
    figures: dict[str, tuple[Figure | None, str]] = {}  # noqa: RUF012
    notes: Sequence[str] = ()
    tables: Sequence[Any] = ()
    verdict: str = ""
    warnings: Sequence[str] = ()


class Trained(NamedTuple):
    """The models of a run in the order of their recipes, and of each, by name, the averaged parameters of every seed."""

    folder: Run
    recipes: Sequence[Recipe]
    models: Sequence[Model]
    params: dict[str, list[Params]]

    def pairs(self) -> list[tuple[Recipe, Model]]:
        """Each recipe with its model."""
        return list(zip(self.recipes, self.models, strict=True))


class Experiment(NamedTuple, Generic[Settings]):
    """A family of models on some data.

    Args:
        name: of the experiment, and of its folder under runs/. recipes: its models.
        batches: (settings, recipe, seed) -> the batches to train on, as `training.fit` takes them.
        judge: (settings, trained models) -> findings.
        watch: (settings, recipe, model, folder) -> averaged parameters -> numbers, told at each checkpoint.
        start: (settings, recipe, seed, folder) -> fresh state -> the state to train on from, or None for the fresh one.
        all_watched: every seed, not the first alone.
        chunk: samples that are drawn together, with one key: part of what is drawn.
        preset: names the folder where no --out is given. notes: told before training.
        facts: what the run found beside its settings and must find again, kept with them.
    """

    name: str
    recipes: Sequence[Recipe]
    batches: Callable[[Settings, Recipe, int], Any]
    judge: Callable[[Settings, Trained], Findings]
    watch: Callable[[Settings, Recipe, Model, Run], Callable[[Params], dict[str, float]]] | None = None
    start: Callable[[Settings, Recipe, int, Run], Callable[[TrainState], TrainState] | None] | None = None
    all_watched: bool = False
    chunk: int = 65_536
    preset: str = "default"
    notes: Sequence[str] = ()
    facts: dict[str, Any] = {}  # noqa: RUF012


def run(experiment: Experiment[Settings], settings: Settings) -> None:
    """Everything between the settings and the results. Raises: ValueError for a batch that the devices do not divide."""
    began = time.monotonic()
    engine.require_devices(settings.batch, settings.model_shards)
    if settings.together:
        jobs.require_together()
    models = [recipes.build(recipe, chunk=experiment.chunk) for recipe in experiment.recipes]
    kept = saved.settings_of(experiment.recipes) | experiment.facts
    folder = runs.open_run(experiment.name, settings, Path("runs") / experiment.name / experiment.preset, facts=kept)
    require_places(folder.path)
    for note in experiment.notes:
        print(cli.message(note), flush=True)
    pairs = list(zip(experiment.recipes, models, strict=True))
    trained_by = _together if settings.together else _one_by_one
    params = {}  # of each model, and of each average of it, by seed
    for recipe, model in pairs:
        by_seed = trained_by(experiment, settings, recipe, model, folder)
        names = [each.name for each in recipes.averages(recipe)]
        params |= dict(zip(names, map(list, zip(*by_seed, strict=True)), strict=True))
    trained = time.monotonic()
    if not runs.first_process():
        return
    every = [(each, model._replace(name=each.name)) for recipe, model in pairs for each in recipes.averages(recipe)]
    found = experiment.judge(settings, Trained(folder, *map(list, zip(*every, strict=True)), params))
    seconds = {"training": round(trained - began, 1), "total": round(time.monotonic() - began, 1)}
    write(folder.path, experiment.name, folder.settings, found, seconds)


def _one_by_one(
    experiment: Experiment[Settings], settings: Settings, recipe: Recipe, model: Model, folder: Run
) -> list[tuple[Params, ...]]:
    watch = experiment.watch and experiment.watch(settings, recipe, model, folder)
    return [
        jobs.train(
            folder,
            recipes.job(model.name, seed),
            model.network,
            model.loss_fn,
            model.optimizer,
            experiment.batches(settings, recipe, seed),
            _budget(settings, recipe),
            seed=seed,
            watch=watch if experiment.all_watched or seed == 0 else None,
            start=experiment.start and experiment.start(settings, recipe, seed, folder),
        )
        for seed in range(settings.seeds)
    ]


def _together(
    experiment: Experiment[Settings], settings: Settings, recipe: Recipe, model: Model, folder: Run
) -> list[tuple[Params, ...]]:
    return jobs.train_together(
        folder,
        recipes.joint_job(model.name, settings.seeds),
        [recipes.job(model.name, seed) for seed in range(settings.seeds)],
        model.network,
        model.loss_fn,
        model.optimizer,
        experiment.batches(settings, recipe, 0),
        _budget(settings, recipe),
        watch=experiment.watch and experiment.watch(settings, recipe, model, folder),
    )


def _budget(settings: Training, recipe: Recipe) -> Budget:
    decays = {"ema_decay": recipe.optimizer.ema_decay, "other_decays": recipe.other_decays}
    return jobs.Budget(recipe.optimizer.steps, settings.save_every, accumulate=settings.accumulate, **decays)


def require_places(path: Path) -> None:
    """Raises: OSError, before anything is computed, where a result would not replace a plain file."""
    for name in (SUMMARY, REPORT):
        require_plain(path / name)


def write(path: Path, experiment: str, settings: dict[str, Any], found: Findings, seconds: dict[str, float]) -> None:
    """summary.json, figures and report.html; then the tables on the terminal."""
    told = {name: [n for n in found.numbers if n.metric == name] for name in found.titles}
    told = {name: numbers for name, numbers in told.items() if numbers}
    verdict = found.verdict or next((verdicts.by_steps(of, found.titles[name]) for name, of in told.items()), "")
    first, notes = ("", found.notes) if verdict or not found.notes else (found.notes[0], found.notes[1:])
    verdict = verdict or first
    summary = {
        "experiment": experiment,
        "settings": settings,
        "provenance": runs.provenance(),
        "seconds": seconds,
        "peak_memory_gb": round(runs.peak_memory_gb(), 2),
        "verdict": verdict,
        "interval": found.interval,
        "numbers": [number.row() for number in found.numbers],
    }
    if clash := sorted(summary.keys() & found.summary.keys()):
        raise ValueError(f"every run has {clash[0]!r} in its summary: a family names its own otherwise")
    summary |= found.summary
    runs.write_atomically(path / SUMMARY, json.dumps(summary, indent=2) + "\n")
    for file, (figure, _) in found.figures.items():
        if figure is not None:
            figures.save(figure, path / file)
    tables = [report.of_numbers(numbers, found.titles[name]) for name, numbers in told.items()]
    captions = {name: caption for name, (_, caption) in found.figures.items()}
    small = f"In brackets: {found.interval}." if found.interval else ""
    sentences = report.Told(verdict, found.warnings, notes, small)
    runs.write_atomically(path / REPORT, report.page(path, summary, [*tables, *found.tables], captions, sentences))
    for name, numbers in told.items():
        print(f"\n{found.titles[name]}\n\n{judging.table(numbers, name)}")
    for table in found.tables:
        print(
            f"\n{table.title}\n\n{judging.markdown(table.heads, [[cell.told for cell in line] for line in table.lines])}"
        )
    print("", *filter(None, [verdict]), *(f"beware: {line}" for line in found.warnings), *notes, sep="\n")
    print(f"\n{seconds['total']:.0f} s, peak memory {summary['peak_memory_gb']} GB, results in {cli.shown(path)}")
