"""Results on disk: old or new, never half; nothing but a plain file is replaced."""

import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest
from matplotlib.figure import Figure
from run_folders import a_run

from ddjax import cli, data, files, metrics, runs
from ddjax.commands import export, sample
from ddjax.data import cache
from ddjax.downloads import Remote, download
from ddjax.networks import weights
from ddjax.runs import classifiers, engine, pictures
from ddjax.training import lock, manifest
from experiments.common import figures
from experiments.two_gaussians import experiment as two_gaussians
from experiments.two_moons import flows

OLD = b'{"job": "other", "step": 1, "loss": 1.0}\n' * 9  # rows, so that the writer of rows has something to keep
ARRAYS = {"params": {"a": np.ones((50, 2), np.float32)}}
IMAGES = data.Images(np.zeros((9, 2, 2, 1), np.uint8), None, (), "train", "dots")
REMOTE = Remote("a.gz", 10, "md5", "0")


def drawn(name, out):
    sample.run(sample.Config(pretrained=name, n=2, steps=1, out=out))


def fetched(path):
    download(REMOTE, "http://127.0.0.1:9", path.parent, lambda _: None)


# name of the result -> how it is written
REPLACING = {
    "a.txt": lambda path: files.write_atomically(path, "new" * 100),
    "a.png": lambda path: pictures.write(path, IMAGES.x, 0),
    "a.safetensors": lambda path: weights.save(path, ARRAYS),
    "statistics.npz": lambda path: metrics.cached_statistics(path.parent, path.stem, lambda: ARRAYS["params"]["a"]),
    "images.npz": lambda path: cache._write(path, IMAGES),
    "manifest.json": lambda path: manifest.write(path.parent),
    "metrics.jsonl": lambda path: runs.Run(path.parent, {}, engine.Engine()).logger("job", 0),
    "classifier.json": lambda path: classifiers.save(path.parent, ARRAYS, {}),
    "figure.svg": lambda path: figures.save(Figure((1, 1)), path),
    "flow.gif": lambda path: flows.animation(path, {"a": np.zeros((2, 3, 2))}, np.array([1.0, 0.0])),
    "samples.npz": lambda path: drawn("two_gaussians", path),
    "digits.png": lambda path: drawn("digits", path.with_suffix(".npz")),
}
OTHERS = {  # written on in place, or not at all: refused in the same way
    ".lock": lambda path: lock.acquire(path.parent).close(),
    "a.gz": fetched,
    "a.gz.part": fetched,
}
WRITERS = REPLACING | OTHERS
KINDS = {
    "link": lambda path: path.symlink_to("victim"),
    "broken link": lambda path: path.symlink_to("nowhere"),
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
    "device": lambda path: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3)),
}


def made(kind, path):
    """Something that is no plain file."""
    try:
        KINDS[kind](path)
    except PermissionError:
        pytest.skip("only root makes devices")


@pytest.fixture
def place(tmp_path):
    """A folder, named as one of checkpoints is, with a file of the user's."""
    folder = tmp_path / "1"
    folder.mkdir()
    (folder / "victim").write_bytes(OLD)
    return folder


@pytest.fixture
def short_files():
    """A function that calls another while no file may grow beyond 64 bytes: the kernel stops a write half way."""

    def called(function, *arguments):
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, unlimited[1]))
        try:
            return function(*arguments)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)

    return called


def state(folder):
    """Name, kind, place on the disk and content of all that is in a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(about.st_mode) else None
        found[str(path.relative_to(folder))] = (stat.S_IFMT(about.st_mode), about.st_ino, content)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", WRITERS)
def test_only_a_plain_file_is_replaced(name, kind, place):
    """One sentence that names the file and what it is; all is left as it was, what a link points to above all.

    Mutations: a link is followed, or replaced; a pipe, a device replaced; a draft left behind.
    """
    made(kind, place / name)
    before = state(place)
    with pytest.raises((OSError, cli.UserError), match="only a plain file is ever replaced") as refused:
        WRITERS[name](place / name)
    told = f"{refused.value}"
    assert name in told and f"it is a {kind.split()[-1]}," in told
    after = state(place)
    assert {found: after[found] for found in before} == before
    assert not after.keys() - before.keys() or name == "classifier.json"  # whose weights stand beside it, written first


@pytest.mark.parametrize("name", REPLACING)
def test_a_write_that_fails_half_way_leaves_the_old_file_and_no_draft(name, place, short_files):
    """The error names the result. Mutations: written in place; the draft not removed; a library's own error."""
    WRITERS[name](place / name)  # what it needs is compiled
    (place / name).write_bytes(OLD)
    before = state(place)
    with pytest.raises(OSError, match="File too large") as failed:
        short_files(WRITERS[name], place / name)
    assert Path(failed.value.filename).parent == place
    assert state(place) == before


@pytest.mark.parametrize("name", REPLACING)
def test_a_plain_file_is_replaced_and_what_is_named_alike_is_left_alone(name, place):
    """Drafts as they were named once: a file, a link through which was written, a folder that was removed.

    Mutation: a draft whose name can be foreseen.
    """
    (place / name).write_bytes(OLD)
    (place / f"{name}.draft.npz").symlink_to("victim")
    (place / f"{name}.draft").mkdir()
    (place / f"{name}.draft" / "chapter").write_text("three years")
    before = state(place)
    WRITERS[name](place / name)
    after = state(place)
    assert after.pop(name) != before.pop(name)
    beside = {"classifier.json": "classifier.safetensors", "digits.png": "digits.npz"}.get(name)
    assert {found: after[found] for found in after if found != beside} == before


