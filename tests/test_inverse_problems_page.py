"""docs/inverse_problems.md says what the stored run says."""

import itertools
import json
from pathlib import Path

import pytest

from ddjax import judging
from experiments.common import conditioning_report as conditionings
from experiments.inverse_problems import report as pages

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/inverse_problems.md").read_text()
PROSE = " ".join(PAGE.split())
STORED = json.loads((ROOT / "docs/results/inverse_problems.json").read_text())
PROBLEMS, NOISE = STORED["problems"], str(STORED["settings"]["noise"])
WAYS = {name: of["noise"][NOISE] for name, of in PROBLEMS.items()}


def all_of(*names, key):
    return [ways[name][key] for ways in WAYS.values() for name in names]


def coverage(*names):
    return [of[1] for of in all_of(*names, key="coverage")]


def test_the_tables_are_the_stored_run():
    """Mutation: any digit of either."""
    for of in PROBLEMS.values():
        assert judging.markdown(pages.HEADS, pages.lines(of["noise"][NOISE])) in PAGE
        assert judging.markdown(pages.SWEEP_HEADS, pages.swept(of["sweep"])) in PAGE
        assert judging.markdown(pages.NOISE_HEADS, pages.by_noise(of["noise"], of["effective"])) in PAGE
    assert judging.markdown(conditionings.HEADS, conditionings.lines(STORED["mixture"], "share")) in PAGE
    assert STORED["provenance"]["command"] == "python -m experiments.inverse_problems"
    assert STORED["provenance"]["command"] in PROSE and f"{STORED['seconds']['total']:.0f} s on 2 CPU" in PROSE
    settings = STORED["settings"]
    assert f"{settings['digits']} digits" in PROSE and f"on {settings['tuning']} digits that nothing else" in PROSE


def test_what_the_page_says_of_coverage():
    """Every range of the text, from the stored numbers."""
    told = lambda values: (round(100 * min(values)), round(100 * max(values)))  # noqa: E731
    assert told(coverage("64 draws, 4 steps")) == (73, 75)
    assert told(coverage("nothing (unconditional)")) == (71, 72)
    assert told(coverage("DPS, 4 steps", "PiGDM, 4 steps")) == (63, 64)
    assert told(coverage("DPS, 128 steps", "PiGDM, 128 steps")) == (71, 77)
    assert told(coverage("particles of 16 draws, 4 steps"))[0] == 63
    rejected = {
        name: sum(value < 0.01 for value in all_of(f"{name}, 4 steps", key="pvalue")) for name in ("DPS", "PiGDM")
    }
    assert rejected == {"DPS": 2, "PiGDM": 3}


def test_the_results_page_says_the_same():
    """Mutation: any digit of either."""
    results = (ROOT / "docs/results.md").read_text().replace("\n", " ")
    told = [
        (coverage("64 draws, 4 steps"), "draws in 4 steps hold {} to {} %"),
        (coverage("nothing (unconditional)"), "without a measurement {} to {} %"),
        (coverage("DPS, 4 steps", "PiGDM, 4 steps"), "in 4 steps {} to {} %,"),
        (coverage("DPS, 128 steps", "PiGDM, 128 steps"), "{} to {} % in 128"),
    ]
    for values, words in told:
        assert words.format(*(round(100 * value) for value in (min(values), max(values)))) in results


def test_what_the_page_says_of_scores_and_sizes():
    """Guidance at equal evaluations has the lower score in two problems, and the effective sizes are as told."""
    for name, ways in WAYS.items():
        best = min(ways[f"{way}, 128 steps"]["energy"] for way in ("DPS", "PiGDM"))
        draws = ways["64 draws, 4 steps"]
        assert abs(best - draws["energy"]) < draws["energy_error"] if name == "deblurring" else best < draws["energy"]
    assert max(all_of("DPS, 128 steps", "PiGDM, 128 steps", key="misfit")) == pytest.approx(4.3, abs=0.05)
    first = {noise: [of["effective"][noise][0] for of in PROBLEMS.values()] for noise in (NOISE, "1.0")}
    assert f"{first[NOISE][0]:.1f} of 64" in PROSE
    assert f"it is {min(first['1.0']):.1f} to {max(first['1.0']):.1f}" in PROSE


def test_what_the_page_says_of_draws():
    """More draws lower the energy score at every number of steps of every problem."""
    for of in PROBLEMS.values():
        rows = [[one["energy"] for one in by_steps.values()] for by_steps in of["sweep"].values()]
        assert all(
            more < fewer for few, many in itertools.pairwise(rows) for fewer, more in zip(few, many, strict=True)
        )
        assert all(row[0] > row[1] > row[2] for row in rows)
    ways = {name: [conditionings.Judged(*one).share for one in of.values()] for name, of in STORED["mixture"].items()}
    assert max(abs(share - 0.947) for share in ways["particles of 16 draws"][2:]) < 0.0095
    assert abs(ways["64 draws"][-1] - 0.947) < 0.0535
