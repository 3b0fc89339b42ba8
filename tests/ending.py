"""Commands in a process of their own, for tests that end them: `python ending.py CASE ARGUMENT`."""

import atexit
import dataclasses
import errno
import os
import resource
import signal
import sys
import time

import optax
from descent import noise_batch, quadratic, state_of

from ddjax import cli, training
from ddjax.training import checkpoints, manifest


@dataclasses.dataclass(frozen=True)
class Config:
    """A command that can go on."""

    resume: str = "off"


def trained(folder: str, at_step) -> None:
    """Train for ever, as a command."""

    def run(_: Config) -> None:
        optimizer = optax.sgd(0.1)
        with checkpoints.manager(folder) as manager:
            training.fit(
                state_of(optimizer), training.make_train_step(quadratic, optimizer), noise_batch, steps=10**9, chunk=100,
                save_every=10**9, checkpoints=manager, log=lambda step, _: at_step(step),
            )  # fmt: skip

    cli.main(Config, run, words=[])


def terminal(folder: str, name: str) -> None:
    """Live on a terminal: the first that the leader of a session opens is the one whose closing it hears of."""
    there = os.open(name, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(there, descriptor)
    trained(folder, lambda step: step == 100 and print("trains", flush=True))


def limit(folder: str) -> None:
    """Be deaf to hangups, as `nohup` makes a command, and run into the limit of processor time."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def at_step(step: int) -> None:
        if step == 100:
            os.kill(os.getpid(), signal.SIGHUP)
        if step == 1000:
            used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
            resource.setrlimit(resource.RLIMIT_CPU, (int(used), resource.RLIM_INFINITY))

    trained(folder, at_step)


def unwaited(folder: str) -> None:
    """End after two saves that nobody waits for, of which one meets a full disk; nothing but threads holds the first."""

    def full(where, *_):
        if "full" in str(where):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(where, *_)

    write, manifest.write = manifest.write, full
    checkpoints.save(checkpoints.manager(f"{folder}/kept"), state_of(optax.sgd(0.1)))
    checkpoints.save(checkpoints.manager(f"{folder}/full"), state_of(optax.sgd(0.1)))


def twice() -> None:
    """Be stopped by a first signal, tell of it, and take 10 s to end: a second signal arrives meanwhile."""

    def run(_: Config) -> None:
        print("runs", flush=True)
        time.sleep(10)

    atexit.register(lambda: (print("ends", flush=True), time.sleep(10)))
    cli.main(Config, run, words=[])


if __name__ == "__main__":
    {"terminal": terminal, "limit": limit, "unwaited": unwaited, "twice": twice}[sys.argv[1]](*sys.argv[2:])
