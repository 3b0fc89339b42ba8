"""A page says where its numbers are of an earlier version whose command gives others now."""

import json
from pathlib import Path

import pytest

import ddjax
from experiments.stored_results import experiment as stored_results

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs/results"
STORED = {path.stem: json.loads(path.read_text()) for path in RESULTS.glob("*.json")}
CHANGED = stored_results.changed(RESULTS)
SECTION = "#measured-by-an-earlier-version"
MADE = ("family_digits", "family_moons_10000")  # whose pages are made of the files
PAGES = {path: path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]}

# of earlier versions, whose commands compute the same: a new version asks for each file again
SAME = {
    "anisotropic_flow", "conditioning", "costs", "family_checkerboard", "family_eight_gaussians", "family_forty", "family_gate",
    "family_moons", "family_moons_seconds", "family_sweep", "family_tuning", "family_tuning_digits", "family_two_gaussians",
    "forecast", "inflation", "inflation_inference", "score_matching", "three_views", "two_moons_all", "warm_start",
}  # fmt: skip


def numbers(version):
    return tuple(map(int, version.split(".")))


def measured(run):
    """The version, 0.0.0 before runs told it."""
    return numbers(run.get("provenance", {}).get("ddjax", "0.0.0"))


def test_every_file_of_an_earlier_version_is_told_or_the_same():
    """Mutation: a `command_now` left out, or one in a file of this version."""
    earlier = {stem for stem, run in STORED.items() if measured(run) < numbers(ddjax.__version__)}
    assert earlier == {*CHANGED} | SAME and not {*CHANGED} & SAME


def test_the_table_is_what_the_files_say():
    """Mutation: any word of either."""
    assert stored_results.table(RESULTS) in PAGES[ROOT / "docs/results.md"]
    assert all(f"[{stem}](results/{stem}.json)" in stored_results.table(RESULTS) for stem in CHANGED)


def pages_with(words):
    return {path: text for path, text in PAGES.items() if words in text}


@pytest.mark.parametrize("stem", CHANGED)
def test_a_page_that_shows_such_numbers_leads_there(stem):
    """The pages that name the file, else those made of it, which name the stored command. Mutation: a link left out."""
    pages = pages_with(f"results/{stem}.json)") if stem not in MADE else pages_with(f"`{CHANGED[stem]['command']}`")
    assert pages
    for path, text in pages.items():
        assert ("" if path.name == "results.md" else "results.md") + SECTION in text, path
