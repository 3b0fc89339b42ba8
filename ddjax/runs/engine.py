"""How a run is carried out, whatever it computes: devices, processes, determinism, memory, resuming.

An experiment's Config inherits from `Engine`, calls `start` before it imports anything that imports jax, and lays its
training over `layout` (`runs.jobs` does). None of these settings changes a result beyond rounding, so a run may go
on under others.
"""

import ctypes
import logging
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ddjax import cli
from ddjax.cli.settings import Count, FolderToWrite, Fraction

HEARTBEAT = 20  # seconds without a sign of life after which a process counts as lost
REPORT = 3600  # seconds that the others wait at the end for the process that judges and reports


@dataclass(frozen=True)
class Engine:
    """Settings of carrying out; see docs/scaling.md."""

    out: FolderToWrite | None = None
    """Folder of the run (default: named after the experiment, under runs/)."""
    resume: str = "off"
    """auto, or the bare flag: go on with the run in --out, bit for bit as if it had never stopped, or start it; DIR: go
    on with the run there; off: refuse a used folder."""
    distributed: Literal["auto", "off"] = "off"
    """auto: join the processes that SLURM, a TPU pod or Open MPI started; each brings its devices."""
    model_shards: Count = 1
    """Split every parameter over this many devices; the other factor of the device count splits the batch."""
    fully_sharded: bool = False
    """Split parameters and optimizer over all devices, instead of keeping them whole on each."""
    deterministic: bool = False
    """Refuse kernels that add in a varying order (GPU): the same seed gives the same bits, more slowly."""
    memory_fraction: Fraction | None = None
    """Share of GPU memory taken at start; 0 takes it as needed (default: JAX's own, .75)."""
    log_every: Count = 100
    """Training steps in one row of metrics.jsonl and speed.jsonl, and of what is shown while training."""
    tensorboard: bool = False
    """Keep training metrics and watched numbers as TensorBoard events too, under tensorboard/ in the run."""


def start(config: Engine) -> None:
    """Set what must be set before jax is imported, then join the other processes.

    Raises: ValueError where no cluster is found, or the devices do not suit the settings; UserError where a library of
        `--tensorboard` is not installed.
    """
    if config.tensorboard:
        from ddjax.runs import events

        events.require()
    _quiet()
    if config.memory_fraction is not None:
        name = "XLA_PYTHON_CLIENT_MEM_FRACTION" if config.memory_fraction else "XLA_PYTHON_CLIENT_PREALLOCATE"
        os.environ[name] = f"{config.memory_fraction:g}" if config.memory_fraction else "false"
    if config.deterministic:
        flags = "--xla_gpu_deterministic_ops=true --xla_gpu_autotune_level=0"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    if config.distributed == "auto":
        import jax

        try:
            jax.distributed.initialize(heartbeat_timeout_seconds=HEARTBEAT, shutdown_timeout_seconds=REPORT)
        except ValueError:
            raise ValueError(
                "--distributed auto found no cluster: start the processes under SLURM, Open MPI or on a TPU pod"
            ) from None
        ctypes.CDLL(None).signal(signal.SIGABRT, _aborted)


def require_devices(batch: int, model_shards: int) -> None:
    """Raises: ValueError for shards or a batch that the devices do not divide."""
    import jax

    from ddjax.training import sharding

    if jax.device_count() == model_shards == 1:
        return
    try:
        sharding.held(batch, sharding.mesh(-1, model_shards))
    except ValueError as error:
        raise ValueError(f"--batch {batch} with --model-shards {model_shards}: {error}") from None


def _quiet() -> None:
    """Leave a failed save to the one line that tells it: Orbax and its event loops print a traceback for every thread."""
    for name in ("absl", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    hook = sys.unraisablehook
    sys.unraisablehook = lambda it: None if str(it.exc_value) == "Event loop is closed" else hook(it)


@ctypes.CFUNCTYPE(None, ctypes.c_int)
def _aborted(_: int) -> None:
    """JAX aborts a process that has lost another one: say what to do, in one line."""
    told = "error: another process of this run is gone (or XLA failed, see above): start all again with --resume auto\n"
    os.write(2, told.encode())
    os._exit(cli.LOST)


def keep_compiled(folder: Path) -> None:
    """Keep compiled programs in `folder`, for the next start; what the environment says wins."""
    import jax

    if not jax.config.jax_compilation_cache_dir:  # pyright: ignore[reportAttributeAccessIssue]
        jax.config.update("jax_compilation_cache_dir", str(folder.absolute()))


def layout(config: Engine, state: Any, train_step: Any, batch: Any) -> tuple[Any, Any, Any]:
    """State, step and the data of the batches laid over all devices, as the settings say; as they are on a single one.

    Of a stream each process reads the rows of the batch that its devices hold.

    Raises: ValueError for a mesh that does not fit, or a stream's batch that it does not divide.
    """
    from functools import partial

    import jax

    from ddjax import data
    from ddjax.training import sharding

    if jax.device_count() == 1 and config.model_shards == 1:
        return state, train_step, batch
    mesh = sharding.mesh(-1, config.model_shards)
    fully = config.fully_sharded
    if isinstance(batch, data.Stream):
        laid = batch.laid(sharding.held(batch.size, mesh), partial(sharding.shard_batch, mesh=mesh))
    else:
        laid = sharding.replicate(jax.tree_util.Partial(batch), mesh)
    state = sharding.shard_state(state, mesh, fully=fully)
    return state, sharding.on_mesh(train_step, mesh, fully=fully), laid