def test_a_kill_half_way_leaves_the_old_file(place):
    """SIGKILL, after which nothing is cleaned: the draft stays, under a name of its own. Mutation: written in place."""
    code = """
import pathlib, sys, time
from ddjax import files
with files.replacing(pathlib.Path(sys.argv[1])) as file:
    file.write(b"half"), file.flush(), print("half", flush=True)
    time.sleep(60)
"""
    (place / "a").write_bytes(OLD)
    with subprocess.Popen([sys.executable, "-c", code, place / "a"], stdout=PIPE) as process:
        assert process.stdout.readline() == b"half\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL and (place / "a").read_bytes() == OLD
    (draft,) = {path.name for path in place.iterdir()} - {"a", "victim"}
    assert draft.startswith("a.") and draft.endswith(".draft")


def test_permissions_are_those_of_a_plain_open(place):
    """New: within the umask; replaced: as before. Mutation: 0600, as `tempfile` makes them."""
    before = os.umask(0o027)
    try:
        for name, there, wanted in (("new", None, 0o640), ("secret", 0o600, 0o600), ("program", 0o750, 0o750)):
            if there:
                (place / name).touch()
                (place / name).chmod(there)
            files.write_atomically(place / name, "")
            assert stat.S_IMODE((place / name).stat().st_mode) == wanted, name
        with files.new_folder(place / "folder"):
            pass
        assert stat.S_IMODE((place / "folder").stat().st_mode) == 0o750
    finally:
        os.umask(before)


def test_what_comes_while_a_file_is_written_is_not_replaced_either(place):
    """Mutation: looked at once, before."""
    with pytest.raises(OSError, match="it is a pipe"), files.replacing(place / "a"):
        os.mkfifo(place / "a")
    assert (place / "a").is_fifo() and sorted(os.listdir(place)) == ["a", "victim"]


def test_a_name_of_any_length_has_a_draft(place):
    """255 bytes, two for each character. Mutation: the whole name in that of the draft."""
    files.write_atomically(place / ("ä" * 127), "new")
    assert (place / ("ä" * 127)).read_text() == "new"


@pytest.fixture(scope="module")
def a_model(tmp_path_factory):
    """The folder of a run."""
    run = tmp_path_factory.mktemp("small") / "run"
    config = cli.parse(two_gaussians.Config, ["--width", "8", "--depth", "2", "--out", str(run)])
    a_run(run, "two_gaussians", config, two_gaussians.recipes_of(config)[:1])
    return run


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_never_takes_a_place(a_model, kind, place):
    """Told before anything is loaded. Mutation: a broken link is no place."""
    made(kind, place / "thesis")
    before = state(place)
    with pytest.raises(cli.UserError, match="already exists"):
        export.run(export.Config(a_model, place / "thesis", steps=()))
    assert state(place) == before


def test_an_export_leaves_the_draft_of_a_thesis_alone(a_model, place):
    """Mutation: a draft folder whose name can be foreseen."""
    (place / "thesis.draft").mkdir()
    (place / "thesis.draft" / "chapter").write_text("three years")
    export.run(export.Config(a_model, place / "thesis", steps=()))
    assert (place / "thesis.draft" / "chapter").read_text() == "three years"
    assert sorted(os.listdir(place)) == ["thesis", "thesis.draft", "victim"]
    assert sorted(os.listdir(place / "thesis")) == ["SHA256SUMS", "export.json", "weights.safetensors"]


def test_an_export_that_fails_half_way_leaves_nothing(a_model, place, short_files):
    """Mutations: the draft folder stays; the error of a library in another language."""
    before = state(place)
    with pytest.raises(OSError, match="File too large") as failed:
        short_files(export.run, export.Config(a_model, place / "deep" / "thesis", steps=()))
    assert failed.value.filename == str(place / "deep" / "thesis")
    assert state(place / "deep") == {} and (place / "deep").rmdir() is None and state(place) == before


@pytest.fixture
def full_disk(tmp_path):
    """A file system with no byte left, where mounting one is allowed."""
    folder = tmp_path / "full"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("mounting a file system is not allowed here")
    with pytest.raises(OSError, match="No space left"):
        (folder / "ballast").write_bytes(b"0" * 9000)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("command", ["sample", "export"])
def test_a_command_on_a_full_disk_is_one_line(command, a_model, full_disk, capsys):
    """Mutations: a draft stays; a traceback."""
    out = full_disk / "out"
    words = {
        "sample": ["--pretrained", "two_gaussians", "--n", "2", "--steps", "1", "--out", str(out)],
        "export": ["--run", str(a_model), "--steps", "--out", str(out)],
    }[command]
    module = {"sample": sample, "export": export}[command]
    with pytest.raises(SystemExit) as ended:
        cli.main(module.Config, module.run, words=words)
    told = f"error: cannot write {out}: the disk is full: make room, then start again"
    assert (ended.value.code, capsys.readouterr().err.splitlines()) == (2, [told])
    assert os.listdir(full_disk) == ["ballast"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_command_refuses_before_it_computes(kind, place, monkeypatch, capsys):
    """Exit code 2 and one line, for samples and for the picture beside them. Mutation: told after drawing."""
    monkeypatch.setattr(sample, "live", lambda *_: pytest.fail("drawn already"))
    for name, file in (("two_gaussians", "a.npz"), ("digits", "b.png")):
        made(kind, place / file)
        with pytest.raises(SystemExit) as ended:
            out = str((place / file).with_suffix(".npz"))
            cli.main(sample.Config, sample.run, words=["--pretrained", name, "--out", out])
        (line,) = capsys.readouterr().err.splitlines()
        assert ended.value.code == 2 and str(place / file) in line and "only a plain file is ever replaced" in line
