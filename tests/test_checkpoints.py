"""Checkpoints: what is restored is what was saved, or an earlier intact step, never anything else."""

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ddjax import networks, training
from ddjax.training import checkpoints, manifest

OPTIMIZER = optax.adam(1e-3)


def state_at(step, width=8, seed=0):
    params = networks.mlp(2, width=width, depth=2).init(jax.random.key(seed))
    state = training.TrainState.create(params, OPTIMIZER, jax.random.key(seed + 1))
    return state._replace(step=jnp.asarray(step, jnp.int32))


def leaves(state):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state._replace(key=jax.random.key_data(state.key)))]


@pytest.fixture
def saved(tmp_path):
    """A folder with intact steps 1 and 2."""
    with checkpoints.manager(tmp_path / "run") as manager:
        for step in (1, 2):
            checkpoints.save(manager, state_at(step, seed=step))
    return tmp_path / "run"


def files_of(folder: Path, step: int):
    return sorted(path for path in (folder / str(step)).rglob("*") if path.is_file())


def restored(folder):
    with checkpoints.manager(folder) as manager:
        return checkpoints.restore(manager, state_at(0, seed=7))


def test_round_trip_is_bit_for_bit(saved):
    assert leaves(restored(saved)) == leaves(state_at(2, seed=2))
    assert leaves(checkpoints.restore_newest(saved, state_at(0))) == leaves(state_at(2, seed=2))


def test_only_the_newest_are_kept(tmp_path):
    with checkpoints.manager(tmp_path / "run", keep=2) as manager:
        for step in (1, 2, 3):
            checkpoints.save(manager, state_at(step))
    assert names(tmp_path / "run") == ["2", "3"]


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_the_best_is_kept_beside_the_newest_also_after_a_restart(tmp_path):
    """Losses 3, 1, 2, 4 | 5, 6: step 2 stays to the end. Mutations: the largest for the best; no policy for the newest."""
    folder = tmp_path / "run"
    for losses in ({1: 3.0, 2: 1.0, 3: 2.0, 4: 4.0}, {5: 5.0, 6: 6.0}):
        with checkpoints.manager(folder, best="loss") as manager:
            for step, loss in losses.items():
                checkpoints.save(manager, state_at(step, seed=step), {"loss": loss})
    assert names(folder) == ["2", "5", "6"]
    assert leaves(checkpoints.restore_best(folder, state_at(0), metric="loss")) == leaves(state_at(2, seed=2))
    assert leaves(checkpoints.restore_newest(folder, state_at(0))) == leaves(state_at(6, seed=6))
    with pytest.raises(FileNotFoundError, match="no intact checkpoint with a 'fid'"):
        checkpoints.restore_best(folder, state_at(0), metric="fid")


def test_donating_the_state_after_save_changes_nothing(tmp_path):
    """save returns while the background still writes. Mutation: hand Orbax the buffers and no copy of them."""
    overwrite = jax.jit(lambda state: jax.tree.map(lambda leaf: leaf + 1, state), donate_argnums=0)
    with checkpoints.manager(tmp_path / "run") as manager:
        state = state_at(3, seed=3)
        checkpoints.save(manager, state)
        overwrite((state.params, state.ema, state.opt_state))
    assert leaves(restored(tmp_path / "run")) == leaves(state_at(3, seed=3))


def test_one_run_at_a_time(saved):
    """The second is refused; a lock file left behind by a dead process holds nobody up."""
    (saved / ".lock").write_text("999999")
    with checkpoints.manager(saved):
        with pytest.raises(OSError, match=f"^{saved} is open in this process already"):
            checkpoints.manager(saved)
        assert int(checkpoints.restore_newest(saved, state_at(0)).step) == 2
    assert int(restored(saved).step) == 2


def test_a_folder_that_cannot_be_written_is_told():
    with pytest.raises(OSError, match=r"^cannot keep checkpoints in /proc/ddjax: "):
        checkpoints.manager("/proc/ddjax")


