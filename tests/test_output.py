"""What commands print and write on a user's machine: any encoding, a reader that leaves, names from outside, a home folder."""

import ast
import dataclasses
import io
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from descent import state_of
from pictures import paint, pixels
from test_command_lines import COMMANDS, INSTALLED, ROOT, command, flag, required, written

from ddjax import cli, data, metrics, runs
from ddjax.cli import settings
from ddjax.data import cache
from ddjax.networks import weights
from ddjax.runs import classifiers, engine
from ddjax.training import checkpoints

OUTSIDE = "MMD² ± Fréchet ₁ \udcff \x1b[2J \u202e \x85"  # a table's head, and what a file name may hold
ENCODINGS = {
    "ascii": r"MMD\xb2 \xb1 Fr\xe9chet \u2081 \udcff \x1b[2J \u202e \x85",
    "cp1252": r"MMD² ± Fréchet \u2081 \udcff \x1b[2J \u202e \x85",
    "utf-8": r"MMD² ± Fréchet ₁ \udcff \x1b[2J \u202e \x85",
}


def shows(warning):
    """Write a warning as Python does where no test has caught it."""
    sys.stderr.write(warnings.formatwarning(warning.message, warning.category, warning.filename, warning.lineno))


def streams(monkeypatch, encoding):
    """stdout and stderr of a terminal in this encoding, strict: what was written to them, as bytes; warnings are shown."""
    monkeypatch.setattr(warnings, "_showwarnmsg_impl", shows)
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict"))
    return sys.stdout.buffer, sys.stderr.buffer


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", COMMANDS + INSTALLED)
def test_every_command_prints_in_every_encoding(name, encoding, tmp_path, monkeypatch):
    """Its help, its lines and its error; nothing is lost but what the terminal cannot show, and no control character passes.

    Mutations: `printed` left out of `main`; surrogates let through; ends of lines escaped too; frames of ASCII in an error.
    """
    out, err = streams(monkeypatch, encoding)
    make, presets = command(name)
    good = [word for key, value in required(make, tmp_path).items() for word in written(make, key, value)]
    good += ["--run", str(tmp_path)] if name.endswith(".sample") else []
    cli.main(make, lambda _: print(OUTSIDE, OUTSIDE, sep="\n"), presets=presets, words=good)
    assert out.getvalue().decode(encoding).splitlines() == [ENCODINGS[encoding]] * 2

    def fails(_):
        raise ValueError(OUTSIDE + " " * 9 + "\nsecond")

    with pytest.raises(SystemExit) as stop:
        cli.main(make, fails, presets=presets, words=good)
    told = f"error: {' '.join(ENCODINGS[encoding].replace(chr(92) + 'x85', '').split())} second\n"
    assert stop.value.code == 2 and err.getvalue().decode(encoding) == told
    err.seek(0), err.truncate()
    with pytest.raises(SystemExit):
        cli.main(make, fails, presets=presets, words=[*good, "junk"])
    assert re.fullmatch("error: [^-]*junk[^-]*\n", err.getvalue().decode(encoding))
    with pytest.raises(SystemExit) as stop:
        cli.main(make, fails, presets=presets, words=["--help"])
    assert stop.value.code == 0


def test_messages_are_one_line_of_bounded_length(monkeypatch):
    """An error, a warning, and a name of 100,000 characters: both ends are seen. Mutations: no bound; the end cut off."""
    _, err = streams(monkeypatch, "utf-8")

    def run(_):
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.warn("first\x1b\n" + "a" * 100_000 + " cure", stacklevel=1)
        raise ValueError("first\n" + "a" * 100_000 + " cure")

    with pytest.raises(SystemExit):
        cli.main(engine.Engine, run, words=[])
    lines = err.getvalue().decode().splitlines()
    assert [line.partition(":")[0] for line in lines] == ["warning", "error"]
    assert all(len(line) < 1300 and "first" in line and line.endswith(" cure") for line in lines)
    assert "\x1b" not in lines[0]


PIPES = {
    "help": "from ddjax import __main__; __main__.main(['--help'])",
    "experiments": "import runpy; runpy.run_module('experiments', run_name='__main__')",
    "a run": "from ddjax import cli; from ddjax.runs.engine import Engine\n"
    "def run(_):\n"
    "    for n in range(9): print('x' * 99_999); print('y' * 99_999, file=sys.stderr)\n"
    "    open('ended', 'w', encoding='utf-8').close()\n"
    "cli.main(Engine, run, words=[])",
}


