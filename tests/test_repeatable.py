"""A run that is told to stop and goes on, or is repeated elsewhere, ends with the same bits."""

import hashlib
import os
import re
import signal
import subprocess
import time

import jax
import numpy as np
import pytest
from test_experiments import CACHED, ROOT, command

from ddjax import cli, recipes, runs
from ddjax.runs import engine, jobs
from ddjax.training import checkpoints
from experiments.two_gaussians import experiment as two_gaussians

SMALL = "--save-every 100 --batch 32 --width 16 --depth 2 --population 2 --samples 200 --nfe 1 --repeats 1"
STEPS = ("--steps", "2000", "--deterministic")


def start(out, *words, **environment):
    return subprocess.Popen(
        command("two_gaussians", *SMALL.split(), "--out", out, *words),
        cwd=ROOT, env=CACHED | environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finished(*processes):
    for process in processes:
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors


def digests(out):
    """Of the last state of each job, and of all that was logged."""
    config, found = cli.parse(two_gaussians.Config, SMALL.split()), {}
    for model in map(recipes.build, two_gaussians.recipes_of(config)):
        job = recipes.job(model.name, 0)
        like = jobs.initial_state(model.network, model.optimizer, 0)
        state = checkpoints.restore_newest(out / "checkpoints" / job, like)
        leaves = jax.tree.leaves(state._replace(key=jax.random.key_data(state.key)))
        found[job] = hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in leaves)).hexdigest()
    return found | {"metrics": hashlib.sha256((out / "metrics.jsonl").read_bytes()).hexdigest()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nobody disturbs."""
    out = tmp_path_factory.mktemp("whole") / "run"
    finished(start(out, *STEPS, PYTHONHASHSEED="1"))
    return out


@pytest.mark.exhaustive
@pytest.mark.slow
def test_sigusr1_saves_exits_138_and_the_run_goes_on_to_the_same_bits(whole, tmp_path):
    """As SLURM asks before its limit: one line, the state of that very step, and the end of a run that never stopped.

    Mutations: SIGUSR1 left to its default (exit code -10); 143 for it; metrics beyond the restored step kept.
    """
    stopped = tmp_path / "stopped"
    process = start(stopped, *STEPS)
    while not runs.read_metrics(stopped):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGUSR1)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 138, errors
    told = re.fullmatch(
        r"error: stopped by SIGUSR1 at step (\d+): saved at step \1, go on with --resume", errors.splitlines()[-1]
    )
    assert told, errors
    step = int(told[1])
    assert 0 < step < 2000 and (stopped / "checkpoints/ddm-beta1-seed0" / str(step) / "manifest.json").is_file()
    finished(start(stopped, *STEPS, "--resume"))
    assert digests(stopped) == digests(whole)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_deterministic_runs_are_the_same_bit_for_bit_in_fresh_processes(whole, tmp_path):
    """Twice with --deterministic, under other hash seeds, the second compiling all anew: parameters, average, optimizer,
    key and every metric. Another lam is another run, so the digests can differ.

    Mutations: initial parameters from the clock; an order taken from a set of strings.
    """
    anew, cache = tmp_path / "anew", tmp_path / "cache"
    finished(start(anew, *STEPS, PYTHONHASHSEED="2", JAX_COMPILATION_CACHE_DIR=str(cache)))
    assert digests(anew) == digests(whole)
    other = start(tmp_path / "other", *STEPS, "--lam", "0.9")
    while not (rows := runs.read_metrics(tmp_path / "other")):
        assert other.poll() is None, other.communicate()
        time.sleep(0.01)
    other.kill()
    other.communicate()
    assert rows[0]["step"] == 100 and rows[0]["confinement"] != runs.read_metrics(whole)[0]["confinement"]


def test_the_deterministic_profile_is_handed_to_xla_beside_what_the_user_set(monkeypatch):
    """Mutation: XLA_FLAGS overwritten."""
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    engine.start(engine.Engine(deterministic=True))
    assert os.environ["XLA_FLAGS"].split() == [
        "--xla_cpu_enable_fast_math=false",
        "--xla_gpu_deterministic_ops=true",
        "--xla_gpu_autotune_level=0",
    ]
