"""Digits restored from measurements, with calibrated intervals."""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddjax import data, denoisers, targets, types
from ddjax.recipes import Distributional, Energy, Mlp, Optimizer, Recipe, Regression
from ddjax.runs import engine
from experiments.common import conditioning as conditioning_judges
from experiments.common import runner
from experiments.common.runner import Experiment, Findings, Trained
from experiments.inverse_problems import coverages, measurements
from experiments.inverse_problems import evaluate as inverse_problem_judges
from experiments.inverse_problems import report as inverse_problem_pages
from experiments.inverse_problems.evaluate import Denoisers, Way
from experiments.inverse_problems.settings import Config

DDM, MEAN, PLANE = "DDM", "regression", "DDM on two Gaussians"
DRAWS, STEPS, PARTICLES = 64, 4, 16  # of the table of ways
EVALUATIONS = DRAWS * STEPS
PLANE_DRAWS = (4, 16, 64)


def recipes_of(settings: Config, shape: tuple[int, int, int]) -> list[Recipe]:
    """Draws and mean of digits, and draws of the two Gaussians."""
    image = {
        "event_shape": shape, "network": Mlp(width=settings.width, depth=settings.depth, residual=True), "predicts": "x0",
        "time_exponent": 0.5, "optimizer": settings.optimizer(),
    }  # fmt: skip
    plane = Optimizer(steps=settings.steps, learning_rate=5e-3, warmup=100, ema_decay=settings.ema_decay)
    return [
        Distributional(name=DDM, rule=Energy(beta=0.1), score_patch=3, population=4, **image),
        Regression(name=MEAN, **image),
        Distributional(name=PLANE, event_shape=(2,), time_exponent=0.7, optimizer=plane),
    ]


def batches(settings: Config, recipe: Recipe, seed: int) -> Any:
    """Digits without their labels, or fresh points."""
    if recipe.name == PLANE:
        mixture = targets.two_gaussians()
        return lambda key: mixture.sample(key, settings.batch)
    cut = data.batches(data.load("digits", "train"), settings.batch)
    return lambda key: types.Batch(cut(key).x_0)


class Asked(NamedTuple):
    """A way with its steps, the evaluations of a network that a sample costs, and whether it has a scale to tune."""

    way: Way
    steps: int
    evaluations: int
    guided: bool = False


def asked_of(of: Denoisers, problem: Any) -> dict[str, Asked]:
    """Every way of the first table: DPS and PiGDM with as many steps, and with as many evaluations."""
    judges, many = inverse_problem_judges, EVALUATIONS // 2
    drawn, particles = (judges.conditioned(of, problem, draws=DRAWS), judges.particles(of, problem, draws=PARTICLES))
    found = {
        "nothing (unconditional)": Asked(judges.unconditional(of, problem), STEPS, STEPS),
        f"{DRAWS} draws, {STEPS} steps": Asked(drawn, STEPS, EVALUATIONS),
        f"particles of {PARTICLES} draws, {STEPS} steps": Asked(particles, STEPS, judges.EACH * PARTICLES * STEPS),
    }
    for name, make in {"DPS": judges.dps, "PiGDM": judges.pigdm}.items():
        way = make(of, problem, most=many)
        found |= {f"{name}, {steps} steps": Asked(way, steps, 2 * steps, True) for steps in (STEPS, many)}
    return found


