"""Exports of every kind of run: flows and DDM of two moons, and the UNet, against the live model and against other samplers."""

import jax
import jaxtyping
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from run_folders import a_run

from ddjax import cli, recipes
from ddjax.commands import export, sample
from ddjax.runs import exported, saved
from experiments.common.images import models
from experiments.images import experiment as images
from experiments.two_moons import experiment as two_moons

MOONS = "--seeds 1 --exp 3 4 ddm --width 8 --depth 2 --guidance 3 1"
UNET = "--net unet --width 8 --depth 1 --inject 1 --no-baseline --guidance 2"


@pytest.fixture
def symbolic():
    """The type checker cannot read a symbolic batch."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def two_moons_run(tmp_path_factory):
    path = tmp_path_factory.mktemp("moons") / "run"
    config = cli.parse(two_moons.Config, [*MOONS.split(), "--out", str(path)])
    return path, a_run(path, "two_moons", config, two_moons.recipes_of(config))


def live(path, model, **settings):
    """The churn, and 8 samples."""
    return sample.live(sample.Config(run=path, n=8, steps=3, seed=5, **settings), saved.load(path, model))


def keys():
    """Those of the 8 samples."""
    return [jax.random.fold_in(jax.random.key(5), i) for i in range(8)]


@pytest.mark.parametrize("job", ["3-ot-coupling-seed0", "4-class-aware-ot-seed0", "ddm-seed0"])
def test_samples_of_two_moons_are_those_of_the_page_and_of_their_export(two_moons_run, job, tmp_path, symbolic):
    """The recipe's own draw, which judges the models, at the first guidance weight with classes in turns; and the export.

    Mutations: a flow by the bridge; the second guidance weight; labels left out; Euler from another prior.
    """
    path, found = two_moons_run
    recipe, ema = found[job]
    churn, x_0 = live(path, job)
    assert churn == (1.0 if job.startswith("ddm") else 0.0)
    draw, guidance = recipes.build(recipe).draw, 3.0 if recipe.classes else 1.0
    conds = [np.array([i % 2], np.int32) if recipe.classes else None for i in range(8)]
    page = [
        draw(ema, key, 1, steps=3, cond=cond, guidance=guidance)[0] for key, cond in zip(keys(), conds, strict=True)
    ]
    close(x_0, page, atol=1e-5)
    export.run(export.Config(path, tmp_path / "export", steps=(3,), model=job))
    told, drawn = exported.draw(tmp_path / "export", 8, steps=3, seed=5)
    assert told == churn
    close(drawn, x_0, atol=1e-5)


def test_mistakes_with_two_moons_are_told(two_moons_run, tmp_path):
    """A job that does not exist, with those that do; noise for a flow; a run that cannot be sampled."""
    path, _ = two_moons_run
    with pytest.raises(
        cli.UserError, match=r"this run has the models 3-ot-coupling-seed0, 4-independent-seed0, .*got 'nobody'"
    ):
        sample.run(sample.Config(run=path, model="nobody"))
    with pytest.raises(cli.UserError, match=r"this run has the models .*got 'nobody'"):
        export.run(export.Config(path, tmp_path / "export", model="nobody"))
    with pytest.raises(cli.UserError, match=r"follows its velocity without noise: leave --churn out, got 0\.5"):
        export.run(export.Config(path, tmp_path / "export", churn=0.5))
    assert not (tmp_path / "export").exists()
    (tmp_path / "config.yaml").write_text("experiment: conditional_ot\n")
    with pytest.raises(cli.UserError, match="keeps no recipes of its models"):
        sample.run(sample.Config(run=tmp_path))


@pytest.mark.exhaustive
@pytest.mark.slow
def test_an_exported_unet_differs_from_the_live_one_by_rounding_alone(tmp_path, symbolic):
    """Another program of the same function: no further away than 5 times what half a unit in the last place of every weight
    moves the live samples. A step or a draw that differs costs 1e-2 and more.

    Mutations: steps, churn or guidance of another sampler; the null label for the class.
    """
    path = tmp_path / "run"
    config = cli.parse(images.Config, [*UNET.split(), "--out", str(path)])
    a_run(path, "images", config, models.recipes_of(config, (8, 8, 1), 10))
    _, x_0 = live(path, None, churn=0.5)
    export.run(export.Config(path, tmp_path / "export", steps=(3,), churn=0.5))
    _, drawn = exported.draw(tmp_path / "export", 8, steps=3, seed=5)

    trained, signs = saved.load(path, None), np.random.default_rng(3)
    moved = jax.tree.map(
        lambda leaf: (leaf * (1 + 6e-8 * signs.choice([-1.0, 1.0], leaf.shape))).astype(np.float32), trained.params
    )
    _, off = sample.live(sample.Config(run=path, n=8, steps=3, seed=5, churn=0.5), trained._replace(params=moved))
    rounding = np.abs(off - x_0).max()
    assert 0 < rounding < 2e-4
    close(drawn, x_0, rtol=0, atol=5 * rounding)
