"""The family with an optimal-transport loss: stages go on from one another, and from a passive run that is the same."""

import dataclasses
import json
import subprocess
import sys

import jax
import numpy as np
import pytest
import yaml
from test_experiments import OPTIMISED, ROOT

from ddjax import cli, recipes, runs
from ddjax.runs import engine, jobs, saved
from experiments.ot_loss import experiment as ot_loss
from experiments.ot_loss import models as gap_models

SMALL = [
    "--steps",
    "400",
    "--passive-steps",
    "200",
    "--save-every",
    "100",
    "--width",
    "16",
    "--depth",
    "2",
    "--samples",
    "50",
    "--nfe",
    "2",
    "--batch",
    "32",
]


def planned(**settings):
    config = dataclasses.replace(ot_loss.Config(width=8, depth=2), **settings)
    return gap_models.planned(config, (8, 8, 1), 10, "features", "digest")


def test_presets_are_stages_that_end_where_the_budget_does():
    """Names, ends, what each goes on from; all last stages end at --steps. Mutations: shares of the passive steps; each stage
    from the passive model; the last stage first.
    """
    told = [(s.recipe.name, s.recipe.optimizer.steps, s.after, s.last) for s in planned(steps=1000, passive_steps=700)]
    assert told == [
        ("passive", 700, None, True),
        ("passive-longer", 1000, "passive", True),
        ("adaptive, blur 0.5", 800, "passive", False),
        ("adaptive, blur 0.3", 900, "adaptive, blur 0.5", False),
        ("adaptive", 1000, "adaptive, blur 0.3", True),
        ("late-blur.3", 1000, "passive", True),
    ]
    every = {s.recipe.name: s for s in planned(preset=("all",))}
    assert {name for name, s in every.items() if s.last} == {"passive", *gap_models.PRESETS}
    assert all(s.recipe.optimizer.steps == 4000 for name, s in every.items() if s.last and name != "passive")
    terms = {name: s.recipe.transport for name, s in every.items()}
    weights = {name: (term.weight, term.blur, term.relative_blur) for name, term in terms.items()}
    assert weights["resume-mse-high-blur10"] == weights["retrain-mse-high-blur10"] == (0.1, 10.0, False)
    assert weights["retrain-mse-high-blur.05"] == (0.1, 0.05, False)
    assert weights["retrain-equal-blur10"] == (1.0, 10.0, False)
    assert every["resume-mse-high-blur10"].after == "passive" and every["retrain-equal-blur10"].after is None
    for name in ("ddm", "ddm-transport"):
        assert isinstance(every[name].recipe, recipes.Distributional)
    assert [s.recipe.name for s in planned(phase="passive", preset=("all",))] == ["passive"]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Passive phase and two presets in one run: one goes on from the passive model, one begins anew."""
    out = tmp_path_factory.mktemp("runs") / "both"
    run(*SMALL, "--preset", "passive-longer", "retrain-equal-blur10", "--blurs", 0.3, 3, "--out", out)
    return out


def run(*words):
    command = [sys.executable, "-m", "experiments.ot_loss", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, env=OPTIMISED, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr


@pytest.mark.exhaustive
def test_a_run_tells_the_gap_at_every_checkpoint_and_what_was_asked(both):
    """Trio, baseline, ratio; figures; the table of the blurs with its flags; one Spearman for each distance and curve."""
    summary = json.loads((both / "summary.json").read_text())
    assert summary["n"] == 50 and summary["floors"]["ratio"] == 1
    assert {n["model"] for n in summary["numbers"]} == {"passive", "passive-longer", "retrain-equal-blur10"}
    for number in summary["numbers"]:
        if number["metric"] == "ratio":
            test = next(
                n["value"]
                for n in summary["numbers"]
                if n["metric"] == "transport test" and n["model"] == number["model"]
            )
            np.testing.assert_allclose(number["value"], test / summary["floors"]["transport test"], rtol=1e-6)
    rows = runs.read_metrics(both, "watched.jsonl")
    assert [row["step"] for row in rows if row["job"] == "passive-longer-seed0"] == [300, 400]
    assert {"transport test", "transport train", "frechet test", "mmd train", "ratio", "converged test"} <= rows[
        0
    ].keys()
    fits = summary["fits"]
    assert set(fits) == {"retrain-equal-blur10"}
    logged = [r for r in runs.read_metrics(both) if r["job"] == "retrain-equal-blur10-seed0"]
    assert fits["retrain-equal-blur10"]["transport"] == logged[-1]["transport"]
    assert [blur["blur"] for blur in summary["blurs"]] == [0.3, 3.0]
    assert len(summary["analyses"]) == 4
    for name in ("gap", "curves", "blur", "samples", "while-training-retrain-equal-blur10"):
        assert (both / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_stage_goes_on_with_the_optimiser_of_the_one_before(both, tmp_path):
    """The state that passive-longer starts from is the passive model's: step, moments and all; no stage of `retrain` has one.

    Mutations: fresh moments; the averaged parameters for the raw ones; the passive run of --passive for stages of this run.
    """
    settings = cli.parse(ot_loss.Config, [*SMALL, "--out", str(both)])
    stored = [recipes.read(values) for values in runs.read_settings(both)["models"]]
    stages = [gap_models.Stage(stored[0]), gap_models.Stage(stored[1], "passive"), gap_models.Stage(stored[2])]
    run = runs.Run(both, runs.read_settings(both), engine.Engine())
    model = recipes.build(stored[1])
    fresh = jobs.initial_state(model.network, model.optimizer, 0)
    found = gap_models.start(stages, settings, stored[1], 0, run)(fresh)
    wanted = saved.state(run, "passive-seed0", fresh)
    found_bytes, wanted_bytes = (
        [np.asarray(x).tobytes() for x in jax.tree.leaves((state.params, state.opt_state))] for state in (found, wanted)
    )
    assert int(found.step) == 200 and found_bytes == wanted_bytes
    assert gap_models.start(stages, settings, stored[2], 0, run) is None


def test_active_phase_from_a_passive_run_equals_both_phases_in_one(both, tmp_path):
    """The same parameters, bit for bit, whether the passive model lies in this folder or in that of --passive, and trained on
    from its last step. Mutation: a training that never asks where to start.
    """
    out = tmp_path / "active"
    run(*SMALL, "--phase", "active", "--preset", "passive-longer", "--passive", both, "--blurs", "--out", out)
    a, b = (saved.load(path, "passive-longer-seed0").params for path in (both, out))
    assert [np.asarray(x).tobytes() for x in jax.tree.leaves(a)] == [
        np.asarray(x).tobytes() for x in jax.tree.leaves(b)
    ]
    assert [row["step"] for row in runs.read_metrics(out)] == [300, 400]
    assert not (out / "blur.png").exists()


def refusal(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        cli.main(ot_loss.Config, ot_loss.run, words=[str(word) for word in words])
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_mistakes_are_told_before_anything_is_trained(both, tmp_path, capsys):
    """One line, exit code 2, and nothing written."""
    out = tmp_path / "out"
    cases = {
        "--preset wrong": "'wrong'",
        "--blur 0": "--blur must be above 0",
        "--blurs 1 -1": "--blurs must be above 0",
        "--batch 1": "--batch must be at least 2",
        "--passive-steps 4000": "--passive-steps must be below --steps 4000",
        "--phase active": "passive-longer goes on from a passive run",
    }
    for words, told in cases.items():
        assert told in refusal(capsys, *words.split(), "--out", out)
    words = [*SMALL, "--phase", "active", "--passive", both, "--out", out]
    words[words.index("--width") + 1] = 24
    assert "width (16 there, 24 now)" in refusal(capsys, *words)
    words[words.index("--width") + 1] = 16
    assert "fewer than 2 seeds" in refusal(capsys, *words, "--seeds", 2)
    settings = yaml.safe_load((both / "config.yaml").read_text())
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.yaml").write_text(yaml.safe_dump(settings | {"digest": "0"}))
    assert "other images" in refusal(capsys, *SMALL, "--phase", "active", "--passive", other, "--out", out)
    (other / "config.yaml").write_text(yaml.safe_dump(settings | {"experiment": "images"}))
    assert "no passive model" in refusal(capsys, *SMALL, "--phase", "active", "--passive", other, "--out", out)
    assert not out.exists()


def test_images_of_one_class_have_no_features(tmp_path, capsys):
    """A classifier needs two."""
    np.savez(tmp_path / "a.npz", x=np.zeros((40, 8, 8), np.uint8))
    assert "at least 2 classes" in refusal(capsys, "--data", tmp_path / "a.npz", "--out", tmp_path / "out")


def test_a_net_that_cannot_tell_the_noise_is_named():
    """Noise has as many dimensions as the image; an mlp narrower than that is told, others are not."""
    assert "--width 784 or more" in gap_models.narrow("mlp", 512, (28, 28, 1))
    assert not gap_models.narrow("mlp", 64, (8, 8, 1)) and not gap_models.narrow("dit", 8, (28, 28, 1))
