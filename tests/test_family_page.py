"""docs/family.md is what the stored runs say, and the presets are what the stored search kept."""

import json
from pathlib import Path

import numpy as np
import pytest

from ddjax import judging, recipes, times
from experiments.family import claims, grids, presets
from experiments.family import evaluate as rivals
from experiments.family import experiment as family
from experiments.family import page as family_page

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/family.md").read_text()
TARGETS, KERNELS = ("moons", "two_gaussians"), ("ddm", "iddm", "ddm-imq", "ddm-rbf", "ddm-exp")
RISING = {
    "moons": {"iddm": [(1, 2)], "consistency": [(1, 16), (1, 50)]},
    "two_gaussians": {"iddm": [(1, 2), (1, 4), (1, 8)]},
}
TUNING, ON_DIGITS = (json.loads((ROOT / f"docs/results/family_tuning{of}.json").read_text()) for of in ("", "_digits"))


def test_the_tables_are_the_stored_runs():
    """Of the page and of the page behind it. Mutation: any digit of either."""
    results = ROOT / "docs/results"
    before, start, rest = PAGE.partition(family_page.START)
    made, end, after = rest.partition(family_page.END)
    assert start + made + end == family_page.by_budget(results) and "| moons " in made and before and after
    assert (ROOT / "docs/family_tables.md").read_text() == family_page.tables(results)


@pytest.mark.parametrize(
    ("ddm", "cell"),
    [((0.6, 0.6), "**fm 1.00**, ddm 6.00*"), ((0.1, 0.9), "**fm 1.00**, ddm 5.00"), ((0.05, 0.06), "**ddm 0.55**")],
)
def test_the_best_at_a_step_budget(ddm, cell):
    """The floor is 0.1 and fm has 0.1 with both seeds; a star where both seeds agree. Mutation: `apart.high`; the mean of ddm."""
    shared = {"metric": "w1 moons", "nfe": 4, "churn": None, "low": 0.0, "high": 0.0, "floor": 0.1, "floor_std": 0.05,
              "seeds": 2, "draws": 2}  # fmt: skip
    models = {"fm": (0.1, 0.1), "ddm": ddm, "exact mean": (0.0, 0.0)}
    numbers = [
        judging.Number(model=name, value=float(np.median(w1)), by_seed=w1, trained=name != "exact mean", **shared)
        for name, w1 in models.items()
    ]
    assert family_page._best(numbers, "moons", 4) == cell


def test_what_the_page_and_the_results_page_say_of_them():
    """Shares of the gap, best models, what more steps do, grids and cost, from the stored numbers."""
    moons, gaussians = (json.loads((ROOT / f"docs/results/family_{name}.json").read_text()) for name in TARGETS)
    of = [[judging.Number(**row) for row in run["numbers"]] for run in (moons, gaussians)]
    closed, w1 = rivals.closed(of[0], "moons"), {(n.model, n.nfe): n.value for n in of[0] if n.metric == "w1 moons"}
    assert all(97 <= 100 * closed["fm-ot"][n] < 98.5 for n in (1, 2, 4)) and 97 > 100 * closed["ddm-rbf"][1] > 96
    assert all(92.5 < 100 * closed["ddm"][n] < 95.5 for n in (1, 2, 4))
    results = " ".join((ROOT / "docs/results.md").read_text().split())
    told = [f"{100 * closed[name][4]:.0f} %" for name in ("ddm", "fm-ot", "consistency")]
    assert f"DDM closes {told[0]} of the gap" in results and f"minibatch transport {told[1]}" in results
    assert f"consistency models {told[2]}" in results
    assert [round(100 * closed[name][4]) for name in ("imf", "mean-flow")] == [
        90,
        93,
    ] and "mean flows 90 to 93 %" in results
    models = {n.model for n in of[0] if n.trained}
    for n in (2, 4, 8):
        assert min(models, key=lambda name, n=n: w1[name, n]) == "fm-ot"
    for numbers, target in zip(of, TARGETS, strict=True):
        rising = {
            name: judging.rises([n for n in numbers if (n.model, n.metric) == (name, f"w1 {target}")])
            for name in models
        }
        told = {name: [(few, more) for few, more, _ in of_model] for name, of_model in rising.items() if of_model}
        assert told == RISING[target]
        value = {(n.model, n.nfe): n.value for n in numbers if n.metric == f"w1 {target}"}
        assert all(value["iddm", n] > value["ddm", n] + 0.005 for n in (2, 4, 8))
    assert (round(w1["sddm", 1], 2), round(w1["sddm", 16], 2)) == (0.93, 0.21)
    steps = {name: one["step"] for name, one in moons["timing"].items()}
    assert {name: round(one / steps["ddpm"], 1) for name, one in steps.items()} == {
        name: cost for name, cost in presets.COST.items()
    }
    assert f"about {presets.COST['ddm']} regression steps" in PAGE
    assert all(presets.TUNED[name]["references"] == 32 for name in presets.TUNED if name in KERNELS)


