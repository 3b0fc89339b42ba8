"""Damaged files: whatever the bytes, a reader returns or raises one line that names the file, soon and in little memory.

The readers run in a process of their own (`fuzz_formats.py`), with limits on memory and time: one that hangs, crashes or fills the
machine fails the test, and its last words are shown.
"""

import os
import subprocess
import sys
from pathlib import Path

import fuzz_formats

HERE = Path(__file__).parent
ENV = os.environ | {"PYTHONPATH": f"{HERE.parent}:{HERE}", "JAX_PLATFORMS": "cpu"}


def reading(folder, *, rounds, megabytes=400, seconds=60, program="fuzz_formats.py", wall=150):
    """The lines that the process wrote, and its exit code; it gets `seconds` of CPU and three times the memory."""
    folder.mkdir()
    command = [sys.executable, program, folder, rounds, megabytes, seconds]
    with (folder / "stderr").open("w") as errors:
        done = subprocess.run(
            list(map(str, command)), cwd=HERE, env=ENV, stdout=subprocess.PIPE, stderr=errors, text=True, timeout=wall
        )
    return done.stdout.splitlines(), done.returncode, (folder / "stderr").read_text()[-2000:]


def test_damaged_files_are_refused_in_one_line_and_nothing_hangs_dies_or_fills_the_machine(tmp_path):
    """200 damages of each of 23 formats. Fails for any other exception, a message without the file or of several lines,
    2 seconds for one file, 60 of CPU in all, 400 MB, a file that appears, or a format whose damages are all believed.

    Mutations that it was seen to notice: `tokenize.TokenError` missing from the list of what numpy raises, RecursionError
    from that of JSON.
    """
    lines, code, errors = reading(tmp_path / "all", rounds=200)
    assert (code, lines[-1]) == (0, "ended"), (lines[-1], errors)
    told = {line.split(":")[0].removeprefix("done "): line for line in lines if line.startswith("done ")}
    assert told.keys() == fuzz_formats.FORMATS.keys()
    for name, line in told.items():
        refused = int(line.split(": ")[1].split()[0])
        assert refused >= 30 or name == "statistics", line


def test_a_reader_that_hangs_or_fills_the_machine_is_caught(tmp_path):
    """The watch itself, on two readers made to be caught."""
    for fault, told in (
        ("while path.read_bytes() != b'good': pass", -9),
        ("bytearray(2**30 * (path.read_bytes() != b'good'))", 1),
    ):
        program = tmp_path / f"{told}.py"
        program.write_text(
            f"import fuzzed, pathlib, sys\n"
            f"def read(path):\n"
            f"    {fault}\n"
            f"formats = {{'bad': ('a', b'good', read)}}\n"
            f"fuzzed.main(formats, pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:]))\n"
        )
        lines, code, errors = reading(tmp_path / str(told), rounds=20, seconds=2, program=program)
        assert code == told and lines[-1].startswith("bad "), (lines, code, errors)
