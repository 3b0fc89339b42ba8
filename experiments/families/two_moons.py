"""Flow matching on two moons, step by step: concatenated and sinusoidal time, optimal-transport coupling, classes with
guidance, and distributional diffusion on the same net and budget.

Expected with the defaults: experiments 1 to 3 at the floor of W_1 at 50 steps; losses .92 to .97 with independent pairs
and below .04 with coupled ones; at 1 step only the coupled flow and DDM draw moons.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ddjax import cli, runs
from ddjax.cli.settings import (
    Count,
    Decay,
    FileToRead,
    Fraction,
    Multiple,
    NonNegative,
    Positive,
    Range,
    Seeds,
    Steps,
)
from ddjax.runs import engine
from experiments import run as runner
from experiments.lazy import (
    figures,
    flow_figures,
    flows,
    jax,
    jnp,
    judging,
    np,
    recipes,
    report,
    times,
    toys,
    types,
)
from experiments.moon_judges import (
    BLOCK,
    CLASSES,
    at_the_end,
    exact_sampler,
    few_step,
    per_class,
    truth,
    watched,
)
from experiments.run import Experiment, Findings, Trained

if TYPE_CHECKING:
    from ddjax.judging import Metric, Number
    from ddjax.recipes import Model, Recipe
    from ddjax.runs import Run
    from ddjax.types import Batch, Key, Params


@dataclass(frozen=True)
class Config(engine.Engine):
    """Train the models of the two-moons page and judge them at 1 to 50 steps.

    1: time concatenated. 2: sinusoidal time. 3: minibatch OT coupling. 4: class-conditional with guidance, for independent,
    label-blind and class-aware coupling. ddm: distributional diffusion. Writes config.yaml, metrics.jsonl, watched.jsonl,
    summary.json, figures, flow.gif, report.html and checkpoints into --out.
    """

    exp: tuple[Literal["1", "2", "3", "4", "ddm", "all"], ...] = ("all",)
    """Experiments to run."""
    seeds: Seeds = 3
    """Number of seeds, 0 to seeds - 1."""
    steps: Count = 10_000
    """Training steps of each model."""
    batch: Count = 256
    """Examples for each training step."""
    noise: NonNegative = 0.03
    """Standard deviation of the noise around the moons."""
    width: Count = 128
    """Width of the hidden layers."""
    depth: Annotated[int, Range(2, 1000)] = 3
    """Number of hidden layers; xi joins the second."""
    learning_rate: Positive = 2e-3
    """Rate of AdamW, constant."""
    weight_decay: NonNegative = 0.01
    """Decoupled weight decay."""
    ema_decay: Decay = 0.999
    """Decay of the averaged parameters that are sampled from."""
    population: Annotated[int, Range(2)] = 4
    """Draws m of DDM for each example."""
    dropout: Fraction = 0.1
    """Share of labels that experiment 4 hides from its net."""
    guidance: tuple[float, ...] = (1.0, 3.0)
    """Guidance weights w: 1 is conditional, above it pulls towards the class."""
    nfe: tuple[Steps, ...] = (1, 2, 5, 10, 50)
    """Numbers of sampling steps to judge."""
    samples: Annotated[int, Range(1000)] = 10_000
    """Points for each measured distance (W_1 takes blocks of 1,000 of them)."""
    blocks: Count = 2
    """Blocks of 1,000 points behind each W_1."""
    repeats: Annotated[int, Range(2)] = 8
    """Pairs of fresh true samples behind each floor."""
    save_every: Annotated[int, Multiple(100)] = 1000
    """Training steps between checkpoints and points of the metrics plot."""
    config: FileToRead | None = None
    """A YAML file of settings named as the flags; the command line wins over it."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once."""
        return engine.floats(self) | {("samples",): 4 * self.samples, ("blocks",): 2000 * self.blocks}


SHOWN, EXACT = 2000, "exact sampler"


def recipes_of(settings: Config) -> list[Recipe]:
    """The models of the chosen experiments, in the order of the page: one net, one optimiser, and what differs."""
    names = ("steps", "width", "depth", "learning_rate", "weight_decay", "ema_decay", "population")
    shared = {name: getattr(settings, name) for name in names} | {"event_shape": (2,), "predicts": "velocity"}
    flow = partial(recipes.Recipe, kind="flow", **shared)
    labelled = partial(flow, classes=CLASSES, label_dropout=settings.dropout, guidance=settings.guidance[0])
    of = {
        "1": [flow(name="1 time concatenated", time="raw")],
        "2": [flow(name="2 sinusoidal time")],
        "3": [flow(name="3 OT coupling", coupling="aware")],
        "4": [
            labelled(name="4 independent"),
            labelled(name="4 blind OT", coupling="blind"),
            labelled(name="4 class-aware OT", coupling="aware"),
        ],
        "ddm": [recipes.Recipe(name="DDM", inject=1, **shared)],
    }
    return [recipe for word, some in of.items() if word in settings.exp or "all" in settings.exp for recipe in some]


