"""Who writes files, and how: `ddjax.files` is the one way, and what writes in another has its reason here."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
WRITES = {
    "write_text", "write_bytes", "savefig", "savez", "savez_compressed", "save_file", "serialize_file", "tofile", "savetxt",
    "rename", "rmtree", "move", "copy2", "copyfile", "copytree", "unlink", "touch", "symlink_to", "hardlink_to",
    "NamedTemporaryFile", "mkstemp", "mkdtemp", "urlretrieve", "dump", "EventsWriter",
}  # fmt: skip
ALLOWED = {  # what writes in another way, and why it may
    "ddjax/files.py": "the one way itself",
    "ddjax/cli/output.py": "the null device, in the place of a stream that has lost its reader",
    "ddjax/downloads/files.py": "goes on with NAME.part, which an earlier call left: a plain file, or it is refused",
    "ddjax/runs/folders.py": "a log grows by lines, after `write_atomically` has made it a plain file",
    "ddjax/runs/events.py": "a log of TensorBoard's, with a name of its own at each start",
    "ddjax/training/lock.py": "a lock lives as long as its process: a plain file, or it is refused",
    "ddjax/training/checkpoints.py": "a damaged step gets a name that nothing has",
    "ddjax/commands/export.py": "samplers, into the draft of their folder",
    "ddjax/runs/exported.py": "checksums, into the draft of their folder",
    "experiments/pretrain/experiment.py": "the old model makes way for the new one, within a scratch folder",
    "experiments/two_moons/flows.py": "matplotlib's writer of films takes a name: one in a scratch folder",
    "experiments/benchmark/images.py": "weights for the other side, in a scratch folder",
    "experiments/benchmark/ddjax_toy.py": "samples for the judge of both sides, in a scratch folder",
    "experiments/benchmark/torch_toy.py": "samples for the judge of both sides, in a scratch folder",
    "experiments/benchmark/worker.py": "a pipe to the process that asked",
}


OWN = {
    "weights",
    "figures",
    "classifiers",
    "checkpoints",
    "ckpt",
    "numpy",
}  # whose `save` writes in the one way, or returns bytes


def writing_calls(path):
    """Lines that open a file to write, or call by name what writes, moves or removes one, but into what `replacing` yields."""
    tree = ast.parse(path.read_text())
    items = [item for node in ast.walk(tree) if isinstance(node, ast.With) for item in node.items]
    drafts = {
        item.optional_vars.id
        for item in items
        if getattr(getattr(item.context_expr, "func", 0), "id", "") == "replacing"
    }
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        of = getattr(node.func, "value", None)
        owner = getattr(of, "id", getattr(of, "attr", ""))
        given = [*node.args, *(word.value for word in node.keywords)]
        if given and getattr(given[0], "id", "") in drafts:
            continue
        modes = [str(part.value) for part in given if isinstance(part, ast.Constant) and len(str(part.value)) <= 3]
        if (
            name in WRITES
            or (name in ("open", "fdopen") and any(set("wax+") & set(mode) for mode in modes))
            or (name == "replace" and (owner == "os" or len(given) == 1))  # those of text and of dataclasses take more
            or (name == "save" and of is not None and owner not in OWN)
        ):
            yield f"{path.relative_to(ROOT)}:{node.lineno}: {name}"


def test_nobody_writes_in_another_way():
    """In the package, experiments, notebooks, tools. Mutations: `write_text` in any of them; a reason without a write."""
    sources = [path for room in ("ddjax", "experiments", "notebooks", "docs") for path in (ROOT / room).rglob("*.py")]
    assert len(sources) > 200
    writes = {line.split(":")[0]: line for path in sources for line in writing_calls(path)}
    assert {file: line for file, line in writes.items() if file not in ALLOWED} == {}
    assert ALLOWED.keys() - writes.keys() == set()
