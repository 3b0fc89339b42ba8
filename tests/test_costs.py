"""Predicted costs: XLA's counts against counts by hand, the roofline by arithmetic, and the page as the stored numbers tell it."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from numpy.testing import assert_allclose as close

from ddjax import recipes
from experiments.benchmark import cost_analysis, cost_page
from experiments.common.images import models

ROOT = Path(__file__).parents[1]
STORED = json.loads((ROOT / "docs/results/costs.json").read_text())


def operations(function, *shapes):
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.jit(function).lower(*arguments).compile().cost_analysis()["flops"]


def test_operations_of_a_dense_layer_and_of_a_convolution():
    """2 n c d, and 2 b c d times the taps inside the image, (3h - 2)(3w - 2) for 3 x 3: a multiplication and an addition each.

    Mutation: taps in the padding counted as well (2.3 % more here).
    """
    assert operations(jnp.matmul, (64, 48), (48, 96)) == 2 * 64 * 48 * 96

    def convolve(x, kernel):
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    taps = (3 * 32 - 2) * (3 * 64 - 2)
    close(operations(convolve, (4, 32, 64, 16), (3, 3, 16, 24)), 2 * 4 * 16 * 24 * taps, rtol=1e-3)


def kernels(params):
    """(names above it, shape) of every kernel."""
    for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]:
        names = [key.key for key in path]
        if names[-1] == "kernel":
            yield names[1:-1], leaf.shape


HEIGHTS = (32, 32, 16, 16, 8, 8, 8, 8, 8, 16, 16, 32, 32)  # of the UNet's blocks: down, middle, up


def height(names):
    return 32 if names[0] in ("in", "out") else HEIGHTS[int(names[0].split("_")[1])]


def of_unet(names, shape):
    """Multiplications of one kernel for one image, twice."""
    if len(shape) == 4:
        return 2 * shape[2] * shape[3] * (3 * height(names) - 2) ** 2
    if names[-1] in ("time_0", "time_1", "label", "modulation"):
        return 2 * shape[0] * shape[1]
    return 2 * shape[0] * shape[1] * height(names) ** 2


def of_dit(names, shape):
    if names[-1] in ("time_0", "time_1", "label", "dense"):
        return 2 * shape[0] * shape[1]
    return 2 * shape[0] * shape[1] * 256


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "of_kernel"), [("cifar10", of_unet), ("cifar10-dit", of_dit)])
def test_operations_of_a_whole_step_are_three_passes_over_the_layers(preset, of_kernel):
    """Forward, and twice as much backward, for each image and draw; attention's two products on top. Within 5 %.

    What depends on the image alone (time, label) is counted for each draw by hand, once for all by XLA: under 1 %. The
    rest is element-wise. Mutations: a population of half the size; forward only; bfloat16 counted twice.
    """
    settings = cost_analysis.settings_of(preset)
    model = recipes.build(models.recipes_of(settings, (32, 32, 3), 10)[0])
    state, _ = cost_analysis.abstract(settings, model)
    by_hand = sum(of_kernel(*kernel) for kernel in kernels(state.params))
    layers = 4 if preset == "cifar10" else 12  # that attend, on 256 tokens of 256 or 384 channels
    by_hand += layers * 2 * 2 * 256**2 * {"cifar10": 256, "cifar10-dit": 384}[preset]
    with jax.numpy_dtype_promotion("standard"):  # as for users
        counted = cost_analysis.lowered(settings, model, 1).cost_analysis()["flops"]
    close(counted, 3 * by_hand * settings.batch * settings.population, rtol=0.05)


def test_stored_work_is_shared_and_gradients_are_exchanged_once():
    """n chips do 1/n of the operations each, to 3 %, with nothing but sums between them. Mutation: a population by whose
    convolutions every device computes the whole batch."""
    rows = {(row["preset"], row["model"], row["chips"]): row for row in STORED["steps"]}
    assert {chips for *_, chips in rows} == {1, 8, 64}
    for (preset, model, chips), row in rows.items():
        close(row["flops"] * chips, rows[preset, model, 1]["flops"], rtol=0.03)
        assert set(row["collectives"]) <= ({"all-reduce"} if chips > 1 else set())


def test_the_roofline_by_arithmetic():
    """Half a second of arithmetic, and 2 x 7/8 x 4 bytes x 1e9 / 1e10 = .7 s of exchange on 8 chips.

    Mutations: the exchange of one chip; memory without the arguments.
    """
    chip = cost_page.Chip("chip", 1e12, 1e9, 5e9, 1e10, 1e9, 8, "")
    row = {"flops": 2e11, "bytes": 2e9, "parameters": 1e9, "arguments": 2e9, "temporaries": 4e9}
    close([cost_page.seconds(row | {"chips": n}, chip, 0.4) for n in (1, 8, 10)], [0.5, 0.5 + 0.7, 0.5 + 7.2])
    assert cost_page.memory(row) == 2e9 + 4e9 / cost_page.OVERCOUNT


def test_what_was_measured_stands_where_the_page_says():
    """In the stored rows of the benchmark, and in the table of docs/performance.md; the page's sentences hold of it.

    Mutations: a digit of any; a row without its population.
    """
    unet, dit, population = cost_page.MEASURED
    stored = json.loads((ROOT / "benchmarks/results/nvidia-h100.json").read_text())["suites"]["gpu"]["rows"]
    rows = {(row["group"], row["side"]): row for row in stored if "ms" in row}
    for of, group, side in (
        (dit, "dit step, batch 256, bf16", "ddjax"),
        (population, "dit step of 4 draws, batch 256, bf16", "ddjax, xi early"),
    ):
        assert (of.ms, of.memory_gb) == (rows[group, side]["ms"], rows[group, side]["memory_mb"] / 1e3)
    assert f"| {unet.ms} | {unet.memory_gb} |" in (ROOT / "docs/performance.md").read_text()
    for row in cost_page.confronted(STORED):
        arithmetic, traffic = row["before"]
        assert arithmetic < row["of"].ms < (arithmetic + traffic) / 2 and 1.8 < traffic / row["of"].ms < 3.5
        assert abs(row["share"] - STORED["utilisation"]) < 0.03 and abs(row["now"] / row["of"].ms - 1) < 0.1
        assert 1 < row["counted"] / row["of"].memory_gb / cost_page.OVERCOUNT < 1.6


def test_the_page_is_the_stored_numbers():
    """Mutation: any digit of either."""
    assert (ROOT / "docs/costs.md").read_text() == cost_page.page(STORED)