@pytest.mark.parametrize("name", PIPES)
def test_a_reader_that_leaves_ends_no_run_and_hears_nothing(name, tmp_path):
    """As `| head` does, before anything is printed. Mutations: BrokenPipeError raised; Python's own words when it ends."""
    read, write = os.pipe()
    os.close(read)
    code = f"import sys; sys.argv = ['x']\n{PIPES[name]}"
    to = {"stdout": write, "stderr": write if name == "a run" else subprocess.PIPE}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, **to)
    os.close(write)
    assert done.returncode == 0 and not done.stderr
    assert (tmp_path / "ended").exists() == (name == "a run")


@pytest.mark.parametrize("platform", ["cuda", "cpu,nonsense"])
def test_a_platform_that_jax_has_not_is_one_line(platform, tmp_path):
    """Mutation: the traceback of JAX, an AssertionError for the first."""
    code = (
        "from ddjax import cli; from ddjax.runs.engine import Engine\n"
        "def run(_):\n    import jax.numpy; jax.numpy.ones(1)\n"
        "cli.main(Engine, run, words=[])"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": platform}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: JAX finds no device, with JAX_PLATFORMS={platform!r}: ")


# readers of data

ODD = "a\x1b[31m\nb\u202e"  # colours what follows, begins a line, turns the direction of text


def arrays(home, name, **content):
    home.mkdir(parents=True, exist_ok=True)
    np.savez(home / f"{name}.npz", **content)
    return home / f"{name}.npz"


def npy(home):
    home.mkdir(parents=True)
    np.save(home / "x.npy", pixels(30, 4, 5))
    return home


def classes(home, names=("0", ODD), n=12, suffix=".png"):
    for k, name in enumerate(names):
        for i in range(n):
            paint(home / name / f"{i}{suffix}", (k, i, 0))
    return home


def text(home, name, content="text"):
    home.mkdir(parents=True, exist_ok=True)
    (home / name).write_text(content, encoding="utf-8")
    return home / name


def beside(home):
    text(classes(home) / ODD, f"c.{ODD}")
    return home


def broken(home):
    text(classes(home) / ODD, f"{ODD}.png")
    return home


def splits(home):
    for split in ("train", "test", ODD):
        paint(home / split / "0.png")
    return home


SETS = {
    "npz": lambda home: arrays(home, ODD, x=pixels(30, 4, 5)),
    "npz, unknown array": lambda home: arrays(home, "a", x=pixels(30, 4, 5), **{ODD: np.zeros(3)}),
    "npz, no images": lambda home: arrays(home, "a", **{f"{ODD}{i}": np.zeros(3) for i in range(99)}),
    "npz, classes alike": lambda home: arrays(home, "a", x=pixels(30, 4, 5), y=np.array([ODD, ODD + " "] * 15)),
    "npz, damaged": lambda home: text(home, f"{ODD}.npz", "PK text"),
    "npy": lambda home: npy(home / ODD),
    "npy, damaged": lambda home: text(home, f"{ODD}.npy", "\x93NUMPY"),
    "folder": lambda home: classes(home / ODD),
    "folder, other files": beside,
    "folder, a bad file": broken,
    "folder, another split": splits,
    "folder, a class of one image": lambda home: classes(home, n=1),
    "records": lambda home: text(home, f"{ODD}.bin", "\x00" * 3073 * 12),
    "idx": lambda home: text(home, "train-images-idx3-ubyte", ODD).parent,
    "nothing": lambda home: home / ODD,
}


@pytest.mark.parametrize("name", SETS)
def test_no_reader_lets_a_name_move_the_cursor(name, tmp_path, monkeypatch):
    """Of files, folders, arrays, classes: what is read, warned of or refused is told in whole lines without control characters.

    Mutations: `message` without `shown`; a warning as Python prints it.
    """
    source = SETS[name](tmp_path / "set")
    out, err = streams(monkeypatch, "utf-8")

    def run(_):
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            print(cli.message(data.load(source).describe()))

    try:
        cli.main(engine.Engine, run, words=[])
    except SystemExit as stop:
        assert stop.code == 2
    lines = (out.getvalue() + err.getvalue()).decode().split("\n")
    assert lines.pop() == "" and any(line.startswith("error: ") or " images " in line for line in lines)
    assert all(re.match("error: |warning: |.* train: .* images ", line) and len(line) < 1400 for line in lines), lines
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202e]", "".join(lines))


