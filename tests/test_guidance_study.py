"""The study of guidance: its measures by what must hold, its ways to guide, and a small run on the pretrained digits."""

import json
import subprocess

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from run_folders import a_run
from test_experiments import CACHED, ROOT, command

from ddjax import cli, recipes
from ddjax.runs import pretrained
from experiments.benchmark import large_run
from experiments.common.images import evaluate as judging
from experiments.common.images import models
from experiments.guidance import evaluate as guidances
from experiments.guidance import experiment as guidance
from experiments.guidance import report as pages
from experiments.guidance.evaluate import FULL, ONE, TWO, How, Judged, Row
from experiments.images import experiment as images
from experiments.two_gaussians import experiment as two_gaussians

RNG = np.random.default_rng(5)
CLASSES = np.arange(60) % 3
REAL = RNG.normal(size=(60, 4)) + 10 * CLASSES[:, None]


def test_diversity_is_the_share_of_variance_within_a_class():
    """1 for the data in any order and place, 9 for deviations three times as wide, 0 for one sample of each class.

    Mutations: variance over all classes, of which the means are most; a class that is missing counted as 0.
    """
    close(guidances.diversity(REAL[::-1] + 7, CLASSES[::-1], REAL, CLASSES), 1)
    means = np.stack([REAL[c == CLASSES].mean(0) for c in range(3)])[CLASSES]
    close(guidances.diversity(means + 3 * (REAL - means), CLASSES, REAL, CLASSES), 9)
    close(guidances.diversity(means, CLASSES, REAL, CLASSES), 0, atol=1e-12)
    two = CLASSES < 2
    close(guidances.diversity(REAL[two], CLASSES[two], REAL, CLASSES), 1)


def test_the_held_out_images_are_the_best_sample():
    """Accuracy of the classifier, diversity 1, distance 0, recall 1.

    Mutations: features exchanged with pixels; recall of the samples.
    """
    x = jnp.asarray(REAL.reshape(60, 2, 2, 1))
    where = [judging.Space(name, judging.pixels, REAL, REAL, np.ones(60)) for name in ("pixels", "features")]
    judges = judging.Judges(where, lambda x: np.zeros(len(x), np.int32))
    found = guidances.judged(x, CLASSES, judges, CLASSES)
    close(found, (1 / 3, 1, 0, 1), atol=1e-6)


def test_what_guidance_leaves_alone():
    """At one step the interval does not act, at w = 1 no weight; elsewhere weight, xi and interval all count.

    Mutations: a weight that is compiled in; xi or interval not handed on.
    """
    trained = pretrained.load("digits")
    labels = np.arange(6, dtype=np.int32)
    plain = guidances.drawn(trained, How(1.0, 1), labels)
    assert plain.shape == (6, 8, 8, 1) and float(abs(plain).max()) <= 1
    close(guidances.drawn(trained, How(3.0, 1, interval=(0.2, 0.8)), labels), plain, atol=1e-5)
    every = [How(1.0, 4), How(3.0, 4), How(3.0, 4, shared_xi=False), How(3.0, 4, interval=(0.2, 0.8))]
    draws = [np.asarray(guidances.drawn(trained, how, labels)) for how in every]
    assert all(abs(a - b).max() > 0.01 for i, a in enumerate(draws) for b in draws[:i])


def test_a_weight_of_1_is_asked_for_once():
    asked = guidances.ways((1.0, 2.0), (1, 4), (0.2, 0.8))
    assert [how for _, how in asked if how.weight == 1] == [How(1.0, 1), How(1.0, 4)]
    assert [(kind, how.shared_xi, how.interval) for kind, how in asked if how.weight == 2 and how.steps == 4] == [
        (ONE, True, FULL), (TWO, False, FULL), ("t in [0.2, 0.8]", True, (0.2, 0.8)),
    ]  # fmt: skip


def test_tables_have_a_row_for_each_kind_and_weight():
    """And the verdict compares the most accurate weight with the least. Mutation: numbers of steps exchanged."""
    rows = [
        Row(kind, how, Judged(how.weight / 10 + how.steps / 100, 1 / how.weight, 3.0, 0.5))
        for kind, how in guidances.ways((1.0, 2.0), (1, 4), (0.2, 0.8))
    ]
    assert pages.heads(rows) == ["w", "kind", "1 step", "4 steps"]
    assert pages.lines(rows, "accuracy") == [
        ["1", "", "0.110", "0.140"], *(["2", kind, "0.210", "0.240"] for kind in (ONE, TWO, "t in [0.2, 0.8]")),
    ]  # fmt: skip
    told = pages.verdict(rows, Judged(1.0, 1.0, 0.0, 1.0))
    assert told.startswith(
        "in 4 steps w = 2 has class accuracy 0.240 and diversity 0.50, w = 1 has class accuracy 0.140 and"
    )


@pytest.mark.slow
def test_a_small_run_writes_all_that_it_promises(tmp_path):
    """Rows, figures, page; the pretrained digits need no run."""
    words = ["--samples", "100", "--weights", "1", "3", "--nfe", "1", "2", "--out", str(tmp_path / "out")]
    done = subprocess.run(command("guidance", *words), cwd=ROOT, capture_output=True, text=True, env=CACHED)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert len(found["rows"]) == 8 and {path.name for path in (tmp_path / "out").iterdir()} >= {
        "guidance.png", "guided.png", "report.html",
    }  # fmt: skip
    assert all(0 <= row["accuracy"] <= 1 and row["diversity"] > 0 for row in found["rows"])


