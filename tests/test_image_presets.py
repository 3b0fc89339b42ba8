"""Presets of images: each builds what it names, gives way to flags, and trains on files in the form of its set."""

import json
import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_data_idx import words

from ddjax import cli, recipes
from ddjax.data import cifar
from ddjax.runs import classifiers
from experiments.common.images import models
from experiments.common.images import settings as image_settings
from experiments.images import experiment as images

RNG = np.random.default_rng(0)
PRESETS = ("digits", "glyphs", "photos", "mnist", "cifar10", "cifar10-dit")
SHAPES = {"digits": (8, 8, 1), "glyphs": (28, 28, 1), "mnist": (28, 28, 1)}


def of_xi(model):
    """How many numbers are trained, and how many of them where xi joins late."""
    params = jax.eval_shape(model.network.init, jax.random.key(0))
    sizes = {jax.tree_util.keystr(path): leaf.size for path, leaf in jax.tree_util.tree_leaves_with_path(params)}
    return sum(sizes.values()), sum(size for name, size in sizes.items() if "'injection'" in name)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_build_what_they_name(preset):
    """Both models of a preset, by shapes alone: xi only in DDM, equal nets beside it, labels 0..9 and none.

    Fails for a preset whose net cannot stand on its images.
    """
    config = cli.parse(images.Config, ["--preset", preset], presets=image_settings.PRESETS)
    assert config.preset == preset
    shape = SHAPES.get(preset, (32, 32, 3))
    found = models.recipes_of(config, shape, 10)
    assert [recipe.name for recipe in found] == [f"DDM beta {config.beta[0]:g}", "regression"]
    sizes = [of_xi(recipes.build(recipe)) for recipe in found]
    (ddm, xi), (regression, none) = sizes
    assert 1 <= (ddm - xi) / regression < 1.05 and xi / ddm < 0.06 and none == 0
    x, t, labels = jnp.zeros((2, *shape)), jnp.zeros(2), jnp.array([3, 10], jnp.int32)
    for recipe in found:
        params = jax.eval_shape(recipes.build(recipe).network.init, jax.random.key(0))
        out = jax.eval_shape(recipe.predictor(), params, jax.random.key(0), x, t, labels)
        assert out.shape == x.shape and out.dtype == jnp.float32
        assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))


def idx_files(folder):
    """40 training and 20 test images in the form of MNIST."""
    for name, n in (("train", 40), ("t10k", 20)):
        x, labels = RNG.integers(0, 256, (n, 28, 28), np.uint8), (np.arange(n) % 10).astype(np.uint8)
        (folder / f"{name}-images-idx3-ubyte").write_bytes(words(0x803, n, 28, 28) + x.tobytes())
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(words(0x801, n) + labels.tobytes())


def records(folder):
    """50 training and 10 test images in the form of CIFAR-10."""
    for name in (name for names in cifar.FILES.values() for name in names):
        (folder / name).write_bytes(np.c_[np.arange(10), RNG.integers(0, 256, (10, 3072))].astype(np.uint8).tobytes())


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "write", "more", "sizes"),
    [("mnist", idx_files, [], [40, 20]), ("cifar10-dit", records, ["--no-bfloat16", "--patch", "8"], [50, 10])],
)
def test_a_preset_trains_on_files_in_the_form_of_its_set(preset, write, more, sizes, tmp_path, monkeypatch):
    """From a path to the numbers. Mutations: the preset's set in place of the path; a preset's net lost."""
    monkeypatch.setattr(cifar, "RECORDS", 10)
    monkeypatch.setattr(classifiers, "trained", partial(classifiers.trained, steps=20, batch=8))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    write(tmp_path / "set")
    small = "--width 16 --depth 2 --inject 1 --population 2 --steps 2 --batch 4 --save-every 100 --samples 100 --nfe 1"
    told = ["--preset", preset, "--data", "set", "--out", "run", *small.split(), "--no-baseline", *more]
    images.run(cli.parse(images.Config, told, presets=image_settings.PRESETS))
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["settings"]["net"] == "dit" and summary["settings"]["preset"] == preset
    assert [int(re.search(r": ([0-9,]+) images", line)[1]) for line in summary["data"][:2]] == sizes
    assert {n["metric"] for n in summary["numbers"]} >= {"frechet pixels", "frechet features", "class accuracy"}


def test_explicit_flags_win_over_presets():
    words = ["--preset", "glyphs", "--net", "unet", "--width=32", "--depth", "1"]
    config = cli.parse(images.Config, words, presets=image_settings.PRESETS)
    assert (config.data, config.net, config.width, config.depth, config.steps) == ("glyphs", "unet", 32, 1, 7000)