def ways(recipe: Recipe, settings: Config) -> dict[str, float]:
    """Each way to sample from a model, by its name in tables: the guidance weight."""
    return {f"{recipe.name}, w = {w:g}": w for w in settings.guidance} if recipe.classes else {recipe.name: 1.0}


def drawer(recipe: Recipe, model: Model, settings: Config, *, n: int, guidance: float = 1.0) -> Any:
    """(params, key, steps, churn) -> samples, half of them of each class where the model has classes."""
    labels = jnp.arange(n, dtype=jnp.int32) % CLASSES if recipe.classes else None

    def drawn(params: Params, key: Key, steps: int, churn: float | None = None) -> Batch:
        return types.Batch(model.draw(params, key, n, steps=steps, cond=labels, churn=churn, guidance=guidance), labels)

    return drawn


def batches(settings: Config, recipe: Recipe, seed: int) -> Any:
    """Fresh moons for every step, with labels where the model eats them."""

    def batch(key: Key) -> Any:
        drawn = toys.two_moons(key, settings.batch, noise=settings.noise)
        return tuple(drawn) if recipe.classes else drawn.x_0

    return batch


def watch(settings: Config, recipe: Recipe, model: Model, folder: Run) -> Any:
    """Judge averaged parameters at the largest number of steps, always on the same draw."""
    chosen = watched()
    draw = drawer(recipe, model, settings, n=BLOCK, guidance=next(iter(ways(recipe, settings).values())))

    def watching(params: Params) -> dict[str, float]:
        key_truth, key_draw = jax.random.split(jax.random.key(77))
        real, fake = truth(key_truth, BLOCK, noise=settings.noise), draw(params, key_draw, max(settings.nfe))
        return {name: metric.distance(real, fake) for name, metric in chosen.items()}

    return watching


def judge(settings: Config, trained: Trained) -> Findings:
    """Every way to sample from every model at every number of steps, and the exact sampler."""
    real = partial(truth, noise=settings.noise)
    chosen = {"few": few_step(), "class": per_class(), "end": at_the_end(), "watched": watched()}
    key_floor, key_judge, key_shape = jax.random.split(jax.random.key(2026), 3)
    floored = chosen["few"] | chosen["end"] | {f"watched_{name}": metric for name, metric in chosen["watched"].items()}
    models = list(zip(recipes_of(settings), trained.models, strict=True))
    if any(recipe.classes for recipe, _ in models):
        floored |= chosen["class"]
    floors = judging.floors(real, floored, key_floor, n=settings.samples, repeats=settings.repeats)
    numbers, pictures = [], {}

    def judged_by(labelled: bool) -> Any:
        always = judging.against(real, chosen["few"] | (chosen["class"] if labelled else {}), blocks=settings.blocks)
        last = judging.against(
            real, chosen["few"] | (chosen["class"] if labelled else {}) | chosen["end"], blocks=settings.blocks
        )
        return lambda fake, key, steps: (last if steps == max(settings.nfe) else always)(fake, key, steps)

    for recipe, model in models:
        for name, weight in ways(recipe, settings).items():
            key_judge, key = jax.random.split(key_judge)
            drawn = drawer(recipe, model, settings, n=settings.samples, guidance=weight)
            params, judged = trained.params[model.name], judged_by(bool(recipe.classes))
            numbers += judging.sweep(name, drawn, params, judged, floors, key, nfe=settings.nfe)
            pictures[name] = [np.asarray(drawn(params[0], jax.random.key(9), n).x_0)[:SHOWN] for n in settings.nfe]
    exact = lambda params, key, steps, churn: exact_sampler(key, settings.samples, noise=settings.noise)  # noqa: E731
    nothing = [None] * settings.seeds
    numbers += judging.sweep(EXACT, exact, nothing, judged_by(False), floors, key_judge, nfe=settings.nfe)
    shapes, tracks = shape_of_flows(models, trained, settings, key_shape)
    losses = final_losses(trained, settings)
    told = ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
    return Findings(
        numbers,
        {name: metric.title for name, metric in (chosen["few"] | chosen["class"]).items()},
        "value is the median over seeds; low and high are the smallest and largest seed",
        {
            "floors": {name: list(floor) for name, floor in floors.items()},
            "final_loss": losses,
            "straightness": shapes,
        },
        drawn_figures(settings, trained, floors, pictures, tracks),
        notes=[
            "The real set is balanced, half of its points on each moon. A model's samples are not: the row "
            f"{EXACT!r} shows what that alone costs.",
            f"loss, mean of the last 500 steps: {told}",
        ],
        tables=[of_the_end(numbers, chosen["end"]), of_shapes(losses, shapes)],
    )


