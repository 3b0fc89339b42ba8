"""Rows under a budget: told, ended in time and stored as they come; products counted by hand."""

import json
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.benchmark import budget, products, results, tables
from experiments.benchmark.budget import Case

SIDE = """
import time
from experiments.benchmark.side import Side, Work

def make(starting=0.0, later=0.0, loss=1.0, flops=0.0):
    time.sleep(starting)
    calls = []

    def run():
        calls.append(0)
        time.sleep(0.01 if len(calls) == 1 else 0.02 + later)

    answers = {"peak bf16": lambda: 2e12}
    return Side({"step": Work(run, 1, flops)}, lambda: {"loss": loss}, "cpu", lambda: 5.0, None, answers)
"""


@pytest.fixture
def case(tmp_path, monkeypatch):
    """A case of a side that behaves as told."""
    (tmp_path / "fakes").mkdir()
    (tmp_path / "fakes" / "side.py").write_text(SIDE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")

    def made(side, most=20.0, needs=(), **settings):
        return Case("g", side, "fakes.side", settings, most, needs)

    return made


@pytest.mark.exhaustive
def test_a_side_that_hangs_is_ended_and_the_next_one_runs(case, tmp_path):
    """While starting, in a timed round, or without its package or its work; each row is in the file once it is there.

    Mutations: no deadline in `Process`, none in a round, rows stored at the end alone, work that is not compared.
    """
    cases = [
        case("good", flops=1e9),
        case("never starts", 6.0, starting=1e3),
        case("stops", 6.0, later=1e3),
        case("absent", needs=("no_such_package",)),
        case("other work", loss=1.1),
        case("near enough", loss=1.01),
        case("less work", loss=1.0, flops=2e8),
    ]
    began, file, seen = time.monotonic(), tmp_path / "m.json", []
    for part in budget.measured(cases, 3, 120.0):
        results.store(file, {}, "gpu", part | {"short": True})
        seen.append(len(json.loads(file.read_text())["suites"]["gpu"]["rows"]))
    assert seen == [1, 2, 3, 4, 5, 6, 7] and time.monotonic() - began < 100
    rows = {row["side"]: row for row in part["rows"]}
    assert rows["good"]["rounds"] == 3 and 20 <= rows["good"]["ms"] < 200
    assert rows["good"]["tflops"] == pytest.approx(1e9 / rows["good"]["ms"] / 1e9, rel=1e-3)
    assert rows["less work"]["tflops"] == pytest.approx(2e8 / rows["less work"]["ms"] / 1e9, rel=1e-3)
    assert rows["near enough"]["tflops"] > 0 and part["peak_tflops"] == 2
    assert "took longer than its 6 s" in rows["never starts"]["told"] and "took longer" in rows["stops"]["told"]
    assert "no_such_package not installed" in rows["absent"]["told"]
    assert "do not do the same work" in rows["other work"]["told"]
    table = tables.gpu(part)
    assert all(side in table for side in rows) and "2 TFLOP/s" in table
    assert "took longer" in tables.told(rows["stops"]) and "ms" in tables.told(rows["good"])


def test_a_spent_budget_starts_nothing(case):
    """Mutation: a deadline for each side alone."""
    began = time.monotonic()
    *_, part = budget.measured([case("slow", starting=1e3), case("late")], 3, 7.0)
    assert time.monotonic() - began < 15
    assert ["told" in row for row in part["rows"]] == [True, True]
    assert "no time left" in part["rows"][1]["told"]


def test_products_are_counted_by_hand():
    """A product in a loop of 5 turns, its gradient in both factors, a convolution. Mutations: the batch twice, a loop once."""
    a, b = jnp.ones((3, 4, 6)), jnp.ones((6, 8))
    product = 2 * 3 * 4 * 6 * 8

    def loop(a, b):
        return jax.lax.scan(lambda carry, _: (carry + jnp.sum(jnp.sin(a @ b)), None), 0.0, None, length=5)[0]

    assert products.flops(loop, a, b) == 5 * product
    once = lambda a, b: jnp.sum(jnp.sin(a @ b))  # noqa: E731
    assert products.flops(jax.grad(once, argnums=(0, 1)), a, b) == 3 * product
    assert products.flops(jax.jit(jax.checkpoint(once)), a, b) == product
    x, kernel = np.ones((2, 8, 8, 3), np.float32), np.ones((3, 3, 3, 5), np.float32)
    numbers = ("NHWC", "HWIO", "NHWC")
    convolved = lambda x, k: jax.lax.conv_general_dilated(x, k, (1, 1), "SAME", dimension_numbers=numbers)  # noqa: E731
    assert products.flops(convolved, x, kernel) == 2 * (2 * 8 * 8 * 5) * (3 * 3 * 3)
