"""Several processes: a real run of two over loopback trains, loses one, and goes on in a single process."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ddjax import cli

ROOT = Path(__file__).parents[1]
ENV = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(ROOT / ".jax_cache"), "JAX_PLATFORMS": "cpu"}
SMALL = "--save-every 100 --batch 32 --width 16 --depth 2 --inject 1 --population 2 --samples 200 --nfe 1 2 --repeats 1"


def command(out, *words):
    return [sys.executable, "-m", "experiments.two_gaussians", *SMALL.split(), "--out", str(out), *words]


def start(out, *words):
    """Two processes that find each other as under SLURM: job, nodes, rank."""
    job, processes = str(random.SystemRandom().randrange(4000)), []  # the port follows from the job's number
    for rank in ("0", "1"):
        slurm = {"JOB_ID": job, "STEP_NODELIST": "localhost", "NTASKS": "2", "PROCID": rank, "LOCALID": rank}
        processes.append(
            subprocess.Popen(
                command(out, "--distributed", "auto", *words),
                cwd=ROOT, env=ENV | {f"SLURM_{name}": value for name, value in slurm.items()},
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
    return processes


def rows(out):
    file = out / "metrics.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def in_one(out, n):
    """A single process that starts or goes on, until n rows are logged."""
    words = command(out, "--resume", "--steps", "4000")
    done = subprocess.Popen(words, cwd=ROOT, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while len(rows(out)) < n and done.poll() is None:
        time.sleep(0.1)
    done.terminate()
    _, errors = done.communicate()
    assert done.returncode == 128 + 15, errors
    return rows(out)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What a single process logs of the first model, from the first step to the last."""
    return in_one(tmp_path_factory.mktemp("alone") / "run", 40)


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_a_run_of_two_processes_that_loses_one_goes_on_in_one(lost, alone, tmp_path):
    """SIGKILL of either process: within 60 s the other ends with one clear line and its code; then one process finishes.

    Its losses, from the first step on, are those of a single process alone to 1e-5. Mutations: no heartbeat (the
    survivor hangs); each process draws noise of its own.
    """
    out = tmp_path / "run"
    processes = start(out, "--steps", "4000")
    while not any(row["step"] >= 200 for row in rows(out)):
        assert all(process.poll() is None for process in processes), [process.communicate() for process in processes]
        time.sleep(0.1)
    processes[lost].kill()
    began = time.monotonic()
    _, errors = processes[1 - lost].communicate(timeout=60)
    assert time.monotonic() - began < 60
    assert processes[1 - lost].returncode == cli.LOST, errors
    # XLA's own threads may write before, after and in the middle of it
    assert errors.count("error: another process of this run is gone") == 1
    assert processes[lost].wait() == -signal.SIGKILL
    processes[lost].communicate()

    before = len(rows(out))
    found = in_one(out, before + 2)
    assert len(found) >= before + 2 and len(alone) >= 40
    for row, expected in zip(found, alone, strict=False):
        assert row["step"] == expected["step"] and abs(row["loss"] - expected["loss"]) < 1e-5


@pytest.mark.slow
def test_one_of_two_processes_writes_the_report(tmp_path):
    """Both end; the folder is whole; the second tells no results."""
    (first, _), (second, _) = [
        process.communicate(timeout=300) for process in start(tmp_path / "run", "--steps", "200")
    ]
    assert "results in" in first and "results in" not in second
    assert {"summary.json", "report.html", "metrics.jsonl"} <= {path.name for path in (tmp_path / "run").iterdir()}
    assert [row["step"] for row in rows(tmp_path / "run")] == [100, 200, 100, 200]


SHARDS = """
import sys, jax, jax.numpy as jnp, numpy as np
rank = int(sys.argv[2])
jax.distributed.initialize("localhost:" + sys.argv[1], 2, rank)
from ddjax.training import sharding
batch = sharding.shard_batch({"x": np.arange(3.0) + 10 * rank, "y": np.full((3, 2), rank)}, sharding.mesh())
moment = jax.jit(lambda x: (x * jnp.arange(6.0)).sum())(batch["x"])
whole = sharding.on_host(batch["x"]).tolist()
print("whole", batch["x"].shape, batch["y"].shape, float(moment), whole, sharding.agreed([rank] * rank))
"""


def test_each_process_brings_its_part_of_the_batch():
    """3 examples from each of two make a batch of 6 in the order of the processes, also to a jitted function."""
    port = str(random.SystemRandom().randrange(20_000, 30_000))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SHARDS, port, rank],
            cwd=ROOT,
            env=ENV,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    moment = float(np.dot([0, 1, 2, 10, 11, 12], range(6)))
    for process in processes:
        told, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
        assert told.splitlines()[-1] == f"whole (6,) (6, 2) {moment} [0.0, 1.0, 2.0, 10.0, 11.0, 12.0] 1"


def test_no_cluster_is_told(tmp_path):
    alone = {name: value for name, value in ENV.items() if not name.startswith(("SLURM", "OMPI"))}
    done = subprocess.run(
        command(tmp_path / "run", "--distributed", "auto"), cwd=ROOT, env=alone, capture_output=True, text=True
    )
    assert done.returncode == 2 and "--distributed auto found no cluster" in done.stderr
    assert not (tmp_path / "run").exists()
