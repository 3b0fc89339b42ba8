"""Faults: kills at any moment, full and read-only disks, two runs in one folder, clocks that jump. Nothing good is lost."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from test_checkpoints import leaves, restored, state_at

from ddjax.training import checkpoints

ROOT = Path(__file__).parents[1]
CACHED = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".jax_cache")}
CACHED |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
MOUNTS = shutil.which("unshare") and not subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode
mounted = pytest.mark.skipif(not MOUNTS, reason="needs user namespaces to mount a small disk")


def python(code, *words, within=()):
    words = [*within, sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(words, cwd=ROOT, env=CACHED, capture_output=True, text=True, timeout=300)


TRAIN = """
import sys, optax, jax
from ddjax import denoisers, networks, objectives, schedules
from experiments import cli, engine, jobs, runs
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
def main(out):
    sys.argv = ["job", "--out", str(out)]
    sys.modules["__main__"].__spec__ = jobs.__spec__
    cli.main(engine.Engine, run)
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
    done = python(KILL, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    step, killed, midway, equal = json.loads(done.stdout.splitlines()[-1])
    print(f"{killed} killed, {midway} in mid-save, {equal} resumed to equal bytes")
    assert step == 400 and equal == 20
    assert killed >= 15 and midway >= 4


SMALL_DISK = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=300k tmpfs "$1" && shift && exec "$@"', "sh"]
AFTER = """
config = engine.Engine(out=Path(sys.argv[1]))
try:
    main(Path(sys.argv[1]))
except SystemExit as stop:
    print(stop.code, digest(config.out)[0])
"""


@mounted
def test_a_full_disk_keeps_the_last_good_step_and_says_what_to_do(tmp_path):
    """On a disk of a few steps: exit code 2, one line, and the newest complete step is intact."""
    done = python(TRAIN + AFTER, tmp_path / "run", within=[*SMALL_DISK, str(tmp_path)])
    code, step = done.stdout.split()
    assert code == "2" and int(step) >= 100
    assert done.stderr.count("error: ") == 1 and "Traceback" not in done.stderr, done.stderr
    assert f"the disk is full; last good checkpoint: {step}. Make room, then resume from it" in done.stderr


READ_ONLY = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o ro tmpfs "$1" && shift && exec "$@"', "sh"]


@mounted
def test_a_read_only_folder_is_told(tmp_path):
    """Read-only mounts bind root too, unlike permissions."""
    code = "import sys; from ddjax.training import checkpoints; checkpoints.manager(sys.argv[1])"
    done = python(code, tmp_path / "run", within=[*READ_ONLY, str(tmp_path)])
    assert f"OSError: cannot keep checkpoints in {tmp_path}/run: Read-only file system" in done.stderr


def test_a_folder_in_use_is_refused_until_it_is_closed(tmp_path):
    """The second run is told the process of the first. Mutations: no lock; a lock file that outlives its process."""
    told = pytest.raises(OSError, match=f"in use by another run \\(process {os.getpid()}\\)")
    with checkpoints.manager(tmp_path / "run"), told:
        checkpoints.manager(tmp_path / "run")
    code = "import os, sys; from ddjax.training import lock; f = lock.acquire(sys.argv[1]); print(1, flush=True); os._exit(9)"
    code = code.replace("sys.argv[1]", "__import__('pathlib').Path(sys.argv[1])")
    assert python(code, tmp_path / "run").returncode == 9
    checkpoints.manager(tmp_path / "run").close()


def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch):
    """Step 2 is saved a year before step 1 by the clock, and is still the newest. Mutation: the newest by time of change."""
    now = checkpoints.ocp.checkpoint_manager.time.time
    with checkpoints.manager(tmp_path / "run") as manager:
        checkpoints.save(manager, state_at(1, seed=1))
        manager.wait()
        monkeypatch.setattr("time.time", lambda: now() - 3e7)
        checkpoints.save(manager, state_at(2, seed=2))
    os.utime(tmp_path / "run" / "2", (0, 0))
    assert leaves(restored(tmp_path / "run")) == leaves(state_at(2, seed=2))
    assert jax.tree.leaves(checkpoints.restore_newest(tmp_path / "run", state_at(0)).step)[0] == 2


def test_the_best_step_is_kept_beside_the_newest(tmp_path):
    """Losses 3, 1, 2, 4 at steps 1 to 4: steps 2, 3, 4 stay, also after reopening. Mutations: the largest; pruned anew."""
    with checkpoints.manager(tmp_path / "run", best="loss") as manager:
        for step, loss in ((1, 3.0), (2, 1.0), (3, 2.0)):
            checkpoints.save(manager, state_at(step, seed=step), {"loss": loss})
    with checkpoints.manager(tmp_path / "run", best="loss") as manager:
        for step, loss in ((4, 4.0), (5, 5.0)):
            checkpoints.save(manager, state_at(step, seed=step), {"loss": loss})
    assert sorted(path.name for path in (tmp_path / "run").iterdir() if path.is_dir()) == ["2", "4", "5"]
    best = checkpoints.restore_best(tmp_path / "run", state_at(0), metric="loss")
    assert leaves(best) == leaves(state_at(2, seed=2))