@pytest.mark.parametrize(
    ("module", "settings", "told"),
    [
        (guidance, {"interval": (0.8, 0.2)}, "--interval is low and high"),
        (guidance, {"model": "ddm"}, "--model belongs to --run"),
        (large_run, {"preset": "digits"}, "has no remat"),
        (large_run, {"parts": 5}, "--parts 5 does not divide the batch of 128"),
    ],
)
def test_settings_that_say_nothing_are_refused(module, settings, told):
    with pytest.raises(cli.UserError, match=told):
        module.Config(**settings).check()


def test_models_of_other_data_are_refused(tmp_path):
    """A run on points has no images; an image model without classes has no guidance. Mutation: a traceback at the first label."""
    points = recipes.Distributional(
        name="ddm",
        event_shape=(2,),
        network=recipes.Mlp(width=8, depth=2),
        population=2,
        optimizer=recipes.Optimizer(steps=100),
    )
    a_run(tmp_path / "points", "two_gaussians", two_gaussians.Config(out=tmp_path / "points"), [points])
    with pytest.raises(cli.UserError, match="a denoiser of images is wanted, which ddm-seed0 is not"):
        guidance.run(guidance.Config(run=tmp_path / "points", out=tmp_path / "out"))
    settings = images.Config(out=tmp_path / "plain", width=8, depth=2)
    a_run(tmp_path / "plain", "images", settings, models.recipes_of(settings, (8, 8, 1), 0))
    with pytest.raises(cli.UserError, match="a model with classes, of which ddm"):
        guidance.run(guidance.Config(run=tmp_path / "plain", out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.exhaustive
@pytest.mark.slow
def test_models_of_a_run_are_compared(tmp_path):
    """Two models of one run, in pixels and features; a model beside itself, on other samples, is no closer."""
    settings = images.Config(out=tmp_path / "run", width=64, depth=3)
    a_run(tmp_path / "run", "images", settings, models.recipes_of(settings, (8, 8, 1), 10))
    words = [
        "--run",
        str(tmp_path / "run"),
        "--beside",
        "ddm-beta-0.1-seed0",
        "--steps",
        "2",
        "--beside-steps",
        "2",
        "8",
    ]
    more = ["--samples", "200", "--resamples", "20", "--out", str(tmp_path / "out")]
    done = subprocess.run(command("compare", *words, *more), cwd=ROOT, capture_output=True, text=True, env=CACHED)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "out" / "summary.json").read_text())["comparisons"]
    assert [(row["space"], row["beside_steps"]) for row in rows] == [
        (s, n) for s in ("pixels", "features") for n in (2, 8)
    ]
    assert all(row["difference"][1] < 0 < row["difference"][2] for row in rows if row["beside_steps"] == 2)


PAGE = (ROOT / "docs/guidance.md").read_text()
PROSE = " ".join(PAGE.split())
STORED = json.loads((ROOT / "docs/results/guidance_glyphs.json").read_text())


def stored_rows():
    """The rows of the stored run."""
    judged = lambda row: Judged(*(row[name] for name in Judged._fields))  # noqa: E731
    return [Row(row["kind"], How(row["weight"], row["steps"]), judged(row)) for row in STORED["rows"]]


def test_the_page_is_the_stored_run():
    """Its tables, its command, and what it says of them. Mutation: any digit of either."""
    rows, floor = stored_rows(), Judged(**STORED["floor"])
    for measure in ("accuracy", "diversity", "frechet"):
        assert pages.table(rows, floor, measure) in PAGE
    assert "python -m experiments.guidance --run runs/images/glyphs" in PAGE
    assert STORED["provenance"]["command"] == "python -m experiments.guidance --run runs/images/glyphs"


def test_what_the_page_says_of_the_tables():
    """Each sentence of it. Mutation: another weight; a kind for another."""
    at = {(row.kind, row.how.weight, row.how.steps): row.judged for row in stored_rows()}
    some, plain = "t in [0.2, 0.8]", at[ONE, 1.0, 4]
    best, bold, early = at[some, 1.5, 4], at[ONE, 3.0, 4], (at[ONE, 1.0, 1], at[ONE, 1.5, 1])
    for told in (
        f"{best.accuracy:.3f} against {plain.accuracy:.3f} and a Fréchet distance of {best.frechet:.1f}",
        f"a Fréchet distance of {best.frechet:.1f} against {plain.frechet:.1f}",
        f"reach {bold.accuracy:.3f}",
        f"accuracy {early[1].accuracy:.3f} against {early[0].accuracy:.3f},",
        f"distance {early[1].frechet:.0f} against {early[0].frechet:.0f}.",
    ):
        assert f" {told}" in PROSE
    assert f"at a diversity of {best.diversity:.2f} against {plain.diversity:.2f}" in PROSE
    assert round(bold.frechet / plain.frechet) == 5
    assert best.frechet == min(j.frechet for (_, _, n), j in at.items() if n == 4)
    assert early[1].frechet == min(j.frechet for (_, _, n), j in at.items() if n == 1)
    assert all(at[some, w, 1] == early[0] for w in (1.5, 2.0, 3.0, 5.0))
    for n in (1, 2, 4):
        assert 1.35 <= at[TWO, 1.5, n].diversity <= 1.85 and at[TWO, 1.5, n].accuracy < at[ONE, 1.0, n].accuracy