# paths


def test_a_path_of_every_command_may_begin_at_home(tmp_path, monkeypatch):
    """`--out=~/x`, in a file of settings too, of every path of every command; a user who is not there is a line.

    Mutations: `_from_home` left out, or of settings that are tuples.
    """
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home" / "folder").mkdir(parents=True)
    (tmp_path / "home" / "file.yaml").write_text("{}", encoding="utf-8")
    monkeypatch.setattr(settings, "check", lambda _: None)  # what they must be is another test's
    asked = 0
    for name in COMMANDS + INSTALLED:
        make, presets = command(name)
        for key, kind in settings.kinds(make).items():
            if settings.scalar(kind) is not Path:
                continue
            rest = [w for k, v in required(make, tmp_path).items() if k != key for w in written(make, k, v)]
            wanted = tmp_path / "home" / ("file.yaml" if key == "config" else "folder")
            found = getattr(cli.parse(make, [*rest, flag(key), f"~/{wanted.name}"], presets=presets), key)
            assert found in (wanted, (wanted,)), (name, key)
            with pytest.raises(cli.UserError, match="~no-such-user/x"):
                cli.parse(make, [*rest, flag(key), "~no-such-user/x"], presets=presets)
            asked += 1
    assert asked > len(COMMANDS)


@dataclasses.dataclass(frozen=True)
class Config(engine.Engine):
    """A run."""

    seeds: int = 1


def resumed():
    runs.open_run("mine", Config(out=Path("~/out")), Path("default"))
    runs.open_run("mine", Config(resume="~/out"), Path("default"))


WRITERS = {
    "checkpoints.manager": lambda: checkpoints.manager("~/out").close(),
    "metrics.cached_statistics": lambda: metrics.cached_statistics("~/out", "a", lambda: np.eye(3)),
    "weights.save": lambda: weights.save("~/out", {"w": jnp.ones(2)}),
    "classifiers.save": lambda: classifiers.save(Path("~/out"), {"w": jnp.ones(2)}, {}),
    "runs.open_run": lambda: runs.open_run("mine", Config(out=Path("~/out")), Path("default")),
    "runs.open_run, default": lambda: runs.open_run("mine", Config(), Path("~/out")),
    "runs.open_run, resumed": resumed,
    "data.cache": lambda: cache.kept(
        "a.npz", lambda: data.Images(pixels(9, 4, 4, 1), np.zeros(9, np.int32), ("0",), "train", "a")
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_written_below_home_is_not_a_folder_named_tilde(name, tmp_path, monkeypatch):
    """By the library's own functions, which no shell comes before. Mutation: `expanduser` left out of any."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir(), here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DDJAX_CACHE", "~/out")
    WRITERS[name]()
    assert os.listdir(here) == [] and "out" in os.listdir(home)


def test_what_was_saved_below_home_is_read_from_there(tmp_path, monkeypatch):
    """Checkpoints, weights and statistics by the path that they were written to. Mutation: a reader without `expanduser`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    state = state_of(optax.sgd(0.1))
    with checkpoints.manager("~/run") as manager:
        checkpoints.save(manager, state)
    assert int(checkpoints.restore_newest("~/run", state).step) == 0
    weights.save("~/w", {"w": jnp.full(2, 3.0)})
    np.testing.assert_array_equal(weights.restored(weights.read("~/w"), {"w": jnp.ones(2)})["w"], 3)
    np.savez(tmp_path / "a.npz", x=pixels(30, 4, 5))
    assert len(data.load("~/a.npz")) == 27


TEXT = {"write_text": 1, "read_text": 0, "open": 1}  # place of the first argument that says more than the content


@pytest.mark.parametrize(
    "path", [str(p.relative_to(ROOT)) for r in ("ddjax", "experiments") for p in sorted((ROOT / r).rglob("*.py"))]
)
def test_files_of_text_are_utf8_whatever_the_locale(path):
    """A report has letters that an ASCII locale has not. Mutation: `write_text(text)` anywhere."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        named = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        modes = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        opens = named in ("open", "fdopen") and any(re.fullmatch("[rwax]t?[+]?", mode) for mode in modes)
        if opens or named in ("write_text", "read_text"):
            assert "encoding" in {keyword.arg for keyword in node.keywords}, f"{path}:{node.lineno}"
