"""The few-step family: its targets and their laws, one net for all presets, and a small run from end to end."""

import json

import jax
import numpy as np
import pytest

from ddjax import metrics, recipes
from experiments.families import family
from experiments.judges import rivals

POINTS = 4000


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
    made = family.recipes_of(family.Config(target=("moons",)))
    assert [family.parts(recipe) for recipe in made] == [
        (preset, "moons") for preset in family.PRESETS if preset not in family.OF_IMAGES
    ]
    counts = {family.parts(recipe)[0]: recipes.parameters(recipes.build(recipe)) for recipe in made}
    assert counts["fm"] == counts["fm-ot"] == counts["ddpm"] == counts["consistency"]
    width = family.Config().width
    assert {counts[name] - counts["fm"] for name in counts if name.startswith(("ddm", "iddm", "sddm"))} == {2 * width}
    features = 32  # of time, in the place of which mean flows see t and t - r
    assert {counts[name] - counts["fm"] for name in ("mean-flow", "imf")} == {(2 - features) * width}


def test_presets_are_what_they_are_called():
    """The settings that make each what it is; all others are shared."""
    made = {family.parts(recipe)[0]: recipe for recipe in family.recipes_of(family.Config(target=("forty",)))}
    told = {name: (recipe.kind, recipe.rule) for name, recipe in made.items() if recipe.kind == "distributional"}
    assert {rule for _, rule in told.values()} == {"energy", "iddm", "sddm", "imq", "rbf", "exponential"}
    assert (made["sddm"].population, made["ddm"].population, made["iddm"].beta) == (3, 4, 0.1)
    assert made["iddm"].inject > made["ddm"].inject
    assert made["fm-ot"].coupling == "aware" and made["fm"].coupling == "independent"
    assert made["imf"].improved and not made["mean-flow"].improved
    assert len({(recipe.width, recipe.depth, recipe.steps, recipe.learning_rate) for recipe in made.values()}) == 1


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Three presets on one target, too short to be good."""
    out = tmp_path_factory.mktemp("family") / "run"
    small = {"steps": 100, "save_every": 100, "seeds": 2, "samples": 2000, "repeats": 16, "nfe": (1, 4), "width": 16}
    family.run(family.Config(out=out, target=("two_gaussians",), only=("ddm", "consistency", "imf"), **small))
    return out


def test_a_small_run_stands_between_its_oracles(run):
    """The exact posterior lies at the floor at every number of steps, the exact mean far off at one and nearer at four.

    Mutations: the oracles exchanged; a target in other units in `judge`.
    """
    summary = json.loads((run / "summary.json").read_text())
    found = {(n["model"], n["metric"], n["nfe"]): n for n in summary["numbers"]}
    for steps in (1, 4):
        exact = found[rivals.EXACT, "mmd2 two_gaussians", steps]
        assert abs(exact["value"] - exact["floor"]) < 4 * exact["floor_std"]
    far, near = (found[rivals.MEAN, "w1 two_gaussians", steps] for steps in (1, 4))
    assert far["value"] > far["floor"] + 20 * far["floor_std"] and near["value"] < far["value"]
    assert {"ddm", "consistency", "imf"} == set(summary["gap_closed"]["two_gaussians"])


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
