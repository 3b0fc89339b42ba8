"""Every notebook runs from top to bottom in a fresh kernel."""

from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_its_script_and_has_what_a_reader_needs(path):
    """Cell by cell the .py beside it (`jupytext --sync`), where to install from, an exercise. Mutation: one edited alone."""
    cells, script = nbformat.read(path, as_version=4).cells, jupytext.read(path.with_suffix(".py")).cells
    assert [(cell.cell_type, cell.source) for cell in script] == [(cell.cell_type, cell.source) for cell in cells]
    assert "%pip install" in cells[0].source and any("Exercise" in cell.source for cell in cells)


@pytest.mark.sampled(6, 4)
@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_notebook_runs(path, monkeypatch):
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "0")  # a kernel trains for longer than it compiles
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=400, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    printed = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in printed)
