"""docs/family.md is what the stored runs say, and the presets are what the stored search kept."""

import json
from pathlib import Path

from experiments.families import presets
from experiments.studies import family_page

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/family.md").read_text()
TUNING = json.loads((ROOT / "docs/results/family_tuning.json").read_text())


def test_the_tables_are_the_stored_runs():
    """Mutation: any digit of either."""
    before, start, rest = PAGE.partition(family_page.START)
    made, end, after = rest.partition(family_page.END)
    assert start + made + end == family_page.section(ROOT / "docs/results")
    assert "| ddm " in made and "### Moons" in made and before and not after.strip()


def test_presets_are_what_the_search_kept():
    """Every preset of a law in the plane; with equal trials for all. Mutation: any setting of a preset."""
    assert TUNING["tuned"] == {name: of for name, of in presets.PRESETS.items() if name not in presets.OF_IMAGES}
    counts = {name: sum(row[0] == name for row in TUNING["trials"]) for name in TUNING["tuned"]}
    assert set(counts.values()) == {8}
    assert {len(trials) for trials in presets.TRIALS.values()} == {7}


def test_a_tuned_preset_differs_from_its_definition_in_trials_that_were_kept():
    """Each setting it has beyond its definition is the start's or a kept trial's."""
    for name, settings in presets.PRESETS.items():
        kept = [row[1] for row in TUNING["trials"] if row[0] == name and row[-1] == "kept"]
        for setting, value in settings.items() if name not in presets.OF_IMAGES else ():
            if presets.DEFINED[name].get(setting) != value and (setting, value) not in presets.START.items():
                assert f"{setting} {value}" in kept, (name, setting, value)
