"""Processes that end with the one that started them, however that ends."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from ddjax.cli import UserError


def end_with(parent: int) -> None:
    """End this process soon after its parent, of this number, is gone: nobody would read what it works on."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def alone(function: Callable[[], Any]) -> Any:
    """What `function` returns in a new process, which is killed where this one does not wait for it to end.

    Raises: UserError where it ends without an answer; its own words are on stderr.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(function, theirs, os.getpid()), daemon=True)
    process.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        raise UserError(f"the process of {function.__name__} ended without an answer") from None
    finally:
        process.kill()
        process.join()
        ours.close()


def _answer(function: Callable[[], Any], pipe: Connection, parent: int) -> None:
    for signum in (signal.SIGINT, signal.SIGHUP):  # Ctrl-C and a closed terminal reach both: the parent tells it
        signal.signal(signum, signal.SIG_IGN)
    end_with(parent)
    pipe.send(function())
