"""What commands print: in any encoding, to a reader that may leave, and no control character that came from outside.

A file name, a class or the error text of a library may hold what moves a cursor or begins a line of its own.
"""

import contextlib
import errno
import os
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any

_LONGEST = 1200  # characters of a message
_CONTROLS = (  # by their Unicode ranges: C0 and C1, ends of lines, directions of text, halves of surrogate pairs
    "\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
)
_CONTROL = re.compile(f"[{_CONTROLS}]")
_WITHIN_LINES = re.compile(rf"(?![\n\t])[{_CONTROLS}]")


def shown(text: object) -> str:
    """A name in one line: its control characters, ends of lines too, as Python writes them."""
    return _CONTROL.sub(_escaped, str(text))


def message(text: object) -> str:
    """A message in one line of bounded length, without what is in the middle of a longer one."""
    line = shown(" ".join(str(text).split()))
    half = _LONGEST // 2
    return line if len(line) <= _LONGEST else f"{line[:half]} [...] {line[-half:]}"


@contextlib.contextmanager
def printed() -> Iterator[None]:
    """Let stdout and stderr take whatever is printed while the block runs, warnings in one line each.

    What stdout cannot encode, and control characters but for ends of lines and tabs, are written as escapes. A reader that
    has left, as `head` does, or a terminal that is closed ends no run: what is printed after it is dropped.
    """
    before = sys.stdout, sys.stderr, warnings.formatwarning
    sys.stdout = sys.stdout and _Stream(sys.stdout, escapes=True)
    sys.stderr = sys.stderr and _Stream(sys.stderr, escapes=False)  # a bar moves the cursor
    warnings.formatwarning = lambda text, *_, **__: f"warning: {message(text)}\n"
    try:
        yield
    finally:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            with contextlib.suppress(OSError):
                stream.flush()
        sys.stdout, sys.stderr, warnings.formatwarning = before


class _Stream:
    """A stream of text as `printed` describes it."""

    def __init__(self, stream: Any, *, escapes: bool):
        self._stream, self._escapes = stream, escapes

    def write(self, text: str) -> int:
        plain = _WITHIN_LINES.sub(_escaped, text) if self._escapes else text
        encoding = self._stream.encoding or "utf-8"
        with self._dropped():
            self._stream.write(plain.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        with self._dropped():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _dropped(self) -> Iterator[None]:
        """Where nothing can be written any more the rest goes nowhere: Python would try again when it ends, and say so."""
        try:
            yield
        except OSError as error:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())
            if error.errno not in (errno.EPIPE, errno.EIO):
                raise


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
