"""The few-step family: its targets and their laws, one net for all presets, and a small run from end to end."""

import json
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddjax import judging, metrics, recipes
from experiments.common import figures, oracles
from experiments.family import evaluate as rivals
from experiments.family import experiment as family
from experiments.family import grids, presets
from experiments.family import report as rival_pages

POINTS = 4000


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", rivals.PLANE)
def test_targets_are_in_units_of_their_spread_and_have_the_law_that_is_told(name):
    """Mean 0 and mean variance 1 within 4 standard errors; draws of the target and of its law apart by no more than two samples.

    Mutations: a scale for each axis; moons whose arcs meet; the light squares of the board.
    """
    target = rivals.target(name)
    x = np.asarray(target.sample(jax.random.key(1), POINTS), np.float64)
    assert (np.abs(x.mean(0)) < 4 * x.std(0) / np.sqrt(POINTS)).all()
    squares = (x**2).mean(1)
    assert abs(squares.mean() - 1) < 4 * squares.std() / np.sqrt(POINTS)
    law = jax.jit(target.law.sample, static_argnums=1)
    floor = metrics.floor(metrics.mmd, law, jax.random.key(2), n=POINTS, repeats=10)
    apart = float(metrics.mmd(target.sample(jax.random.key(3), POINTS), law(jax.random.key(4), POINTS)))
    assert abs(apart - floor.mean) < 4 * floor.std


def test_all_presets_have_one_net():
    """Hidden layers of the same sizes; what eats xi or a second time has one more kernel, of its own size, and no other."""
    made = family.members(family.Config(target=("moons",)))
    assert [(member.name, member.target) for member in made] == [(preset, "moons") for preset in presets.TUNED]
    counts = {name: recipes.parameters(recipes.build(recipe)) for name, _, recipe in made}
    assert counts["fm"] == counts["fm-ot"] == counts["ddpm"] == counts["consistency"]
    width = family.Config().width
    assert {counts[name] - counts["fm"] for name in counts if name.startswith(("ddm", "iddm", "sddm"))} == {2 * width}
    features = 32  # of time, in the place of which mean flows see t and t - r
    assert {counts[name] - counts["fm"] for name in ("mean-flow", "imf")} == {(2 - features) * width}


def test_presets_are_what_they_are_called():
    """The settings that make each what it is; all others are shared."""
    made = {name: recipe for name, _, recipe in family.members(family.Config(target=("forty",)))}
    drawn = [recipe for recipe in made.values() if isinstance(recipe, recipes.Distributional)]
    assert {type(recipe.rule) for recipe in drawn} == set(get_args(recipes.Rule))
    assert (made["sddm"].population, made["ddm"].population, made["iddm"].rule.beta) == (3, 4, 0.1)
    assert made["fm-ot"].coupling == "aware" and made["fm"].coupling == "independent"
    assert made["imf"].improved and not made["mean-flow"].improved
    assert (
        len(
            {
                (recipe.network.width, recipe.network.depth, recipe.optimizer.steps, recipe.optimizer.ema_decay)
                for recipe in made.values()
            }
        )
        == 1
    )
    asked = [member.recipe for member in family.members(family.Config(target=("forty",), learning_rate=0.25))]
    assert (
        {recipe.optimizer.learning_rate for recipe in asked}
        == {0.25}
        != {recipe.optimizer.learning_rate for recipe in made.values()}
    )