def test_fewer_than_two_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 2, got keep=1"):
        checkpoints.manager(tmp_path, keep=1)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 400 kB, where mounting one is allowed."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("mounting a file system is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_keeps_the_last_good_step_and_says_what_to_do(small_disk, capfd):
    """States of some 60 kB until the disk is full; after making room, training goes on from the last good one.

    Nothing else is told. Mutation: leave it to Orbax, whose threads print a traceback each.
    """
    ballast = small_disk / "ballast"
    told = r"cannot save step 2 in .*: the disk is full: make room, then resume; last good checkpoint: 1$"
    manager = checkpoints.manager(small_disk / "run")
    checkpoints.save(manager, state_at(1, width=48, seed=1))
    manager.wait()
    with pytest.raises(OSError, match="No space left"):
        ballast.write_bytes(b"0" * 400_000)
    with pytest.raises(OSError, match=told):
        checkpoints.save(manager, state_at(2, width=48, seed=2))
        manager.wait()
    manager.close()
    assert capfd.readouterr().err == "" and names(small_disk / "run") == ["1"]
    ballast.unlink()
    with checkpoints.manager(small_disk / "run") as manager:
        assert leaves(checkpoints.restore(manager, state_at(0, width=48))) == leaves(state_at(1, width=48, seed=1))
        checkpoints.save(manager, state_at(2, width=48, seed=2))
    assert int(checkpoints.restore_newest(small_disk / "run", state_at(0, width=48)).step) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives a thread a priority of its own")
def test_a_save_has_the_priority_of_the_process(tmp_path, monkeypatch):
    """A nice thread would keep whoever waits, or a grace period, waiting on a busy machine. Mutation: nice 19."""
    nice, write = [], manifest.write

    def watched(*arguments):
        nice.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        write(*arguments)

    monkeypatch.setattr(manifest, "write", watched)
    with checkpoints.manager(tmp_path / "run") as manager:
        checkpoints.save(manager, state_at(1))
    assert nice == [os.getpriority(os.PRIO_PROCESS, 0)]


