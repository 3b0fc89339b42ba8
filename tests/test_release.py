"""What is released: one version wherever it is written, and a source distribution that holds all that its tests need."""

import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

import ddjax

ROOT = Path(__file__).parents[1]


def test_one_version_everywhere():
    """Of the project, the package, the citation, and the newest entry of the changelog. Mutation: any one of them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert project["version"] == ddjax.__version__ == cited["version"] == newest[1]
    assert cited["license"] == project["license"] and cited["cff-version"] == "1.2.0" and cited["authors"]


def test_templates_and_hooks_are_read():
    """Every issue template asks something; the hook is the formatter of the lock. Mutation: another version of ruff."""
    for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"):
        template = yaml.safe_load(path.read_text())
        assert path.name == "config.yml" or {"name", "description", "body"} <= set(template)
    [hooks] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    locked = re.search(r"^ruff==(\S+)", (ROOT / "requirements.txt").read_text(), re.M)
    assert hooks["rev"] == f"v{locked[1]}"


def test_the_source_distribution_holds_what_is_tracked_of_its_folders(tmp_path):
    """And nothing else: no runs, no caches. Mutation: notebooks or benchmarks left out of the list in pyproject.toml."""
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout to compare with")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split(
        "\n"
    )
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [path] = tmp_path.iterdir()
    with tarfile.open(path) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    folders = ("ddjax/", "experiments/", "tests/", "docs/", "notebooks/", "benchmarks/")
    files = {"README.md", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "Makefile", "requirements.txt"}
    wanted = {name for name in listed if name.startswith(folders) or name in files}
    assert wanted <= held and files <= held
    assert not [name for name in held if "__pycache__" in name or name.startswith(("runs/", ".venv", "shared/"))]