def shape_of_flows(models: list, trained: Trained, settings: Config, key: Key) -> tuple[dict, dict]:
    """Straightness and length of the flows of seed 0 in 50 steps, and their tracks."""
    shapes, tracks, grid = {}, {}, times.grid(50)
    for recipe, model in models:
        (name, weight), *_ = ways(recipe, settings).items()
        labels = np.arange(SHOWN, dtype=np.int32) % CLASSES if recipe.classes else None
        draw = jax.jit(partial(recipes.sampler(recipe, path=True), guidance=weight), static_argnums=2)
        path = draw(trained.params[model.name][0], jax.random.clone(key), SHOWN, grid, labels)
        if recipe.kind == "flow":
            length = flows.path_length(path) / np.linalg.norm(path[-1] - path[0], axis=-1)
            straightness = float(flows.straightness(path, grid).mean())
            shapes[name] = {"straightness": straightness, "length_over_distance": float(np.median(length))}
        tracks[name] = np.asarray(path)
    return shapes, tracks


def final_losses(trained: Trained, settings: Config) -> dict[str, float]:
    """Mean loss over the last 500 steps and the seeds."""
    rows = [row for row in runs.read_metrics(trained.folder.path) if row["step"] > settings.steps - 500]
    jobs = {model.name: [recipes.job(model.name, seed) for seed in range(settings.seeds)] for model in trained.models}
    return {name: float(np.mean([row["loss"] for row in rows if row["job"] in of])) for name, of in jobs.items()}


def of_the_end(numbers: list[Number], chosen: dict[str, Metric]) -> Any:
    """What is measured at the largest number of steps alone, models by metrics, and the floors."""
    of = [n for n in numbers if n.metric in chosen]
    values = {(n.model, n.metric): f"{n.value:.3g} [{n.low:.3g}, {n.high:.3g}]" for n in of}
    lines = [[model, *(values[model, name] for name in chosen)] for model in dict.fromkeys(n.model for n in of)]
    floors = {n.metric: f"{n.floor:.3g} ± {n.floor_std:.1g}" for n in of}
    heads = ["model", *(metric.title for metric in chosen.values())]
    return report.plain(f"At {of[0].nfe} steps", heads, [*lines, ["floor", *(floors[name] for name in chosen)]])


def of_shapes(losses: dict[str, float], shapes: dict[str, dict[str, float]]) -> Any:
    """Losses and straightness."""
    lines = [[f"loss of {name}", f"{loss:.3f}", ""] for name, loss in losses.items()]
    for name, shape in shapes.items():
        lines.append([f"flow of {name}", f"{shape['straightness']:.3f}", f"{shape['length_over_distance']:.3f}"])
    heads = ["", "loss (last 500 steps) or straightness (0: straight)", "length / distance"]
    return report.plain("Losses and straightness", heads, lines)


def drawn_figures(
    settings: Config, trained: Trained, floors: dict, pictures: dict, tracks: dict
) -> dict[str, tuple[Any, str]]:
    """Metrics and losses over training, samples by steps, and the way from noise to data."""
    path, grid = trained.folder.path, np.asarray(times.grid(50))
    seen = watched()

    def band(axis: Any, name: str) -> None:
        mean, std = floors[f"watched_{name}"]
        axis.axhspan(mean - std, mean + std, color="0.85", label="floor")
        axis.set_yscale("linear" if name in ("coverage", "density") else "log")

    titles = {name: metric.title for name, metric in seen.items()}
    logged = [row for row in runs.read_metrics(path) if row["job"].endswith("seed0")]
    flow_figures.animation(path / "flow.gif", tracks, grid)
    window = (np.array([-1.5, -1.1]), np.array([2.5, 1.6]))
    return {
        "training.png": (
            figures.curves(runs.read_metrics(path, "watched.jsonl"), titles, band),
            "Metrics over training (seed 0, averaged parameters, most steps): grey is one floor standard deviation.",
        ),
        "losses.png": (
            figures.training(logged),
            "Losses. A coupling lowers the loss by taking variance out of the target, whatever it does for the samples.",
        ),
        "samples.png": (
            figures.clouds(pictures, [*map(figures.steps_of, settings.nfe)], window), "Samples by number of steps, seed 0."
        ),
        "trajectories.png": (
            flow_figures.trajectories(tracks, grid),
            "Six snapshots of the way from noise (t = 1) to data (t = 0), coloured by the moon at its end.",
        ),
        "flow.gif": (None, "The same, moving."),
    }  # fmt: skip


def run(settings: Config) -> None:
    """Train, judge, write the report, print the tables."""
    engine.start(settings)
    of = {"batches": batches, "watch": watch, "judge": judge}
    family = Experiment(
        "two_moons", recipes_of(settings), **{name: partial(part, settings) for name, part in of.items()},
        preset="-".join(settings.exp),
    )  # fmt: skip
    runner.run(family, settings)


if __name__ == "__main__":
    cli.main(Config, run)