def test_chosen_grids_are_searched_on_the_first_seed_and_judged_on_the_others(monkeypatch):
    """A sampler that is off by |t_1 - .3| times its parameter: the search finds .3, and every seed is judged with its own.

    Mutations: judged with the first seed's parameters; searched on another's; another grid judged than the chosen one.
    """
    apart = judging.Metric("", judging.on_points(lambda real, fake: jnp.abs(real.mean(0) - fake.mean(0)).sum()), 1000)
    monkeypatch.setattr(grids, "STEPS", (2,))
    monkeypatch.setattr(rivals, "distances", lambda name: {f"w1 {name}": apart})
    sample = rivals.target("two_gaussians").fresh

    def draw(params, key, n, *, steps):
        return sample(key, n) + params * abs(steps[1] - 0.3)

    found = grids.judged(draw, [1.0, 10.0, 20.0], "two_gaussians", jax.random.key(0))[2]
    assert found.grid[1] == pytest.approx(0.3, abs=0.06) and [found.grid[0], found.grid[2]] == [1.0, 0.0]
    off = abs(0.5 - 0.3) * 2 * np.array([10, 20])  # of the uniform grid, along both coordinates
    np.testing.assert_allclose(found.errors["uniform"], off, rtol=0.1)
    assert np.max(found.errors[grids.CHOSEN]) < np.min(found.errors["uniform"])
    assert set(found.errors) == {grids.CHOSEN, *judging.USUAL} and len(found.errors["karras"]) == 2


def test_digits_are_judged_against_those_held_out():
    """Training draws are training digits, truth is held out and without repeats; the floor is that of disjoint digits.

    Mutations: judged against training digits; drawn with replacement; a floor of overlapping samples.
    """
    target, (train, test) = rivals.target("digits"), rivals.digits()
    known = {row.tobytes() for row in np.asarray(train)}
    drawn = np.asarray(target.sample(jax.random.key(0), 50))
    assert drawn.shape == (50, 8, 8, 1) and all(row.tobytes() in known for row in drawn)
    truth = np.asarray(rivals.truth("digits")(jax.random.key(1), 10_000).x_0)
    assert truth.shape == (len(test), 64) == (360, 64)
    assert {row.tobytes() for row in truth} == {row.tobytes() for row in np.asarray(test).reshape(-1, 64)}
    floors = rivals.floors("digits", jax.random.key(2), n=100, repeats=5)
    assert abs(floors["mmd2 digits"].mean) < 4 * floors["mmd2 digits"].std
    assert 2 < floors["w1 digits"].mean < 4 and rivals.oracles("digits") == {}


def test_a_verdict_and_its_share_are_of_one_churn():
    """The best at the largest churn, though another is better without noise; its share and its rises are of that churn too.

    Mutations: the best over all churns; rises of all churns mixed.
    """

    def numbers(name, values, churn):
        told = {"floor": (0.1, 0.01), "churn": churn}
        return [
            judging.measured(name, "w1 moons", nfe, np.full((2, 1), value), **told)
            for nfe, value in zip((1, 4), values, strict=True)
        ]

    found = [*numbers("ddm", (0.2, 0.15), 1.0), *numbers("ddm", (0.2, 0.11), 0.0), *numbers("fm", (0.9, 0.14), None)]
    told = rival_pages.verdict(found, "moons", {"ddm": {4: 0.5}, "fm": {4: 0.75}})
    assert "fm has 0.140" in told and "75.0 %" in told and "no number of steps is shown to be worse" in told
    worse = rival_pages.verdict([*numbers("ddm", (0.12, 0.13), 1.0), *numbers("ddm", (0.5, 0.12), 0.0)], "moons", {})
    assert "ddm has 0.130" in worse and "worse at 4 than at 1 steps by 0.01" in worse


