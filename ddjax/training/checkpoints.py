"""Checkpoints that can be trusted: Orbax writes them in the background, a sha256 manifest tells whether they are intact.

A step counts only with its manifest, written last. `restore` takes the newest intact step, renames damaged ones to
`<step>.damaged` with a warning, and so never resumes from a flipped byte, a half-written step, one of another job or a
stray folder; where steps are there but none is intact, it refuses. Saved on any number of devices and processes, restored
on any other: the shardings are those of the state that asks.
"""

import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from ddjax.training import lock, manifest
from ddjax.training.packing import SHAPES, digest, pack, unpack
from ddjax.training.state import TrainState, bare, require_finite
from ddjax.training.writing import PLACE, Checkpoints
from ddjax.types import Resumable


def manager(folder: str | Path, *, keep: int = 2, best: str | None = None, job: str | None = None) -> Checkpoints:
    """Open `folder` for one run, which keeps the newest `keep` steps.

    Args:
        keep: at least 2, so that an intact one is left while the next is written.
        best: name of a metric; the step with its smallest value is kept as well.
        job: whose checkpoints these are, written into each manifest: those of another job are not taken for them.
    Raises: ValueError for keep < 2; OSError for a folder that another run uses or that cannot be written.
    """
    if keep < 2:
        raise ValueError(f"at least 2 checkpoints are kept, got {keep=}")
    folder = Path(folder).expanduser().absolute()
    held = lock.acquire(folder) if jax.process_index() == 0 else None
    policies = [LatestN(keep)]
    if best is not None:
        policies.append(BestN(get_metric_fn=lambda metrics: metrics[best], reverse=True, n=1))
    try:
        orbax = _open(
            folder,
            preservation_policy=AnyPreservationPolicy(policies),
            best_fn=None if best is None else lambda metrics: metrics[best],
            best_mode="min",
            cleanup_tmp_directories=True,
        )
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
    checkpoints.orbax.reload()
    left = manifest.steps(folder)
    if not left:
        return None
    if not manifest.intact(folder / str(left[0]), job):
        raise ValueError(f"no checkpoint is intact: {_told(folder, job)}; to start anew, remove {folder}")
    state = _read(checkpoints.orbax, left[0], like)
    _bring(stream, folder / str(left[0]))
    return state


def restore_newest(folder: str | Path, like: TrainState, *, job: str | None = None) -> TrainState:
    """The newest intact state under `folder`, read only: damaged steps are passed over with a warning and left in place.

    Raises: FileNotFoundError where no intact step exists; ValueError for a checkpoint of another model or optimizer.
    """
    folder = Path(folder).expanduser().absolute()
    faults = {step: manifest.fault(folder / str(step), job) for step in manifest.steps(folder)}
    good = next((step for step, fault in faults.items() if fault is None), None)
    if good is None:
        raise FileNotFoundError(f"no intact checkpoint under {folder}" + (f": {_told(folder, job)}" if faults else ""))
    for step, fault in faults.items():
        if step > good:
            _warn(folder, step, fault, f"using step {good}")
    with _open(folder, create=False, read_only=True) as orbax:
        return _read(orbax, good, like)


def restore_best(folder: str | Path, like: TrainState, *, metric: str, job: str | None = None) -> TrainState:
    """The intact state whose `metric` was smallest when it was saved (`manager(best=metric)`), read only as above."""
    folder = Path(folder).expanduser().absolute()
    with _open(folder, create=False, read_only=True) as orbax:
        intact = [step for step in manifest.steps(folder) if manifest.intact(folder / str(step), job)]
        values = {step: (orbax.metrics(step) or {}).get(metric) for step in intact}
        known = {step: value for step, value in values.items() if value is not None}
        if not known:
            raise FileNotFoundError(f"no intact checkpoint with a {metric!r} under {folder}")
        return _read(orbax, min(known, key=known.get), like)


def _open(folder: Path, **options) -> ocp.CheckpointManager:
    # on one device a state is a few vectors, and a thread of ours the background: the rest of Orbax's would double the cost
    many = jax.device_count() > 1
    options = ocp.CheckpointManagerOptions(**options, enable_async_checkpointing=many)
    handler = ocp.StandardCheckpointHandler(use_ocdbt=many)
    return ocp.CheckpointManager(folder, options=options, item_handlers=handler)


def _set_aside(folder: Path, job: str | None) -> None:
    """Rename the steps that are not intact, where an intact one is left or nothing is lost with them."""
    faults = {step: manifest.fault(folder / str(step), job) for step in manifest.steps(folder)}
    good = next((step for step, fault in faults.items() if fault is None), None)
    # the first save of a run that was killed in it leaves one step without a manifest
    cut_short = list(faults.values()) == [manifest.INCOMPLETE] and not list(folder.glob("*.damaged*"))
    if good is None and not cut_short:
        return
    for step, fault in faults.items():
        if fault is not None:
            _warn(folder, step, fault, "starting anew" if good is None else f"using step {good}")
            (folder / str(step)).rename(_unused(folder / f"{step}.damaged"))


def _warn(folder: Path, step: int, fault: str, instead: str) -> None:
    warnings.warn(f"checkpoint {folder}/{step} {fault}; {instead}", stacklevel=4)


def _told(folder: Path, job: str | None) -> str:
    return ", ".join(f"{step} {manifest.fault(folder / str(step), job)}" for step in manifest.steps(folder))


def _unused(path: Path) -> Path:
    candidates = [path, *(path.with_name(f"{path.name}{i}") for i in range(1, 1000))]
    return next(candidate for candidate in candidates if not candidate.exists())


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


def _read(orbax: ocp.CheckpointManager, step: int, like: TrainState) -> TrainState:
    raw, stored = bare(like), orbax.item_metadata(step)
    packed = stored is not None and SHAPES in stored
    wanted = jax.tree.map(ocp.utils.to_shape_dtype_struct, _whole(raw) if packed else raw)
    if stored is None or _signature(stored) != _signature(wanted):
        raise _another_model(orbax, step)
    found: Any = orbax.restore(step, args=ocp.args.StandardRestore(wanted))
    if packed:
        if not (np.asarray(found[SHAPES]) == digest(raw)).all():
            raise _another_model(orbax, step)
        shardings = jax.tree.map(lambda leaf: leaf.sharding, raw)
        found = jax.jit(lambda vectors: unpack(vectors, raw), out_shardings=shardings)(found)
    if int(found.step) != step:
        raise ValueError(f"checkpoint {orbax.directory}/{step} holds the state of step {int(found.step)}")
    return found._replace(key=jax.random.wrap_key_data(found.key, impl=jax.random.key_impl(like.key)))


def _whole(raw: TrainState) -> Any:
    """The vectors of a state, abstract, whole on every device that the state lies on."""
    sharding = raw.step.sharding  # a scalar is never split
    return jax.tree.map(lambda v: jax.ShapeDtypeStruct(v.shape, v.dtype, sharding=sharding), jax.eval_shape(pack, raw))


def _another_model(orbax: ocp.CheckpointManager, step: int) -> ValueError:
    return ValueError(f"checkpoint {orbax.directory}/{step} holds another model or optimizer than this run's")


def _signature(tree) -> list[tuple]:
    return sorted((tuple(leaf.shape), str(leaf.dtype)) for leaf in jax.tree.leaves(tree) if hasattr(leaf, "shape"))
