"""Break the library on purpose, in one place at a time, and see whether the tests of that room notice.

    python tests/mutants.py --rooms judging samplers --n 12 --seed 0        (or: make mutants)

Prints the share of mutants that a test kills, by failing or by taking three times as long, and every survivor. Those that stand
in mutants_allowed.txt, with the reason, are no gap; any other one ends with exit code 1.
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ALLOWED = Path(__file__).with_name("mutants_allowed.txt")  # FILE | BEFORE -> AFTER | why no test has to notice
TESTS = {
    "recipes": ["recipes", "recipe_networks", "drawing"],
    "runs": ["runs", "run_ends", "pretrained", "pictures", "classifier", "commands", "events", "export_runs"],
    "judging": ["judging", "judging_calibration", "paired", "grids"],
    "objectives": ["objectives", "stable_loss", "flow_matching", "transports"],
    "samplers": ["samplers", "pseudoinverse"],
    "score_matching": ["score_matching"],
    "couplings": ["couplings", "costs"],
    "metrics": ["metrics", "manifold", "frechet", "calibration"],
    "two_gaussians": ["settings_arrive", "experiments"],
    "two_moons": ["settings_arrive", "moons"],
    "conditional_ot": ["settings_arrive", "moons"],
    "images": ["settings_arrive", "images", "image_presets"],
    "family": ["settings_arrive", "family", "rivals", "presets"],
    "ot_loss": ["settings_arrive", "ot_loss", "gaps"],
    "inflation": ["settings_arrive", "inflation_family"],
    "inverse_problems": ["settings_arrive", "inverse_problems"],
}
OTHER = [
    (ast.Add, ast.Sub), (ast.Mult, ast.Div), (ast.Lt, ast.GtE), (ast.Gt, ast.LtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot),
    (ast.In, ast.NotIn), ("mean", "median"),
]  # fmt: skip
OTHER = dict(OTHER) | {after: before for before, after in OTHER}
PYTEST = "-m pytest -x -q -p no:cacheprovider -m"
NOT_COPIED = {".git", ".venv", ".jax_cache", "__pycache__"}
NOT_RUN = {"annotation", "returns", "decorator_list"}


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that computes: no annotations, no texts of messages, no defaults of settings, which are choices."""
    yield node
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            setting = isinstance(node, ast.ClassDef) and isinstance(child, ast.AnnAssign)
            if (
                isinstance(child, ast.AST)
                and not isinstance(child, ast.JoinedStr)
                and name not in NOT_RUN
                and not setting
            ):
                yield from inside(child)


def changes(node: ast.AST) -> Iterator[Callable[[], None]]:
    """Each way to break a node, done in place when called."""
    match node:
        case ast.Constant(value=bool()):
            yield lambda: setattr(node, "value", not node.value)
        case ast.Constant(value=int() | float()):
            yield lambda: setattr(node, "value", node.value + 1)
            yield lambda: setattr(node, "value", node.value - 1)
        case ast.BinOp() | ast.AugAssign() if type(node.op) in OTHER:
            yield lambda: setattr(node, "op", OTHER[type(node.op)]())
        case ast.Compare(ops=[op]) if type(op) in OTHER:
            yield lambda: setattr(node, "ops", [OTHER[type(op)]()])
        case ast.UnaryOp(op=ast.Not()):
            yield lambda: setattr(node, "operand", ast.UnaryOp(ast.Not(), node.operand))
        case ast.Attribute() if node.attr in OTHER:
            yield lambda: setattr(node, "attr", OTHER[node.attr])
        case ast.Return(value=ast.BinOp(op=ast.Sub() | ast.Div(), left=left, right=right) as value):
            yield lambda: vars(value).update(left=right, right=left)
        case ast.Return(value=ast.Tuple(elts=[_, _]) as value):
            yield lambda: value.elts.reverse()
        case ast.Call():
            for keyword in node.keywords:
                yield lambda keyword=keyword: node.keywords.remove(keyword)


def mutants(path: Path) -> list[tuple[int, str, str]]:
    """(line, "before -> after", source) of every single change of a file."""
    text, found = path.read_text(), []
    sites = [(i, j) for i, node in enumerate(inside(ast.parse(text))) for j, _ in enumerate(changes(node))]
    for i, j in sites:
        tree = ast.parse(text)
        node = list(inside(tree))[i]
        before = ast.unparse(node)
        list(changes(node))[j]()
        found.append((getattr(node, "lineno", 0), f"{before} -> {ast.unparse(node)}", ast.unparse(tree)))
    return found


def passes(tree: Path, room: str, seconds: float | None = None) -> bool:
    """Whether the tests of a room pass in a copy of the tree, in time."""
    words = [
        sys.executable,
        *PYTEST.split(),
        "not slow and not bench",
        *(f"tests/test_{name}.py" for name in TESTS[room]),
    ]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    try:
        done = subprocess.run(words, cwd=tree, env=environment, timeout=seconds, capture_output=True, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def survivors(tree: Path, room: str, n: int, seed: int) -> list[str]:
    """What the tests of a room let through, of n changes of its files."""
    found = [
        *tree.glob(f"ddjax/{room}.py"),
        *tree.glob(f"ddjax/{room}/**/*.py"),
        *tree.glob(f"experiments/{room}/*.py"),
    ]
    files = sorted(found)
    every = [(path, *mutant) for path in files for mutant in mutants(path)]
    chosen = random.Random(seed).sample(every, min(n, len(every)))
    began = time.monotonic()
    if not passes(tree, room):
        raise SystemExit(f"{room}: its tests fail without any mutant")
    seconds, found = 60 + 3 * (time.monotonic() - began), []
    for path, line, change, source in chosen:
        original = path.read_text()
        path.write_text(source)
        if passes(tree, room, seconds):
            found.append(f"{path.relative_to(tree)}:{line} | {' '.join(change.split())}")
            print(f"  survived  {found[-1]}", flush=True)
        path.write_text(original)
    print(f"{room}: {len(chosen) - len(found)} of {len(chosen)} killed ({len(every)} possible)", flush=True)
    return found


def main() -> None:
    """Every room in turn, in a copy of the tree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", nargs="+", choices=TESTS, default=list(TESTS))
    parser.add_argument("--n", type=int, default=12, help="mutants of a room")
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    allowed = [line.partition(" | ") for line in ALLOWED.read_text().splitlines() if line and line[0] != "#"]
    reasons = {(file, change.rpartition(" | ")[0]) for file, _, change in allowed}
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=lambda at, _: NOT_COPIED | ({"runs"} if Path(at) == ROOT else set()))
        (ROOT / ".jax_cache").mkdir(exist_ok=True)
        (tree / ".jax_cache").symlink_to(ROOT / ".jax_cache")
        found = [line for room in told.rooms for line in survivors(tree, room, told.n, told.seed)]
    gaps = [line for line in found if (line.partition(":")[0], line.partition(" | ")[2]) not in reasons]
    print("\nsurvivors without a reason:" if gaps else "\nno survivor without a reason", *gaps, sep="\n")
    raise SystemExit(bool(gaps))


if __name__ == "__main__":
    main()
