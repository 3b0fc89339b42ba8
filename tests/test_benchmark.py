"""The benchmark: docs/speed.md shows what is stored, suites keep to their own part, mistakes are told, unequal work is refused."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ddjax import cli
from experiments.benchmark import __main__ as command
from experiments.benchmark import machine, plots, render, results, tables, toy, turns

ROOT = Path(__file__).parents[1]
PART = {"short": False, "seconds": 1, "provenance": {"command": "c", "date": "d", "versions": {}}}


def outcome(seconds, first=1.0, units=1, flops=0.0):
    facts = {
        "first": {"w": first},
        "units": {"w": units},
        "flops": {"w": flops},
        "ready": 2.0,
        "equal": {},
        "device": "cpu",
    }
    return turns.Outcome(facts, {"w": np.array(seconds)}, 100.0)


def test_the_page_shows_the_stored_results():
    """Rendering the committed files again gives the tables of docs/speed.md; mutation: any digit of either."""
    page, machines = (ROOT / render.PAGE).read_text(), results.every()
    assert machines, "benchmarks/results is empty"
    assert render.section(machines) in page
    for stored in machines:
        assert f"benchmarks/results/{stored['machine']}.json" in page
        for suite, part in stored["suites"].items():
            assert part["provenance"]["command"].count("--short") == part["short"]
            assert {"short", "seconds"} <= set(part) and suite in command.SUITES
    for picture in re.findall(r"figures/benchmark_\w+[\w-]*\.png", page):
        assert (ROOT / "docs" / picture).read_bytes().startswith(b"\x89PNG")


def test_what_is_said_of_image_nets_is_what_was_measured():
    """docs/performance.md beside the stored rows. Mutation: any digit of either."""
    page = " ".join((ROOT / "docs/performance.md").read_text().split())
    suites = json.loads((ROOT / "benchmarks/results/cpu-2-cores.json").read_text())["suites"]
    sides = {suite: {row["side"]: row for row in suites[suite]["rows"]} for suite in ("dit", "unet")}
    beside, draws = {}, {}
    for suite, name in (("dit", "DiT"), ("unet", "UNet")):
        ratio = sides[suite]["ddjax"]["ratio"]
        beside[suite] = [f"{ratio[other]:.2f}" for other in ("torch eager", "torch.compile")]
        draws[name] = [
            f"{1 / sides[suite][f'ddjax, 4 draws, xi {when}']['ratio']['ddjax']:.2f}" for when in ("early", "late")
        ]
    assert "DiT (1.84 M parameters) {} x torch eager and {} x torch.compile".format(*beside["dit"]) in page
    assert "UNet (1.23 M) {} x and {} x".format(*beside["unet"]) in page
    for name, (early, late) in draws.items():
        assert f"| {name} | {early} | {late} |" in page
    assert f"({sides['dit']['ddjax, bf16']['ms']:.0f} ms for {sides['dit']['ddjax']['ms']:.0f};" in page


def test_what_performance_says_of_a_gradient_is_stored():
    """Faster than geomloss at equal value to 1e-3, below 2 GB, and the page's own numbers. Mutation: any digit of either."""
    stored = json.loads((ROOT / "benchmarks/results/cpu-2-cores.json").read_text())["suites"]["gradient"]
    theirs, ours = sorted(stored["rows"], key=lambda row: -row["ms"])
    values = [next(iter(stored["equal"][row["side"]].values())) for row in (theirs, ours)]
    assert theirs["side"].startswith("geomloss") and ours["memory_mb"] < 2000
    assert values[0] == pytest.approx(values[1], rel=1e-3)
    page = " ".join((ROOT / "docs/performance.md").read_text().split())
    assert (
        f"{theirs['ms'] / 1e3:.0f} s and {theirs['memory_mb']:,.0f} MB where ours takes {ours['ms'] / 1e3:.1f} s"
        in page
    )
    assert f"{ours['memory_mb']:.0f} MB, values {values[0]:.4f} and {values[1]:.4f}" in page


def test_results_name_no_host_and_carry_versions():
    for stored in results.every():
        assert stored["hardware"]["cores"] >= 1 and "host" not in json.dumps(stored).lower()
        for part in stored["suites"].values():
            assert {"python", "jax", "torch"} <= set(part["provenance"]["versions"])


def test_a_suite_replaces_its_own_part_alone(tmp_path):
    """And a short run replaces no full one; mutations: store the part over all suites, drop the rule on short runs."""
    path, hardware = tmp_path / "results" / "m.json", {"cores": 2}
    assert results.store(path, hardware, "toy", PART | {"n": 1})
    assert results.store(path, hardware, "ot", PART | {"n": 2, "short": True})
    assert not results.store(path, hardware, "toy", PART | {"n": 3, "short": True})
    assert results.store(path, hardware, "ot", PART | {"n": 4})
    suites = results.load(path)["suites"]
    assert {name: part["n"] for name, part in suites.items()} == {"toy": 1, "ot": 4}
    assert results.load(path)["machine"] == "m" and not list(path.parent.glob("*.draft"))