def stored(name):
    """(settings, numbers) of a stored run."""
    run = json.loads((ROOT / f"docs/results/family_{name}.json").read_text())
    return run["settings"], [judging.Number(**row) for row in run["numbers"]]


def test_what_the_page_says_of_other_targets_and_of_equal_time():
    """Shares of the gap at 4 steps and of mean flows at 1, what time does for consistency models, and the flow that fails."""
    four = {}
    for target in ("checkerboard", "eight_gaussians"):
        closed = rivals.closed(stored(target)[1], target)
        four[target] = [f"{100 * closed[name][4]:.1f}" for name in ("fm-ot", "ddm")]
        assert all(94 <= round(100 * closed[name][1]) <= 96 for name in ("mean-flow", "imf"))
        assert max(closed, key=lambda name, closed=closed: closed[name][4]) == "fm-ot"
    assert four == {"checkerboard": ["97.1", "94.0"], "eight_gaussians": ["96.3", "81.8"]}
    forty = rivals.closed(stored("forty")[1], "forty")
    assert [f"{100 * forty[name][4]:.1f}" for name in ("fm-ot", "ddm")] == ["92.5", "86.4"]
    assert max(share for of_steps in forty.values() for share in of_steps.values()) < 0.95
    eight = {(n.model, n.nfe): n for n in stored("eight_gaussians")[1] if n.metric == "w1 eight_gaussians"}
    mean = eight["exact mean (oracle)", 4]
    assert (round(mean.value, 3), round(mean.floor, 3)) == (0.193, 0.087)
    settings, numbers = stored("moons_seconds")
    of = {(n.metric, n.model, n.nfe): n for n in numbers}
    before = {(n.metric, n.model, n.nfe): n for n in stored("moons")[1]}
    times = [[round(run["w1 moons", "consistency", n].value, 3) for n in (1, 4)] for run in (before, of)]
    assert times == [[0.216, 0.223], [0.162, 0.139]] and settings["equal"] == "seconds"
    assert [round(max(of["w1 moons", "fm", 4].by_seed)), round(of["mmd2 moons", "fm", 4].by_seed[2], 3)] == [58, 0.022]
    assert round(5000 * presets.COST["ddm"] / presets.COST["fm"]) == 16_364


def test_what_the_page_says_of_more_steps():
    """Of DDM, on every target. Mutation: a target more in the sentence."""
    for target in ("moons", "two_gaussians", "checkerboard", "eight_gaussians", "forty"):
        numbers = [n for n in stored(target)[1] if (n.model, n.metric) == ("ddm", f"w1 {target}")]
        assert len(numbers) == 6 and not judging.rises(numbers)
    digits = {n.nfe: n for n in stored("digits")[1] if (n.model, n.metric) == ("ddm", "mmd2 digits")}
    assert not judging.rises([*digits.values()])
    above = {n: judging.paired(digits[n].by_seed, digits[2].by_seed).value for n in (4, 8, 16, 50)}
    assert {round(value, 4) for value in above.values()} <= {0.0003, 0.0004, 0.0005}


def test_what_the_page_says_of_digits():
    """MMD^2 and W_1, which contradict each other. Mutation: any digit of the page's sentence."""
    of = {(n.metric, n.model, n.nfe): n for n in stored("digits")[1]}
    mmd2 = {name: [of["mmd2 digits", name, n] for n in (1, 2, 4)] for name in ("ddm", "ddm-patched", "fm-ot", "ddpm")}
    assert round(mmd2["ddm"][0].value, 4) == 0.0007 and round(mmd2["ddm"][0].floor_std, 4) == 0.0003
    assert all(abs(mmd2[name][1].value) < mmd2[name][1].floor_std for name in ("ddm", "ddm-patched"))
    told = {name: [f"{n.value:.3f}" for n in mmd2[name]] for name in ("fm-ot", "ddpm")}
    assert told == {"fm-ot": ["0.028", "0.010", "0.005"], "ddpm": ["0.057", "0.033", "0.021"]}
    w_1 = {name: of["w1 digits", name, 1] for name in ("fm-ot", "ddm")}
    assert [round(n.value, 1) for n in w_1.values()] == [3.2, 3.8] and round(w_1["ddm"].floor, 1) == 3.1


