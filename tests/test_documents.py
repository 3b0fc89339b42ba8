"""Settings in files: what `--help` says is what a file says, and no file can hang, fill or crash a reader."""

import json
import os
import time

import pytest
import yaml

from ddjax import cli
from ddjax.cli import documents
from experiments.images import experiment as images
from experiments.two_gaussians import experiment as two_gaussians
from experiments.two_gaussians.settings import PRESETS

LEVELS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)  # nine lists of nine of the one before: 400 bytes that stand for 4e8 values
REFUSED = {
    "billion laughs": LEVELS,
    "an anchor that holds itself": "steps: &a [*a]",
    "5,000 brackets": "steps: " + "[" * 5000,
    "5,000 braces": "steps: " + "{a: " * 5000,
    "5,000 dashes": "- " * 5000,
    "5,000 keys of keys": "? " * 5000,
    "a long file": "#" * 300_000,
    "a long value": "steps: " + "1:" * 2000 + "1",
    "a tag": "steps: !!python/object/apply:os.getcwd []",
    "a tag of YAML's own": "steps: !!bool perhaps",
    "a key twice": "steps: 1\nsteps: 2",
    "a key that is a number": "1: 2",
    "a key that is a list": "[a]: 2",
    "a list": "- steps",
    "a word": "steps",
    "nothing": "",
    "two documents": "a: 1\n---\na: 2",
    "another version": "%YAML 9.9\n---\na: 1",
    "half a character": 'out: "\\ud800"',
    "a tab": "steps:\tx\n\t- y",
    "a control character": "steps: \x00",
}


def raised(read, *arguments, **options):
    """The message of a ValueError that came within seconds."""
    began = time.process_time()
    with pytest.raises(ValueError) as caught:
        read(*arguments, **options)
    assert time.process_time() - began < 3
    return str(caught.value)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_settings_file_is_refused_at_once_in_one_line(name, tmp_path):
    """Fails for aliases, a depth or a length without bound, a second line, or a message without the file."""
    file = tmp_path / "settings.yaml"
    file.write_text(REFUSED[name])
    message = raised(documents.yaml_settings, file)
    assert message.startswith(f"{file}: ") and "\n" not in message and len(message) < 300 + len(str(file))
    with pytest.raises(cli.UserError) as caught:
        cli.parse(two_gaussians.Config, ["--config", str(file)])
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [documents.yaml_settings, documents.json_settings], ids=["yaml", "json"])
def test_what_is_no_file_is_refused_at_once(read, tmp_path):
    """A folder, a pipe that nobody writes to, a link to itself, a file that never ends, bytes that are no text."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe{}")
    for path in (*(tmp_path / name for name in ("none", "loop", "pipe", "bytes", "none/x")), tmp_path):
        assert raised(read, path).startswith(f"{path}: ")
    if os.path.exists("/dev/zero"):
        (tmp_path / "zeros").symlink_to("/dev/zero")
        assert "not a file" in raised(read, tmp_path / "zeros")


def test_values_come_back_as_they_were_dumped(tmp_path):
    """And a date is a word: only None, bool, int, float, str, lists and mappings ever come out."""
    values = {"a": None, "b": True, "c": [1, 2.5, -1e-5], "d": {"e": "off"}, "f": "2024-01-01", "g": "1e-3", "h": []}
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(values))
    assert documents.yaml_settings(file) == values
    file.write_text("a: 2024-01-01\nb: =\n<<: {c: 1}")
    assert documents.yaml_settings(file) == {"a": "2024-01-01", "b": "=", "<<": {"c": 1}}
    file.write_text("a: 0x_")  # which YAML calls a number
    assert raised(documents.yaml_settings, file).startswith(f"{file}: ")


def test_json_of_any_depth_or_kind_is_refused_in_one_line(tmp_path):
    file = tmp_path / "x.json"
    for content in ("[" * 100_000, "", "[1]", '{"a": ', '{"a": ' * 100_000, "1" * 10_000, "{" + " " * 5_000_000 + "}"):
        file.write_text(content)
        message = raised(documents.json_settings, file)
        assert message.startswith(f"{file}: ") and "\n" not in message and len(message) < 300 + len(str(file))
    file.write_text(json.dumps({"a": [1, None]}))
    assert documents.json_settings(file) == {"a": [1, None]}


def parsed(tmp_path, text, make=images.Config, **options):
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    return cli.parse(make, ["--config", str(file)], **options)


@pytest.mark.parametrize(
    ("text", "resume"),
    [
        ("resume: off", "off"),
        ("resume: no", "off"),
        ("resume: false", "off"),
        ('resume: "off"', "off"),
        ("resume: auto", "auto"),
        ("resume: true", "auto"),
        ("resume: on", "auto"),
        ("resume: Yes", "auto"),
        ("resume: runs/x", "runs/x"),
    ],
)
def test_resume_in_a_file_means_what_help_says(tmp_path, text, resume):
    """YAML reads off as False, which was passed on as `--no-resume`. Fails for values that YAML has interpreted."""
    assert parsed(tmp_path, text).resume == resume


def test_words_in_a_file_mean_what_they_mean_on_the_command_line(tmp_path):
    """Switches in all of YAML's words; a setting's own word `off`; empty for None; numbers by the same rules as flags."""
    assert parsed(tmp_path, "distributed: off").distributed == "off"
    assert parsed(tmp_path, "distributed: auto").distributed == "auto"
    assert parsed(tmp_path, "fully-sharded: yes\nbaseline: off\n") == images.Config(
        fully_sharded=True, baseline=False, config=tmp_path / "settings.yaml"
    )
    assert parsed(tmp_path, "out:\nmemory_fraction: ~").out is None
    assert str(parsed(tmp_path, "out: 2024-01-01").out) == "2024-01-01"
    assert parsed(tmp_path, "lam: 1e-2\nbeta: [.5, 1]", two_gaussians.Config).lam == 0.01
    full = parsed(tmp_path, "full: true\nsteps: 7", two_gaussians.Config, presets=PRESETS)
    assert (full.full, full.seeds, full.steps) == (True, 3, 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("baseline: perhaps", "baseline must be true or false, got perhaps"),
        ("baseline:", "baseline must be true or false"),
        ("config: other.yaml", "'config' cannot stand there"),
        ("image-size: 1\nimage_size: 2", "'image_size' cannot stand there twice"),
        ("seeds: {a: 1}", "seeds takes a value or a list of values"),
        ("seeds: [[1]]", "seeds takes a value or a list of values"),
        ("sedes: 1", "nearest valid one is 'seeds'"),
    ],
)
def test_a_mistake_in_a_file_names_its_key(tmp_path, text, message):
    """Fails where a file's mistake is dropped without a word, as `config:` was."""
    with pytest.raises(cli.UserError, match=message):
        parsed(tmp_path, text)
