"""An experiment is one folder: what may import what, which files need no jax, and that each can be deleted."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "experiments").rglob("*.py"))
}
SHARED = "experiments.common"
EXPERIMENTS = [path.name for path in sorted((ROOT / "experiments").iterdir()) if (path / "__init__.py").exists()]
EXPERIMENTS.remove("common")
COMMANDS_OF = {  # modules beside the folders: commands whose code lies in a folder of another name
    "family": ("family_tuning", "warm_start", "family_page"),
    "benchmark": ("costs", "coupling_solvers", "large_run", "patch_timing", "stream_timing"),
}


def imported(nodes):
    """Modules of experiments that statements import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in FILES)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield from (
                name if (name := f"{node.module}.{alias.name}") in FILES else node.module
                for alias in node.names
                if (node.module or "").startswith("experiments")
            )


TREES = {name: ast.parse(path.read_text()) for name, path in FILES.items()}
EDGES = {name: set(imported(ast.walk(tree))) for name, tree in TREES.items()}


def folder_of(module):
    return module.split(".")[1] if module.count(".") > 1 or module.split(".")[-1] in EXPERIMENTS else ""


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_no_experiment_imports_another(name):
    """Nor does anything but its own commands. Mutations: the settings of one read by another; common/ that knows of one."""
    inside = {
        module for module in FILES if module.startswith(f"experiments.{name}.") or module == f"experiments.{name}"
    }
    assert len(inside) > 2
    for module in inside:
        assert {folder_of(target) for target in EDGES[module]} <= {name, "common"}, module
    commands = {f"experiments.{command}" for command in COMMANDS_OF.get(name, ())}
    assert {module for module, targets in EDGES.items() if targets & inside} - inside <= commands


def test_what_is_shared_is_used_by_several():
    """Of what lies in common/, two experiments use each file, or the runner does. Mutation: a file of one experiment there."""
    users = {module: set() for module in FILES if module.startswith(f"{SHARED}.")}
    for module, targets in EDGES.items():
        for target in targets & users.keys():
            users[target].add("common" if module.startswith(SHARED) else folder_of(module) or module)
    lonely = {module for module, by in users.items() if len(by - {"common"}) < 2 and "common" not in by}
    assert lonely <= {"experiments.common.images"}  # the folder itself


def test_no_module_is_hidden():
    """No proxy, no path of a package: what a file imports is written in it. Mutation: `__path__ +=` in `__init__`."""
    for name, tree in TREES.items():
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert not used & {"__path__", "__getattr__"}, name
        assert not any(isinstance(node, ast.FunctionDef) and node.name == "__getattr__" for node in ast.walk(tree)), (
            name
        )


@pytest.mark.parametrize("name", ["family", "two_gaussians"])
def test_a_folder_can_be_deleted(name, tmp_path):
    """All other modules are imported without it, from a copy. Mutation: a fixture of the one used by another."""
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.rmtree(tmp_path / "experiments" / name)
    for command in COMMANDS_OF.get(name, ()):
        (tmp_path / "experiments" / f"{command}.py").unlink()
    gone = (f"experiments.{name}", *(f"experiments.{command}" for command in COMMANDS_OF.get(name, ())))
    rest = [module for module in FILES if not module.startswith(gone) and "benchmark" not in module]
    assert len(rest) > 100
    code = f"import importlib\nfor name in {rest}: importlib.import_module(name)\nprint('all', importlib.__name__)"
    env = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "all importlib\n", done.stderr
