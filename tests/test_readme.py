"""README is true: its commands parse, its code runs, its functions exist, its table is the stored result."""

import importlib
import json
import re
import shlex
from pathlib import Path

import pytest

import ddjax
from ddjax import cli, judging
from experiments.pages import conditions

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = sorted(set(re.findall(r"python -m (experiments\.\w+)([^`\n]*)", README)))


@pytest.mark.parametrize(("module", "words"), COMMANDS, ids=lambda value: value.strip())
def test_commands_parse(module, words, tmp_path, monkeypatch):
    """And their values are allowed, once the run or export that they name is there."""
    monkeypatch.chdir(tmp_path)
    for folder in re.findall(r"--(?:run|exported) (\S+)", words):
        Path(folder).mkdir(parents=True)
    imported = importlib.import_module(module if module != "experiments.benchmark" else module + ".__main__")
    cli.parse(imported.Config, shlex.split(words.partition("#")[0]), presets=getattr(imported, "PRESETS", None))


def test_named_functions_exist():
    table = README.split("## Equations to functions")[1].split("\n## ")[0]
    names = re.findall(r"`(\w+)\.(\w+)`", table)
    assert len(names) > 10
    for room, name in names:
        assert hasattr(getattr(ddjax, room), name), f"{room}.{name}"


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (ROOT / target).exists(), target


STORED = {
    "two_gaussians_full": ("python -m experiments.two_gaussians --full", ["mmd2"]),
    "two_moons_all": ("python -m experiments.two_moons", ["w1", "class_w1"]),
    "images_digits": (
        "python -m experiments.images --seeds 3",
        ["frechet pixels", "frechet features", "class accuracy"],
    ),
}


@pytest.mark.parametrize("name", STORED)
def test_result_tables_are_the_stored_runs(name):
    """Re-rendering the committed numbers gives the README's tables: mutation, any digit of either."""
    command, metrics = STORED[name]
    summary = json.loads((ROOT / f"docs/results/{name}.json").read_text())
    stored = [judging.Number(**row) for row in summary["numbers"]]
    for metric in metrics:
        assert judging.table(stored, metric) in README, metric
    assert summary["provenance"]["command"].startswith(command) and command in README


def test_the_table_of_conditional_couplings_is_the_stored_run():
    summary = json.loads((ROOT / "docs/results/conditional_ot_5_seeds.json").read_text())
    assert judging.markdown(conditions.HEADS, conditions.rows_of(summary)) in README
    assert summary["provenance"]["command"].startswith("python -m experiments.conditional_ot --seeds 5")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_example_runs_and_learns():
    """The code block as it stands; 300 steps are enough to leave the classical limit of .026 at 4 steps far behind."""
    [code] = re.findall(r"```python\n(.*?)```", README, re.S)
    namespace = {}
    exec(compile(code, "README.md", "exec"), namespace)
    distance = namespace["metrics"].mmd(
        namespace["x_0"], namespace["truth"].sample(namespace["jax"].random.key(1), 10_000)
    )
    assert distance < 0.008
