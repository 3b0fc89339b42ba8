"""Checkpoints that can be trusted: Orbax writes them in the background, a sha256 manifest tells whether they are intact.

A step counts only with its manifest, written last. `restore` takes the newest intact step, renames damaged ones to
`<step>.damaged` with a warning, and so never resumes from a flipped byte, a half-written step, one of another job or a
stray folder; where steps are there but none is intact, it refuses. Saved on any number of devices and processes, restored
on any other: the shardings are those of the state that asks.
"""

import json
import os
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from ddjax.inputs import checked_count
from ddjax.training import lock, manifest
from ddjax.training.packing import SHAPES, digest, pack, unpack
from ddjax.training.state import TrainState, bare, require_finite
from ddjax.training.writing import PLACE, Checkpoints
from ddjax.types import Resumable

_ITEM = "default"  # Orbax's folder of the state within that of a step


def manager(folder: str | Path, *, keep: int = 2, best: str | None = None, job: str | None = None) -> Checkpoints:
    """Open `folder` for one run, which keeps the newest `keep` steps.

    Args:
        keep: at least 2, so that an intact one is left while the next is written.
        best: name of a metric; the step with its smallest value is kept as well.
        job: whose checkpoints these are, written into each manifest: those of another job are not taken for them.
    Raises: ValueError for keep < 2; OSError for a folder that another run uses or that cannot be written.
    """
    keep = checked_count(keep, "keep", least=2)
    folder = Path(folder).expanduser().absolute()
    held = lock.acquire(folder) if jax.process_index() == 0 else None
    policies = [LatestN(keep)]
    if best is not None:
        policies.append(BestN(get_metric_fn=lambda metrics: metrics[best], reverse=True, n=1))
    options = {
        "preservation_policy": AnyPreservationPolicy(policies),
        "best_fn": None if best is None else lambda metrics: metrics[best],
        "best_mode": "min",
        "cleanup_tmp_directories": True,
    }
    try:
        orbax = _open_past_damage(folder, job, options)
    except BaseException:
        if held is not None:
            held.close()
        raise
    return Checkpoints(folder, orbax, held, best, job)


def save(
    checkpoints: Checkpoints,
    state: TrainState,
    metrics: dict[str, float] | None = None,
    stream: Resumable | None = None,
) -> None:
    """Begin to write the state of its step, then its manifest, in the background; `checkpoints.wait()` waits for it.

    A process that ends without having waited completes it first, or says on stderr that it is lost.

    A step already there is left as it is.

    Args:
        stream: that the batches come from: its place is kept with the state.
    Raises: FloatingPointError for a state that is not finite; OSError if this save, or the one before, failed.
    """
    checkpoints.wait()
    step = int(state.step)
    require_finite(state, checkpoints.last_good)
    if step not in checkpoints.orbax.all_steps():
        checkpoints.start(step, state, metrics or {}, None if stream is None else stream.get_state())


def restore(checkpoints: Checkpoints, like: TrainState, stream: Resumable | None = None) -> TrainState | None:
    """The newest intact state, in the structure, dtypes and shardings of `like`; None where there is none.

    Args:
        stream: that the batches come from: it is brought to the place that was kept with the state.
    Raises: ValueError for a checkpoint of another model, optimizer or stream, and where none of several is intact.
    """
    checkpoints.wait()
    folder, job = checkpoints.folder, checkpoints.job
    if jax.process_index() == 0:
        _set_aside(folder, job)
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("damaged checkpoints set aside")
    left = manifest.steps(folder)
    if not left:
        return None
    if not manifest.intact(folder / str(left[0]), job):
        raise ValueError(f"no checkpoint is intact: {_told(folder, job)}; to start anew, remove {folder}")
    step, state, unfit = _first(folder, left, like)
    if unfit and jax.process_index() == 0:
        _rename(folder, unfit, f"using step {step}")
    if unfit and jax.process_count() > 1:
        multihost_utils.sync_global_devices("checkpoints of other states set aside")
    checkpoints.orbax.reload()
    _bring(stream, folder / str(step))
    return state


