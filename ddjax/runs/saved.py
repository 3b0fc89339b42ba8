"""A trained model of a saved run, or of what was exported of it, rebuilt from the recipe that both keep."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ddjax import recipes, samplers, times
from ddjax.cli import UserError
from ddjax.networks import weights
from ddjax.runs import exported, folders, jobs
from ddjax.runs.engine import Engine
from ddjax.training import TrainState, checkpoints, memory, together
from ddjax.types import Key, Params


class Trained(NamedTuple):
    """A trained model, its averaged parameters, and the names of its classes."""

    job: str
    recipe: recipes.Recipe
    params: Params
    classes: tuple[str, ...]

    @property
    def flow(self) -> bool:
        """Whether samples have no churn to choose."""
        return not self.recipe.churns

    def sample(
        self, params: Params, key: Key, n: int, labels: Array | None = None, *, steps: int, churn: float
    ) -> Array:
        """n samples of the classes `labels` [n], in turns unless they are given, at the recipe's guidance."""
        if labels is None and self.recipe.classes:
            labels = jnp.arange(n, dtype=jnp.int32) % self.recipe.classes
        sampler = self.recipe.sampler(kernel="xla")  # which exports to every platform
        guidance = self.recipe.guidance
        noise = None if self.flow else churn
        return sampler(params, key, n, times.grid(steps), labels, churn=noise, guidance=guidance)

    def draw(self, key: Key, labels: Array | None, n: int, *, steps: int, churn: float, chunk: int) -> Array:
        """n samples of the classes `labels` [n], None for a model without, so many at a time: the same whatever the chunk is."""
        conds = () if labels is None else (labels,)

        def drawn(params: Params, key: Key) -> Array:
            one = lambda key, n, *label: self.sample(params, key, n, *label, steps=steps, churn=churn)  # noqa: E731
            return samplers.in_chunks(one, key, n, *conds, chunk=chunk)

        return jax.jit(drawn)(self.params, key)


def load(path: Path, job: str | None) -> Trained:
    """A model of a saved run: of the job, for instance "ddm-beta1-seed0"; None takes the first.

    Raises: UserError for a run that cannot be sampled, or a job that it does not have; FileNotFoundError where no intact
        checkpoint is left.
    """
    settings = folders.read_settings(path)
    job, kept = _kept(path, settings, job)
    params = _params(folders.Run(path, settings, Engine()), kept)
    return Trained(job, kept.recipe, params, _classes(path, settings, kept.recipe))


def of_export(path: Path) -> Trained:
    """The model of an export, from its weights and the recipe in its settings: draws in any number of steps.

    Raises: UserError for a damaged export, or one whose recipe this version cannot follow.
    """
    exported.verify(path)
    told = exported.about(path)
    try:
        folders.require_rules(path / exported.ABOUT, told["run"])
        job, (recipe, *_) = _kept(path, told["run"], told["model"])
        model = recipes.build(recipe)
        params = weights.restored(exported.weights(path), jax.eval_shape(model.network.init, jax.random.key(0)))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"cannot build the model of {path}: {error}") from None
    return Trained(job, recipe, params, _classes(path, told["run"], recipe))


class Kept(NamedTuple):
    """A model in a run: its recipe, the recipe that was trained, of which it is one of the averages, the seed, and which one."""

    recipe: recipes.Recipe
    trained: recipes.Recipe
    seed: int
    which: int


def _kept(path: Path, settings: dict[str, Any], job: str | None) -> tuple[str, Kept]:
    """The name of a model of a run by its settings, the first for None, and what it is of."""
    if not isinstance(settings.get("models"), list):
        raise UserError(
            f"{path} keeps no recipes of its models: it was written by another version, which can sample it"
        )
    try:
        found = [recipes.read(values) for values in settings["models"]]
    except ValueError as error:
        raise UserError(f"cannot build the models of {path}: {error}") from None
    every = [(each, recipe, i) for recipe in found for i, each in enumerate(recipes.averages(recipe))]
    by_job = {
        recipes.job(each.name, seed): Kept(each, recipe, seed, i)
        for each, recipe, i in every
        for seed in range(settings.get("seeds", 1))
    }
    job = job or next(iter(by_job), "")
    if job not in by_job:
        raise UserError(f"this run has the models {', '.join(by_job)}; got {job!r}")
    if by_job[job].recipe.cond_size:
        raise UserError(
            f"{job} needs a condition of {by_job[job].recipe.cond_size} numbers for each sample, which no command gives"
        )
    return job, by_job[job]


def _classes(path: Path, settings: dict[str, Any], recipe: recipes.Recipe) -> tuple[str, ...]:
    """The names of a model's classes, none for a model without. Raises: UserError for names of other classes."""
    names = tuple(settings.get("classes") or map(str, range(recipe.classes)))
    if recipe.classes and len(names) != recipe.classes:
        raise UserError(f"{path} names {len(names)} classes, and {recipe.name!r} has {recipe.classes}")
    return names if recipe.classes else ()


def _params(run: folders.Run, kept: Kept) -> Params:
    """The averaged parameters of a model; of a run whose seeds were trained together, those of its seed."""
    model, name, others = recipes.build(kept.trained), kept.trained.name, len(kept.trained.other_decays)
    needed, there = 4 * (4 + others) * recipes.parameters(model), memory.has()  # with averages, and moments of AdamW
    if there is not None and needed > there:
        raise UserError(
            f"{name!r} of {run.path} needs at least {needed / 1e9:,.0f} GB of memory, and there are {there / 1e9:,.0f}"
        )
    like = jobs.initial_state(model.network, model.optimizer, 0, others=others)
    if not run.settings.get("together"):
        return state(run, recipes.job(name, kept.seed), like).averages[kept.which]
    seeds = run.settings["seeds"]
    whole = state(run, recipes.joint_job(name, seeds), together.stacked([like] * seeds))
    return together.of_seed(whole.averages, kept.seed)[kept.which]


def state(run: folders.Run, job: str, like: TrainState) -> TrainState:
    """The newest intact state of a job, laid out as `like`. Raises: as `checkpoints.restore_newest`."""
    return checkpoints.restore_newest(run.checkpoints(job), like, job=run.owner(job))


def settings_of(found: list[recipes.Recipe]) -> dict[str, Any]:
    """What a run keeps of its recipes. Raises: ValueError for one that could not be read again."""
    models = [recipes.stored(recipe) for recipe in found]
    for values in models:
        recipes.read(values)
    return {"models": models}