def test_what_the_page_says_of_a_gate():
    """Paired differences on moons, and what the gate adds to the net."""
    of = {(n.model, n.nfe): n.by_seed for n in stored("gate")[1] if n.metric == "w1 moons"}
    gained = {n: judging.paired(of["ddm gate=true", n], of["ddm", n]) for n in (1, 2, 4, 8)}
    assert [round(gained[n].value, 3) for n in (1, 2)] == [-0.024, -0.016]
    assert all(one.low < 0 < one.high for one in gained.values())  # three seeds do not show it
    late = judging.paired(of["iddm gate=true", 1], of["iddm", 1], comparisons=4)
    assert round(late.value, 3) == -0.032 and late.high < 0
    nets = [
        presets.recipe_of("ddm", family.Config(), name="a", event_shape=(2,), **presets.TUNED["ddm"] | {"gate": g})
        for g in (True, False)
    ]
    assert [recipes.parameters(recipes.build(net)) for net in nets] == [58_754, 38_018]


def test_what_the_page_says_of_a_regression_model_as_the_start():
    """Medians of five seeds at 1 and 4 steps, and the seeds whose points are thrown away."""
    run = json.loads((ROOT / "docs/results/warm_start.json").read_text())
    of = {way: np.array(seeds) for way, seeds in run["w1"].items()}
    median = {way: [f"{np.median(seeds[:, i]):.3f}" for i in (0, 2)] for way, seeds in of.items()}
    assert (median["regression, then DDM"][0], median["DDM, as many steps"][0]) == ("0.296", "0.200")
    assert median["regression, then DDM behind a gate"] == ["0.217", "0.109"]
    assert (
        median["DDM behind a gate, as many steps"] == ["0.180", "0.105"] and median["DDM, as much time"][0] == "0.176"
    )
    assert (of["regression, then DDM"][:, 2] > 1).sum() == 3 and run["steps"]["regression, then DDM"] == 1250


def test_what_the_page_says_of_narrow_data_and_grids():
    """Ratios to the floor at 1 step, errors along the grids, and which grids were chosen, from the longer run."""
    run = json.loads((ROOT / "docs/results/family_moons_10000.json").read_text())
    one = {n["model"]: n for n in run["numbers"] if n["metric"] == "w1 moons" and n["nfe"] == 1}
    floor = one["ddm"]["floor"]
    assert [round(one[name]["value"] / floor, 2) for name in ("ddm predicts=v", "ddm")] == [1.47, 1.63]
    found = {int(n): grids.Judged(**of) for n, of in run["grids"]["ddm on moons"].items()}
    means = {n: {kind: float(np.mean(of)) for kind, of in one.errors.items()} for n, one in found.items()}
    assert [f"{means[2][kind]:.3f}" for kind in ("uniform", "quadratic")] == ["0.110", "0.096"]
    assert [f"{means[4][kind]:.3f}" for kind in ("uniform", "quadratic")] == ["0.094", "0.092"]
    assert [f"{means[4][kind] / floor:.2f}" for kind in ("uniform", "quadratic")] == ["1.08", "1.06"]
    for n, one in found.items():
        quadratic, equal = (np.round(times.grid(n, kind), 4) for kind in ("quadratic", "uniform"))
        off = np.abs(np.array(one.grid) - (quadratic if n < 4 else equal)) > 1e-3
        assert off.sum() == (n == 6)
        for kind in judging.USUAL:
            apart = judging.paired(one.errors[grids.CHOSEN], one.errors[kind], comparisons=35)
            assert apart.low <= 0 <= apart.high or kind == "shifted"


