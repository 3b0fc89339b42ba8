"""Checkpoints: what is restored is what was saved, or an earlier intact step, never anything else."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ddjax import networks, training
from ddjax.training import checkpoints

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
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [".lock", "2", "3"]


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


@pytest.mark.parametrize("damage", ["missing file", "truncated file", "no manifest", "stray file"])
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
        (saved / "2" / "stray").write_text("?")
    with checkpoints.manager(saved) as manager:
        with pytest.warns(UserWarning, match="damaged"):
            state = checkpoints.restore(manager, state_at(0))
        assert leaves(state) == leaves(state_at(1, seed=1))
        checkpoints.save(manager, state_at(2, seed=5))
    assert leaves(restored(saved)) == leaves(state_at(2, seed=5))
    assert (saved / "2.damaged").is_dir()


def test_a_stray_folder_is_not_a_checkpoint(saved):
    (saved / "900").mkdir()
    with pytest.warns(UserWarning, match="900 is damaged"):
        assert int(restored(saved).step) == 2


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
