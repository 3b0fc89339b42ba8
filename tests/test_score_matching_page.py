"""docs/score_matching.md says what the stored run says, and the study's own parts mean what they are called."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from ddjax import judging
from experiments.common import runner
from experiments.score_matching import evaluate as judges
from experiments.score_matching import experiment as score_matching
from experiments.score_matching import report as pages

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/score_matching.md").read_text()
PROSE = " ".join(PAGE.split())
STORED = json.loads((ROOT / "docs/results/score_matching.json").read_text())
ESTIMATES = {name: judges.Estimate(*row) for name, row in STORED["estimates"].items()}
ERRORS = {name: np.array(by_seed) for name, by_seed in STORED["score_errors"].items()}


def test_the_table_is_the_stored_run():
    """Mutation: any digit of either."""
    lines = pages.lines(STORED["estimates"], STORED["milliseconds"], STORED["score_errors"])
    assert judging.markdown(pages.HEADS, lines) in PAGE
    assert STORED["provenance"]["command"] == "python -m experiments.score_matching"
    assert STORED["provenance"]["command"] in PROSE
    assert f"{STORED['settings']['steps']:,} steps of batch {STORED['settings']['batch']}" in PROSE


def test_what_the_page_says_of_the_table():
    """No bias beyond 3 standard errors; slopes, costs and errors in the order that the text tells, by its factors."""
    assert set(ERRORS) == set(judges.OBJECTIVES)
    assert all(abs(row.bias) < 3 * row.error for row in ESTIMATES.values())
    slopes = {name: row.slope_std for name, row in ESTIMATES.items()}
    told = [slopes[name] for name in ("explicit", "denoising, sigma²", "implicit, exact trace", "sliced")]
    assert told == sorted(told)
    assert f"{told[0]:.2f}, {told[1]:.2f}, {told[2]:.2f} and {told[3]:.2f}" in PROSE
    trained = [ERRORS[name].mean(0) for name in ("explicit", "denoising, sigma²", "implicit, exact trace", "sliced")]
    assert (np.diff(trained, axis=0) > 0).all()
    denoised, g2, sigmoid = (ERRORS[f"denoising, {weight}"].mean(0) for weight in ("sigma²", "g²", "sigmoid"))
    assert g2[0] < denoised[0] and (g2[1:] > denoised[1:]).all() and (sigmoid[-4:] < denoised[-4:]).all()
    cost = STORED["milliseconds"]
    ratios = [
        cost[name] / cost["denoising, sigma²"]
        for name in ("implicit, exact trace", "implicit, Hutchinson (= sliced, reduced)", "sliced")
    ]
    assert f"{ratios[0]:.1f}, {ratios[1]:.1f} and {ratios[2]:.1f} times" in PROSE


def test_the_page_of_the_study_is_written(tmp_path, capsys):
    """From the stored numbers: table, figure, summary. Mutation: a caption of another file."""
    found = pages.findings(ESTIMATES, STORED["milliseconds"], ERRORS)
    runner.write(tmp_path, "score_matching", STORED["settings"], found, {"total": 0.0})
    assert json.loads((tmp_path / "summary.json").read_text())["score_errors"] == STORED["score_errors"]
    assert "data:image/png" in (tmp_path / "report.html").read_text()
    assert "denoising, sigmoid" in capsys.readouterr().out


def test_edm_draws_its_own_noise_levels():
    """log(sigma / alpha) has EDM's mean and standard deviation in units of the data. Mutation: alpha / sigma."""
    t = judges.lognormal(jax.random.key(0), 4000)
    alpha, sigma = jax.jit(jax.vmap(judges.SCHEDULE))(t)
    levels = np.log(np.asarray(sigma / alpha) / 3)
    assert np.median(levels) == pytest.approx(-1.2, abs=0.1)
    assert np.subtract(*np.quantile(levels, [0.75, 0.25])) / 1.349 == pytest.approx(1.2, rel=0.05)


def test_the_study_runs_to_its_end(tmp_path, monkeypatch, capsys):
    """With the stored numbers for its measures: a line for each training, and files. Mutation: a name that is not imported."""
    monkeypatch.setattr(judges, "estimates", lambda n: ESTIMATES)
    monkeypatch.setattr(judges, "costs", lambda batch, width, rounds: STORED["milliseconds"])
    monkeypatch.setattr(judges, "trained_errors", lambda name, **settings: ERRORS[name])
    score_matching.run(score_matching.Config(out=tmp_path / "out"))
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".json", ".html", ".png"}
    assert capsys.readouterr().out.count("trained by") == len(judges.OBJECTIVES)
