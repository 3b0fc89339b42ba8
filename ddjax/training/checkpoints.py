"""Checkpoints that can be trusted: Orbax writes them atomically, a sha256 manifest tells whether they are still intact.

A step counts only with its manifest, written last. `restore` takes the newest intact step, renames damaged ones to
`<step>.damaged` with a warning, and so never resumes from a flipped byte, a half-written step or a stray folder.
"""

import hashlib
import json
import warnings
from pathlib import Path

import jax
import orbax.checkpoint as ocp

from ddjax.training.state import TrainState

_MANIFEST = "manifest.json"


def manager(folder: str | Path, *, keep: int = 2) -> ocp.CheckpointManager:
    """An Orbax manager of `folder` that keeps the newest `keep` steps. Close it, or use it in a `with`."""
    return _open(folder, max_to_keep=keep, cleanup_tmp_directories=True, enable_async_checkpointing=False)


def save(checkpoints: ocp.CheckpointManager, state: TrainState) -> None:
    """Write the state of its step, then its manifest. A step already there is left as it is."""
    step = int(state.step)
    if step in checkpoints.all_steps():
        return
    checkpoints.save(step, args=ocp.args.StandardSave(_raw(state)), force=True)
    checkpoints.wait_until_finished()
    folder = _folder(checkpoints) / str(step)
    draft = folder / (_MANIFEST + ".draft")
    draft.write_text(_digest(folder))
    draft.rename(folder / _MANIFEST)


def restore(checkpoints: ocp.CheckpointManager, like: TrainState) -> TrainState | None:
    """The newest intact state, in the structure, dtypes and shardings of `like`; None where there is none.

    Raises: ValueError for a checkpoint of another model or optimizer.
    """
    folder = _folder(checkpoints)
    for step in [step for step in _steps(folder) if not _intact(folder, step)]:
        _warn(folder, step)
        (folder / str(step)).rename(_unused(folder / f"{step}.damaged"))
    checkpoints.reload()
    step = checkpoints.latest_step()
    return None if step is None else _read(checkpoints, step, like)


def restore_newest(folder: str | Path, like: TrainState) -> TrainState:
    """The newest intact state under `folder`, read only: damaged steps are passed over with a warning and left in place.

    Raises: FileNotFoundError where no intact step exists; ValueError for a checkpoint of another model or optimizer.
    """
    for step in _steps(folder):
        if _intact(folder, step):
            with _open(folder, create=False) as checkpoints:
                return _read(checkpoints, step, like)
        _warn(folder, step)
    raise FileNotFoundError(f"no intact checkpoint under {folder}")


def _open(folder: str | Path, **options) -> ocp.CheckpointManager:
    options = ocp.CheckpointManagerOptions(**options)
    return ocp.CheckpointManager(
        Path(folder).absolute(), options=options, item_handlers=ocp.StandardCheckpointHandler()
    )


def _folder(checkpoints: ocp.CheckpointManager) -> Path:
    return Path(str(checkpoints.directory))


def _warn(folder: str | Path, step: int) -> None:
    warnings.warn(f"checkpoint {folder}/{step} is damaged or incomplete; using an earlier one", stacklevel=3)


def _steps(folder: str | Path) -> list[int]:
    folder = Path(folder)
    names = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    return sorted((int(name) for name in names if name.isdecimal()), reverse=True)


def _digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(_MANIFEST))
    digests = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return json.dumps(digests, indent=0)


def _intact(folder: str | Path, step: int) -> bool:
    manifest = Path(folder) / str(step) / _MANIFEST
    return manifest.is_file() and manifest.read_bytes() == _digest(manifest.parent).encode()


def _unused(path: Path) -> Path:
    candidates = [path, *(path.with_name(f"{path.name}{i}") for i in range(1, 1000))]
    return next(candidate for candidate in candidates if not candidate.exists())


def _raw(state: TrainState) -> TrainState:
    """The state with its key as plain integers, which Orbax stores."""
    return state._replace(key=jax.random.key_data(state.key))


def _read(checkpoints: ocp.CheckpointManager, step: int, like: TrainState) -> TrainState:
    wanted = jax.tree.map(ocp.utils.to_shape_dtype_struct, _raw(like))
    stored = checkpoints.item_metadata(step)
    if stored is None or _signature(stored) != _signature(wanted):
        raise ValueError(f"checkpoint {checkpoints.directory}/{step} holds another model or optimizer than this run's")
    state = checkpoints.restore(step, args=ocp.args.StandardRestore(wanted))
    return state._replace(key=jax.random.wrap_key_data(state.key, impl=jax.random.key_impl(like.key)))


def _signature(tree) -> list[tuple]:
    return sorted((tuple(leaf.shape), str(leaf.dtype)) for leaf in jax.tree.leaves(tree) if hasattr(leaf, "shape"))