class Bench:
    """Digits to tune and to judge by, and what is asked of a problem."""

    def __init__(self, settings: Config):
        seen, test = (data.to_float(jnp.asarray(data.load("digits", split).x)) for split in ("train", "test"))  # pyright: ignore[reportAttributeAccessIssue]
        flat = np.asarray(seen).reshape(len(seen), -1)
        self.varies = flat.std(0) > 0.1
        self.variance = float(flat.var(0).mean())
        order = np.random.default_rng(0).permutation(len(test))
        self.tuning, self.truth = test[order[: settings.tuning]], test[order[-settings.digits :]]

    def scale(self, problem: Any, asked: Asked) -> float:
        """The scale of guidance that is best on digits that nothing else is judged by."""
        key_y, key_draw = jax.random.split(jax.random.key(2025))
        loss = lambda x: float(coverages.energies(x, self.tuning, problem, self.varies).mean())  # noqa: E731
        way = partial(asked.way, noise=problem.noise, steps=asked.steps)
        return inverse_problem_judges.tuned(way, loss, problem.measure(key_y, self.tuning), key_draw)

    def judged(self, problem: Any, way: Way, n: int, **told: Any) -> tuple[dict[str, Any], Any]:
        """A way on the first n digits: its numbers, and the measurements and samples behind them."""
        key_y, key_draw, key_judge = jax.random.split(jax.random.key(2026), 3)
        y = problem.measure(key_y, self.truth[:n])
        x = way(key_draw, y, coverages.SAMPLES, noise=problem.noise, **told)
        return coverages.judged(x, self.truth[:n], y, problem, self.varies, key_judge)._asdict(), (y, x)

    def table(self, problem: Any, chosen: dict[str, Asked], shown: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Every way judged, with its cost and scale; first samples of each go to `shown`."""
        found = {}
        for name, asked in chosen.items():
            told = {"scale": self.scale(problem, asked)} if asked.guided else {}
            numbers, (y, x) = self.judged(problem, asked.way, len(self.truth), steps=asked.steps, **told)
            shown |= {name: np.asarray(x[:, :2]), "measured": problem.shown(np.asarray(y))}
            found[name] = told | {"evaluations": asked.evaluations} | numbers
        shown["truth"] = np.asarray(self.truth)
        return found

    def sweep(self, of: Denoisers, problem: Any, draws: tuple[int, ...]) -> dict[int, dict[int, dict[str, Any]]]:
        """Conditioning by M draws in 1 to 8 steps, on half of the digits."""
        ways = {m: inverse_problem_judges.conditioned(of, problem, draws=m) for m in draws}
        half = len(self.truth) // 2
        return {
            m: {n: self.judged(problem, way, half, steps=n)[0] for n in inverse_problem_judges.STEPS}
            for m, way in ways.items()
        }

    def effective(self, of: Denoisers, problem: Any) -> list[float]:
        """Median effective size along the steps of the first table."""
        key_y, key_size = jax.random.split(jax.random.key(8))
        y = problem.measure(key_y, self.truth)
        return inverse_problem_judges.effective(of, problem, y, key_size, draws=DRAWS, steps=STEPS)


def judge(settings: Config, trained: Trained) -> Findings:
    """All ways at the level of noise; those of many evaluations at the others; draws by steps; and the two Gaussians."""
    bench = Bench(settings)
    bound = {
        recipe.name: denoisers.bind(recipe.predictor(), trained.params[recipe.name][0]) for recipe in trained.recipes
    }
    of = inverse_problem_judges.Denoisers(bound[DDM], bound[MEAN], bench.variance)
    found, pictures = {}, {}
    for name in measurements.PROBLEMS:
        problem = measurements.measurement(name, trained.recipes[0].event_shape, settings.noise)
        asked = asked_of(of, problem)
        costly = {way: one for way, one in asked.items() if one.evaluations == EVALUATIONS}
        pictures[name] = {}
        noises = {settings.noise: bench.table(problem, asked, pictures[name])}
        noises |= {noise: bench.table(replace(problem, noise=noise), costly, {}) for noise in settings.other_noise}
        effective = {noise: bench.effective(of, replace(problem, noise=noise)) for noise in noises}
        sweep = bench.sweep(of, problem, settings.draws)
        found[name] = {"noise": noises, "effective": effective, "sweep": sweep}
        print(f"judged: {name}", flush=True)
    ways = conditioning_judges.ways(PLANE_DRAWS, (PARTICLES,), bound[PLANE])
    del ways[conditioning_judges.PLUGGED]
    plane = conditioning_judges.measured(ways, settings.points, 5)
    return inverse_problem_pages.findings(found, plane, pictures, settings.noise)


def run(settings: Config) -> None:
    """Train, judge, write the report, print the tables."""
    engine.start(settings)
    shape = data.load("digits", "train").shape
    runner.run(Experiment("inverse_problems", recipes_of(settings, shape), batches, judge), settings)
