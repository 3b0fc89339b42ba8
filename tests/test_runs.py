"""The folder of a run: it tells what it is, whatever is deleted, damaged or exchanged in it; one process at a time has it."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import jax
import optax
import pytest
from descent import state_of
from run_folders import a_run

from ddjax import recipes, runs
from ddjax.cli import UserError
from ddjax.runs import engine, saved
from ddjax.training import checkpoints
from experiments.benchmark import children
from experiments.two_gaussians import experiment as two_gaussians


@dataclasses.dataclass(frozen=True)
class Config(engine.Engine):
    """Settings of every type that a settings file can hold."""

    steps: int = 100
    rate: float = 1e-5
    beta: tuple[float, ...] = (1.0, 0.5)
    data: Path | None = None
    name: str = "off"


def opened(path, **settings):
    return runs.open_run("two_gaussians", Config(out=path, **settings), path)


@pytest.fixture
def used(tmp_path):
    """A closed run with a checkpoint of one job."""
    run = opened(tmp_path / "run")
    with checkpoints.manager(run.checkpoints("job"), job=run.owner("job")) as manager:
        checkpoints.save(manager, state_of(optax.sgd(0.1)))
    return run.path


FILES = ("config.yaml", "checkpoints/config.yaml")


def test_a_run_makes_the_folders_above_it(tmp_path):
    """Mutation: no parents."""
    assert opened(tmp_path / "not" / "there" / "run").path.is_dir()


def test_one_process_looks_for_no_others():
    """Mutation: a cluster that is sought unless it is asked for."""
    engine.start(Config())
    assert jax.process_count() == 1


def test_settings_stand_in_the_order_of_the_command_line(used):
    """As `--help` lists them, the experiment first. Mutation: by the alphabet."""
    for file in FILES:
        names = [line.split(":")[0] for line in (used / file).read_text().splitlines() if line[0] not in " -"]
        assert names == ["experiment", "steps", "rate", "beta", "data", "name"]


TAKE_UP = (lambda path: opened(path, resume="auto"), runs.read_settings)


@pytest.mark.parametrize("take_up", TAKE_UP)
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    "content", [b"", b"- 1\n", b"a: [", b"\xff\xfe", b"\x00", b"null\n", "pipe", "folder", "dangling"]
)
def test_a_damaged_settings_file_is_named(used, file, content, take_up):
    """Either copy, each way to read it. Mutations: one copy alone is read; an empty file is a new run."""
    path = used / file
    path.unlink()
    {
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "dangling": lambda: path.symlink_to("nowhere"),
    }.get(content, lambda: path.write_bytes(content))()
    with pytest.raises((ValueError, UserError), match=rf"^{path}: [^\n]*$"):
        take_up(used)


@pytest.mark.parametrize("take_up", TAKE_UP)
def test_a_deleted_settings_file_is_made_up_for_by_its_copy_and_both_cannot_be(used, take_up):
    """Other settings are not taken for those of the checkpoints. Mutation: what has no config.yaml is new."""
    stored = runs.read_settings(used)
    (used / "config.yaml").unlink()
    with pytest.raises(UserError, match="steps \\(100 there, 7 now\\)"):
        opened(used, steps=7, resume="auto")
    with pytest.raises(UserError, match="already holds a run"):
        opened(used)
    take_up(used)
    assert runs.read_settings(used) == stored
    for file in FILES:
        (used / file).unlink(missing_ok=True)
    with pytest.raises(UserError, match="holds checkpoints, but the config"):
        take_up(used)


def test_settings_of_another_run_are_noticed(used, tmp_path):
    """One copy exchanged: they differ. Both: the checkpoints belong to other settings. Mutations: the copy is not compared;
    owners without settings."""
    other = opened(tmp_path / "other", rate=2e-5)
    shutil.copy(other.path / "config.yaml", used / "config.yaml")
    with pytest.raises(UserError, match=r"config\.yaml and .*config\.yaml differ"):
        runs.read_settings(used)
    shutil.copy(other.path / "config.yaml", used / "checkpoints" / "config.yaml")
    assert runs.read_settings(used)["rate"] == 2e-5
    taken = opened(used, rate=2e-5, resume="auto")
    told = r"0 belongs to job of the settings [0-9a-f]{12}, not to job of the settings"
    with (
        checkpoints.manager(taken.checkpoints("job"), job=taken.owner("job")) as manager,
        pytest.raises(ValueError, match=told),
    ):
        checkpoints.restore(manager, state_of(optax.sgd(0.1)))


def test_the_owner_is_the_same_from_the_file_as_from_the_command_line(tmp_path):
    """So that `sample` finds what training has saved. Mutation: settings that do not survive their file."""
    run = opened(tmp_path / "run", data=Path("x/ä"), beta=(1e-5, 1e20))
    assert (
        runs.Run(run.path, runs.read_settings(run.path), engine.Engine()).owner("a") == run.owner("a") != run.owner("b")
    )


def test_a_trained_model_is_found_again_and_not_in_another_run(tmp_path):
    """By `saved.load`, as `sample` and `export` do. Mutation: it does not say whose checkpoint it wants."""
    recipe, folders = recipes.Regression(name="job", event_shape=(2,), network=recipes.Mlp(width=4, depth=1)), []
    for name, batch in (("a", 512), ("b", 64)):
        config = two_gaussians.Config(out=tmp_path / name, batch=batch)
        [job] = a_run(tmp_path / name, "two_gaussians", config, [recipe])
        folders.append(tmp_path / name / "checkpoints" / job)
    assert saved.load(tmp_path / "a", None).job == job
    shutil.rmtree(folders[0])
    shutil.copytree(folders[1], folders[0])
    with pytest.raises(FileNotFoundError, match=f"0 belongs to {job}"):
        saved.load(tmp_path / "a", None)


def test_one_process_has_the_whole_folder(used):
    """A second run is refused whatever job it would train. Mutation: a lock for each job alone."""
    held = opened(used, resume="auto")
    with pytest.raises(OSError, match=f"^{used} is open in this process already"):
        opened(used, resume="auto")
    assert runs.read_settings(used)  # who only reads is not held up
    del held
    opened(used, resume="auto")


GOOD = {"job": "a", "step": 100, "loss": 0.5}
BAD = ["{", '{"job": "a", "step": 1', "[]", "1", '"x"', '{"step": 1}', '{"job": "a", "step": "1"}', "\xff", "[" * 100_000,
       '{"job": "a", "step": 1, "loss": "low"}', '{"job": "a", "step": 1, "loss": ' + "1" * 5000 + "}"]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
@pytest.mark.parametrize("name", ["metrics.jsonl", "watched.jsonl"])
def test_a_damaged_line_costs_that_line(tmp_path, bad, name):
    """Told with its number, the others kept, also by the logger that goes on. Mutation: stop at it."""
    run, row = runs.Run(tmp_path, {}, engine.Engine()), json.dumps(GOOD)
    (tmp_path / name).write_bytes(f"{row}\n{bad}\n{row}\n".encode("latin-1"))
    with pytest.warns(UserWarning, match=f"{name}: damaged and left out: line 2$"):
        assert runs.read_metrics(tmp_path, name) == [GOOD, GOOD]
    with pytest.warns(UserWarning, match="line 2"):
        run.logger("a", 100, name)(200, {"loss": 0.25})
    assert runs.read_metrics(tmp_path, name) == [GOOD, GOOD, GOOD | {"step": 200, "loss": 0.25}]


def test_a_last_line_cut_short_by_a_kill_is_no_damage(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(json.dumps(GOOD) + '\n{"job": "a", "st')
    assert runs.read_metrics(tmp_path) == [GOOD]
    assert runs.read_metrics(tmp_path, "none.jsonl") == []


WORK = """
import os, sys, time
from experiments.benchmark import children
def work():
    open(sys.argv[1], "w").write(str(os.getpid()))
    time.sleep(100)
