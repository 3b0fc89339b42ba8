"""What a machine can do to a run, where no other file covers it.

a batch or mesh that does not fit           test_sharding: meshes_and_batches_that_do_not_fit_are_told
a checkpoint of another model               test_checkpoints: another_model_is_refused; of another optimizer: here
a folder in use, a full disk                test_checkpoints: one_run_at_a_time, a_full_disk_keeps_the_last_good_step
a read-only folder                          test_checkpoints (/proc); a read-only file system: here
a clock that jumps                          test_checkpoints: the_newest_is_the_highest_step; through a whole run: here
a stray folder, a damaged step              test_checkpoints: a_stray_folder_is_not_a_checkpoint; test_survival
a truncated safetensors file                test_weights_files: zip bombs, other archives, cut files
a truncated export, one of a newer JAX      test_export: a_flipped_byte_or_a_cut, an_export_of_a_newer_jax
"""

import itertools
import subprocess
import time

import optax
import pytest
import survivor
from test_checkpoints import leaves, state_at

from ddjax.training import checkpoints
from ddjax.training.progress import progress


@pytest.mark.parametrize("other", [optax.sgd(1e-3, momentum=0.9), optax.lion(1e-3)])
def test_a_checkpoint_of_another_optimizer_is_refused_and_stays(other, tmp_path):
    """Same parameters, another state. Mutation: the parameters alone are compared."""
    with checkpoints.manager(tmp_path / "run") as manager:
        checkpoints.save(manager, state_at(3))
        manager.wait()
        like = state_at(0)
        with pytest.raises(ValueError, match="3 holds another model or optimizer"):
            checkpoints.restore(manager, like._replace(opt_state=other.init(like.params)))
        assert leaves(checkpoints.restore(manager, like)) == leaves(state_at(3))


def test_a_read_only_file_system_is_told_and_can_be_read(tmp_path):
    """One sentence for who wants to write; the newest step for who reads. Mutation: reading takes the lock."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a file system is not allowed here")
    try:
        with checkpoints.manager(folder / "run") as manager:
            checkpoints.save(manager, state_at(1, seed=1))
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        for run in ("run", "new"):
            with pytest.raises(OSError, match=rf"^cannot keep checkpoints in .*/{run}: Read-only file system$"):
                checkpoints.manager(folder / run)
        assert leaves(checkpoints.restore_newest(folder / "run", state_at(0))) == leaves(state_at(1, seed=1))
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.slow
def test_a_run_does_not_ask_what_time_it_is(tmp_path, monkeypatch):
    """Every look at the clock is an hour before the last one: the same digest of state and metrics, the same steps kept."""
    straight = survivor.train(tmp_path / "straight", steps=30)
    began = time.time()
    hours = itertools.count()
    monkeypatch.setattr(time, "time", lambda: began - 3600 * next(hours))
    monkeypatch.setattr(time, "time_ns", lambda: int((began - 3600 * next(hours)) * 1e9))
    assert survivor.train(tmp_path / "jumping", steps=30) == straight
    assert next(hours) > 1  # somebody looked
    kept = [sorted(p.name for p in (tmp_path / name).glob("[0-9]*")) for name in ("straight", "jumping")]
    assert kept[0] == kept[1] and len(kept[0]) < 6  # the oldest of 6 are gone


def test_progress_survives_a_clock_that_stands_still(monkeypatch, capsys):
    """As coarse clocks do between two quick steps. Mutation: divide by the time that has passed as it is."""
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    with progress(2) as update:
        update(1, {"loss": 1.0})
        update(2, {"loss": 0.5})
    assert "training 2/2" in capsys.readouterr().err
