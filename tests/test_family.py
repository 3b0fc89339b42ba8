"""A family in one file: it runs from its settings to samples, its numbers are those of theorems, and CONTRIBUTING shows it."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
SMALL = "--steps 100 --save-every 100 --batch 32 --width 16 --depth 2 --population 2 --nfe 1 4"


def call(*words):
    places = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".jax_cache")}
    done = subprocess.run(
        [sys.executable, "-m", *map(str, words)],
        cwd=ROOT,
        env=os.environ | places,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small run of the example."""
    out = tmp_path_factory.mktemp("family") / "run"
    return out, call("example_family", *SMALL.split(), "--out", out)


def test_a_family_in_one_file_leaves_all_that_a_run_promises(finished, tmp_path):
    """Summary, page with its figure, tables on the terminal, and a model that `ddjax sample` draws from."""
    out, printed = finished
    summary = json.loads((out / "summary.json").read_text())
    models = {"ddm-beta1", "exact posterior (oracle)", "exact mean (oracle)"}
    assert {number["model"] for number in summary["numbers"]} == models
    assert (out / "mmd2.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "report.html").read_text().count("data:image/png;base64,") == 1
    assert "| exact mean (oracle) " in printed and str(out) in printed
    call("ddjax", "sample", "--run", out, "--n", 50, "--steps", 2, "--out", tmp_path / "samples.npz")
    x_0 = np.load(tmp_path / "samples.npz")["x_0"]
    assert x_0.shape == (50, 2) and np.isfinite(x_0).all() and len(np.unique(x_0, axis=0)) == 50


def test_its_numbers_are_those_of_theorems(finished):
    """The exact posterior keeps the law at every number of steps: it lies at the floor. The exact mean ends in one step at
    the mean itself, and MMD^2 of a point mass at the mean of N(mean, S^2 I) in the plane is 1 / (1 + 2 S^2) + 1 - 2 / (1 + S^2).

    The gate is 4 standard errors, of var h / n for the statistic's projection h(x) = 2 E k(x, x') - 2 k(x, mean). Mutations:
    the oracles exchanged; a target of another variance in `evaluate`; the table of MMD^2 filled with the sliced distance.
    """
    summary = json.loads((finished[0] / "summary.json").read_text())
    found = {(n["model"], n["nfe"]): n for n in summary["numbers"] if n["metric"] == "mmd2"}
    for steps in (1, 4):
        exact = found["exact posterior (oracle)", steps]
        assert abs(exact["value"] - exact["floor"]) < 4 * exact["floor_std"]
    s, c = 0.25, 1 / 1.25  # S^2, 1 / (1 + S^2); |x - mean|^2 / 2 is exponential with mean S^2
    second = 4 * (c**2 / (1 + 2 * c * s) - 2 * c / (1 + (1 + c) * s) + 1 / (1 + 2 * s))
    error = math.sqrt((second - 4 * (c / (1 + c * s) - c) ** 2) / summary["settings"]["samples"])
    assert abs(found["exact mean (oracle)", 1]["value"] - (1 / (1 + 2 * s) + 1 - 2 * c)) < 4 * error


def test_contributing_shows_the_example_as_it_stands():
    """Mutation: any character of either."""
    section = (ROOT / "CONTRIBUTING.md").read_text().split("## How to add an experiment")[1]
    [shown] = re.findall(r"```python\n(.*?)```", section.split("\n## ")[0], re.S)
    assert len(shown.splitlines()) <= 60 and shown == (ROOT / "tests/example_family.py").read_text()