def test_ratios_are_paired_by_round():
    """Rounds that are slow for both sides leave the ratio exactly 2; mutation: the ratio of medians, here 2.5."""
    slow, fast = outcome([1.0, 10.0, 5.0]), outcome([0.5, 5.0, 2.5], flops=1e9)
    skewed = outcome([0.5, 5.0, 2.0])  # medians 5 and 2, ratios 2, 2, 2.5
    rows = {row["side"]: row for row in turns.rows({"a": slow, "b": fast, "c": skewed}, ["a"], peak_flops=4e9)}
    assert rows["b"]["ratio"] == {"a": 2.0} and rows["c"]["ratio"] == {"a": 2.0}
    assert rows["b"]["ms"] == 2500 and rows["b"]["low_ms"] == 1500 and rows["b"]["high_ms"] == 3750
    assert rows["b"]["peak_share"] == pytest.approx(0.1) and "peak_share" not in rows["a"]
    assert (
        turns.rows({"a": outcome([0.5], first=3.0, units=50)}, [])[0] | {"ms": 10.0, "compile_s": 2.5}
        == turns.rows({"a": outcome([0.5], first=3.0, units=50)}, [])[0]
    )


def test_unequal_work_is_refused():
    """Counts exactly, losses to the tolerance, devices of one kind; mutation: compare only the first two sides."""

    def facts(device="cpu", **equal):
        return {"equal": equal, "device": device}

    turns.require_equal({"a": facts(n=5, loss=1.0), "b": facts(n=5, loss=1.000009), "c": facts(n=5)}, 1e-5)
    turns.require_equal({"a": facts(value=1000.0), "b": facts(value=1000.9)}, 1e-3, relative=True)
    for third in (facts(n=6), facts(n=5, loss=1.0001), facts(n=5, loss=float("nan")), facts("gpu", n=5)):
        with pytest.raises(cli.UserError):
            turns.require_equal({"a": facts(n=5, loss=1.0), "b": facts(n=5, loss=1.0), "c": third}, 1e-5)


def test_flops_count_what_is_shared_once():
    """Early: every layer for every draw but the product with the input; late: only what is below the injection.

    By hand for width 128, depth 4, one row, m = 8. Mutation: count the layer of the injection for every draw.
    """
    shared, hidden, xi, out = 34 * 128, 128 * 128, 2 * 128, 128 * 2
    assert toy.forward_flops(0, 1, 8) == 2 * (shared + 8 * (xi + 3 * hidden + out))
    assert toy.forward_flops(2, 1, 8) == 2 * (shared + 2 * hidden + 8 * (xi + hidden + out))
    assert sum(n_in * n_out + n_out for n_in, n_out in toy.layer_sizes(0)) == 54_530


def test_a_side_that_fails_is_told_in_one_line():
    with pytest.raises(cli.UserError, match=r"the side 'x' failed: .*no_such_module"):
        turns.Process("x", "no_such_module", {})


@pytest.mark.parametrize(
    "words", ["--suite toys", "--rounds 0", "--machine a/b", "--suite", "--round 3"], ids=lambda words: words
)
def test_mistakes_are_one_line_and_exit_code_2(words):
    done = subprocess.run(
        [sys.executable, "-m", "experiments.benchmark", *words.split()], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 2 and len(done.stderr.splitlines()) <= (1 if words != "--suite" else 12), done.stderr
    assert "Traceback" not in done.stderr


def test_a_machine_is_named_by_its_hardware():
    assert machine.default_name("NVIDIA H100 80GB HBM3 x 1") == "nvidia-h100-80gb-hbm3-x-1"
    assert re.fullmatch(r"cpu-\d+-cores", machine.default_name(None))


def test_curves_are_microseconds_for_one_draw():
    """50 ms for 64 x 8 draws are 97.7 microseconds each; mutation: divide by the batch alone."""
    rows = [{"side": "s", "work": f"train {b} {m}", "ms": 50.0} for b, m in ((64, 8), (512, 8), (512, 2))]
    [(first, each), (second, _)] = plots.points({"rows": rows}, 0, 1, 8)["s"]
    assert (first, second) == (64, 512) and each == pytest.approx(50e3 / 512)
    assert [x for x, _ in plots.points({"rows": rows}, 1, 0, 512)["s"]] == [2, 8]


def test_every_suite_has_a_table_and_a_title():
    assert set(tables.TABLES) == set(render.TITLES) == set(command.SUITES)


def test_quality_is_a_median_with_its_band():
    """Of three seeds, cut to what all have, and not below one deviation of the floor. Mutations: the mean; a line for each seed."""
    curves = [
        {
            "side": "s",
            "seed": i,
            "points": [[1.0 + i, 100, value], [2.0 + i, 200, 1e-9], [3.0, 300, 1.0]][: 3 - (i == 2)],
        }
        for i, value in enumerate((0.1, 0.2, 0.9))
    ]
    part = {"curves": curves, "floor": 1e-4, "target": 0.002, "nfe": 4}
    axis = plots.quality(part).axes[0]
    line, target = axis.lines
    np.testing.assert_allclose(line.get_xydata(), [[2.0, 0.2], [3.0, 1e-4]])
    band = axis.collections[0].get_paths()[0].get_extents()
    np.testing.assert_allclose([band.y0, band.y1], [1e-4, 0.9])
    assert set(target.get_ydata()) == {0.002}
