"""docs/three_views.md says what the stored run says, and every test that it points to is there."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddjax import judging
from ddjax.mixtures import GaussianMixture
from experiments.three_views import experiment as three_views
from experiments.three_views import report as pages
from experiments.three_views.evaluate import BACKWARD, FLOW, FORWARD

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/three_views.md").read_text()
PROSE = " ".join(PAGE.split())
STORED = json.loads((ROOT / "docs/results/three_views.json").read_text())
SETTINGS, VIEWS = STORED["settings"], STORED["views"]


def test_the_tables_are_the_stored_run():
    """Mutation: any digit of either."""
    assert STORED["provenance"]["command"] == "python -m experiments.three_views"
    assert STORED["provenance"]["command"] in PROSE and f"in {STORED['seconds']['total']:.0f} s on" in PROSE
    assert judging.markdown(pages.BY_HAND, pages.by_hand(STORED["by hand"])) in PAGE
    for of in VIEWS.values():
        assert judging.markdown(pages.marginal_heads(STORED["times"]), pages.marginals(of)) in PAGE
        assert judging.markdown(pages.ENDS, pages.ends(of["joint"])) in PAGE
    found = pages.tables(STORED, SETTINGS["n"], SETTINGS["draws"])
    assert len(found) == 1 + 2 * len(VIEWS)


def test_what_the_page_says_of_the_tables():
    """Its numbers are the run's: settings, the worst marginal, neighbours, and 0.6205 within 3 standard errors."""
    n, draws = SETTINGS["n"], SETTINGS["draws"]
    assert f"{n:,} points of each view" in PROSE and f"mean of {draws} draws" in PROSE
    assert f"(from {SETTINGS['repeats']} pairs" in PROSE and f"n = {n * draws:,}" in PROSE
    assert f"All 54 numbers are at most {STORED['worst']:.1f}." in PROSE
    told = [off for of in VIEWS.values() for found in of["off"].values() for off in found]
    assert len(told) == 54 and max(told) == pytest.approx(STORED["worst"], abs=1e-3)
    kept = [100 * of["joint"][FLOW]["kept"] for of in VIEWS.values()]
    assert f"keeps {kept[0]:.0f} % of the 10 nearest neighbours in 1-D and {kept[1]:.0f} % in the plane" in PROSE
    for name in (FORWARD, BACKWARD):
        found = STORED["by hand"][name]
        assert f"= {found['exact']:.4f}$" in PROSE
        assert abs(found["pearson"] - found["exact"]) < 3 * found["error"]
        assert abs(found["given"]) < 3 * found["given error"]
        for of in VIEWS.values():
            assert of["joint"][name]["kept"] == pytest.approx(10 / 1999, rel=0.2)
            assert abs(of["joint"][name]["given"]) < 3 / (n * draws) ** 0.5
            np.testing.assert_allclose(of["joint"][name]["over time"], of["exact"], atol=0.04)  # ranks beside Pearson's
    assert STORED["by hand"][FLOW]["pearson"] == 1 and VIEWS["1-D"]["joint"][FLOW]["ranks"] == 1


def test_every_test_that_the_page_points_to_is_there():
    """Mutation: a test renamed."""
    named = set(re.findall(r"\btest_\w+(?!\w*\.py)\b", PAGE)) - {
        "test_sde",
        "test_sde_simulation",
        "test_score_matching",
    }
    assert len(named) >= 5
    texts = "".join((ROOT / file).read_text() for file in set(re.findall(r"tests/\w+\.py", PAGE)))
    assert all(f"def {name}(" in texts for name in named)


def test_links_and_figures_of_the_page():
    """All files are there, pictures below 200 kB, the animation below 1 MB, of every time and one for each of both rows."""
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
    for file in ("three_views.png", "joint_laws.png"):
        assert (ROOT / "docs/figures" / file).stat().st_size < 200_000
    film = ROOT / "docs/figures/three_views.gif"
    assert film.stat().st_size < 1_000_000
    with Image.open(film) as opened:
        assert opened.n_frames == three_views.EVERY * (three_views.TIMES - 1) + 1


def test_points_are_coloured_by_their_hump():
    """The likeliest component, of weight, mean and covariance. Mutations: the nearest mean; no weights."""
    means, covs = np.array([[0.0, 0.0], [3.0, 0.0]]), np.array([4 * np.eye(2), 0.01 * np.eye(2)])
    mixture = GaussianMixture(np.array([0.5, 0.5]), means, covs)
    assert pages.kinds(mixture, np.array([[2.4, 0.0], [3.0, 0.1], [-5.0, 0.0]])).tolist() == [0, 1, 0]
    rare = GaussianMixture(np.array([1e-6, 1 - 1e-6]), means, np.array([np.eye(2), np.eye(2)]))
    assert pages.kinds(rare, np.array([[0.5, 0.0]])).tolist() == [1]
