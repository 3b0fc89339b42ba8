"""Exports: the same samples as the live model in a process without flax, and damage or other versions told in one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jaxtyping
import numpy as np
import pytest
import safetensors.numpy
from run_folders import a_run

from ddjax import cli
from ddjax.cli import settings
from ddjax.commands import export, sample
from ddjax.runs import exported, saved
from experiments.common.images import models
from experiments.images import settings as images
from experiments.two_gaussians import experiment as two_gaussians

ROOT = Path(__file__).parents[1]
CACHED = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".jax_cache")}
ABSENT = ("flax", "optax", "orbax", "ott")
RUNS = {
    "two_gaussians": (two_gaussians.Config, two_gaussians.recipes_of, "--width 8 --depth 2 --seeds 2"),
    "images": (
        images.Config,
        lambda config: models.recipes_of(config, (8, 8, 1), 10),
        "--net dit --width 16 --depth 2 --inject 1 --no-baseline",
    ),
}


def saved_run(name, path):
    """The averaged parameters of the first model of a run folder as training leaves it."""
    make, recipes_of, words = RUNS[name]
    config = cli.parse(make, [*words.split(), "--out", str(path)])
    (_, ema), *_ = a_run(path, name, config, recipes_of(config)[:1]).values()
    return ema


@pytest.fixture(scope="module", params=RUNS)
def made(request, tmp_path_factory):
    """(folder of a run, its export, its averaged parameters)."""
    path = tmp_path_factory.mktemp(request.param)
    ema = saved_run(request.param, path / "run")
    jaxtyping.config.update("jaxtyping_disable", True)  # the checker cannot read a symbolic batch
    export.run(export.Config(path / "run", path / "export", steps=(1, 3), churn=0.5))
    jaxtyping.config.update("jaxtyping_disable", False)
    return path / "run", path / "export", ema


@pytest.fixture
def copy(made, tmp_path):
    """An export to damage."""
    (tmp_path / "export").mkdir()
    for path in made[1].iterdir():
        (tmp_path / "export" / path.name).write_bytes(path.read_bytes())
    return tmp_path / "export"


def without_flax(tmp_path, *words):
    """`ddjax sample` in a process where importing flax, an optimiser or a checkpoint reader ends it."""
    (tmp_path / "absent").mkdir(exist_ok=True)
    for name in ABSENT:
        (tmp_path / "absent" / f"{name}.py").write_text("raise SystemExit(f'{__name__} was imported')")
    (tmp_path / "absent" / "ddjax").unlink(missing_ok=True)
    (tmp_path / "absent" / "ddjax").symlink_to(ROOT / "ddjax")
    command = [sys.executable, "-m", "ddjax", "sample", *map(str, words)]
    environment = CACHED | {"PYTHONPATH": str(tmp_path / "absent")}
    return subprocess.run(
        command, cwd=tmp_path / "absent", env=environment, capture_output=True, text=True, timeout=200
    )


@pytest.mark.sampled(2)
def test_the_same_samples_as_the_live_model_without_flax(made, tmp_path):
    """7 samples in chunks of 3, of 2, and in one: equal to 1e-5 (MLP) and, sums being longer, to 1e-4 (DiT), classes in turns.

    Mutations: steps or churn of another sampler; one key for all chunks, or one for each; classes counted in each chunk.
    """
    run, folder, _ = made
    words = ["--n", "7", "--chunk", "3", "--steps", "3", "--seed", "5"]
    done = without_flax(tmp_path, "--exported", folder, *words, "--out", tmp_path / "a.npz")
    assert done.returncode == 0, done.stderr
    sample.run(sample.Config(run=run, out=tmp_path / "b.npz", n=7, chunk=50, steps=3, churn=0.5, seed=5))
    sample.run(sample.Config(run=run, out=tmp_path / "c.npz", n=7, chunk=2, steps=3, churn=0.5, seed=5))
    a, b, c = (np.load(tmp_path / f"{name}.npz", allow_pickle=False) for name in "abc")
    assert a["churn"] == b["churn"] == 0.5 and len(np.unique(b["x_0"], axis=0)) == 7
    for one in (a, c):
        np.testing.assert_allclose(one["x_0"], b["x_0"], rtol=0, atol=1e-5 if a["x_0"].ndim == 2 else 1e-4)
    if a["x_0"].ndim == 4:
        assert a["labels"].tolist() == b["labels"].tolist() == [*range(7)]
        assert a["classes"].tolist() == b["classes"].tolist() == [*"0123456789"]
        assert (tmp_path / "a.png").is_file() and abs(a["pixels"].astype(int) - b["pixels"]).max() <= 1


@pytest.fixture
def archive(made, tmp_path):
    """An export without samplers, beside its run."""
    export.run(export.Config(made[0], tmp_path / "archive", steps=()))
    return made[0], tmp_path / "archive"


@pytest.mark.sampled(2)
def test_weights_and_settings_alone_draw_as_the_run_does(archive, tmp_path):
    """In a number of steps that nobody exported, bit for bit. Mutations: fresh weights, another model of the run."""
    run, folder = archive
    assert {path.name for path in folder.iterdir()} == {exported.ABOUT, exported.WEIGHTS, exported.SUMS}
    for name, source in (("a", {"exported": folder}), ("b", {"run": run})):
        sample.run(sample.Config(**source, out=tmp_path / f"{name}.npz", n=7, steps=2, churn=0.5, seed=5))
    a, b = (np.load(tmp_path / f"{name}.npz", allow_pickle=False) for name in "ab")
    assert set(a.files) == set(b.files)
    for entry in a.files:
        np.testing.assert_array_equal(a[entry], b[entry])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"model": "nobody"}, "this run has the models"),
        ({"run": {}}, "keeps no recipes"),
        ({"run": {"models": [{"name": "a", "speed": 3}], "seeds": 1}}, "cannot build .*no entry 'speed'"),
        ({"run": {"models": [], "seeds": 1}, "model": "a"}, "this run has the models"),
        ({"run": 3}, "not the settings of a run: a mapping is wanted"),
        ({"run": {"models": [], "seeds": 999_999_999}}, r"not the settings of a run: seeds must lie in \[1, 1000\]"),
        (None, "cannot build .*another network"),
    ],
)
def test_an_archive_that_cannot_be_built_is_told(archive, damage, message):
    """Sealed anew: another job, no recipes, a recipe of another version, weights of another network."""
    _, folder = archive
    if damage is None:
        arrays = safetensors.numpy.load_file(folder / exported.WEIGHTS)
        safetensors.numpy.save_file({f"{name}.": array for name, array in arrays.items()}, folder / exported.WEIGHTS)
    else:
        about = json.loads((folder / exported.ABOUT).read_text()) | damage
        (folder / exported.ABOUT).write_text(json.dumps(about))
    (folder / exported.SUMS).unlink()
    exported.seal(folder)
    with pytest.raises(cli.UserError, match=message):
        saved.of_export(folder)


def test_weights_are_the_averaged_parameters_bit_for_bit(made):
    """Mutation: the parameters of the last step instead of the average."""
    _, folder, ema = made
    arrays = safetensors.numpy.load_file(folder / exported.WEIGHTS)
    assert sorted(array.tobytes() for array in arrays.values()) == sorted(
        np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(ema)
    )


def test_samplers_are_lowered_for_every_platform_and_any_batch(made):
    about = json.loads((made[1] / exported.ABOUT).read_text())
    sampler = exported.read(made[1], about, 3)
    assert sampler.platforms == export.PLATFORMS
    assert str(sampler.out_avals[0].shape[0]) == "b" and sampler.out_avals[0].shape[1:] == tuple(about["shape"])


def drawn(folder, **settings):
    return exported.draw(folder, 2, steps=3, **settings)


def test_a_flipped_byte_or_a_cut_in_any_file_is_told(copy):
    """Each file in turn, the checksums included. Mutations: SHA256SUMS trusted for what it does not list; a file left out."""
    for path in sorted(copy.iterdir()):
        whole = path.read_bytes()
        middle = len(whole) // 2
        for damaged in (whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :], whole[:-3], b""):
            path.write_bytes(damaged)
            with pytest.raises(cli.UserError, match="truncated or altered"):
                drawn(copy)
        path.unlink()
        with pytest.raises(cli.UserError, match=r"truncated or altered|not an export"):
            drawn(copy)
        path.write_bytes(whole)
    (copy / "stray").write_text("?")
    with pytest.raises(cli.UserError, match="stray is not what was exported"):
        drawn(copy)


@pytest.mark.parametrize("newer", ["calling convention", "unreadable program"])
def test_an_export_of_a_newer_jax_is_told(copy, newer):
    """Sealed anew, so that only the version is at fault: both versions are named."""
    about = json.loads((copy / exported.ABOUT).read_text()) | {"jax": "99.1.0"}
    if newer == "calling convention":
        about["calling_convention"] += 1
    else:
        (copy / exported.sampler_file(3)).write_bytes(b"a program of another century")
    (copy / exported.ABOUT).write_text(json.dumps(about))
    (copy / exported.SUMS).unlink()
    exported.seal(copy)
    with pytest.raises(cli.UserError, match=f"exported by JAX 99.1.0, this is JAX {jax.__version__}"):
        drawn(copy)


def test_an_export_draws_by_the_kind_of_key_that_it_was_made_with(copy):
    """Whatever this process has for its own. Mutation: `jax.random.key(seed)`."""
    _, wanted = exported.draw(copy, 5, steps=3)
    with jax.default_prng_impl("rbg"):
        _, found = exported.draw(copy, 5, steps=3)
    np.testing.assert_array_equal(found, wanted)
    about = json.loads((copy / exported.ABOUT).read_text())
    assert about["key"] == "threefry2x32"
    for key, words in (
        ("dice", "random keys of 'dice', which this JAX does not have"),
        (1, "says no kind of random key"),
    ):
        (copy / exported.ABOUT).write_text(json.dumps(about | {"key": key}))
        told(copy, words, copy.name)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"steps": 3}, "says no steps"),
        ({"steps": ["3"]}, "says no steps"),
        ({"shape": [2.5]}, "says no shape"),
        ({"shape": [7]}, r"does not give samples of the shape \[7\]"),
        ({"churn": "1"}, "says no churn"),
        ({"churn": True}, "says no churn"),
        ({"calling_convention": None}, "says no calling_convention"),
        ({"jax": 1}, "says no jax"),
        ({"classes": [1]}, "says no names of classes"),
        ("[]", "must hold"),
        ("[" * 100_000, "cannot read"),
        ("", "cannot read"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_settings_of_an_export_are_looked_at(copy, what, message):
    """Sealed anew. Fails for a KeyError, a TypeError, a RecursionError, or samples of another shape."""
    file = copy / exported.ABOUT
    file.write_text(what if isinstance(what, str) else json.dumps(json.loads(file.read_text()) | what))
    told(copy, message, file.name)


def told(folder, message, name):
    (folder / exported.SUMS).unlink()
    exported.seal(folder)
    with pytest.raises(cli.UserError, match=message) as caught:
        drawn(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700 and str(folder) in str(caught.value)


def test_weights_and_programs_of_an_export_are_looked_at(copy, made):
    """Sealed anew: other names, shapes or dtypes, NaN, bytes that are no program."""
    file, program = copy / exported.WEIGHTS, copy / exported.sampler_file(3)
    whole, arrays = file.read_bytes(), safetensors.numpy.load_file(file)
    name = min(arrays)
    for damaged, message in (
        ({"other": arrays[name]}, "cannot be run"),
        (arrays | {name: arrays[name][:1]}, "cannot be run"),
        (arrays | {name: arrays[name].astype(np.float16)}, "cannot be run"),
        (arrays | {name: arrays[name] * np.nan}, f"not finite in '{name}'"),
    ):
        safetensors.numpy.save_file(damaged, file)
        told(copy, message, file.name)
    file.write_bytes(whole.replace(b'"F32"', b'"F4" '))
    told(copy, "cannot read", file.name)
    file.write_bytes(whole)
    for content in (b"", b"x", file.read_bytes()):
        program.write_bytes(content)
        told(copy, "cannot (read|be run)", program.name)


def test_what_is_no_folder_of_an_export_is_told(copy, tmp_path):
    """A pipe or a folder for a file, a link to itself, a file for the folder. Fails by waiting."""
    for make in (os.mkfifo, os.mkdir, lambda path: os.symlink(path, path)):
        for name in (exported.SUMS, exported.ABOUT):
            content = (copy / name).read_bytes()
            (copy / name).unlink()
            make(copy / name)
            with pytest.raises(cli.UserError, match=r"is not an export|truncated or altered"):
                drawn(copy)
            os.rmdir(copy / name) if make is os.mkdir else (copy / name).unlink()
            (copy / name).write_bytes(content)
    with pytest.raises(cli.UserError, match="is not an export"):
        drawn(copy / exported.ABOUT)


def test_a_sampler_of_an_earlier_version_is_refused(copy):
    """One that draws a chunk from one key would give the same samples in every chunk. Mutation: no look at its call."""
    about = json.loads((copy / exported.ABOUT).read_text())
    del about["call"]
    (copy / exported.ABOUT).write_text(json.dumps(about))
    told(copy, "samples depend on --chunk: export again", "")


def test_mistakes_are_told(made, tmp_path):
    """Other steps or churn than exported, no export at all, a used --out, another model."""
    run, folder, _ = made
    with pytest.raises(cli.UserError, match="exported for --steps 1, 3, got 4"):
        exported.draw(folder, 2, steps=4)
    with pytest.raises(cli.UserError, match=r"exported for --churn 0\.5, got 1"):
        drawn(folder, churn=1.0)
    with pytest.raises(cli.UserError, match="is not an export"):
        drawn(tmp_path)
    with pytest.raises(cli.UserError, match="give one of --run, --exported and --pretrained"):
        settings.check(sample.Config(run=run, exported=folder))
    with pytest.raises(cli.UserError, match="already exists"):
        export.run(export.Config(run, folder))
    with pytest.raises(cli.UserError, match="this run has the models"):
        export.run(export.Config(run, tmp_path / "other", model="nobody"))
    with pytest.raises(cli.UserError, match=r"--steps must lie in \[1, 10000\], got 0"):
        settings.check(export.Config(run, tmp_path / "other", steps=(0,)))
    assert not (tmp_path / "other").exists()
