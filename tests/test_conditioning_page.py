"""docs/conditioning.md says what the stored run says, and the study runs to its end."""

import json
from pathlib import Path

import numpy as np
import pytest

from ddjax import judging
from experiments.common import conditioning as judges
from experiments.common import conditioning_report as pages
from experiments.conditioning import experiment as conditioning

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/conditioning.md").read_text()
PROSE = " ".join(PAGE.split())
STORED = json.loads((ROOT / "docs/results/conditioning.json").read_text())
WAYS = {name: [judges.Judged(*one) for one in of.values()] for name, of in STORED["ways"].items()}


def test_the_tables_are_the_stored_run():
    """Mutation: any digit of either."""
    for part in ("share", "w1"):
        assert judging.markdown(pages.HEADS, pages.lines(STORED["ways"], part)) in PAGE
    assert judging.markdown(pages.SIZES, pages.sizes(STORED["effective"])) in PAGE
    assert STORED["provenance"]["command"] == "python -m experiments.conditioning"
    assert STORED["provenance"]["command"] in PROSE and f"{STORED['seconds']['total']:.0f} s on" in PROSE
    assert f"share {STORED['right']:.3f}" in PROSE and f"{STORED['settings']['n']:,} samples" in PROSE
    assert f"{STORED['floor'][0]:.3f} ± {STORED['floor'][1]:.3f} apart" in PROSE


def test_what_the_page_says_of_them():
    """64 draws near the share at every number of steps, particles nearer than that, a mean far off."""
    exact, (mean, std) = STORED["right"], STORED["floor"]
    off = {name: max(abs(one.share - exact) for one in of) for name, of in WAYS.items()}
    assert off["64 draws"] < 0.0115 and off["4 draws"] > 0.09
    particles = [of for name, of in WAYS.items() if name.startswith("particles")]
    assert all(abs(one.share - exact) < max(4 * one.error, 0.008) for of in particles for one in of)
    assert all(np.mean([one.w1 for one in of]) < mean + 1.1 * std for of in particles[1:])
    assert WAYS["mean plugged in (DPS)"][0].share == pytest.approx(0.5, abs=0.01)
    assert WAYS["mean plugged in (DPS)"][-1].share == pytest.approx(0.8, abs=0.01)


def test_the_results_page_says_the_same():
    """Mutation: any digit of either."""
    results = (ROOT / "docs/results.md").read_text().replace("\n", " ")
    told = {name: [f"{one.share:.3f}".lstrip("0") for one in of] for name, of in WAYS.items()}
    assert f"share {STORED['right']:.3f}".replace("0.", ".") in results
    many, few, plugged = told["64 draws"], told["particles of 16 draws"], told["mean plugged in (DPS)"]
    assert f"64 draws give {many[0]} to {many[-1]} at 1 to 8 steps" in results
    assert f"particles of 16 draws {min(few)} to {max(few)}" in results
    assert f"(DPS) {plugged[0]} to {plugged[-1]}" in results


def test_the_measurement_has_the_share_that_is_told():
    """By hand: 1 / (1 + exp(-12 y / 2.5)) for means 3 and -3 and variance .25 + 1. Fails for another component or another y."""
    assert pytest.approx(1 / (1 + np.exp(-12 * 0.6 / 2.5)), rel=1e-4) == judges.RIGHT


@pytest.mark.exhaustive
def test_the_study_runs_to_its_end(tmp_path, capsys, monkeypatch):
    """On few samples and steps, with every way."""
    monkeypatch.setattr(judges, "STEPS", (1, 2))
    monkeypatch.setattr(pages, "STEPS", (1, 2))
    monkeypatch.setattr(pages, "HEADS", pages.HEADS[:3])
    conditioning.run(conditioning.Config(out=tmp_path / "out", draws=(2,), few=(1,), n=100, repeats=5))
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".json", ".html", ".png"}
    told = capsys.readouterr().out
    assert "particles of 1 draw" in told and "mean plugged in (DPS)" in told
