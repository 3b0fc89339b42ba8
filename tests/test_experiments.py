"""The command lines: what users type, what they get, and what their mistakes cost them (one line, exit code 2)."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from ddjax import cli
from experiments.two_gaussians import experiment as two_gaussians
from experiments.two_gaussians.settings import PRESETS

ROOT = Path(__file__).parents[1]
CACHED = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(ROOT / ".jax_cache")}
OPTIMISED = CACHED | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "0"}  # for runs that compute longer than they compile
SMALL = "--steps 400 --save-every 100 --batch 32 --width 16 --depth 2 --inject 1 --population 2 --samples 200 --nfe 1 2 --repeats 1"


def command(module, *words):
    return [sys.executable, "-m", f"experiments.{module}", *map(str, words)]


def call(module, *words):
    return subprocess.run(command(module, *words), cwd=ROOT, capture_output=True, text=True, timeout=300, env=CACHED)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small run of the main job, from start to end."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    result = call("two_gaussians", *SMALL.split(), "--out", out)
    assert result.returncode == 0, result.stderr
    return out, result.stdout


def test_a_run_writes_all_that_it_promises(finished):
    """Every file, every number with floor, interval, seeds and draws; figures embedded in the report."""
    out, printed = finished
    summary = json.loads((out / "summary.json").read_text())
    assert summary["provenance"]["command"].startswith("python -m experiments.two_gaussians --steps 400")
    for number in summary["numbers"]:
        assert number["low"] <= number["value"] <= number["high"]
        of_verdict = number["nfe"] == 2 and number["trained"]
        assert number["floor_std"] > 0 and number["seeds"] == 1 and number["draws"] == (8 if of_verdict else 1)
    models = {number["model"] for number in summary["numbers"]}
    assert models == {"ddm-beta1", "regression", "exact posterior (oracle)", "exact mean (oracle)"}
    for name in ("samples", "mmd2", "spread", "training"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 4 and 'src="http' not in page
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["job"] == "ddm-beta1-seed0"] == [100, 200, 300, 400]
    assert "| exact mean (oracle) " in printed and str(out) in printed
    assert not list(out.rglob("*.draft"))


def test_a_killed_run_resumes_to_the_same_bytes(finished, tmp_path):
    """SIGKILL after the first checkpoint, then --resume: checkpoint leaves and logged metrics equal the uninterrupted run's."""
    whole, _ = finished
    out = tmp_path / "killed"
    process = subprocess.Popen(
        command("two_gaussians", *SMALL.split(), "--out", out),
        cwd=ROOT,
        env=CACHED,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    manifest = out / "checkpoints" / "ddm-beta1-seed0"
    deadline = time.monotonic() + 200
    while not list(manifest.glob("[0-9]*/manifest.json")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    result = call("two_gaussians", *SMALL.split(), "--out", out, "--resume")
    assert result.returncode == 0, result.stderr
    for job in ("ddm-beta1-seed0", "regression-seed0"):
        assert leaves(out, job) == leaves(whole, job)
    assert (out / "metrics.jsonl").read_text() == (whole / "metrics.jsonl").read_text()


def leaves(out, job):
    """Every byte of the last checkpoint of a job."""
    import jax

    from ddjax import recipes
    from ddjax.runs import jobs
    from ddjax.training import checkpoints

    config = cli.parse(two_gaussians.Config, SMALL.split())
    model = next(m for m in map(recipes.build, two_gaussians.recipes_of(config)) if job.startswith(m.name))
    start = jobs.initial_state(model.network, model.optimizer, 0)
    state = checkpoints.restore_newest(out / "checkpoints" / job, start)
    assert int(state.step) == 400
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state._replace(key=jax.random.key_data(state.key)))]


