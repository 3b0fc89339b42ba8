"""Signals that ask a run to stop, noted until the loop has saved.

Ctrl-C (SIGINT), SIGTERM, SIGUSR1 (SLURM's warning), SIGHUP (the terminal was closed, the connection lost), SIGXCPU (the limit of
processor time is reached).
"""

import ctypes
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGXCPU)


class Interrupted(Exception):
    """A signal arrived: `state` is that of `step`, complete, and `saved` where checkpoints are kept."""

    def __init__(self, step: int, signum: int, saved: bool, state: Any = None):
        told = f"saved at step {step}" if saved else "nothing is saved, as no checkpoints are kept"
        super().__init__(f"stopped by {signal.Signals(signum).name} at step {step}: {told}")
        self.step, self.signum, self.saved, self.state = step, signum, saved, state
        if not saved:  # shown below the traceback of a notebook, not in the one line of a command
            self.add_note("What was trained is the `state` of this exception; in a notebook: sys.last_value.state")


@contextmanager
def noted(*, told: bool) -> Iterator[list[int]]:
    """A list that signals join while the block runs, in the main thread, where Python allows handlers.

    A second Ctrl-C ends the process at once. What is in the list when the block ends without an exception has come too late
    for it, and is passed on to the handlers that were there before.

    Args:
        told: say on stderr what the first Ctrl-C has done.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def note(signum: int, _) -> None:
        received.append(signum)
        if signum == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            if told:
                os.write(2, b"\nstopping after the steps under way; Ctrl-C again ends at once\n")

    nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # a run that shall outlive its terminal
    previous = {signum: signal.signal(signum, note) for signum in STOPS if not (nohup and signum == signal.SIGHUP)}
    _once(signal.SIGINT)
    try:
        yield received
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler or signal.SIG_DFL)
    for signum in received[:1]:
        signal.raise_signal(signum)


def _once(signum: int) -> None:
    """Let the kernel take the handler away when it is called: the second signal works while compiled code runs, too.

    Python calls its own part of a handler between bytecodes only. glibc has the function; elsewhere `note` does the same,
    a little later.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "sysv_signal"):
        for function in (libc.signal, libc.sysv_signal):
            function.argtypes, function.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
        libc.sysv_signal(signum, libc.signal(signum, None))
