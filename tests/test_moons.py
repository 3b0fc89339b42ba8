"""The two-moons page and the curse of conditions: how they judge, and that they run."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from scipy.optimize import linear_sum_assignment
from test_experiments import CACHED, OPTIMISED, ROOT, command

from ddjax import cli, judging
from ddjax.data import toys
from ddjax.recipes import build
from ddjax.types import Batch
from experiments.conditional_ot import evaluate as conditions
from experiments.conditional_ot import experiment as conditional_ot
from experiments.two_moons import evaluate as moon_judges
from experiments.two_moons import experiment as two_moons


@pytest.fixture(scope="module")
def pair():
    """Two balanced samples of the truth."""
    return tuple(moon_judges.truth(jax.random.key(seed), 2000, noise=0.03) for seed in (0, 1))


def test_every_block_of_the_real_set_is_balanced_and_labels_belong_to_points(pair):
    """Labels in turns, and each on its own half circle. Fails for labels that stay behind when points are reordered."""
    points, labels = pair[0]
    assert (np.asarray(labels) == np.arange(2000) % 2).all()
    centre = np.where(np.asarray(labels)[:, None] == 0, [[0.0, 0.0]], [[1.0, 0.5]])
    close(np.linalg.norm(points - centre, axis=1), 1.0, atol=0.15)


def test_the_exact_sampler_tosses_a_coin_for_each_point():
    """Counts of a fair coin over 400 draws of 50, and the law of the truth: MMD^2 at its floor. Fails for a fixed share."""
    draws = jax.vmap(lambda key: moon_judges.exact_sampler(key, 50, noise=0.03))(
        jax.random.split(jax.random.key(0), 400)
    )
    counts = np.asarray(draws.cond).sum(1)
    assert abs(counts.mean() - 25) < 4 * np.sqrt(12.5 / 400)
    assert abs(counts.var() / 12.5 - 1) < 4 * np.sqrt(2 / 400)
    pooled = Batch(draws.x_0.reshape(-1, 2), draws.cond.reshape(-1))
    real = moon_judges.truth(jax.random.key(9), 20_000, noise=0.03)
    assert abs(moon_judges.few_step()["mmd2"].distance(real, pooled)) < 4e-4


def test_class_distances_are_those_within_classes_in_units_of_the_whole_set(pair):
    """Against SciPy, class by class. Swapped labels must cost: fails for a distance of the union."""
    real, fake = (Batch(batch.x_0[:200], batch.cond[:200]) for batch in pair)
    scale = np.asarray(real.x_0).std(0)
    expected = []
    for label in (0, 1):
        x, y = (np.asarray(batch.x_0)[np.asarray(batch.cond) == label] / scale for batch in (real, fake))
        cost = np.linalg.norm(x[:, None] - y[None], axis=-1)
        expected.append(cost[linear_sum_assignment(cost)].mean())
    metric = moon_judges.per_class()["class_w1"]
    close(metric.distance(real, fake), np.mean(expected), rtol=1e-4)
    assert metric.distance(real, Batch(fake.x_0, 1 - fake.cond)) > 5 * np.mean(expected)


def test_blocks_are_disjoint(pair):
    """The mean over two blocks of 1,000 is that of the halves. Fails for the first block twice."""
    halves = [[Batch(batch.x_0[half], batch.cond[half]) for batch in pair] for half in (slice(1000), slice(1000, None))]
    metric = moon_judges.few_step()["w1"]
    close(judging.in_blocks(metric, *pair, 2), np.mean([metric.distance(*half) for half in halves]), rtol=1e-6)


SETTINGS = two_moons.Config(exp=("4",), width=8, depth=2, batch=64)


def test_the_couplings_of_experiment_4_differ_as_they_say():
    """Pairs get cheaper from independent to class-aware to blind coupling. Fails for couplings in another order."""
    costs = {}
    for model in map(build, two_moons.recipes_of(SETTINGS)):
        x_0, labels = moon_judges.truth(jax.random.key(3), 512, noise=0.03)
        params = model.network.init(jax.random.key(0))
        costs[model.name] = float(model.loss_fn(params, jax.random.key(4), (x_0, labels))[1]["pair_cost"])
    assert list(costs) == ["4 independent", "4 blind OT", "4 class-aware OT"]
    assert costs["4 blind OT"] < 0.8 * costs["4 class-aware OT"] < 0.6 * costs["4 independent"]


def test_x_conditions_are_judged_jointly():
    """Right points under exchanged conditions are far from the truth. Fails for the distance of the points alone."""
    recipe = next(r for r in conditional_ot.recipes_of(conditional_ot.Config()) if r.name.startswith("x coordinate"))
    told = conditions.data(jax.random.key(0), 400, noise=0.2)
    assert conditions.distance(recipe, told, told, told.x_0) == 0
    assert conditions.distance(recipe, told, told, told.x_0[::-1]) > 1


def test_the_curse_of_conditions_is_a_wrong_start():
    """Only blind OT gives each class a start of its own: means of the eight Gaussians that meet class 0 and class 1.

    Fails for couplings exchanged, or a condition that a coupling does not get to see.
    """
    gaps = {}
    x_0, labels = conditions.data(jax.random.key(0), 1024, noise=0.2)
    x_1 = toys.eight_gaussians(jax.random.key(1), 1024).x_0
    for recipe in conditional_ot.recipes_of(conditional_ot.Config()):
        if recipe.classes:
            met = np.asarray(recipe.pairs()(jax.random.key(2), x_0, x_1, labels))
            gaps[recipe.name] = np.linalg.norm(
                met[np.asarray(labels) == 0].mean(0) - met[np.asarray(labels) == 1].mean(0)
            )
    chance = 4 * np.sqrt(2 * 12.6 / 512)  # of each coordinate of a difference of means; the variance is 5^2 / 2 + .1
    assert gaps["class, independent"] < chance and gaps["class, condition-aware OT"] < chance
    assert gaps["class, OT"] > 3 * chance


def test_orders_count_seeds():
    """Hand case of three seeds, one in each order. Fails for medians compared instead of seeds."""
    ways = dict.fromkeys(conditions.WAYS)
    values = {"condition-aware OT": [1.0, 1.0, 3.0], "independent": [2.0, 3.0, 1.0], "OT": [3.0, 2.0, 2.0]}
    names = [(condition, coupling) for condition in ("class", "x coordinate") for coupling in values]
    cells = {f"{condition}, {coupling}": {way: values[coupling] for way in ways} for condition, coupling in names}
    told = conditions.orders(cells)["class, adaptive"]
    assert told == "condition-aware < independent < OT in 1 of 3 seeds, condition-aware < OT in 2"


SMALL = {
    "two_moons": "--exp 4 ddm --steps 200 --save-every 200 --seeds 1 --samples 1000 --blocks 1 --repeats 5 --nfe 1 2",
    "conditional_ot": "--steps 100 --save-every 100 --seeds 1 --samples 100 --repeats 5 --tolerance 0.01",
}


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("module", SMALL)
def test_a_small_run_writes_all_that_it_promises(module, tmp_path):
    """Every file; every number with its floor and range; a second run into the folder is refused."""
    words = [*SMALL[module].split(), "--batch", "32", "--out", str(tmp_path / "run")]
    env = OPTIMISED if module == "two_moons" else CACHED
    run = lambda: subprocess.run(command(module, *words), cwd=ROOT, capture_output=True, text=True, env=env)  # noqa: E731
    result = run()
    assert result.returncode == 0, result.stderr
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"config.yaml", "metrics.jsonl", "summary.json", "report.html", "checkpoints"} <= written
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count("data:image") == sum(name.endswith((".png", ".gif")) for name in written)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    if module == "two_moons":
        assert {"training.png", "losses.png", "samples.png", "trajectories.png", "flow.gif", "watched.jsonl"} <= written
        for number in summary["numbers"]:
            assert number["low"] <= number["value"] <= number["high"] and number["floor_std"] >= 0
        assert {"4 blind OT, w = 3", "DDM", two_moons.EXACT} <= {number["model"] for number in summary["numbers"]}
    else:
        assert len(summary["cells"]) == 8 and all(cell["not converged"] == 0 for cell in summary["cells"].values())
        assert len(summary["orders"]) == 4
    again = run()
    assert again.returncode == 2 and "already holds a run" in again.stderr


@pytest.mark.parametrize(
    ("module", "words", "message"),
    [
        (two_moons, "--exp 5", "--exp"),
        (two_moons, "--samples 10", "--samples must be at least 1000, got 10"),
        (two_moons, "--dropout 2", "--dropout must lie in [0, 1]"),
        (two_moons, "--nfe 0", "--nfe must lie in [1, 10000], got 0"),
        (two_moons, "--seed 3", "the nearest valid one is 'seeds'"),
        (conditional_ot, "--samples 7", "--samples must be a multiple of 2, got 7"),
        (conditional_ot, "--share 1.5", "--share must lie in [0, 1], got 1.5"),
        (conditional_ot, "--steps 0", "--steps must be at least 1, got 0"),
    ],
)
def test_mistakes_cost_one_line_and_nothing_is_left(module, words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["experiment", *words.split()])
    with pytest.raises(SystemExit) as stop:
        cli.main(module.Config, module.run, presets=getattr(module, "PRESETS", None))
    assert stop.value.code == 2 and message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