def test_sigterm_saves_and_exits_143(tmp_path):
    """SIGTERM once training runs: exit code 143, one line, and a checkpoint to go on from."""
    out = tmp_path / "stopped"
    words = SMALL.replace("--steps 400", "--steps 2000000").split()
    process = subprocess.Popen(
        command("two_gaussians", *words, "--out", out), cwd=ROOT, env=CACHED, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 200
    while not (out / "metrics.jsonl").exists() or not (out / "metrics.jsonl").read_text():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 128 + 15
    assert "stopped by SIGTERM at step" in errors.splitlines()[-1] and "Traceback" not in errors
    assert list((out / "checkpoints" / "ddm-beta1-seed0").glob("[0-9]*/manifest.json"))


def test_samples_from_a_saved_run(finished, tmp_path):
    """Same seed, same samples; another step count, other samples; chunks do not show in the count."""
    out, _ = finished
    drawn = {}
    for name, words in {"a": "--steps 2", "b": "--steps 2", "c": "--steps 1 --chunk 7"}.items():
        file = tmp_path / f"{name}.npz"
        result = call("sample", "--run", out, "--n", 20, "--out", file, *words.split())
        assert result.returncode == 0, result.stderr
        drawn[name] = np.load(file, allow_pickle=False)["x_0"]
    np.testing.assert_array_equal(drawn["a"], drawn["b"])
    assert drawn["c"].shape == (20, 2) and not np.array_equal(drawn["a"], drawn["c"])
    assert len(np.unique(drawn["c"], axis=0)) == 20


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--sedes 3", "unknown setting '--sedes'; the nearest valid one is 'seeds'"),
        ("--population 1", "--population must be at least 2 when lam > 0, got 1"),
        ("--churn 0 1.5", "--churn must lie in [0, 1], got 1.5"),
        ("--beta 2.5", "--beta must lie in (0, 2], got 2.5"),
        ("--lam -1", "--lam must be at least 0, got -1.0"),
        ("--inject 4", "--inject must name a hidden layer, 0 to 3, got 4"),
        ("--nfe 0", "--nfe must lie in [1, 10000], got 0"),
        ("--steps 0", "--steps must be at least 1, got 0"),
        ("--config /nowhere.yaml", "cannot read --config /nowhere.yaml"),
        ("--out /proc/ddjax", "cannot write to --out /proc/ddjax"),
    ],
)
def test_mistakes_cost_one_line_and_nothing_is_left(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["two_gaussians", *words.split()])
    with pytest.raises(SystemExit) as stop:
        cli.main(two_gaussians.Config, two_gaussians.run, presets=PRESETS)
    assert stop.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and message in lines[0]
    assert not list(tmp_path.iterdir())


def test_a_mistyped_value_names_its_flag():
    with pytest.raises(cli.UserError, match=r"^--beta needs a number, got 'one'$"):
        cli.parse(two_gaussians.Config, ["--beta", "one"])


def test_the_command_line_wins_over_the_file_and_the_file_over_the_preset(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump({"steps": 7, "beta": [0.5, 1.0], "lam": 0.5}))
    config = cli.parse(
        two_gaussians.Config,
        ["--full", "--config", str(file), "--lam", "0.25"],
        presets=PRESETS,
    )
    assert (config.lam, config.steps, config.beta, config.seeds) == (0.25, 7, (0.5, 1.0), 3)


@pytest.mark.parametrize("text", ["stepz: 3", "- 1", "steps: [", "\x00"])
def test_bad_files_are_told(tmp_path, text):
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    with pytest.raises(cli.UserError, match=r"nearest valid one is 'steps'|must hold|cannot read"):
        cli.parse(two_gaussians.Config, ["--config", str(file)])


def test_a_used_folder_is_not_overwritten(finished):
    """Without --resume the old run stays; with it, other settings are named."""
    out, _ = finished
    before = (out / "summary.json").read_bytes()
    assert "already holds a run" in call("two_gaussians", *SMALL.split(), "--out", out).stderr
    result = call("two_gaussians", *SMALL.replace("--width 16", "--width 8").split(), "--out", out, "--resume")
    assert result.returncode == 2 and "width (16 there, 8 now)" in result.stderr
    assert (out / "summary.json").read_bytes() == before


def test_sampling_without_a_good_checkpoint_says_so(finished, tmp_path):
    """No run, no checkpoint, another model, a folder that is not there."""
    out, _ = finished
    assert "is not the folder of a run" in call("sample", "--run", tmp_path).stderr
    (tmp_path / "config.yaml").write_text((out / "config.yaml").read_text())
    for words, message in (
        ([tmp_path, "--out", tmp_path / "s.npz"], "no intact checkpoint"),
        (
            [out, "--model", "ddm-beta7-seed0", "--out", tmp_path / "s.npz"],
            "this run has the models ddm-beta1-seed0",
        ),
        ([out, "--out", tmp_path / "no" / "s.npz"], "its folder does not exist"),
    ):
        result = call("sample", "--run", *words)
        assert result.returncode == 2 and message in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "s.npz").exists()


def test_help_is_quick_because_it_does_not_import_jax():
    """--help of every command line, and what parsing imports."""
    for module in ("two_gaussians", "sample", "limits", "dispersion"):
        assert "usage:" in call(module, "--help").stdout
    code = (
        "import sys, ddjax.__main__, ddjax.commands.sample, ddjax.commands.export, ddjax.commands.info, "
        "experiments.two_gaussians.__main__; sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_limits_hold_the_exact_sampler_to_the_floor():
    """The ladder at small n exits 0, and would exit 1 were the sampler biased: at n = 2,000 the exact mean is far off."""
    result = call("limits", *["--n", "2000", "--nfe", "1", "3", "--churn", "0", "1", "--repeats", "16"])
    assert result.returncode == 0, result.stdout
    assert "floor standard deviations" in result.stdout


def test_dispersion_law_by_training():
    """lam = .5, beta = 1: the trained spread is .378 of the true one (math by quadrature elsewhere), not 1."""
    from experiments.common.dispersion_law import exact, trained

    assert abs(exact(0.5, 1.0) - 0.378) < 5e-4
    assert abs(trained(0.5, 1.0, steps=600, batch=1024) / exact(0.5, 1.0) - 1) < 0.03
