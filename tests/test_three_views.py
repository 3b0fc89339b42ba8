"""Three views of one diffusion: what is judged, and the study that writes it."""

import json

import jax
import numpy as np
import pytest

from ddjax import schedules
from ddjax.cli import UserError
from ddjax.mixtures import GaussianMixture
from experiments.three_views import evaluate as judges
from experiments.three_views import experiment as three_views
from experiments.three_views.evaluate import BACKWARD, FLOW, FORWARD

SCHEDULE, N, TIMES = schedules.OrnsteinUhlenbeck(10.0), 2000, np.linspace(0, 1, 5) ** 2


@pytest.fixture(scope="module")
def walked():
    """One draw of the three views of the 1-D target."""
    return judges.walked(three_views.line(), SCHEDULE, jax.random.key(0), n=N, times=TIMES, substeps=24)


def test_views_share_their_ends(walked):
    """Forward and flow start at the same points, and the reverse where the forward ended: fails for fresh ones."""
    states = walked.states
    assert (states[FORWARD][0] == states[FLOW][0]).all()
    assert (states[FORWARD][-1] == states[BACKWARD][-1]).all()
    assert not (states[FORWARD][-1] == states[FLOW][-1]).any()


def test_marginals_agree_and_another_schedule_does_not(walked):
    """Within 5 standard deviations of the floor at every time; beyond 20 for the marginals of a fifth of the rate."""
    draws, key = [walked], jax.random.key(1)
    agreed, _ = judges.agreement(three_views.line(), SCHEDULE, draws, key, repeats=32)
    assert max(found.off.max() for found in agreed.values()) < 5
    slow = schedules.OrnsteinUhlenbeck(2.0)
    other, _ = judges.agreement(three_views.line(), slow, draws, jax.random.key(2), repeats=8)
    assert all(found.off.max() > 20 for found in other.values())


def test_correlations_tell_the_views_apart(walked):
    """Both SDEs on the exact curve, the flow at rank correlation 1. Fails with times that run the other way in reverse."""
    exact = judges.exact_correlations(three_views.line(), SCHEDULE, TIMES)
    for name in (FORWARD, BACKWARD):
        pearson, _ = judges.correlations(walked.states[name])
        np.testing.assert_allclose(pearson, exact, atol=5 / N**0.5)
    _, ranks = judges.correlations(walked.states[FLOW])
    assert ranks.min() > 0.9999


def test_the_ends_of_both_sdes_are_independent_given_the_middle(walked):
    """Eq. (B); of the flow, whose middle determines both ends in another way, they are not."""
    mixture = three_views.line()
    for name in (FORWARD, BACKWARD):
        assert abs(judges.residual_correlation(mixture, SCHEDULE, walked, name, 2)) < 4 / N**0.5
    assert abs(judges.residual_correlation(mixture, SCHEDULE, walked, FLOW, 2)) > 0.5


def test_neighbours():
    """Kept by an isometry, lost by a shuffle: k / (n - 1) are left by chance."""
    x = np.random.default_rng(0).normal(size=(500, 2))
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    assert judges.overlap(np.stack([x, x @ turn + 3])) == 1
    shuffled = np.random.default_rng(1).permutation(x)
    assert judges.overlap(np.stack([x, shuffled])) == pytest.approx(10 / 499, abs=0.02)


def test_correlations_by_hand():
    """Data N(0, 4), g = 2, T = 1: .6205."""
    gaussian = GaussianMixture(np.ones(1), np.zeros((1, 1)), np.array([[[4.0]]]))
    exact = judges.exact_correlations(gaussian, schedules.OrnsteinUhlenbeck(2.0), np.array([0.0, 1.0]))
    np.testing.assert_allclose(exact, [1, 0.6205], atol=1e-4)


@pytest.mark.parametrize("rate", ["linear", "cosine"])
def test_the_rates_of_the_command_line(rate):
    """Each ends where nearly nothing of the data is left, and grows from less."""
    config = three_views.Config(rate=rate, g=20.0)
    times, schedule = three_views.times_of(config), three_views.schedule_of(config)
    assert float(schedule(times[-1]).alpha) < 0.02
    assert float(schedule(0.05).alpha) > 0.9


@pytest.mark.exhaustive
def test_the_study_writes_all_that_it_promises(tmp_path, capsys, monkeypatch):
    """Tables, figures, an animation of all frames, and numbers that agree with what is printed."""
    monkeypatch.setattr(three_views, "EVERY", 1)  # fewer frames
    config = three_views.Config(out=tmp_path / "out", n=500, draws=4, substeps=1, repeats=16)
    try:
        three_views.run(config)
    except SystemExit as told:  # so few steps leave the floor
        assert "a marginal leaves the floor" in str(told)
    files = {"summary.json", "report.html", "three_views.png", "joint_laws.png", "three_views.gif"}
    assert {path.name for path in config.out.iterdir()} == files
    summary = json.loads((config.out / "summary.json").read_text())
    printed = capsys.readouterr().out
    for name, found in summary["views"].items():
        assert f"{name}: MMD²" in printed
        assert f"| {found['joint'][FLOW]['ranks']:.3f} " in printed
    assert max(max(off) for found in summary["views"].values() for off in found["off"].values()) == pytest.approx(
        summary["worst"], abs=1e-3
    )


def test_a_run_is_not_overwritten(tmp_path):
    """A folder that holds a trained run is refused before anything is computed."""
    (tmp_path / "config.yaml").write_text("experiment: two_moons\n")
    with pytest.raises(UserError, match="holds a run, which a study would overwrite"):
        three_views.run(three_views.Config(out=tmp_path))
