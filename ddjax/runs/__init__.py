"""Runs: the folder with settings, logs and checkpoints; training that resumes; trained models taken from it again.

`engine` carries out, `jobs` trains, `saved` loads, `exported` reads what was exported.
"""

from ddjax.files import write_atomically
from ddjax.runs.folders import Run, first_process, folder, open_run, read_settings
from ddjax.runs.provenance import peak_memory_gb, provenance
from ddjax.runs.rows import read_metrics

__all__ = [
    "Run", "first_process", "folder", "open_run", "peak_memory_gb", "provenance", "read_metrics", "read_settings",
    "write_atomically",
]  # fmt: skip