def restore_newest(folder: str | Path, like: TrainState, *, job: str | None = None) -> TrainState:
    """The newest intact state under `folder`, read only: damaged steps are passed over with a warning and left in place.

    Raises: FileNotFoundError where no intact step exists; ValueError for a checkpoint of another model or optimizer.
    """
    folder = Path(folder).expanduser().absolute()
    faults = {step: manifest.fault(folder / str(step), job) for step in manifest.steps(folder)}
    intact = [step for step, fault in faults.items() if fault is None]
    if not intact:
        raise FileNotFoundError(f"no intact checkpoint under {folder}" + (f": {_told(folder, job)}" if faults else ""))
    good, state, unfit = _first(folder, intact, like)
    for step, fault in (faults | unfit).items():
        if step > good:
            _warn(folder, step, fault, f"using step {good}")
    return state


def restore_best(folder: str | Path, like: TrainState, *, metric: str, job: str | None = None) -> TrainState:
    """The intact state whose `metric` was smallest when it was saved (`manager(best=metric)`), read only as above."""
    folder = Path(folder).expanduser().absolute()
    intact = [step for step in manifest.steps(folder) if manifest.intact(folder / str(step), job)]
    values = {step: _metric(folder / str(step), metric) for step in intact}
    known = {step: value for step, value in values.items() if value is not None}
    if not known:
        raise FileNotFoundError(f"no intact checkpoint with a {metric!r} under {folder}")
    best, state, unfit = _first(folder, sorted(known, key=known.__getitem__), like)
    for step, fault in unfit.items():
        _warn(folder, step, fault, f"using step {best}")
    return state


def _open_past_damage(folder: Path, job: str | None, options: dict[str, Any]) -> ocp.CheckpointManager:
    """Orbax's manager, which reads metrics and metadata of every step as it opens, damaged or not."""
    unreadable = (ValueError, TypeError, KeyError, AttributeError)
    try:
        return _open(folder, **options)
    except unreadable as error:
        if jax.process_count() > 1:  # others may have opened it
            raise ValueError(f"cannot open the checkpoints in {folder}: {error}") from None
    _set_aside(folder, job)
    try:
        return _open(folder, **options)
    except unreadable as error:
        raise ValueError(f"cannot open the checkpoints in {folder}: {error}") from None


def _open(folder: Path, **options) -> ocp.CheckpointManager:
    # on one device a state is a few vectors, and a thread of ours the background: the rest of Orbax's would double the cost
    options = ocp.CheckpointManagerOptions(**options, enable_async_checkpointing=jax.device_count() > 1)
    return ocp.CheckpointManager(folder, options=options, item_handlers=_handler())


def _handler() -> ocp.StandardCheckpointHandler:
    return ocp.StandardCheckpointHandler(use_ocdbt=jax.device_count() > 1)


def _set_aside(folder: Path, job: str | None) -> None:
    """Rename the steps that are not intact, where an intact one is left or nothing is lost with them."""
    faults = {step: manifest.fault(folder / str(step), job) for step in manifest.steps(folder)}
    good = next((step for step, fault in faults.items() if fault is None), None)
    # the first save of a run that was killed in it leaves one step without a manifest
    cut_short = list(faults.values()) == [manifest.INCOMPLETE] and not list(folder.glob("*.damaged*"))
    if good is None and not cut_short:
        return
    _rename(folder, faults, "starting anew" if good is None else f"using step {good}")


def _rename(folder: Path, faults: dict[int, str | None], instead: str) -> None:
    for step, fault in faults.items():
        if fault is not None:
            _warn(folder, step, fault, instead)
            (folder / str(step)).rename(_unused(folder / f"{step}.damaged"))


def _warn(folder: Path, step: int, fault: str, instead: str) -> None:
    warnings.warn(f"checkpoint {folder}/{step} {fault}; {instead}", stacklevel=4)


def _told(folder: Path, job: str | None) -> str:
    return ", ".join(f"{step} {manifest.fault(folder / str(step), job)}" for step in manifest.steps(folder))


