"""docs/results.md shows the stored runs, and docs/mathematics.md names functions that exist."""

import json
import re
from pathlib import Path

import pytest

import ddjax
from ddjax import judging
from experiments.pages import conditions

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/results.md").read_text()
STORED = {
    "two_gaussians_full": ("python -m experiments.two_gaussians --full", ["mmd2"]),
    "two_moons_all": ("python -m experiments.two_moons", ["w1", "class_w1"]),
    "images_digits": (
        "python -m experiments.images --seeds 3",
        ["frechet pixels", "frechet features", "class accuracy"],
    ),
}


@pytest.mark.parametrize("name", STORED)
def test_result_tables_are_the_stored_runs(name):
    """Re-rendering the committed numbers gives the page's tables: mutation, any digit of either."""
    command, metrics = STORED[name]
    summary = json.loads((ROOT / f"docs/results/{name}.json").read_text())
    stored = [judging.Number(**row) for row in summary["numbers"]]
    for metric in metrics:
        assert judging.table(stored, metric) in PAGE, metric
    assert summary["provenance"]["command"].startswith(command) and command in PAGE


def test_the_table_of_conditional_couplings_is_the_stored_run():
    summary = json.loads((ROOT / "docs/results/conditional_ot_5_seeds.json").read_text())
    assert judging.markdown(conditions.HEADS, conditions.rows_of(summary)) in PAGE
    assert summary["provenance"]["command"].startswith("python -m experiments.conditional_ot --seeds 5")


def test_named_functions_exist():
    """Of the table that leads from equations to functions."""
    page = (ROOT / "docs/mathematics.md").read_text()
    table = page.split("## Equations to functions")[1].split("\n## ")[0]
    names = re.findall(r"`(\w+)\.(\w+)`", table)
    assert len(names) > 10
    for room, name in names:
        assert hasattr(getattr(ddjax, room), name), f"{room}.{name}"
