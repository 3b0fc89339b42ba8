"""Ranges beside types: what they refuse, in which words, and where --help shows them."""

import math
import os
import re
from dataclasses import dataclass, replace
from typing import Annotated

import pytest

from ddjax import cli
from ddjax.cli import settings
from ddjax.cli.settings import Count, Fraction, Multiple, Range
from experiments.common.images.settings import PRESETS
from experiments.images import experiment as images
from experiments.two_gaussians import experiment as two_gaussians


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--width", "20000"], "--width 20000 --depth 4: needs at least 19 GB, and this machine has 8"),
        (
            ["--batch", "2000000"],
            "--batch 2000000 --population 8 --width 128: needs at least 8 GB, and this machine has 8",
        ),
        (["--samples", "1000000000"], "--samples 1000000000: needs at least 16 GB, and this machine has 8"),
    ],
)
def test_what_memory_cannot_hold_is_refused_with_the_figure(words, told, monkeypatch):
    """3 matrices of 20,000 x 20,000, four times, in 4 bytes: 19.2 GB. Of other machines nothing is known. Mutations: a
    factor 4 forgotten; the batch without its population."""
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 2_000_000, "SC_PAGE_SIZE": 4000}.get)
    with pytest.raises(settings.UserError, match=f"^{re.escape(told)}$"):
        cli.parse(two_gaussians.Config, words)
    assert cli.parse(two_gaussians.Config, [*words, "--distributed", "auto"])


@dataclass(frozen=True)
class Example:
    """Settings of a command that does not exist yet."""

    n: Count = 3
    """How many."""
    share: Annotated[float, Range(0, 1, "(]")] | None = None
    """A share."""
    even: Annotated[int, Multiple(2)] = 2
    """An even number."""
    churn: tuple[Fraction, ...] = (0.5,)
    """Several."""


def test_help_states_every_range(capsys):
    """Mutation: `_constructed` hands `make` itself to tyro."""
    with pytest.raises(SystemExit) as stop:
        cli.parse(Example, ["--help"])
    assert not stop.value.code
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for line in (
        "Settings of a command that does not exist yet.",
        "How many. (at least 1; default: 3)",
        "A share. (in (0, 1]; default: None)",
        "An even number. (a multiple of 2; default: 2)",
        "Several. (in [0, 1]; default: 0.5)",
    ):
        assert line in told


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"share": 0.0}, "--share must lie in (0, 1], got 0.0"),
        ({"share": 1e-60}, "--share must lie in (0, 1] in single precision, got 1e-60"),
        ({"share": math.nan}, "--share must be finite in single precision, got nan"),
        ({"churn": (0.5, 0.50000001)}, "--churn holds 0.5 twice"),
        ({"churn": (0.5, 1.5)}, "--churn must lie in [0, 1], got 1.5"),
        ({"churn": ()}, "--churn needs at least one value"),
        ({"even": 7}, "--even must be a multiple of 2, got 7"),
        ({"n": 10**100}, f"--n must be at most 2,147,483,647 in size, got 1{'0' * 56}..."),
    ],
)
def test_the_words_of_a_refusal(changed, told):
    """Shares that round to 0 as programs see them, and values that become the same file name, count as such."""
    with pytest.raises(settings.UserError, match=f"^{re.escape(told)}$"):
        settings.check(Example(**changed))


def test_a_preset_of_a_file_gives_way_to_the_command_line(tmp_path):
    """And brings its settings only where it is the last one named. Mutation: every preset that is named anywhere."""
    file = tmp_path / "settings.yaml"
    file.write_text("preset: glyphs\nsteps: 7\n")
    config = cli.parse(images.Config, ["--config", str(file)], presets=PRESETS)
    assert (config.preset, config.data, config.net, config.steps) == ("glyphs", "glyphs", "dit", 7)
    config = cli.parse(images.Config, ["--config", str(file), "--preset", "digits"], presets=PRESETS)
    assert config == replace(images.Config(), preset="digits", config=file, steps=7)