def test_a_floor_that_is_no_noise_around_zero_is_drawn_as_a_band_and_clips_nothing():
    """W_1 has floor .1: the band is .08 to .12 and a value of .005 is drawn there; of MMD^2 -1e-5 is drawn at two deviations.

    Mutations: the band from 0; values clipped to the deviation; or never clipped.
    """
    for floor, value, drawn, band in (
        ((0.1, 0.01), 0.005, 0.005, (0.08, 0.12)),
        ((0.0, 1e-4), -1e-5, 2e-4, (1e-4, 2e-4)),
    ):
        numbers = [judging.measured("ddm", "d", nfe, np.full((1, 1), value), floor) for nfe in (1, 2)]
        axis = figures.by_steps(numbers, "d", "d").axes[0]
        (patch,) = axis.patches
        np.testing.assert_allclose([patch.get_y(), patch.get_y() + patch.get_height()], band)
        np.testing.assert_allclose(axis.lines[0].get_ydata(), drawn)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two presets on one target, too short to be good."""
    out = tmp_path_factory.mktemp("family") / "run"
    small = {
        "steps": 100,
        "save_every": 100,
        "seeds": 2,
        "samples": 2000,
        "repeats": 16,
        "nfe": (1, 4),
        "width": 16,
        "choose": (),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rivals, "TIMED", 10)
        patch.setattr(rivals, "ROUNDS", 1)
        family.run(family.Config(out=out, target=("two_gaussians",), only=("ddm", "imf"), **small))
    return out


@pytest.mark.exhaustive
def test_a_small_run_stands_between_its_oracles(run):
    """The exact posterior lies at the floor at every number of steps, the exact mean far off at one and nearer at four.

    Mutations: the oracles exchanged; a target in other units in `judge`.
    """
    summary = json.loads((run / "summary.json").read_text())
    found = {(n["model"], n["metric"], n["nfe"]): n for n in summary["numbers"]}
    for steps in (1, 4):
        exact = found[oracles.EXACT, "mmd2 two_gaussians", steps]
        assert abs(exact["value"] - exact["floor"]) < 4 * exact["floor_std"]
    far, near = (found[oracles.MEAN, "w1 two_gaussians", steps] for steps in (1, 4))
    assert far["value"] > far["floor"] + 20 * far["floor_std"] and near["value"] < far["value"]
    assert {"ddm", "imf"} == set(summary["gap_closed"]["two_gaussians"])


def test_a_small_run_writes_all_that_it_promises(run):
    """Figures for the target, both tables, and the share of the gap in words."""
    page = (run / "report.html").read_text()
    for name in ("w1_two_gaussians", "samples_two_gaussians", "seconds", "training"):
        assert (run / f"{name}.png").exists()
    for told in (
        "two gaussians: W₁",
        "percent of the gap in W₁",
        "W₁ above that of ddm",
        "Milliseconds on this machine",
    ):
        assert told in page, told


def test_scores_and_squared_errors_have_an_axis_each():
    """And the parts of a score are those of several draws alone. Mutations: one axis; the squared error as a confinement."""
    rows = [
        {"job": job, "step": step, "loss": loss, "confinement": loss + with_draws, "interaction": with_draws}
        for job, loss, with_draws in (("ddm-seed0", 0.5, 0.4), ("regression-seed0", 3.0, 0.0))
        for step in (100, 200)
    ]
    axes = figures.training(rows, ("loss", "confinement", "interaction")).axes
    assert [axis.get_title() for axis in axes] == [
        "loss,\nscoring rule",
        "loss,\nsquared error",
        "confinement",
        "interaction",
    ]
    told = [[(line.get_label(), line.get_ydata()[0]) for line in axis.lines] for axis in axes]
    assert told == [[("ddm-seed0", 0.5)], [("regression-seed0", 3.0)], [("ddm-seed0", 0.9)], [("ddm-seed0", 0.4)]]
    assert len(figures.training(rows[:2]).axes) == 1


def test_ticks_are_plain_numbers_where_a_log_axis_spans_little():
    """Mutations: 3 x 10^-1; ticks of decades alone."""
    from matplotlib.figure import Figure

    for limits, ticks in (((0.3, 7.0), ["0.5", "1", "2", "5"]), ((0.44, 0.5), 2)):
        axis = Figure().subplots()
        axis.set(yscale="log", ylim=limits)
        figures.readable(axis.yaxis)
        axis.figure.draw_without_rendering()
        seen = [label.get_text() for label in axis.get_yticklabels()]
        inside = [text for text in seen if limits[0] <= float(text) <= limits[1]]
        assert inside == ticks if isinstance(ticks, list) else len(inside) >= ticks
