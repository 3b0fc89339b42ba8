"""Distributional diffusion on the paper's two Gaussians, beside regression and both exact oracles.

Paper: De Bortoli et al., "Distributional Diffusion Models with Scoring Rules", arXiv 2502.02483, section 5.1.
Expected with the defaults: MMD^2 (RBF, bandwidth 1, U-statistic, n = 10,000) below 5e-3 at 1 step and 1e-3 at 4 steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ddjax import cli
from ddjax.cli.settings import (
    Count,
    Decay,
    Depth,
    Exponent,
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
from experiments.lazy import figures, jax, judging, metrics, mixtures, np, recipes, runs, targets, types
from experiments.run import Experiment, Findings, Trained

if TYPE_CHECKING:
    from ddjax.judging import Metric, Spread
    from ddjax.recipes import Recipe
    from ddjax.types import Batch, Key


@dataclass(frozen=True)
class Config(engine.Engine):
    """Train distributional diffusion (DDM) and x_0 regression on two Gaussians, judge both at 1 to 32 steps.

    Writes config.yaml, metrics.jsonl, summary.json, figures, report.html and checkpoints into --out.
    """

    seeds: Seeds = 1
    """Number of seeds, 0 to seeds - 1; tables give medians and ranges over them."""
    steps: Count = 3000
    """Training steps of each model."""
    population: Count = 8
    """Draws m for each example in the loss; at least 2 when lam > 0."""
    beta: tuple[Exponent, ...] = (1.0,)
    """Exponents of the energy score; one model for each."""
    lam: NonNegative = 1.0
    """Weight of the interaction: 1 is the proper rule, below 1 the spread shrinks."""
    churn: tuple[Fraction, ...] = (0.0, 1.0)
    """Noise of the bridge sampler: 0 is DDIM, 1 is DDPM."""
    nfe: tuple[Steps, ...] = (1, 2, 4, 8, 16, 32)
    """Numbers of sampling steps to judge."""
    batch: Count = 512
    """Examples for each training step."""
    width: Count = 128
    """Width of the hidden layers."""
    depth: Depth = 4
    """Number of hidden layers."""
    inject: Annotated[int, Range(0)] = 1
    """Hidden layer that xi joins: 0 is the input (the paper's), later ones share more over the population."""
    predicts: Literal["x0", "velocity"] = "velocity"
    """What the networks output; the score is taken of x_0 either way."""
    weight: Literal["uniform", "sigmoid"] = "uniform"
    """w(t) of the loss: sigmoid is sigmoid(logsnr), which starves the noise end and so the first steps."""
    time_exponent: Positive = 0.7
    """Training times are u^exponent: below 1 favours the noise end, where few-step sampling lives."""
    learning_rate: Positive = 5e-3
    """Peak rate of Adam, after a warm-up and before a cosine decay to 1 percent."""
    ema_decay: Decay = 0.999
    """Decay of the averaged parameters that are sampled from."""
    samples: Annotated[int, Range(2)] = 10_000
    """Points for each measured distance."""
    repeats: Count = 2
    """Fresh draws for each seed behind each number."""
    save_every: Annotated[int, Multiple(100)] = 1000
    """Training steps between checkpoints."""
    full: bool = False
    """The full protocol: beta .1, .5, 1 and 1.5, three seeds, 4,000 steps (explicit flags still win)."""
    config: FileToRead | None = None
    """A YAML file of settings named as the flags; the command line wins over it."""

    def check(self) -> None:
        """Raises: UserError for settings that do not go together."""
        if self.population < 2 and self.lam > 0:
            raise cli.UserError(f"--population must be at least 2 when lam > 0, got {self.population}")
        if self.inject >= self.depth:
            raise cli.UserError(f"--inject must name a hidden layer, 0 to {self.depth - 1}, got {self.inject}")

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once."""
        return engine.floats(self) | {("samples",): 4 * self.samples}


PRESETS = {"full": {"beta": (0.1, 0.5, 1.0, 1.5), "seeds": 3, "steps": 4000}}
MEAN = "exact mean (oracle)"
SHOWN = 2000  # points of a picture


def recipes_of(settings: Config) -> list[Recipe]:
    """One distributional model for each beta, and regression with the same net."""
    shared = {
        "event_shape": (2,), "width": settings.width, "depth": settings.depth, "inject": settings.inject,
        "predicts": settings.predicts, "weight": settings.weight, "time_exponent": settings.time_exponent,
        "lam": settings.lam, "population": settings.population, "steps": settings.steps, "cosine": True, "clip": 1.0,
        "learning_rate": settings.learning_rate, "ema_decay": settings.ema_decay,
    }  # fmt: skip
    models = [recipes.Recipe(name=f"ddm-beta{beta:g}", beta=beta, **shared) for beta in settings.beta]
    return [*models, recipes.Recipe(name="regression", kind="regression", **shared)]


def metrics_of() -> dict[str, Metric]:
    """The two distances of every table, with what they are."""
    sliced = lambda x, y: metrics.sliced_wasserstein(x, y, jax.random.key(0), p=2.0, projections=64)  # noqa: E731
    mmd2 = "MMD², Gaussian kernel of bandwidth 1, U-statistic (may be negative)"
    sliced_w2 = "Sliced W₂, Euclidean ground cost, power 2, 64 projections"
    return {
        "mmd2": judging.Metric(mmd2, judging.on_points(metrics.mmd)),
        "sliced_w2": judging.Metric(sliced_w2, judging.on_points(sliced)),
    }


def judge(settings: Config, trained: Trained) -> Findings:
    """Models and both oracles at every number of steps and churn, and the spread of the learned posteriors."""
    mixture, chosen = targets.two_gaussians(), metrics_of()
    truth = lambda key, n: types.Batch(mixture.sample(key, n))  # noqa: E731
    key_floor, key_sweep, key_spread = jax.random.split(jax.random.key(2026), 3)
    floors = judging.floors(truth, chosen, key_floor, n=settings.samples, repeats=8)
    entries = [(model.name, model.draw, trained.params[model.name]) for model in trained.models]
    for name, oracle in (("exact posterior (oracle)", mixtures.oracle), (MEAN, mixtures.mean_oracle)):
        sampler = recipes.by_bridge(oracle(mixture, recipes.SCHEDULE), recipes.SCHEDULE, (2,))
        entries.append((name, recipes.drawing(sampler), [None]))
    numbers, pictures = [], {}
    for (name, draw, params), key in zip(entries, jax.random.split(key_sweep, len(entries)), strict=True):

        def drawn(params: Any, key: Key, steps: int, churn: float, draw: Any = draw) -> Batch:
            return types.Batch(draw(params, key, settings.samples, steps=steps, churn=churn))

        swept = {"nfe": settings.nfe, "churn": settings.churn, "repeats": settings.repeats}
        judged = judging.against(truth, chosen)
        numbers += judging.sweep(name, drawn, params, judged, floors, jax.random.clone(key), **swept)
        last = settings.churn[-1]
        pictures[name] = [np.asarray(drawn(params[0], key, n, last).x_0)[:SHOWN] for n in settings.nfe]
    spreads = {
        recipe.name: judging.spread_curve(
            recipes.predictor(recipe), trained.params[recipe.name], mixture, recipes.SCHEDULE, key_spread,
            np.linspace(0.2, 0.95, 16),
        )
        for recipe in recipes_of(settings) if recipe.kind == "distributional"
    }  # fmt: skip
    closed = judging.gap_closed(numbers, "mmd2", MEAN)
    return Findings(
        numbers,
        {name: metric.title for name, metric in chosen.items()},
        "low and high are the smallest and largest of seeds x repeats fresh draws; value is the median over seeds",
        {"gap_closed": closed, "spread": {name: curve._asdict() for name, curve in spreads.items()}},
        drawn_figures(settings, trained, numbers, pictures, spreads, np.asarray(mixture.sample(key_floor, SHOWN))),
        notes=told(closed, spreads),
    )


def told(closed: dict[str, dict[int, float]], spreads: dict[str, Spread]) -> list[str]:
    """What the numbers say, in sentences."""
    lines = []
    for name, shares in closed.items():
        of_steps = ", ".join(f"{steps}: {100 * share:.2f} %" for steps, share in shares.items())
        lines.append(f"gap closed between the exact mean and the floor at equal steps, {name}: {of_steps}")
    for name, curve in spreads.items():
        off = f"off by {100 * curve.mean_error:.1f} % on average over t in [.2, .95]"
        lines.append(f"posterior spread, {name}: {off}")
    return lines


def drawn_figures(
    settings: Config, trained: Trained, numbers: list, pictures: dict, spreads: dict, truth: np.ndarray
) -> dict[str, tuple[Any, str]]:
    """Samples, distance by steps, posterior spread, training curves."""
    titles = [*map(figures.steps_of, settings.nfe), "truth"]
    rows = {name: [*drawn, truth] for name, drawn in pictures.items()}
    churn, logged = settings.churn[-1], runs.read_metrics(trained.folder.path)
    limit = "The exact mean is a perfect classical model: what it lacks, no training adds."
    return {
        "samples.png": (
            figures.clouds(rows, titles, (truth.min(0) - 1.0, truth.max(0) + 1.0)), f"Samples by number of steps. {limit}"
        ),
        "mmd2.png": (
            figures.by_steps(numbers, "mmd2", "MMD$^2$ (RBF, bandwidth 1, U)", churn=churn),
            "Distance to the truth against steps. Dashed: the two oracles. Grey: not told from the truth.",
        ),
        "spread.png": (figures.spread(spreads), "Spread of the learned posterior against the exact one."),
        "training.png": (
            figures.training(logged, ("loss", "confinement", "interaction")),
            "Training curves: means over 100 steps.",
        ),
    }  # fmt: skip


def run(settings: Config) -> None:
    """Train, judge, write the report, print the table."""
    engine.start(settings)
    mixture = targets.two_gaussians()
    batches = lambda recipe, seed: lambda key: mixture.sample(key, settings.batch)  # noqa: E731
    family = Experiment(
        "two_gaussians",
        recipes_of(settings),
        batches,
        partial(judge, settings),
        preset="full" if settings.full else "default",
    )
    runner.run(family, settings)


if __name__ == "__main__":
    cli.main(Config, run, presets=PRESETS)