def _unused(path: Path) -> Path:
    candidates = [path, *(path.with_name(f"{path.name}{i}") for i in range(1, 1000))]
    return next(candidate for candidate in candidates if not os.path.lexists(candidate))


def _bring(stream: Resumable | None, step: Path) -> None:
    """Bring a stream to the place kept in the folder of a step."""
    place = (step / PLACE).read_text(encoding="utf-8") if (step / PLACE).is_file() else None
    if (stream is None) != (place is None):
        there, here = ("a stream", "draws") if stream is None else ("draws", "a stream")
        raise ValueError(f"checkpoint {step} took its batches from {there}, this run takes them from {here}")
    try:
        if stream is not None:
            stream.set_state(place)
    except ValueError as error:
        raise ValueError(f"checkpoint {step}: {error}") from None


def _first(folder: Path, steps: list[int], like: TrainState) -> tuple[int, TrainState, dict[int, str | None]]:
    """The first of the steps that holds a state like this, that state, and why those before it do not.

    Raises: ValueError where none does, with the reason of the first.
    """
    unfit: dict[int, str | None] = {}
    for step in steps:
        try:
            return step, _read(folder / str(step), like), unfit
        except _Unfit as error:
            unfit[step] = str(error)
    raise ValueError(f"checkpoint {folder}/{steps[0]} {unfit[steps[0]]}")


class _Unfit(ValueError):
    """What an intact checkpoint holds in the place of a state like the one that is asked for."""


def _read(folder: Path, like: TrainState) -> TrainState:
    """The state in the folder of a step, by Orbax's handler: its manager would read the other steps, too."""
    here, there = str(jax.random.key_impl(like.key)), manifest.key(folder)
    if there not in (None, here):
        raise _Unfit(
            f"has random keys of {there}, and this run's are of {here}: give it jax.random.key(seed, impl={there!r}), or "
            f"set JAX_DEFAULT_PRNG_IMPL={there}"
        )
    raw = bare(like)
    try:
        stored = _handler().metadata(folder / _ITEM)
        packed = SHAPES in stored
        wanted = jax.tree.map(ocp.utils.to_shape_dtype_struct, _whole(raw) if packed else raw)
        fits = _signature(stored) == _signature(wanted)
        state: Any = _handler().restore(folder / _ITEM, args=ocp.args.StandardRestore(wanted)) if fits else None
    except (MemoryError, RuntimeError, OSError):  # this machine's
        raise
    except Exception as error:  # whatever files do to Orbax that its manifest lists as they are
        raise _Unfit(f"cannot be read ({type(error).__name__}: {' '.join(str(error).split())[:100]})") from None
    if not fits or (packed and not (np.asarray(state[SHAPES]) == digest(raw)).all()):
        raise _Unfit("holds another model or optimizer than this run's")
    if packed:
        shardings = jax.tree.map(lambda leaf: leaf.sharding, raw)
        state = jax.jit(lambda vectors: unpack(vectors, raw), out_shardings=shardings)(state)
    if int(state.step) != int(folder.name):
        raise _Unfit(f"holds the state of step {int(state.step)}")
    return state._replace(key=jax.random.wrap_key_data(state.key, impl=here))


def _metric(folder: Path, name: str) -> float | None:
    """A metric that was saved with a step, None where there is none."""
    try:
        value = json.loads((folder / "metrics" / "metrics").read_text(encoding="utf-8"))[name]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return value if isinstance(value, int | float) else None


def _whole(raw: TrainState) -> Any:
    """The vectors of a state, abstract, whole on every device that the state lies on."""
    sharding = raw.step.sharding  # a scalar is never split
    return jax.tree.map(lambda v: jax.ShapeDtypeStruct(v.shape, v.dtype, sharding=sharding), jax.eval_shape(pack, raw))


def _signature(tree) -> list[tuple]:
    return sorted((tuple(leaf.shape), str(leaf.dtype)) for leaf in jax.tree.leaves(tree) if hasattr(leaf, "shape"))
