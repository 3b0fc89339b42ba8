"""The building: what may import what, how long a file may be, and what never gets in."""

import ast
import graphlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import ddjax

ROOT = Path(ddjax.__file__).parent
FLOORS = (
    {"inputs"},
    {"types", "cli", "files"},
    {"compiled", "schedules"},
    {"times", "scoring", "training", "transport", "downloads"},
    {"predictions", "paths", "couplings", "weights", "mixtures", "data"},
    {"denoisers", "networks", "flows", "metrics"},
    {"objectives", "score_matching", "samplers", "sde"},
    {"inflation"},
    {"recipes", "judging", "targets"},
    {"runs"},
    {"commands"},
    {"__main__"},
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FILES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text()) for name, path in FILES.items()}


def imports(tree):
    """Dotted names of everything imported, at the top of the file or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the floor"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def file_of(dotted):
    """The file of the package that `ddjax.a.b.name` comes from, as a key of FILES."""
    parts = dotted.split(".")[1:]
    while parts and ".".join(parts) not in FILES and ".".join([*parts, "__init__"]) not in FILES:
        parts = parts[:-1]
    return ".".join(parts) if ".".join(parts) in FILES else ".".join([*parts, "__init__"])


INSIDE = {
    name: {file_of(dotted) for dotted in imports(tree) if dotted.startswith("ddjax.")} - {name}
    for name, tree in TREES.items()
}


@pytest.mark.parametrize("name", FILES)
def test_imports_go_strictly_down(name):
    """A room imports from lower floors, or its own folder; `ddjax/__init__` imports nothing."""
    room = name.split(".")[0]
    if room == "__init__":
        assert not INSIDE[name]
        return
    for target in INSIDE[name] - {"__init__"}:  # of which the command takes its version
        below = target.split(".")[0]
        assert below == room or FLOOR[below] < FLOOR[room], f"{name} must not import {target}"


WORDS = {"types", "inputs"}


@pytest.mark.parametrize(
    ("tower", "ground"),
    [
        ("scoring", WORDS),
        ("training", WORDS | {"files"}),
        ("transport", WORDS),
        ("networks", WORDS | {"files", "data.bounds"}),
        ("cli", set()),
        ("downloads", {"cli.__init__", "files"}),
    ],
)
def test_towers_stand_on_the_words_alone(tower, ground):
    """Rules, training, transport and networks import `types`, `inputs` and themselves: each can be read, or taken, without the
    rest.

    Networks also read weights from files; `files` is how anything is written.
    """
    files = [name for name in FILES if name.split(".")[0] == tower]
    assert files
    assert {target for name in files for target in INSIDE[name] if target.split(".")[0] != tower} <= ground


def test_no_cycles():
    """Also inside a folder, where files may import each other."""
    graphlib.TopologicalSorter(INSIDE).prepare()


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_short_and_silent_and_imports_what_it_may(name):
    """flax in networks/ alone, sklearn in data/; no torch or experiments; only commands print; no assert; at most 300 lines."""
    packages = {dotted.split(".")[0] for dotted in imports(TREES[name])}
    assert not packages & {"torch", "tensorflow", "experiments", "tests"}
    assert not packages & {"sklearn", "skimage"} or name.startswith("data.")
    assert "flax" not in packages or name.startswith("networks.")
    assert len(FILES[name].read_text().splitlines()) <= 300
    for node in ast.walk(TREES[name]):
        assert not isinstance(node, ast.Assert), f"{name}:{node.lineno}"
        printing = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
        assert not printing or name.split(".")[0] in ("cli", "commands", "__main__"), f"{name}:{node.lineno}"


def partials(function):
    """Names of the functions of which it makes a `Partial`."""
    calls = (node for node in ast.walk(function) if isinstance(node, ast.Call))
    return {getattr(call.args[0], "id", "") for call in calls if getattr(call.func, "id", "") == "Partial"}


@pytest.mark.parametrize("name", FILES)
def test_what_a_factory_returns_stands_beside_it(name):
    """Signature and body in one place: between a factory and the function of its `Partial` stand only others that either uses.

    A body that several packages share lies below them. Mutation: a private body at the end of its file.
    """
    functions = [node for node in TREES[name].body if isinstance(node, ast.FunctionDef)]
    names = [function.name for function in functions]
    for place, factory in enumerate(functions):
        for body in partials(factory) & {*names}:
            between = functions[place + 1 : names.index(body)]
            used = {node.id for node in ast.walk(factory) if isinstance(node, ast.Name)}
            assert names.index(body) < place or all(
                body in partials(other) or other.name in used for other in between
            ), f"{name}: {factory.name} and {body}"


def test_importing_everything_brings_no_torch_and_importing_the_package_brings_nothing():
    """In a process of its own, so that the tests' own imports do not count."""
    modules = ["ddjax." + name.removesuffix(".__init__") for name in FILES if name != "__init__"]
    code = f"""
import sys, importlib, ddjax
heavy = {{"jax", "flax", "optax", "scipy"}} & set(sys.modules)
for name in {modules}:
    importlib.import_module(name)
sys.exit(repr((heavy, {{"torch", "sklearn", "skimage", "PIL", "grain", "tensorflow", "experiments", "ott"}} & set(sys.modules))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent, check=False)
    assert done.stderr.strip() == "(set(), set())"


def test_no_dependency_depends_on_torch():
    """The closure of the installed requirements, extras left out."""
    closure, todo = set(), [("ddjax", "")]
    while todo:
        name, extra = todo.pop()
        if (name, extra) in closure:
            continue
        closure.add((name, extra))
        for line in importlib.metadata.requires(name) or []:
            required = Requirement(line)
            if required.marker is None or required.marker.evaluate({"extra": extra}):
                todo += [(canonicalize_name(required.name), e) for e in ("", *required.extras)]
    names = {name for name, _ in closure}
    assert {"jax", "flax", "numpy"} <= names
    assert not {name for name in names if name.startswith(("torch", "tensorflow", "nvidia"))}
