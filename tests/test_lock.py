"""The lock of a folder: who has it is named, a file system without locks too, and a forked child never has it."""

import errno
import fcntl
import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

from ddjax.training import lock

# by its path, so that the other process starts without jax
START = f"""
import importlib.util, os, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("lock", {lock.__file__!r})
lock = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lock)
held = lock.acquire(Path(sys.argv[1]))
"""


@contextmanager
def another(folder, code="print(flush=True)"):
    """A process that has the folder for as long as the block runs, and the line that its code prints first."""
    words, pipe = [sys.executable, "-c", f"{START}{code}\ninput()", str(folder)], subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as process:
        yield process.pid, process.stdout.readline()
        process.communicate("\n")


def test_another_process_is_named_and_this_one_told_from_it(tmp_path):
    """By number and machine. Mutations: one message for both; the number of the process that asks."""
    with (
        another(tmp_path) as (pid, _),
        pytest.raises(OSError, match=rf"^{tmp_path} is in use by another run \(process {pid} on "),
    ):
        lock.acquire(tmp_path)
    with (
        lock.acquire(tmp_path),
        pytest.raises(OSError, match=f"^{tmp_path} is open in this process already: close what has it"),
    ):
        lock.acquire(tmp_path)
    lock.acquire(tmp_path).close()


FORK = """
child = os.fork()
if not child:
    os.close(1)
    open(sys.argv[1] + "/pipe", "rb").read()
    os._exit(0)
print(child, flush=True)
"""
ENDED = "if not os.fork():\n    os._exit(0)\nos.wait()\nprint(flush=True)"


def test_a_forked_child_does_not_hold_the_folder_after_its_parent(tmp_path):
    """And a child that ends does not free what its parent has. Mutations: no handler at a fork; one that unlocks."""
    os.mkfifo(tmp_path / "pipe")
    with another(tmp_path, FORK) as (_, line):
        pass
    os.kill(int(line), 0)  # at work still
    lock.acquire(tmp_path).close()
    (tmp_path / "pipe").open("wb").close()
    with another(tmp_path, ENDED), pytest.raises(OSError, match="in use by another run"):
        lock.acquire(tmp_path)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP], ids=errno.errorcode.get)
def test_a_file_system_without_locks_is_named_as_the_cause(tmp_path, monkeypatch, number):
    """Not another run. Mutation: every error of flock is one of a lock that is held."""

    def refused(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(
        OSError, match=rf"^cannot lock {tmp_path}: {os.strerror(number)}; its file system must have flock"
    ):
        lock.acquire(tmp_path)