@pytest.mark.parametrize("call", ["wait", "close", "latest_step"])
def test_a_failure_in_the_background_is_told_by_the_next_call(saved, monkeypatch, call):
    """Whichever call that is, once, and the folder is free again. Mutation: swallow it on closing."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    manager = checkpoints.manager(saved)
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "write", full)
        checkpoints.save(manager, state_at(3))
        with pytest.raises(OSError, match=r"cannot save step 3 .*: the disk is full.*; last good checkpoint: 2"):
            getattr(manager, call)()
    manager.close()
    with pytest.warns(UserWarning, match="3 is damaged"):
        assert int(restored(saved).step) == 2


def test_the_newest_is_the_highest_step_whatever_the_clock_says(tmp_path, monkeypatch):
    """The clock jumps back a year between two saves, and the files of the older step lie in the future."""
    folder, now = tmp_path / "run", time.time()
    with checkpoints.manager(folder) as manager:
        checkpoints.save(manager, state_at(1))
        manager.wait()
        monkeypatch.setattr(time, "time", lambda: now - 3e7)
        monkeypatch.setattr(time, "time_ns", lambda: int((now - 3e7) * 1e9))
        for step in (2, 3):
            checkpoints.save(manager, state_at(step))
    for path in files_of(folder, 2):
        os.utime(path, (now + 3e7, now + 3e7))
    assert names(folder) == ["2", "3"]
    assert int(restored(folder).step) == 3


@pytest.mark.exhaustive
def test_a_flipped_byte_in_any_file_is_noticed(saved):
    """Every file of the newest step in turn, manifest included: the reader falls back to step 1 and says so."""
    for path in files_of(saved, 2):
        original = path.read_bytes()
        position = len(original) // 2
        path.write_bytes(original[:position] + bytes([original[position] ^ 1]) + original[position + 1 :])
        with pytest.warns(UserWarning, match="damaged"):
            assert leaves(checkpoints.restore_newest(saved, state_at(0))) == leaves(state_at(1, seed=1)), path
        path.write_bytes(original)
    assert int(checkpoints.restore_newest(saved, state_at(0)).step) == 2


@pytest.mark.parametrize("damage", ["missing file", "truncated file", "no manifest", "pipe"])
def test_damage_falls_back_and_training_can_save_again(saved, damage):
    """The damaged step is set aside under another name, and its number can be saved anew."""
    largest = max(files_of(saved, 2), key=lambda path: path.stat().st_size)
    if damage == "missing file":
        largest.unlink()
    elif damage == "truncated file":
        largest.write_bytes(largest.read_bytes()[:-1])
    elif damage == "no manifest":
        (saved / "2" / "manifest.json").unlink()
    else:
        largest.unlink()
        os.mkfifo(largest)
    with checkpoints.manager(saved) as manager:
        with pytest.warns(UserWarning, match="damaged"):
            state = checkpoints.restore(manager, state_at(0))
        assert leaves(state) == leaves(state_at(1, seed=1))
        checkpoints.save(manager, state_at(2, seed=5))
    assert leaves(restored(saved)) == leaves(state_at(2, seed=5))
    assert (saved / "2.damaged").is_dir()


def test_a_stray_folder_is_not_a_checkpoint(saved):
    (saved / "900").mkdir()
    with pytest.warns(UserWarning, match="900 is damaged or incomplete; using step 2"):
        assert int(restored(saved).step) == 2


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "stray", [".DS_Store", "2/.DS_Store", "2/default/._x", "2/notes.txt", "00500/", "00002/", "٣/", "9", "-3/"]
)
def test_what_a_desktop_or_a_user_leaves_there_harms_nothing(saved, stray):
    """No warning, step 2, and saving goes on. Mutations: every file of the folder is in the manifest; int(name) for a step."""
    path = saved / stray
    path.mkdir() if stray.endswith("/") else path.write_text("?")
    with checkpoints.manager(saved) as manager:
        assert leaves(checkpoints.restore(manager, state_at(0))) == leaves(state_at(2, seed=2))
        checkpoints.save(manager, state_at(3, seed=3))
    assert leaves(checkpoints.restore_newest(saved, state_at(0))) == leaves(state_at(3, seed=3))


def test_a_copied_or_exchanged_step_is_noticed(saved):
    """Step 1 under the name 7, and 1 and 2 exchanged. Mutation: a manifest that does not hold its step."""
    shutil.copytree(saved / "1", saved / "7")
    with pytest.warns(UserWarning, match="7 is a copy of step 1; using step 2"):
        assert int(restored(saved).step) == 2
    for old, new in (("1", "held"), ("2", "1"), ("held", "2")):
        (saved / old).rename(saved / new)
    with pytest.raises(
        ValueError, match=r"no checkpoint is intact: 2 is a copy of step 1, 1 is a copy of step 2; to start"
    ):
        restored(saved)


def test_the_state_must_be_of_the_step_that_holds_it(saved):
    """A manifest written anew for step 1 in the folder 5. Mutation: only the manifest is asked."""
    shutil.copytree(saved / "1", saved / "5")
    manifest.write(saved / "5")
    with pytest.warns(UserWarning, match="5 holds the state of step 1; using step 2"):
        assert leaves(checkpoints.restore_newest(saved, state_at(0))) == leaves(state_at(2, seed=2))
    for step in (1, 2):
        shutil.rmtree(saved / str(step))
    with pytest.raises(ValueError, match="5 holds the state of step 1"):
        restored(saved)
    with pytest.raises(ValueError, match="5 holds the state of step 1"):
        checkpoints.restore_newest(saved, state_at(0))


def of_another_shape(folder):
    """Step 3 of a wider network."""
    with checkpoints.manager(folder) as manager:
        checkpoints.save(manager, state_at(3, width=16))


def of_another_key(folder):
    """Step 3 with keys of as many numbers, which mean others."""
    with checkpoints.manager(folder) as manager:
        checkpoints.save(manager, state_at(3)._replace(key=jax.random.key(0, impl="rbg")))


def of_other_content(name, content):
    """Step 3 with a file that says something else, and a manifest that lists it so."""

    def spoil(folder):
        shutil.copytree(folder / "2", folder / "3")
        (folder / "3" / name).write_text(content)
        manifest.write(folder / "3")

    return spoil


UNFIT = {
    "shape": (of_another_shape, "holds another model or optimizer"),
    "key": (of_another_key, "has random keys of rbg, and this run's are of threefry2x32: give it jax.random.key"),
    "tree": (of_other_content("default/_METADATA", "[]"), "cannot be read"),
    "keys of the tree": (of_other_content("default/_METADATA", "{}"), "cannot be read"),
}


@pytest.mark.parametrize("unfit", UNFIT)
def test_a_newest_step_that_does_not_fit_does_not_hide_the_one_before(saved, unfit):
    """Step 2 with a warning, whether read only or to go on, and the number 3 is free again; alone, step 3 is refused with
    the same words. Mutations: the newest intact step or none; a state of other keys whose numbers fit; Orbax's own errors.
    """
    spoil, words = UNFIT[unfit]
    spoil(saved)
    with pytest.warns(UserWarning, match=f"3 {words}.*; using step 2$"):
        assert leaves(checkpoints.restore_newest(saved, state_at(0))) == leaves(state_at(2, seed=2))
    with checkpoints.manager(saved) as manager:
        with pytest.warns(UserWarning, match=f"3 {words}.*; using step 2$"):
            assert leaves(checkpoints.restore(manager, state_at(0))) == leaves(state_at(2, seed=2))
        assert manager.latest_step() == 2 and (saved / "3.damaged").is_dir()
    for step in manifest.steps(saved):
        shutil.rmtree(saved / str(step))
    (saved / "3.damaged").rename(saved / "3")
    with pytest.raises(ValueError, match=rf"^checkpoint {saved}/3 {words}[^\n]*$"):
        restored(saved)


@pytest.mark.parametrize("file", ["metrics/metrics", "_CHECKPOINT_METADATA"])
def test_damage_in_what_orbax_reads_as_it_opens_hides_nothing(tmp_path, file):
    """The files beside the state, of the newest step. Mutation: leave it to Orbax."""
    with checkpoints.manager(tmp_path, best="loss") as manager:
        for step in (1, 2):
            checkpoints.save(manager, state_at(step, seed=step), {"loss": 1 / step})
    (tmp_path / "2" / file).write_text("[")
    with pytest.warns(UserWarning, match="2 is damaged; using step 1"):
        assert int(checkpoints.restore_newest(tmp_path, state_at(0)).step) == 1
    assert int(checkpoints.restore_best(tmp_path, state_at(0), metric="loss").step) == 1
    with (
        pytest.warns(UserWarning, match="2 is damaged; using step 1"),
        checkpoints.manager(tmp_path, best="loss") as manager,
    ):
        assert int(checkpoints.restore(manager, state_at(0)).step) == 1


@pytest.mark.parametrize(("saved_as", "asked"), [("rbg", "unsafe_rbg"), ("unsafe_rbg", "rbg"), ("threefry2x32", "rbg")])
def test_a_checkpoint_of_other_random_keys_says_so(tmp_path, saved_as, asked):
    """And comes back with its own. Mutation: keys told apart by how many numbers they have."""
    key = jax.random.key(5, impl=saved_as)
    with checkpoints.manager(tmp_path) as manager:
        checkpoints.save(manager, state_at(1)._replace(key=key))
        asking = state_at(0)._replace(key=jax.random.key(0, impl=asked))
        with pytest.raises(
            ValueError, match=rf"1 has random keys of {saved_as}, and this run's are of {asked}: give it"
        ):
            checkpoints.restore(manager, asking)
        same = checkpoints.restore(manager, asking._replace(key=jax.random.key(0, impl=saved_as)))
    assert jax.random.key_impl(same.key) == jax.random.key_impl(key)
    assert (jax.random.key_data(same.key) == jax.random.key_data(key)).all()


def test_a_step_of_another_job_is_noticed(tmp_path):
    """Job b's step 4 among a's, the same network: a goes on from 1; alone, it is refused. Mutation: the job is not compared."""
    for job, step in (("a", 1), ("b", 4)):
        with checkpoints.manager(tmp_path / job, job=job) as manager:
            checkpoints.save(manager, state_at(step))
    shutil.copytree(tmp_path / "b/4", tmp_path / "a/4")
    with pytest.warns(UserWarning, match="4 belongs to b, not to a; using step 1"):
        assert int(checkpoints.restore_newest(tmp_path / "a", state_at(0), job="a").step) == 1
    shutil.rmtree(tmp_path / "a/1")
    with pytest.raises(FileNotFoundError, match="4 belongs to b, not to a"):
        checkpoints.restore_newest(tmp_path / "a", state_at(0), job="a")
    with (
        checkpoints.manager(tmp_path / "a", job="a") as manager,
        pytest.raises(ValueError, match="belongs to b, not to a"),
    ):
        checkpoints.restore(manager, state_at(0))


def test_where_every_step_is_damaged_training_does_not_start_again(saved):
    """Both named, both left where they are, and how to start anew. Mutations: set aside what is not intact; None for it."""
    for step in (1, 2):
        largest = max(files_of(saved, step), key=lambda path: path.stat().st_size)
        largest.write_bytes(largest.read_bytes()[:-1])
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"2 is damaged, 1 is damaged; to start anew, remove {saved}"):
            restored(saved)
    with pytest.raises(FileNotFoundError, match="2 is damaged, 1 is damaged"):
        checkpoints.restore_newest(saved, state_at(0))
    assert names(saved) == ["1", "2"]


def test_a_first_save_cut_short_starts_anew(saved):
    """One step without a manifest is what a kill in the first save leaves; with another set aside before, it is not."""
    shutil.rmtree(saved / "1")
    (saved / "2" / "manifest.json").unlink()
    with pytest.warns(UserWarning, match="2 is damaged or incomplete; starting anew"):
        assert restored(saved) is None
    shutil.copytree(saved / "2.damaged", saved / "2")
    with pytest.raises(ValueError, match="no checkpoint is intact"):
        restored(saved)


@pytest.mark.parametrize("part", ["params", "ema", "opt_state"])
def test_a_state_that_is_not_finite_is_not_saved(saved, part):
    """One NaN in each part. Mutation: look at the parameters alone."""
    bad = jax.tree.map(lambda leaf: leaf * jnp.nan if leaf.dtype == jnp.float32 else leaf, getattr(state_at(3), part))
    words = {"params": "the parameters", "ema": "the averaged parameters", "opt_state": "the numbers of the optimizer"}
    with (
        checkpoints.manager(saved) as manager,
        pytest.raises(
            FloatingPointError, match=f"^{words[part]} are not finite after step 2; last good checkpoint: 2$"
        ),
    ):
        checkpoints.save(manager, state_at(3)._replace(**{part: bad}))
    assert names(saved) == ["1", "2"]


def test_nothing_to_restore(tmp_path):
    assert restored(tmp_path / "new") is None
    with pytest.raises(FileNotFoundError, match="no intact checkpoint"):
        checkpoints.restore_newest(tmp_path / "nowhere", state_at(0))
    assert not (tmp_path / "nowhere").exists()


def test_another_model_is_refused(saved):
    with checkpoints.manager(saved) as manager, pytest.raises(ValueError, match="another model or optimizer"):
        checkpoints.restore(manager, state_at(0, width=16))


def test_a_saved_step_is_left_alone(saved):
    with checkpoints.manager(saved) as manager:
        checkpoints.save(manager, state_at(2, seed=9))
    assert leaves(restored(saved)) == leaves(state_at(2, seed=2))
