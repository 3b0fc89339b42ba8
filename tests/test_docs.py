"""The documentation is true: its site builds without a warning and asks nothing of other servers, its examples run."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ddjax.data import image_files, names
from experiments.imaging import judging

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


def test_what_is_said_of_names_and_formats():
    """The data page lists every name of an array and every suffix of an image. Mutation: leave one out."""
    page = (DOCS / "how-to/data.md").read_text()
    for name in (*names.IMAGES, *names.LABELS, *names.CLASSES, *names.TRAIN, *names.HELD_OUT):
        assert f"`{name}`" in page, name
    listed = page.split("## A folder of images")[1].split("\n##")[0]
    aliases = {"jpeg", "jpe", "jfif", "tiff"}
    assert all(re.search(rf"\b{suffix[1:]}\b", listed) for suffix in image_files.FORMATS if suffix[1:] not in aliases)
    assert f"at least {judging.K + 1} held-out images" in page


def of_formats():
    """(title, commands) of each section of the data page that trains; the first commands of the page are for all."""
    first, *sections = (DOCS / "how-to/data.md").read_text().split("\n## ")
    install = commands_in(first)
    for section in sections:
        if commands := commands_in(section):
            yield section.partition("\n")[0], [*install, *commands]


def commands_in(text):
    return [line for found in re.findall(r"^```bash\n(.*?)^```", text, re.S | re.M) for line in found.splitlines()]


FORMATS = dict(of_formats())
TINY = "--steps 20 --batch 8 --width 16 --depth 2 --population 2 --nfe 1 --samples 100 --no-baseline"


def test_each_format_takes_at_most_four_commands():
    assert len(FORMATS) == 5 and all(len(commands) <= 4 for commands in FORMATS.values())


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder in which the data page's own code has written a set of each format."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        namespace = {}
        for code in blocks("how-to/data", "python"):
            if "import jax" in code:
                break
            exec(compile(code, "docs/how-to/data.md", "exec"), namespace)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("title", FORMATS)
def test_commands_lead_from_own_data_to_samples(title, written):
    """Of each format as they stand, but for the size of the training. Mutation: a format that `data.load` refuses."""
    _, train, sample = (shlex.split(command) for command in FORMATS[title])
    places = {"PYTHONPATH": str(ROOT), "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".jax_cache")}
    for words in ([*train, *TINY.split()], ["python", "-m", *sample]):
        assert words[0] == "python"
        done = subprocess.run(
            [sys.executable, *words[1:]], cwd=written, env=os.environ | places, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]
    made = np.load(written / "samples.npz")
    assert made["pixels"].shape[0] == 64 and made["pixels"].dtype == np.uint8 and len(made["labels"]) == 64
    assert np.isfinite(made["x_0"]).all()
