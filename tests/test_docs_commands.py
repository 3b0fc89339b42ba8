"""Every command that README and the documentation show is one: its module exists, its flags parse, its values are allowed."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from ddjax import cli
from experiments.common import commands as commands_of_experiments

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)


def shown(text):
    """Lines of blocks that are not Python, and spans of code in the prose, which may run over a line's end."""
    for language, block in FENCED.findall(text):
        yield from block.replace("\\\n", " ").splitlines() if language not in ("python", "pycon") else ()
    for span in re.findall(r"`([^`]+)`", FENCED.sub("", text)):
        yield " ".join(span.split())


def commands(text):
    """(module, words) of each command of this project; names in capitals stand for something of the reader's."""
    for line in shown(text):
        line = line.partition(" #")[0].strip()
        if found := re.match(r"python -m (experiments(?:\.\w+)*)(?: (.*))?$", line):
            if not re.search(r"[A-Z]|\.studies\.", found[1]) and found[1] not in (
                "experiments",
                "experiments.one_gaussian",
            ):
                yield found[1], re.sub(r"\b(\w+)(?:\|\w+)+", r"\1", found[2] or "")  # one|another: the first
        elif (found := re.match(r"ddjax (sample|export|info|fetch) (.*)", line)) and found[2] != "NAME":
            words = found[2] if found[2].startswith("-") or found[1] == "fetch" else f"--run {found[2]}"
            yield f"ddjax.commands.{found[1]}", words


EVERY = sorted({command for page in PAGES for command in commands(page.read_text())})


def test_commands_are_found():
    """In every kind of place. Mutation: blocks, or spans that run over a line's end, left out."""
    modules = [module for module, _ in EVERY]
    assert len(EVERY) > 60 and modules.count("experiments.images") > 6 and "ddjax.commands.sample" in modules
    text = "Run `python -m\nexperiments.limits --n 5`:\n\n```bash\nddjax info runs/x   # told\n```\n`ddjax fetch NAME`"
    assert list(commands(text)) == [("ddjax.commands.info", "--run runs/x"), ("experiments.limits", "--n 5")]


@pytest.mark.parametrize(("module", "words"), EVERY, ids=lambda value: value.strip())
def test_commands_parse(module, words, tmp_path, monkeypatch):
    """And their values are allowed, once the run or export that they name is there. Mutation: a flag misspelled in a page."""
    monkeypatch.chdir(tmp_path)
    for folder in re.findall(r"--(?:run|exported) (\S+)", words):
        Path(folder).mkdir(parents=True)
    for file in re.findall(r"--inception (\S+\.safetensors)", words):
        Path(file).touch()
    (tmp_path / "docs/results").mkdir(parents=True)
    imported = importlib.import_module(module)
    if hasattr(imported, "__path__"):
        imported = importlib.import_module(f"{module}.__main__")
    cli.parse(imported.Config, shlex.split(words), presets=getattr(imported, "PRESETS", None))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """As files, wherever the page is read; the site's own build looks at anchors too. Mutation: a page renamed."""
    for target in re.findall(r"\]\((?!http)([^)#\s]+)", FENCED.sub("", page.read_text())):
        assert (page.parent / target).exists(), target


def test_every_command_of_the_pages_is_listed():
    """By `python -m experiments`. Mutation: a line of the list left out."""
    listed = {".".join(["experiments", name.split(".")[0]]) for name in commands_of_experiments.NAMES}
    used = {".".join(module.split(".")[:2]) for module, _ in EVERY if "ddjax" not in module}
    assert len(used) > 15 and used <= listed
