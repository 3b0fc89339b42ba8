"""The torch side is what its equations say: corrected against the library, as published against the traps (extra: bench)."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddjax import paths, schedules
from experiments.benchmark import toy

pytestmark = pytest.mark.bench
ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("inject", toy.INJECTIONS)
def test_both_losses_agree_on_equal_weights_and_noise(inject):
    """To 1e-5; mutations: another pair factor, time feature or place of xi."""
    pytest.importorskip("torch")
    from experiments.benchmark import ddjax_toy, torch_toy

    network = ddjax_toy.networks.mlp(2, width=toy.WIDTH, depth=toy.DEPTH, inject=inject)
    assert abs(ddjax_toy.fixed_loss(network, inject) - torch_toy.fixed_loss(inject)) < 1e-5


def test_the_corrected_bridge_is_the_library_s_and_the_published_one_is_not():
    """Every pair of times; the published x_0 coefficient exceeds the right one wherever alpha_t < alpha_s, s > 0."""
    pytest.importorskip("torch")
    from experiments.benchmark import torch_published, torch_toy

    for t, s in ((1.0, 0.75), (0.75, 0.5), (0.5, 0.25), (0.25, 0.0)):
        at = lambda x_0, x_t, t=t, s=s: paths.bridge(schedules.Rectified(), x_0, x_t, t, s, churn=1.0)  # noqa: E731
        one, zero = jnp.ones(1), jnp.zeros(1)
        right = (at(zero, one)[0].item(), at(one, zero)[0].item(), float(np.max(at(one, zero)[1])))
        assert torch_toy.bridge(t, s) == pytest.approx(right, abs=1e-6)
        c_t, c_0, std = torch_published.bridge(t, s)
        assert (c_t, std) == pytest.approx((right[0], right[2]), abs=1e-6)
        assert c_0 - right[1] == pytest.approx(
            (1 - s) * (s / t) ** 2 * ((1 - t) / (1 - s)) * ((1 - t) / (1 - s) - 1), abs=1e-6
        )


def test_the_published_loss_divides_the_pairs_twice_and_weights_by_means():
    """loss = mean(w) (confinement - interaction / (2 (m - 1))), from draws that are given; mutation: the right factor."""
    torch = pytest.importorskip("torch")
    from experiments.benchmark import torch_published

    draws, x_0, t = torch.randn(4, 16, 2), torch.randn(16, 2), torch.rand(16)
    given = torch_published.loss_of(lambda *_: draws)(None, x_0, None, t, draws)
    d = draws.numpy()
    pairs = np.linalg.norm(d[:, None] - d[None], axis=-1).sum((0, 1)) / (4 * 3)
    confinement = np.linalg.norm(d - x_0.numpy(), axis=-1).mean(0)
    snr = ((1 - t) / t).numpy() ** 2
    expected = (snr / (1 + snr)).mean() * (confinement - pairs / 3 / 2).mean()
    assert float(given) == pytest.approx(float(expected), rel=1e-4)


def test_both_flow_matching_losses_agree():
    """At equal weights, pairs and times, to 1e-5."""
    pytest.importorskip("torchcfm")
    from experiments.benchmark import ddjax_flow, torch_flow

    ours = ddjax_flow.make("independent").equal()
    assert ours["parameters"] == sum(p.numel() for p in torch_flow.net().parameters())
    assert abs(ours["loss"] - torch_flow.fixed_loss()) < 1e-5


@pytest.mark.parametrize(
    ("ours", "others", "size"),
    [
        ("sinkhorn blocked", ("geomloss", "POT sinkhorn"), [60, 3]),
        ("exact", ("POT exact",), [60, 3]),
        ("mmd", ("mmd",), [60, 3]),
        ("energy", ("energy",), [20, 5, 2]),
        ("crps", ("crps",), [20, 5, 2]),
    ],
)
def test_values_agree_with_the_other_libraries(ours, others, size):
    """To 1e-3 of their size."""
    pytest.importorskip("geomloss")
    pytest.importorskip("ot")
    from experiments.benchmark import ddjax_distances, other_distances

    with jax.numpy_rank_promotion("allow"):
        value = float(ddjax_distances.METHODS[ours](*ddjax_distances.given(size)))
    for other in others:
        assert float(other_distances.METHODS[other](*other_distances.given(size))) == pytest.approx(value, rel=1e-3)


@pytest.mark.slow
def test_the_command_runs_to_its_end(tmp_path):
    """A short suite from the command line to the results file, in processes."""
    pytest.importorskip("torch")
    name = "cpu-test"
    file = ROOT / "benchmarks" / "results" / f"{name}.json"
    try:
        words = ["--suite", "metrics", "--short", "--machine", name]
        done = subprocess.run(
            [sys.executable, "-m", "experiments.benchmark", *words], capture_output=True, text=True, cwd=ROOT
        )
        assert done.returncode == 0, done.stderr
        assert "stored in benchmarks/results/cpu-test.json" in done.stdout and file.exists()
    finally:
        file.unlink(missing_ok=True)
