"""The documentation is true: its site builds without a warning and asks nothing of other servers, its examples run."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
RUN = ("tutorial", "faq", *(f"how-to/{path.stem}" for path in sorted((DOCS / "how-to").glob("*.md"))))


def blocks(page, language):
    """The code of a page, each block preceded by empty lines so that an error names the line of the page."""
    text = (DOCS / f"{page}.md").read_text()
    for found in re.finditer(rf"^```{language}\n(.*?)^```", text, re.S | re.M):
        yield "\n" * (text.count("\n", 0, found.start()) + 1) + found[1]


@pytest.mark.parametrize("page", [page for page in RUN if any(blocks(page, "python"))])
def test_examples_run_in_order(page, tmp_path, monkeypatch, capsys):
    """All blocks of Python of a page in one namespace, as a reader would paste them. Mutation: any name that is not there."""
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "page"}
    for code in blocks(page, "python"):
        exec(compile(code, f"docs/{page}.md", "exec"), namespace)