if __name__ == "__main__":
    children.alone(work)
"""


def test_a_killed_parent_leaves_no_child(tmp_path):
    """SIGKILL, which no handler hears, while the child is at work. Mutation: wait for an answer only."""
    (tmp_path / "work.py").write_text(WORK)
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    parent = subprocess.Popen([sys.executable, tmp_path / "work.py", tmp_path / "pid"], env=env)
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert parent.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    child = Path("/proc") / (tmp_path / "pid").read_text()
    parent.kill()
    parent.wait()
    while child.exists() and "zombie" not in (child / "status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_work_alone_answers_or_says_that_it_did_not():
    assert children.alone(os.getpid) != os.getpid()
    with pytest.raises(UserError, match="the process of exit ended without an answer"):
        children.alone(sys.exit)


def test_programs_are_kept_where_nobody_said_otherwise(tmp_path):
    """Mutation: kept in the run's folder whatever the environment says, or nowhere."""
    said = jax.config.jax_compilation_cache_dir
    try:
        engine.keep_compiled(tmp_path / "ours")
        assert jax.config.jax_compilation_cache_dir == said  # which the tests set
        jax.config.update("jax_compilation_cache_dir", None)
        engine.keep_compiled(tmp_path / "ours")
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "ours")
    finally:
        jax.config.update("jax_compilation_cache_dir", said)
