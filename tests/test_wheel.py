"""The wheel that users install: what it holds, and README's example and every command of `ddjax` from it, far from the checkout."""

import dataclasses
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from run_folders import a_run

import ddjax
from ddjax import recipes
from ddjax.runs import engine

ROOT = Path(__file__).parents[1]
INFO = f"ddjax-{ddjax.__version__}.dist-info"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [built] = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def call(wheel, tmp_path_factory):
    """`call(program of the fresh environment, words...)`: it holds the wheel, and sees what the wheel depends on."""
    fresh, away = tmp_path_factory.mktemp("fresh"), tmp_path_factory.mktemp("away")
    venv.create(fresh, symlinks=True)
    python = fresh / "bin" / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *install], check=True)
    [packages] = fresh.glob("lib/python*/site-packages")
    paths = sysconfig.get_paths()
    # behind the fresh ones; the link to the checkout, itself a .pth file there, is not followed
    (packages / "dependencies.pth").write_text("\n".join({paths["purelib"], paths["platlib"]}))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    environment |= {"JAX_COMPILATION_CACHE_DIR": str(ROOT / ".jax_cache")}

    def call(program, *words, code=0):
        done = subprocess.run(
            [fresh / "bin" / program, *words], cwd=away, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        return done

    call.folder = fresh
    return call


def test_the_wheel_holds_the_library_and_its_licence_alone(wheel):
    """Every file of ddjax/, data that it may read among them. Mutations: experiments or tests packed; LICENSE left out."""
    library = {str(path.relative_to(ROOT)) for path in (ROOT / "ddjax").rglob("*") if path.is_file()}
    told = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    held = zipfile.ZipFile(wheel)
    assert set(held.namelist()) == {name for name in library if "__pycache__" not in name} | {
        f"{INFO}/{name}" for name in told
    }
    assert held.read(f"{INFO}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


def test_the_installed_package_stands_alone_and_is_silent(call):
    """Mutation: an import of experiments anywhere in the library, which the checkout would hide."""
    done = call("python", "-W", "error", "-c", "import ddjax")
    assert done.stdout == done.stderr == ""
    tell = """
import importlib, importlib.util, pkgutil, ddjax
for found in pkgutil.walk_packages(ddjax.__path__, "ddjax."):
    importlib.import_module(found.name)
print(ddjax.__file__, *(importlib.util.find_spec(name) for name in ("experiments", "tests")), sep="\\n")
print("commit" in ddjax.runs.provenance())
"""
    place, *others = call("python", "-c", tell).stdout.splitlines()
    assert Path(place).is_relative_to(call.folder) and others == ["None", "None", "False"]


def test_the_example_of_the_readme_runs(call):
    """As it stands but for 20 steps and 1,000 points; test_readme.py judges what all of them learn."""
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    done = call("python", "-c", re.sub(r"\b300\b", "20", code).replace("10_000", "1_000"))
    assert np.isfinite(float(done.stdout))


@dataclasses.dataclass(frozen=True)
class Config(engine.Engine):
    """Settings of a run whose training command is not installed."""

    seeds: int = 1


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "run"
    a_run(
        path,
        "mine",
        Config(),
        [recipes.Distributional(name="ddm", event_shape=(2,), network=recipes.Mlp(width=8, depth=2))],
    )
    return path


@pytest.mark.exhaustive
def test_every_command_works_on_a_saved_run(call, run, tmp_path):
    """The samples of the run are those of its export."""
    assert "ddjax sample RUN" in call("ddjax", "--help").stdout
    assert call("ddjax", "--version").stdout == f"ddjax {ddjax.__version__}\n"
    assert "ddm-seed0" in call("ddjax", "info", run).stdout
    files, words = (tmp_path / "live.npz", tmp_path / "exported.npz"), ("--n", "16", "--steps", "1")
    call("ddjax", "sample", run, *words, "--out", files[0])
    call("ddjax", "export", run, "--out", tmp_path / "export")
    call("ddjax", "sample", "--exported", tmp_path / "export", *words, "--out", files[1])
    live, exported = (np.load(file)["x_0"] for file in files)
    assert live.shape == (16, 2)
    np.testing.assert_allclose(exported, live, atol=1e-5)


def test_a_mistake_is_one_line(call, tmp_path):
    told = call("ddjax", "info", tmp_path, code=2).stderr
    assert told == f"error: {tmp_path} is not the folder of a run: it has no config.yaml\n"
