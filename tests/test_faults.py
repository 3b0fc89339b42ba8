"""A run is killed at any moment, and nothing is lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CACHED = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".jax_cache")}
CACHED |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}


TRAIN = """
import sys, optax, jax
from ddjax import denoisers, networks, objectives, schedules
from experiments import engine, jobs, runs
from pathlib import Path
def run(config):
    network = networks.mlp(2, width=16, depth=2, inject=1)
    schedule = schedules.Rectified()
    loss_fn = objectives.distributional(denoisers.distributional(network, schedule), schedule, size=2)
    jobs.train(
        runs.Run(config.out, {}, config), "job", network, loss_fn, optax.adam(1e-3),
        lambda key: jax.random.normal(key, (16, 2)), seed=0, steps=400, save_every=100, ema_decay=0.9,
    )
def digest(out):
    import hashlib
    from ddjax.training import checkpoints
    network = networks.mlp(2, width=16, depth=2, inject=1)
    state = checkpoints.restore_newest(out / "checkpoints/job", jobs.initial_state(network, optax.adam(1e-3), 7))
    whole = hashlib.sha256()
    for leaf in jax.tree.leaves(state._replace(key=jax.random.key_data(state.key))):
        whole.update(jax.device_get(leaf).tobytes())
    return int(state.step), whole.hexdigest(), (out / "metrics.jsonl").read_text()
"""

KILL = (
    TRAIN
    + """
import json, os, random, signal, time
def forked(work):
    pid = os.fork()  # of a process that has imported jax and started nothing: 20 imports are most of a minute
    if not pid:
        try:
            work()
        finally:
            os._exit(0)
    return pid
root, seconds, killed, midway = Path(sys.argv[1]), [], 0, 0
def finished(out):
    began = time.monotonic()
    config = engine.Engine(out=out)
    pid = forked(lambda: (run(config), (out / "digest").write_text(json.dumps(digest(out)))))
    assert os.waitpid(pid, 0)[1] == 0
    return json.loads((out / "digest").read_text()), time.monotonic() - began
(root / "whole").mkdir()
whole, _ = finished(root / "whole")
draw = random.Random(0)
ends = []
for trial in range(20):
    out = root / str(trial)
    out.mkdir()
    folder = out / "checkpoints" / "job"
    pid = forked(lambda: run(engine.Engine(out=out)))
    step, deadline = 100 * draw.randint(1, 3), time.monotonic() + 60
    # half of the kills come while a step is being written, half some time after an earlier step was complete
    seen = (lambda: list(folder.glob(f"{step}.*tmp*"))) if trial % 2 else (lambda: list(folder.glob(f"{step}/manifest.json")))
    while not seen() and not list(folder.glob("400/manifest.json")) and time.monotonic() < deadline:
        time.sleep(0.0005)
    time.sleep(draw.uniform(0, 0.005 if trial % 2 else 0.15))
    os.kill(pid, signal.SIGKILL)
    killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    steps = [path for path in folder.iterdir() if path.is_dir()]
    midway += any(not (path / "manifest.json").exists() for path in steps)
    ends.append(finished(out)[0] == whole)
print(json.dumps([whole[0], killed, midway, sum(ends)]))
"""
)


@pytest.mark.slow
def test_20_kills_at_random_moments_and_20_resumes_to_the_same_bytes(tmp_path):
    """SIGKILL at 20 moments, some in mid-save: every byte of parameters, average, optimizer, key, step and metrics agrees.

    Mutations: a manifest written before the files; metrics not cut back; resuming with another key.
    """
    words = [sys.executable, "-c", KILL, str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, env=CACHED, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    step, killed, midway, equal = json.loads(done.stdout.splitlines()[-1])
    print(f"{killed} killed, {midway} in mid-save, {equal} resumed to equal bytes")
    assert step == 400 and equal == 20
    assert killed >= 15 and midway >= 4
