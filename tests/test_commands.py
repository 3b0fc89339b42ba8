"""`ddjax info|sample|export RUN`: what is told of a run, where its numbers come from, and mistakes in one line."""

import dataclasses
import json
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from run_folders import a_run

import ddjax
from ddjax import __main__, judging, recipes
from ddjax.commands import info
from ddjax.runs import engine, provenance


@dataclasses.dataclass(frozen=True)
class Config(engine.Engine):
    """A few settings of a run."""

    seeds: int = 1
    beta: tuple[float, ...] = (1.0, 0.5)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "run"
    a_run(
        path,
        "mine",
        Config(),
        [recipes.Distributional(name="ddm", event_shape=(2,), network=recipes.Mlp(width=8, depth=2))],
    )
    return path


def called(capsys, *words, code=0):
    """What the command prints: on stdout, or the one line on stderr where it ends with another code than 0."""
    if not code:
        __main__.main([str(word) for word in words])
        return capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        __main__.main([str(word) for word in words])
    told = capsys.readouterr()
    assert stop.value.code == code and told.out == "" and told.err.count("\n") == 1
    return told.err.strip()


def cells(told):
    """The rows of all tables in a text, as tuples of words."""
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in told.splitlines() if line[:1] == "|"]


def test_fetch_takes_the_name_of_a_set_not_a_run(capsys):
    """Mutation: its first word given as --run too."""
    told = called(capsys, "fetch", "mnist", "--base-url", "ftp://here", code=2)
    assert told == "error: --base-url must start with http:// or https://, got 'ftp://here'"


@pytest.mark.parametrize(
    ("word", "near"), [("smaple", "sample"), ("xport", "export"), ("inf", "info"), ("--version2", "sample|export|info")]
)
def test_an_unknown_command_names_the_nearest(word, near, capsys):
    """Mutation: the first of the list, whatever came."""
    told = called(capsys, word, code=2)
    assert told in [f"error: unknown command {word!r}; did you mean ddjax {name}?" for name in near.split("|")]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["info"], "--run is needed: Folder of the run, with its config.yaml"),
        (["export"], "--run is needed: Folder of the run, with its config.yaml"),
        (["fetch"], "NAME is needed: The set: mnist or fashion_mnist or cifar10"),
        (["sample"], "give one of --run, --exported and --pretrained"),
        (["info", "--"], "-- has no meaning here: every setting has a flag of its own"),
        (
            ["sample", "--pretrained", "moons", "--out", "x.csv"],
            "--out x.csv is a .npz file: take x.npz, and for text numpy.sav",
        ),
    ],
)
def test_what_lacks_or_means_nothing_is_told_in_own_words(words, says, capsys):
    """Mutations: the words of the library that reads flags; samples written as a .csv that is none."""
    assert called(capsys, *words, code=2).startswith(f"error: {says}")


def test_help_and_version_are_told(capsys):
    for words in ([], ["--help"], ["-h"], ["help"]):
        assert "ddjax info RUN" in called(capsys, *words)
    assert called(capsys, "--version") == f"ddjax {ddjax.__version__}\n"


NUMBERS = [
    judging.Number("ddm", "mmd2", nfe, churn, value, 0.1, 0.9, 1, 2, 0.004, 0.001)
    for nfe, churn, value in ((1, 0.0, 0.25), (4, 0.0, 0.75), (4, 1.0, 0.5))
]


@pytest.fixture
def judged(path):
    """Write `text`, or a summary like those of runs, into the run, for one test."""

    def write(text=None, **changed):
        told = {"numbers": [number.row() for number in NUMBERS], "provenance": provenance()} | changed
        (path / "summary.json").write_text(json.dumps(told) if text is None else text)

    yield write
    (path / "summary.json").unlink(missing_ok=True)


def test_info_tells_settings_and_checkpoints_of_a_run_that_is_not_judged(path, capsys):
    """Mutations: the recipes printed with the settings; steps of other jobs."""
    for words in (["info", path], ["info", "--run", path]):
        told = called(capsys, *words)
        assert told.splitlines()[0] == f"mine, in {path}"
        rows = cells(told)
        assert ("beta", "1.0, 0.5") in rows and ("seeds", "1") in rows and ("ddm-seed0", "0") in rows
        assert not {"models", "experiment"} & {row[0] for row in rows}
        assert told.splitlines()[-1] == "no summary.json: not judged yet"


def test_info_tells_numbers_with_their_floor_and_where_they_come_from(path, capsys, judged):
    """The one-step number stands in both rows. Mutation: the provenance left out."""
    judged()
    told = called(capsys, "info", path)
    rows = cells(told)
    for row in (
        ("model", "churn", "1 step", "4 steps"), ("ddm", "0", "0.25", "0.75"), ("ddm", "1", "0.25", "0.5"),
        ("ddjax", ddjax.__version__), ("command", provenance()["command"]),
    ):  # fmt: skip
        assert row in rows
    assert "\nmmd2\n" in told and "floor 4.0e-03 +- 1.0e-03" in told and "not judged" not in told


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"numbers": [], "provenance": 3}', '{"numbers": 1, "provenance": {}}',
             '{"numbers": [{"model": "a"}], "provenance": {}}', '{"numbers": ["a"], "provenance": {}}']
)  # fmt: skip
def test_a_damaged_summary_is_one_line(path, capsys, judged, text):
    """Nothing is told of it, neither settings nor half of a table."""
    judged(text)
    assert str(path / "summary.json") in called(capsys, "info", path, code=2)


