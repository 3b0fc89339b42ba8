"""Every command against bad command lines made from the types of its settings.

A mistake costs exit code 2 and one line on stderr that names the flag, before anything is computed or written. Commands are
found, not listed: one that is added later is tested here as it is.
"""

import ast
import importlib
import math
import os
import re
import shlex
import subprocess
import sys
from dataclasses import MISSING, fields, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin

import pytest

from ddjax import cli
from ddjax.cli import settings, usage
from ddjax.cli.settings import FileToRead, FileToWrite, FolderToRead, FolderToWrite, Multiple
from experiments.common.settings import Scored

ROOT = Path(__file__).parents[1]


def _calls_main(path):
    """Whether a file ends in `cli.main(...)`."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return any(isinstance(f, ast.Attribute) and f.attr == "main" and getattr(f.value, "id", "") == "cli" for f in calls)


COMMANDS = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "experiments").rglob("*.py"))
    if _calls_main(path)
]
INSTALLED = [f"ddjax.commands.{path.stem}" for path in sorted((ROOT / "ddjax/commands").glob("[a-z]*.py"))]


@cache
def command(name):
    """Its settings and presets."""
    module = importlib.import_module(name)
    return module.Config, getattr(module, "PRESETS", None)


def flag(name):
    return "--" + name.replace("_", "-")


def edges(kind):
    """Numbers that its ranges exclude, the closest ones."""
    step = 1 if settings.scalar(kind) is int else 1e-3
    for rule in settings.ranges(kind):
        if isinstance(rule, Multiple):
            yield from (rule.of + 1, 0, -rule.of)
        else:
            yield rule.low - step if rule.ends[0] == "[" else rule.low
            if rule.high < math.inf:
                yield rule.high + step if rule.ends[1] == "]" else rule.high


def bad_values(kind):
    """Values that a setting of this type cannot have: those of any number, those beyond its range, none, one twice."""
    scalar, (good, *_) = settings.scalar(kind), good_values(kind)
    numbers = {int: (2**31, -(2**31), 10**400), float: (math.nan, math.inf, -math.inf, 1e39, -1e39, 1e300)}
    for value in (*numbers.get(scalar, ()), *edges(kind), *(["", " "] if scalar is str else [])):
        yield (good, value) if is_tuple(kind) else value
    if is_tuple(kind):
        yield (good, good)
        if settings.MAY_BE_EMPTY not in beside(kind):
            yield ()


def bad_words(kind, tmp_path):
    """Words after a flag that cannot stand there."""
    scalar, file, link, pipe = settings.scalar(kind), *(tmp_path / name for name in ("file", "link", "pipe"))
    yield from ([""], ["  "], ["\udcff"])
    if scalar in (int, float) or get_origin(scalar) is Literal:
        yield ["no-such-word"]
    if is_tuple(kind):
        yield [str(good_values(kind)[0])] * 2
    for alias, words in {
        FileToRead: (tmp_path / "missing", tmp_path),
        FolderToRead: (tmp_path / "missing", file),
        FileToWrite: (tmp_path, tmp_path / "no" / "file", file / "below", link, pipe),
        FolderToWrite: (file, file / "below"),
    }.items():
        if alias.__metadata__[0] in beside(kind):
            yield from ([str(word)] for word in words)


def bad_lines(make, tmp_path):
    """(setting or word at fault, words) for one command."""
    good = [word for name, value in required(make, tmp_path).items() for word in written(make, name, value)]
    for name, kind in settings.kinds(make).items():
        rest = [] if flag(name) in good else good
        if name in positional(make):
            yield "no-such-word", ["no-such-word"]
        elif kind is bool:
            yield from ((name, [*good, f"{flag(name)}=true"]), (name, [*good, flag(name), flag("no_" + name)]))
            yield "yes", [*good, flag(name), "yes"]
        else:
            yield from ((name, [*rest, flag("no_" + name)]), (name, [*rest, f"{flag(name)}="]))
            yield name, [*rest, flag(name), "1", flag(name), "1"]
            if name != "resume" and not is_tuple(kind):  # which may stand alone
                yield name, [*rest, flag(name)]
            for words in bad_words(kind, tmp_path):
                yield name if words != ["\udcff"] else "UTF-8", [*rest, flag(name), *words]
    yield from (("no_such_setting", [*good, "--no-such-setting", "1"]), ("--", [*good, "--"]))
    yield "junk", [*good, "junk"]


def good_values(kind):
    """Values that a setting of this type may have."""
    scalar = settings.scalar(kind)
    if get_origin(scalar) is Literal:
        return get_args(scalar)
    return [n for n in (1, 2, 100, 0.5) if all(rule.refusal("", n) is None for rule in settings.ranges(kind))] or [""]


def required(make, tmp_path):
    """The settings that have no default, with values."""
    kinds = settings.kinds(make)
    missing = [field.name for field in fields(make) if field.default is MISSING]
    return {name: tmp_path if settings.scalar(kinds[name]) is Path else good_values(kinds[name])[0] for name in missing}


def written(make, name, value):
    return [str(value)] if name in positional(make) else [flag(name), str(value)]


def beside(kind):
    """All that stands beside a type and its parts."""
    return set(getattr(kind, "__metadata__", ())) | {rule for part in get_args(kind) for rule in beside(part)}


def is_tuple(kind):
    return get_origin(get_args(kind)[0] if get_origin(kind) is Annotated else kind) is tuple


def positional(make):
    return [n for n, kind in settings.kinds(make).items() if any("Positional" in repr(m) for m in beside(kind))]


@pytest.mark.parametrize("name", COMMANDS + INSTALLED)
def test_a_bad_line_costs_one_line_and_nothing_is_left(name, tmp_path, monkeypatch, capsys):
    """Every flag: no number, no such word, empty, missing, twice, not UTF-8, a missing file, a folder for a file.

    Mutations: tyro's own errors let through; `_require_each_once` without any one of its ifs; a path without its rule.
    """
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    before = sorted(tmp_path.rglob("*"))
    make, presets = command(name)

    def run(config):
        raise AssertionError("reached")

    wrong = []
    for at_fault, words in bad_lines(make, tmp_path):
        monkeypatch.setattr(sys, "argv", [name, *words])
        try:
            cli.main(make, run, presets=presets)
        except SystemExit as stop:
            out, err = capsys.readouterr()
            line = err.removesuffix("\n")
            named = at_fault in line or at_fault.replace("_", "-") in line
            if not (stop.code == 2 and line.startswith("error: ") and "\n" not in line and not out and named):
                wrong.append((words, stop.code, out, err))
        except AssertionError as reached:
            wrong.append((words, reached))
    assert not wrong, "\n".join(map(repr, wrong))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", COMMANDS + INSTALLED)
def test_a_value_out_of_its_range_is_refused_by_name(name, tmp_path):
    """Every setting of numbers, at the edges of its range and beyond all numbers. Mutations: `>` for `>=` in Range; nan let
    through; ranges of `tuple[Count, ...]` or `Fraction | None` passed over."""
    make, _ = command(name)
    good = make(**required(make, tmp_path))
    for setting, kind in settings.kinds(make).items():
        assert settings.scalar(kind) not in (int, float) or settings.ranges(kind) or settings.scalar(kind) is float, (
            setting
        )
        for value in bad_values(kind):
            with pytest.raises(settings.UserError, match=re.escape(flag(setting))):
                settings.check(replace(good, **{setting: value}))


@pytest.mark.parametrize("name", COMMANDS + INSTALLED)
def test_every_path_says_what_it_is_for(name):
    """Mutation: `out: Path`."""
    for setting, kind in settings.kinds(command(name)[0]).items():
        assert settings.scalar(kind) is not Path or any(isinstance(rule, settings.Rule) for rule in beside(kind)), (
            setting
        )


@pytest.mark.parametrize("name", COMMANDS + INSTALLED)
def test_a_good_line_arrives(name, tmp_path, monkeypatch):
    """Or the tests above would pass for a command that refuses everything."""
    make, presets = command(name)
    good = [word for setting, value in required(make, tmp_path).items() for word in written(make, setting, value)]
    good += ["--run", str(tmp_path)] if name.endswith(".sample") else []
    monkeypatch.setattr(sys, "argv", [name, *good])
    arrived = []
    cli.main(make, arrived.append, presets=presets)
    assert type(arrived[0]) is make and arrived[0] == cli.parse(make, good, presets=presets)


def call(name, *words, at, **environment):
    done = subprocess.run(
        [sys.executable, "-m", name, *words],
        cwd=at,
        capture_output=True,
        timeout=200,
        env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"} | environment,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("two_gaussians --model-shards 7", "--model-shards 7: a mesh of data=0 x model=7 does not fit 4 devices"),
        (
            "two_gaussians --batch 30",
            "--batch 30 with --model-shards 1: a batch of 30 examples cannot be divided over 4",
        ),
        ("images --width 99999999999", "--width must be at most 2,147,483,647 in size, got 99999999999"),
        ("two_gaussians --width 99999999", "this machine has"),
        ("sample --run . --out .", "cannot write to --out .: it is a folder"),
        ("stream_timing --width -1", "--width must be at least 1, got -1"),
        ("two_moons --out \udcff", "UTF-8"),
    ],
)
def test_a_process_ends_as_told(words, message, tmp_path):
    """From outside: also where only jax knows how many devices there are. Mutation: the runner without its second line."""
    name, *words = words.split()
    code, out, err = call(f"experiments.{name}", *words, at=tmp_path, JAX_NUM_CPU_DEVICES="4")
    assert code == 2 and not out and err.startswith("error: ") and err.count("\n") == 1 and message in err
    assert not list(tmp_path.iterdir())


def test_the_list_names_every_command(tmp_path):
    """And says which command a word after it was meant for."""
    code, listed, _ = call("experiments", at=tmp_path)
    assert not code and set(re.findall(r"experiments(?:\.\w+)+", listed)) == {
        n.removesuffix(".__main__") for n in COMMANDS
    }
    code, _, told = call("experiments", "two_gausians", "--full", at=tmp_path)
    assert (
        code == 2 and told == "error: this lists the experiments; did you mean python -m experiments.two_gaussians?\n"
    )


@pytest.mark.parametrize("name", COMMANDS + INSTALLED)
def test_help_shows_every_flag_once_with_an_example_that_is_read(name, monkeypatch, capsys):
    """Under its own name; the common flags first, the devices last; every default; an example without a mistake.

    Mutations: a flag that no group shows; groups in another order; `.__main__` in the name; defaults left out; an example of
    flags that there are not, or with a value out of range.
    """
    make, presets = command(name)
    program = f"python -m {name.removesuffix('.__main__')}"
    with pytest.raises(SystemExit) as stop:
        cli.parse(make, ["--width", "-1", "--help"], presets=presets, program=program)
    told = capsys.readouterr().out
    assert stop.value.code == 0 and told.startswith(f"usage: {program} ")
    heads = re.findall(r"^(\w[\w ]*):$", told, re.M)
    assert heads == [group for group in usage.GROUPS if group in heads]
    for setting in fields(make):
        head = setting.name.upper() if setting.name in positional(make) else flag(setting.name)
        [row] = re.findall(rf"^  {head}(?:[ ,].*|)\n(?:   .*\n)*", told + "\n", re.M)
        assert setting.default is MISSING or re.search(r"[( ]default: \S", " ".join(row.split()))
    [example] = re.findall(r"^example: (.*)\n", told, re.M)
    words = shlex.split(example)
    if words[0] == "ddjax":
        assert words[1] == name.rpartition(".")[2]
        words = [*words[2:]] if words[1] == "fetch" else ["--run", *words[2:]]
    else:
        assert " ".join(words[:3]) == program
        words = words[3:]
    monkeypatch.setattr(settings, "check", lambda _: None)  # the folders of an example need not be there
    made = cli.parse(make, words, presets=presets)
    kinds = settings.kinds(make)
    refused = [
        told for setting in kinds for told in settings._refusals(flag(setting), kinds[setting], getattr(made, setting))
    ]
    assert type(made) is make and all(re.search(r"is not a (folder|file)$", told) for told in refused), refused


def test_what_families_share_stands_in_groups():
    """No flag of the engine, of training or of the scored families is left to the command. Mutation: one without a group."""
    assert usage.OWN not in usage.grouped([field.name for field in fields(Scored)])
    names = [name for group in usage.GROUPS.values() for name in group]
    assert len(names) == len(set(names))
    assert usage.grouped(["lam", "no_such", "out"]) == {"common": ["out"], usage.OWN: ["no_such"], "model": ["lam"]}


@pytest.mark.parametrize("name", ["common.report", "common", "two_gaussians.report", "benchmark.costs"])
def test_a_module_that_is_no_command_says_so(name, tmp_path):
    """One line with those that are. Mutations: `require` never called; a package passed over; a command taken for none."""
    code, out, err = call(f"experiments.{name}", at=tmp_path)
    assert code == 2 and not out and err.count("\n") == 1 and f"error: experiments.{name} is no command" in err
    told = {f"experiments.{one}" for one in err.strip().rpartition(" are ")[2].split(", ")}
    assert told == {one.removesuffix(".__main__") for one in COMMANDS}


def test_lines_are_read_without_jax(tmp_path):
    """Of every command: so that a mistake costs no second. Mutation: `import jax` at the top of a command."""
    code = f"import sys\nfor name in {COMMANDS + INSTALLED}: __import__(name)\nsys.exit(str('jax' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.strip() == "False"


def test_a_verdict_is_told(monkeypatch):
    """Exit code 1 comes with a sentence. Mutation: `SystemExit(1)`."""
    from experiments.common import dispersion_law
    from experiments.dispersion import experiment as dispersion
    from experiments.limits import experiment as limits

    monkeypatch.setattr(limits, "ladder", lambda *_, **__: ("", 5.0))
    monkeypatch.setattr(dispersion_law, "trained", lambda *_, **__: 2.0)
    for module, told in ((limits, "leaves the floor by 5.0 standard deviations"), (dispersion, "is off by ")):
        with pytest.raises(SystemExit, match=told) as stop:
            module.run(module.Config())
        assert stop.value.code.startswith("error: ")
