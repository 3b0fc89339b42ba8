"""docs/results.md shows the stored runs, and docs/mathematics.md names functions that exist."""

import json
import re
from pathlib import Path

import pytest

import ddjax
from ddjax import judging
from experiments.conditional_ot import report as conditions

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/results.md").read_text()
STORED = {
    "two_gaussians_full": ("python -m experiments.two_gaussians --full", ["mmd2"]),
    "two_moons_all": ("python -m experiments.two_moons", ["w1", "class_w1"]),
    "images_digits": (
        "python -m experiments.images --seeds 3",
        ["frechet pixels", "frechet features", "class accuracy"],
    ),
    "images_glyphs": (
        "python -m experiments.images --preset glyphs --other-decays .99",
        ["frechet pixels", "frechet features", "class accuracy"],
    ),
    "images_photos": (
        "python -m experiments.images --preset photos --log-every 50",
        ["frechet pixels", "frechet features"],
    ),
}


def value(name, metric, model, nfe):
    """One number of a stored run."""
    rows = json.loads((ROOT / f"docs/results/{name}.json").read_text())["numbers"]
    [row] = [row for row in rows if (row["metric"], row["model"], row["nfe"]) == (metric, model, nfe)]
    return row["value"]


def test_what_is_said_of_glyphs_and_photographs():
    """The sentences below the tables, against the stored runs and comparisons."""
    of = lambda metric, model, n: value("images_glyphs", metric, model, n)  # noqa: E731
    ddm, regression = "DDM beta 1", "regression"
    assert of("frechet features", ddm, 4) < of("frechet features", regression, 8)
    assert of("frechet pixels", ddm, 4) < of("frechet pixels", regression, 16)
    for space in ("pixels", "features"):
        short, long = (of(f"frechet {space}", name, 4) for name in (f"{ddm}, average 0.99", ddm))
        assert abs(short / long - 1) < 0.02
    recalls = of("recall features", ddm, 1), of("recall features", regression, 4)
    assert "recall {:.2f}, regression {:.2f} in four".format(*recalls).replace("0.", ".") in PAGE
    assert f"(at the median {of('memorisation pixels', ddm, 4):.2f} times as far in four steps)" in PAGE
    assert f"{100 * of('class accuracy', ddm, 4):.0f} % of its samples" in PAGE
    assert f"has {100 * of('class accuracy', regression, 4):.1f} %" in PAGE
    rows = json.loads((ROOT / "docs/results/guidance_glyphs.json").read_text())["rows"]
    in_four = {(row["kind"], row["weight"]): row for row in rows if row["steps"] == 4}
    guided = in_four["t in [0.2, 0.8]", 1.5]
    assert f"({100 * in_four['one xi', 1.0]['accuracy']:.1f} % [drawn anew](guidance.md))" in PAGE
    told = f"has {100 * guided['accuracy']:.1f} % and a distance in features of {guided['frechet']:.1f},"
    assert told in " ".join(PAGE.split())
    assert guided["frechet"] < min(of("frechet features", regression, n) for n in (1, 2, 4, 8, 16, 50))
    of = lambda space, model, n: value("images_photos", f"frechet {space}", model, n)  # noqa: E731
    for space in ("pixels", "features"):
        assert of(space, "DDM beta 0.5", 4) < of(space, regression, 16)
        assert of(space, "DDM beta 0.5", 8) < of(space, regression, 50)
    for name in ("glyphs", "photos"):
        stored = json.loads((ROOT / f"docs/results/compare_{name}.json").read_text())
        assert f"`{stored['provenance']['command']}`" in PAGE
        for row in stored["comparisons"]:
            if name == "glyphs" or row["beside_steps"] == 8:
                assert row["difference"][2] < 0  # the whole interval: closer, as the page says
            told = "{:.3g} [{:.3g}, {:.3g}]".format(*row["difference"])
            assert told in PAGE, (name, row)