@pytest.mark.parametrize("value", ["x", None, [1], {}])
@pytest.mark.parametrize("name", ["value", "nfe", "floor", "churn"])
def test_a_number_that_is_none_is_one_line(path, capsys, judged, name, value):
    """Words where numbers stand; churn may be null. Mutation: only names are looked at."""
    judged(numbers=[number.row() | {name: value} for number in NUMBERS])
    if (name, value) == ("churn", None):
        assert "mmd2" in called(capsys, "info", path)
    else:
        assert str(path / "summary.json") in called(capsys, "info", path, code=2)


@pytest.mark.parametrize("name", ["info", "sample", "export"])
def test_a_folder_that_is_no_run_is_one_line(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    told = "error: empty is not the folder of a run: it has no config.yaml"
    assert called(capsys, name, "empty", code=2) == told
    assert "nowhere" in called(capsys, name, "nowhere", code=2)
    assert [at.name for at in tmp_path.iterdir()] == ["empty"]


def test_the_run_may_stand_first_and_its_samples_are_those_of_the_flag(path, tmp_path, capsys):
    """Mutation: the positional word goes to another setting."""
    files = tmp_path / "a.npz", tmp_path / "b.npz"
    for words, file in ((["sample", path], files[0]), (["sample", "--run", path], files[1])):
        assert str(file) in called(capsys, *words, "--n", 5, "--steps", 1, "--out", file)
    first, second = (np.load(file)["x_0"] for file in files)
    assert first.shape == (5, 2)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("spec", "argv", "told"),
    [
        (None, ["/somewhere/bin/ddjax", "sample", "my run", "--n", "16"], "ddjax sample 'my run' --n 16"),
        ("ddjax.__main__", ["/x/ddjax/__main__.py", "info", "r"], "python -m ddjax info r"),
        ("experiments.two_gaussians", ["/x/two_gaussians.py", "--full"], "python -m experiments.two_gaussians --full"),
        (None, ["work/train.py", "--lr", "1"], "python work/train.py --lr 1"),
    ],
)
def test_the_command_is_one_that_can_be_typed_again(monkeypatch, spec, argv, told):
    """Mutations: the path of the script; the module's file name; words with blanks as they are."""
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setitem(
        sys.modules, "__main__", types.SimpleNamespace(__spec__=spec and types.SimpleNamespace(name=spec))
    )
    assert provenance()["command"] == told


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository that the package lies in: its folder, and `git(words...)` there."""
    (tmp_path / "ddjax").mkdir()
    (tmp_path / "ddjax" / "__init__.py").write_text("\n")
    monkeypatch.setattr(ddjax, "__file__", str(tmp_path / "ddjax" / "__init__.py"))

    def git(*words):
        who = ["-c", "user.name=n", "-c", "user.email=e"]
        done = subprocess.run(["git", "-C", tmp_path, *who, *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    return tmp_path, git


def test_the_commit_is_that_of_the_checkout_with_its_changes(checkout, monkeypatch):
    """None before the first commit, of a package in a folder of another repository, and without git.

    Mutations: a tag's name; changes unnoticed; new files noticed; the commit of the repository around an environment.
    """
    folder, git = checkout
    assert "commit" not in provenance()
    git("init", "-q")
    assert "commit" not in provenance()
    git("add", ".")
    git("commit", "-qm", "one")
    git("tag", "-am", "one", "v1")
    (folder / "new").touch()
    assert provenance()["commit"] == git("rev-parse", "--short", "HEAD")
    (folder / "ddjax" / "__init__.py").write_text("x = 1\n")
    assert provenance()["commit"] == git("rev-parse", "--short", "HEAD") + "+changes"
    monkeypatch.setattr(ddjax, "__file__", str(folder / "lib" / "ddjax" / "__init__.py"))
    assert "commit" not in provenance()
    monkeypatch.setattr(ddjax, "__file__", str(folder / "ddjax" / "__init__.py"))
    monkeypatch.setenv("PATH", str(Path(folder, "lib")))
    assert "commit" not in provenance()


def test_steps_are_told_in_their_order(tmp_path):
    """Mutation: in the order of words, 1000 before 900."""
    for step in ("900", "1000", "draft", "50"):
        (tmp_path / "checkpoints" / "a-seed0" / step).mkdir(parents=True)
    (tmp_path / "checkpoints" / "b-seed0").mkdir()
    assert info.trained(tmp_path) == [["a-seed0", "50, 900, 1000"], ["b-seed0", "none"]]
