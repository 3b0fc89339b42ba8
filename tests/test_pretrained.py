"""Models that come with the package: small, whole, what their page says, and as good as their numbers."""

import hashlib
from pathlib import Path

import jax
import numpy as np
import pytest
from run_folders import a_run

from ddjax import cli, data, judging, metrics, targets
from ddjax.cli import settings
from ddjax.commands import sample
from ddjax.runs import exported, pretrained
from ddjax.types import Batch
from experiments.family import evaluate as rivals
from experiments.pretrain import experiment as pretrain
from experiments.two_gaussians import experiment as two_gaussians

ROOT = Path(__file__).parents[1]
NAMES = ("digits", "moons", "two_gaussians")


def test_they_are_those_that_the_command_names():
    """Mutation: a model more in the package, or a name less in the help."""
    assert pretrained.names() == NAMES
    assert all(name in sample.Config.__doc__ + Path(sample.__file__).read_text() for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_small_and_whole(name):
    """At most 2 MB; every file has its sum; the run behind it had no change that its commit does not have."""
    folder, about = pretrained.folder(name), pretrained.about(name)
    assert sum(path.stat().st_size for path in folder.iterdir()) <= pretrain.LARGEST
    sums = dict(reversed(line.split("  ")) for line in (folder / exported.SUMS).read_text().splitlines())
    assert sums == {
        file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in (exported.WEIGHTS, exported.ABOUT)
    }
    assert about["numbers"] and "+" not in about["provenance"]["commit"]


def test_the_page_is_what_the_models_say():
    """Mutation: any digit of it, or another model in the package."""
    assert (ROOT / "docs/pretrained.md").read_text() == pretrain.page()


def number(name, metric, nfe):
    rows = [judging.Number(**row) for row in pretrained.about(name)["numbers"]]
    return next(n for n in rows if (n.metric, n.nfe) == (metric, nfe) and n.churn in (None, 1.0))


@pytest.mark.parametrize("name", ["moons", "two_gaussians"])
def test_fresh_draws_are_as_good_as_the_numbers(name):
    """At 4 steps, W_1 of moons in blocks and MMD^2 of the two Gaussians, within the stored draws and 3 deviations of the floor.

    Mutations: fresh weights; a sampler of another schedule; the target not in units of its spread.
    """
    model, key = pretrained.load(name), jax.random.key(5)
    x_0 = model.sample(model.params, key, 10_000, steps=4, churn=1.0)
    if name == "moons":
        metric = rivals.distances(name)["w1 moons"]
        fresh, told = rivals.truth(name)(jax.random.key(6), 5000), number(name, "w1 moons", 4)
        found = judging.in_blocks(metric, fresh, Batch(x_0[:5000]), 5)
    else:
        told = number(name, "mmd2", 4)
        found = float(metrics.mmd(x_0, targets.two_gaussians().sample(jax.random.key(6), len(x_0))))
    assert told.low - 3 * told.floor_std < found < told.high + 3 * told.floor_std


def test_digits_are_drawn_by_class(tmp_path):
    """By the command, with the classes in turns: a nearest-mean classifier of the held-out digits knows 8 in 10 of them.

    Mutations: labels that do not reach the network; pixels in [0, 1].
    """
    sample.run(sample.Config(pretrained="digits", out=tmp_path / "a.npz", n=200, steps=4))
    drawn = np.load(tmp_path / "a.npz", allow_pickle=False)
    _, test = rivals.digits()
    labels = np.asarray(data.load("digits", "test").labels)
    means = np.stack([np.asarray(test)[labels == k].mean(0) for k in range(10)])
    distance = ((drawn["x_0"][:, None] - means[None]) ** 2).sum((2, 3, 4))
    assert (distance.argmin(1) == drawn["labels"]).mean() > 0.8


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"pretrained": "digit"}, "did you mean digits"),
        ({"pretrained": "../pretrained/digits"}, "there is no pretrained"),
    ],
)
def test_a_name_that_none_has_is_told(words, told, tmp_path):
    with pytest.raises(cli.UserError, match=told):
        sample.run(sample.Config(**words, out=tmp_path / "a.npz", n=2))
    assert not list(tmp_path.iterdir())


def test_what_does_not_belong_into_the_package_stays_out(tmp_path, monkeypatch):
    """A run that was not judged, a model that is too large: refused, and what was there is there. Mutations: the old model
    removed first; a draft left behind."""
    run, package = tmp_path / "run", tmp_path / "package"
    config = cli.parse(two_gaussians.Config, ["--width", "8", "--depth", "2", "--out", str(run)])
    a_run(run, "two_gaussians", config, two_gaussians.recipes_of(config)[:1])
    (package / "a").mkdir(parents=True)
    monkeypatch.setattr(pretrained, "FOLDER", package)
    with pytest.raises(cli.UserError, match=r"has no summary\.json"):
        pretrain.put(run, "a")
    (run / "summary.json").write_text('{"numbers": [], "provenance": {}}')
    monkeypatch.setattr(pretrain, "LARGEST", 1000)
    with pytest.raises(cli.UserError, match="bytes, of 1,000 at most"):
        pretrain.put(run, "a")
    assert [path.name for path in package.iterdir()] == ["a"] and not list((package / "a").iterdir())
    monkeypatch.setattr(pretrain, "LARGEST", 2_000_000)
    pretrain.put(run, "a")
    assert pretrained.names() == ("a",) and pretrained.load("a").recipe.network.width == 8


def test_one_source_alone(tmp_path):
    with pytest.raises(cli.UserError, match="give one of"):
        settings.check(sample.Config(pretrained="digits", exported=tmp_path))
    with pytest.raises(cli.UserError, match="--model belongs to --run"):
        settings.check(sample.Config(pretrained="digits", model="a"))