CHOICES = {
    "choices_glyphs": {
        "": "4 blocks, xi before block 2, scores of the whole and of 7 x 7 patches, beta 1",
        " score_patch=0": "the whole alone",
        " score_patch=3": "patches of 3 x 3",
        " beta=.5": "beta 0.5",
        " beta=1.5": "beta 1.5",
        " inject=0": "xi as channels of the image",
        " inject=1": "xi before block 1",
        " inject=3": "xi before block 3",
    },
    "choices_glyphs_overlap": {
        "": "tokens overlap by 3 pixels",
        " beta=.5": "the same, beta 0.5",
        " inject=1 beta=.5": "the same, beta 0.5, xi before block 1",
    },
    "choices_glyphs_depth": {"": "tokens overlap, 6 blocks, xi before block 4: **the preset**"},
    "images_glyphs": {"": "the preset: xi before block 4, beta 1"},
    "choices_glyphs_inject_3": {"": "xi before block 3, beta 1"},
    "choices_glyphs_inject_2": {"": "xi before block 2, beta 0.5"},
    "choices_photos": {
        "": "tokens overlap by 4 pixels, 5 blocks, xi before block 2, beta 1",
        " beta=.5": "beta 0.5",
    },
    "choices_photos_differences": {
        "": "the same, noise in common on fixed blocks",
        " score_differences=10": "... and differences of neighbours at weight 10 for 50",
        " score_differences=0": "... and no score of differences",
    },
    "choices_photos_depth": {"": "7 blocks, xi before block 5"},
    "choices_photos_overlap": {"": "the same, beta 0.5, tokens overlap by 8"},
    "choices_photos_preset": {
        "": "the same, overlap by 4: **the preset**",
        " overlap=0": "the preset, disjoint tokens",
        " inject=0": "the preset, xi as channels of the image",
        " score_patch=3": "the preset, scores of 3 x 3 patches too",
    },
    "choices_photos_1000": {"": "the preset, 1,000 steps"},
}


@pytest.mark.parametrize("name", CHOICES)
def test_tables_of_choices_are_the_stored_runs(name):
    """Every variant of every stored run has its row on docs/performance.md. Mutations: any digit; a row left out."""
    page = (ROOT / "docs/performance.md").read_text()
    summary = json.loads((ROOT / f"docs/results/{name}.json").read_text())
    base = summary["settings"]["models"][0]["name"]
    models = {row["model"] for row in summary["numbers"] if "average" not in row["model"]} - {"regression"}
    names = {model.removeprefix(base) for model in models}
    assert names == set(CHOICES[name]) and f"(results/{name}.json)" in page
    for model, label in CHOICES[name].items():
        of = lambda metric, n, model=base + model: value(name, metric, model, n)  # noqa: E731
        cells = [
            f"{of(f'frechet {space}', 1):.3g} / {of(f'frechet {space}', 4):.3g}" for space in ("pixels", "features")
        ]
        accuracy = f"{of('class accuracy', 1):.3f} / {of('class accuracy', 4):.3f}"
        assert f"| {' | '.join([label, *cells, accuracy])} |" in page, model


def test_what_is_said_of_early_and_late_xi():
    """Of glyphs trained to the end, and of photographs at equal time. Mutation: two of the stored runs exchanged."""
    whole = (
        ("images_glyphs", "DDM beta 1"),
        ("choices_glyphs_inject_3", "DDM beta 1"),
        ("choices_glyphs_inject_2", "DDM beta 0.5"),
    )
    for metric in ("frechet pixels", "frechet features", "class accuracy"):
        late, middle, early = (value(name, metric, model, 4) for name, model in whole)
        assert late > middle > early, metric
    pixels, features = (
        value("choices_photos_preset", f"frechet {space}", "DDM beta 0.5 inject=0", 4)
        / value("choices_photos_1000", f"frechet {space}", "DDM beta 0.5", 4)
        for space in ("pixels", "features")
    )
    assert abs(pixels - 1) < 0.02 and features > 1.2


@pytest.mark.parametrize("name", STORED)
def test_result_tables_are_the_stored_runs(name):
    """Re-rendering the committed numbers gives the page's tables: mutation, any digit of either."""
    command, metrics = STORED[name]
    summary = json.loads((ROOT / f"docs/results/{name}.json").read_text())
    stored = [judging.Number(**row) for row in summary["numbers"]]
    for metric in metrics:
        assert judging.table(stored, metric) in PAGE, metric
    assert summary["provenance"]["command"].startswith(command) and command in PAGE


def test_the_table_of_conditional_couplings_is_the_stored_run():
    summary = json.loads((ROOT / "docs/results/conditional_ot_5_seeds.json").read_text())
    assert judging.markdown(conditions.HEADS, conditions.rows_of(summary)) in PAGE
    assert summary["provenance"]["command"].startswith("python -m experiments.conditional_ot --seeds 5")


def test_named_functions_exist():
    """Of the table that leads from equations to functions."""
    page = (ROOT / "docs/mathematics.md").read_text()
    table = page.split("## Equations to functions")[1].split("\n## ")[0]
    names = re.findall(r"`(\w+)\.(\w+)`", table)
    assert len(names) > 10
    for room, name in names:
        assert hasattr(getattr(ddjax, room), name), f"{room}.{name}"