def test_what_the_page_says_of_one_setting_at_a_time():
    """Paired differences of the sweep at 1 step, and what is left of them at 4."""
    run = json.loads((ROOT / "docs/results/family_sweep.json").read_text())
    of = {
        (n["model"].removeprefix("ddm "), n["nfe"], n["churn"]): n["by_seed"]
        for n in run["numbers"]
        if "w1" in n["metric"]
    }
    settings = (
        "beta=1.0",
        "beta=1.5",
        "lam=0.5",
        "lam=0.9",
        "population=2",
        "population=8",
        "inject=0",
        "inject=2",
        "references=1",
    )
    first, last = (
        {name: judging.paired(of[name, n, churn], of["ddm", n, churn]) for name in settings}
        for n, churn in ((1, 0.0), (4, 1.0))
    )
    shown = {name: judging.paired(of[name, 1, 0.0], of["ddm", 1, 0.0], comparisons=18) for name in settings}
    assert {name for name, one in shown.items() if not one.low <= 0 <= one.high} == {"lam=0.5"}
    told = {"beta=1.0": 0.029, "beta=1.5": 0.103, "lam=0.5": 0.326, "population=2": 0.030, "population=8": -0.010}
    told |= {"inject=2": 0.053, "references=1": 0.037}
    assert {name: round(first[name].value, 3) for name in told} == told
    assert all(abs(first[name].value) < 0.004 for name in ("lam=0.9", "inject=0"))
    assert {name for name, one in last.items() if abs(one.value) > 0.0055} == {"beta=1.5", "lam=0.5"}


@pytest.mark.parametrize(
    ("a", "as_good", "told"),
    [
        ({1: (0.2, 0.4), 2: (0.4, 0.2)}, False, "not shown"),
        ({1: (0.2, 0.4), 2: (0.4, 0.2)}, True, "not shown"),
        ({1: (0.1, 0.2), 2: (0.1, 0.2)}, False, "reproduced"),
        ({1: (0.1, 0.2), 2: (0.4, 0.2)}, False, "in part"),
        ({1: (0.5, 0.6), 2: (0.4, 0.2)}, False, "the opposite"),
        ({1: (0.32, 0.42), 2: (0.1, 0.2)}, False, "in part"),
        ({1: (0.32, 0.42), 2: (0.1, 0.2)}, True, "reproduced"),
        ({1: (0.5, 0.6), 2: (0.5, 0.6)}, True, "the opposite"),
    ],
)
def test_when_a_claim_is_reproduced(a, as_good, told):
    """Model b has .3 and .4 with its two seeds, the floor a deviation of .05, and other churns are another model's business.

    Two seeds with one difference have a point for an interval. Mutations: the mean in place of the interval, one number of steps
    for all, churn 0.
    """
    claim = claims.Claim("paper", "a before b", "run", "a", "b", (1, 2), as_good)
    of = {"a": a, "b": {1: (0.3, 0.4), 2: (0.3, 0.4)}}
    numbers = [
        {"model": model, "metric": "w1 moons", "nfe": n, "churn": churn, "value": 0.0, "low": 0.0, "high": 0.0,
         "floor": 0.1, "seeds": 2, "draws": 2,
         "floor_std": 0.05, "by_seed": seeds if churn == 1.0 or n == 1 else (9.0 if model == "a" else 0.0,) * 2}
        for model, by_steps in of.items() for n, seeds in by_steps.items() for churn in (0.0, 1.0)
    ]  # fmt: skip
    [row] = claims.rows({"run": {"numbers": numbers}}, [claim])
    assert row[-1] == told


def test_presets_are_what_the_search_kept():
    """Every preset of a law in the plane; with equal trials for all. Mutation: any setting of a preset."""
    stored = ((TUNING, presets.TUNED, (2,)), (ON_DIGITS, presets.TUNED_ON_DIGITS, (8, 8, 1)))
    for search, tuned, shape in stored:
        assert [*search["tuned"]] == [*tuned]
        for preset, entries in search["tuned"].items():  # in the flat form of recipes, in which it was stored
            of = {"name": preset, "event_shape": shape}
            made = presets.recipe_of(preset, family.Config(), **of | tuned[preset])
            bench = {"width": 128, "depth": 3, "steps": 5000, "cosine": True, "clip": 1.0, "ema_decay": 0.999}
            assert made == recipes.read(bench | of | entries), preset
    counts = {name: sum(row[0] == name for row in TUNING["trials"]) for name in TUNING["tuned"]}
    assert set(counts.values()) == {8}
    assert {len(trials) for trials in presets.TRIALS.values()} == {7}


def test_a_tuned_preset_differs_from_its_definition_in_trials_that_were_kept():
    """Each setting it has beyond its definition is the start's or a kept trial's."""
    for name, settings in presets.TUNED.items():
        kept = [row[1] for row in TUNING["trials"] if row[0] == name and row[-1] == "kept"]
        for setting, value in settings.items():
            if (setting, value) not in presets.START.items():
                assert f"{setting} {value}" in kept, (name, setting, value)
