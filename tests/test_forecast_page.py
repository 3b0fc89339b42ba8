"""docs/forecast.md says what the stored run says, and the study's forecasts obey their equation and their law."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close

from ddjax import judging
from experiments.forecast import evaluate as judges
from experiments.forecast import experiment as forecast
from experiments.forecast import report as pages

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/forecast.md").read_text()
PROSE = " ".join(PAGE.split())
STORED = json.loads((ROOT / "docs/results/forecast.json").read_text())
EXCESSES = STORED["excesses"]
TOLD = {
    name: {ensemble: pages.errors(row[ensemble]) for ensemble in judges.ENSEMBLES} for name, row in EXCESSES.items()
}


def test_the_table_is_the_stored_run():
    """Mutation: any digit of either."""
    assert judging.markdown(pages.HEADS, pages.lines(EXCESSES)) in PAGE
    assert STORED["provenance"]["command"] == "python -m experiments.forecast"
    assert STORED["provenance"]["command"] in PROSE and f"in {STORED['seconds']['total']:.0f} s on one" in PROSE
    settings = STORED["settings"]
    assert f"{settings['n']} forecasts of {settings['members']} draws on {judges.SIDE} x {judges.SIDE} pixels" in PROSE
    assert list(EXCESSES) == list(judges.RULES)


def test_what_the_page_says_of_the_table():
    """The true law is noise; the CRPS does not see correlations, maps do; every rule sees the rest, by the text's figures."""
    crps, whole, patches, blocks, slopes, waves, both = TOLD.values()
    assert all(abs(row[judges.TRUE]) < 3 for row in TOLD.values())
    assert abs(crps["independent pixels"]) < 3 and crps["shuffled"] == 0
    assert all(min(row[name] for name in ("narrow", "displaced", "smoothed")) > 4 for row in TOLD.values())
    told = [row["independent pixels"] for row in (whole, patches, blocks, slopes, waves)]
    assert "{:.1f} standard errors for independent pixels, {:.1f} with".format(*told) in PROSE
    assert "block means {:.1f}, differences {:.1f}, one norm for each wavenumber {:.1f}".format(*told[2:]) in PROSE
    assert max(told[:2]) < 4 < min(told[2:])
    assert f"{waves['smoothed']:.1f} against {crps['smoothed']:.1f}" in PROSE
    assert f"keeps {both['narrow']:.1f} for the narrow and {both['displaced']:.1f} for the displaced" in PROSE
    assert f"where the CRPS has {crps['narrow']:.1f} and {crps['displaced']:.1f}" in PROSE


def test_the_example_of_the_page_runs():
    """Its rule, on one forecast. Mutation: a name that is not there."""
    code = PAGE.split("```python\n")[1].split("```")[0]
    names = {}
    exec(code, names)
    terms = names["rule"](jnp.ones((2, 4, 4, 1)), jnp.zeros((4, 4, 1)))
    assert np.isfinite(terms.score) and terms.score > 0


def test_a_wave_is_carried_and_decays(x64):
    """cos(k . x) becomes exp(-nu |k|^2 T) cos(k . (x - c T)). Mutation: the wind's sign, or its axes exchanged."""
    places = 2 * np.pi * np.arange(judges.SIDE) / judges.SIDE
    x, y = np.meshgrid(places, places, indexing="ij")
    k, wind = (2, 3), np.array([0.7, -0.3], np.float32)
    found = judges.moved(jnp.fft.rfft2(jnp.asarray(np.cos(k[0] * x + k[1] * y), jnp.float32)), jnp.asarray(wind))
    phase = k[0] * (x - wind[0] * judges.HORIZON) + k[1] * (y - wind[1] * judges.HORIZON)
    decay = np.exp(-judges.VISCOSITY * 13 * judges.HORIZON)
    close(found[..., 0], decay * np.cos(phase), atol=2e-6)


def test_ensembles_have_the_laws_that_they_are_called_by():
    """Fields of variance 1; shuffled draws hold the same numbers at each place; independent pixels have the variance of
    the true law and no correlation of neighbours. Mutation: fields normalised without the doubled columns.
    """
    fields = jnp.fft.irfft2(jax.vmap(lambda key: judges.waves(key, 3.0))(jax.random.split(jax.random.key(0), 400)))
    assert np.asarray(fields).std() == pytest.approx(1, abs=0.02)
    assert np.asarray(fields[:, 3, 5] ** 2).mean() == pytest.approx(1, abs=0.3)
    _, draws, others = jax.jit(lambda key: judges.forecast(key, 24))(jax.random.key(1))
    close(np.sort(others["shuffled"], 0), np.sort(draws, 0))
    true, apart = (np.asarray(part) - np.asarray(part).mean(0) for part in (draws, others["independent pixels"]))
    assert apart.std() == pytest.approx(true.std(), rel=0.15)
    correlation = lambda part: (part[:, 1:] * part[:, :-1]).mean() / part.var()  # noqa: E731
    assert correlation(true) > 0.5 and abs(correlation(apart)) < 0.05
    narrow, smooth = (np.asarray(others[name]) - np.asarray(others[name]).mean(0) for name in ("narrow", "smoothed"))
    assert narrow.std() / true.std() == pytest.approx(0.8, abs=0.03) and smooth.std() < true.std()


@pytest.mark.parametrize("off", [0.0, 5.0])
def test_the_study_runs_to_its_end(tmp_path, monkeypatch, capsys, off):
    """With the stored numbers, files and table; and exit 1 where the true law differs from itself. Mutation: another limit."""
    wrong = {judges.TRUE: [off, 1.0, 1.0]}
    monkeypatch.setattr(judges, "excesses", lambda n, m: {name: row | wrong for name, row in EXCESSES.items()})
    config = forecast.Config(out=tmp_path / "out")
    if off:
        with pytest.raises(SystemExit, match=r"differs from itself by 5\.0"):
            forecast.run(config)
    else:
        forecast.run(config)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"summary.json", "report.html"}
    assert "| energy of each wavenumber" in capsys.readouterr().out


def test_excesses_are_of_the_named_ensembles():
    """A few forecasts end to end: the CRPS of shuffled draws is that of the true ones, to rounding; all numbers finite."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judges, "RULES", {"CRPS": judges.CRPS})
        (row,) = judges.excesses(4, 3).values()
    assert set(row) == set(judges.ENSEMBLES)
    mean, _, score = row["shuffled"]
    assert abs(mean) < 1e-6 * score and np.isfinite(list(row.values())).all()
