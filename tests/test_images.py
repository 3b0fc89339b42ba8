"""Image experiments: samples meet their labels, numbers are against the held-out set, mistakes cost a line."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from PIL import Image
from test_experiments import CACHED, OPTIMISED, ROOT, command

from ddjax import cli, data, metrics
from ddjax.types import Batch
from experiments.benchmark import stream_timing
from experiments.common.images import evaluate as judging
from experiments.common.images import models, spaces
from experiments.common.images.settings import PRESETS
from experiments.images import checks
from experiments.images import experiment as images
from experiments.images.settings import presumed
from experiments.train_classifier import experiment as train_classifier


@pytest.fixture(scope="module")
def digits():
    """Both splits."""
    return tuple(data.load("digits", split) for split in ("train", "test"))


def test_samples_take_the_classes_of_the_training_set(digits):
    """Shares of 20,000 labels within 4 standard errors of the training set's. Fails for classes in turns of another law."""
    train = dataclasses.replace(digits[0], labels=np.where(digits[0].labels < 5, 0, digits[0].labels))
    drawn = judging.labels_like(train, jax.random.key(0), 20_000)
    wanted = np.bincount(train.labels, minlength=10) / len(train.labels)
    error = np.abs(np.bincount(drawn, minlength=10) / 20_000 - wanted)
    assert (error <= 4 * np.sqrt(wanted * (1 - wanted) / 20_000)).all()


def test_the_held_out_set_is_at_distance_0_from_itself_and_the_training_set_is_the_floor(digits):
    """Fails for numbers against the training set, or a floor of other points."""
    train, test = digits
    where = [judging.space("pixels", judging.pixels, train, test)]
    reference = metrics.Statistics.of(judging.by_chunks(judging.pixels, train.x))
    as_samples = lambda images: Batch(data.to_float(jnp.asarray(images.x)), images.labels)  # noqa: E731
    classify = lambda x: np.zeros(len(x), np.int32)  # noqa: E731
    judges = judging.Judges(where, classify, (judging.pixels, reference))
    found = judging.judge(as_samples(test), judges)
    close(found["frechet pixels"], 0, atol=1e-6)
    assert found["memorisation pixels"] == 1 and found["coverage pixels"] == 1
    close(found["class accuracy"], np.mean(test.labels == 0))
    floors = judging.floors(judges, train, test, len(train))
    copies = judging.judge(as_samples(train), judges._replace(classify=None))
    close([floors["FID"], found["FID"], copies["FID"]], [floors["frechet pixels"]] * 2 + [0], rtol=1e-6, atol=1e-6)
    close(floors["frechet pixels"], copies["frechet pixels"], rtol=1e-9)
    assert copies["memorisation pixels"] == 0 and "class accuracy" not in copies


SMALL = "--width 32 --depth 3 --inject 1 --steps 200 --save-every 100 --batch 32 --population 2 --samples 200 --nfe 1 2"


@pytest.mark.slow
def test_a_small_run_writes_all_that_it_promises(tmp_path):
    """Every file, figures embedded, numbers in pixels and features with their protocol, hashes of both splits."""
    words = [*SMALL.split(), "--out", str(tmp_path / "run")]
    result = subprocess.run(
        command("images", *words), cwd=ROOT, capture_output=True, text=True, timeout=400, env=OPTIMISED
    )
    assert result.returncode == 0, result.stderr
    written = {path.name for path in (tmp_path / "run").iterdir()}
    wanted = {"samples.png", "posterior-ddm-beta-0.1.png", "losses.png", "frechet-pixels.png"}
    assert wanted | {"report.html", "while-training-ddm-beta-0.1.png", "frechet-features.png"} <= written
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert {"frechet pixels", "frechet features", "class accuracy"} <= {n["metric"] for n in summary["numbers"]}
    assert summary["digest"]["train"] == data.load("digits", "train").digest
    assert "200 held-out" in summary["protocol"] and "no resize" in summary["protocol"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count("data:image/png") == len(wanted | {"frechet-features.png"})
    words = ["--run", str(tmp_path / "run"), "--n", "20", "--steps", "2", "--out", str(tmp_path / "samples.npz")]
    assert subprocess.run(command("sample", *words), cwd=ROOT, capture_output=True, env=CACHED).returncode == 0
    drawn = np.load(tmp_path / "samples.npz")
    assert drawn["x_0"].shape == drawn["pixels"].shape == (20, 8, 8, 1) and (tmp_path / "samples.png").is_file()
    assert drawn["labels"].tolist() == [*range(10)] * 2 and drawn["classes"].tolist() == summary["classes"]
    assert "classes:" in (tmp_path / "run" / "config.yaml").read_text()


SMALLER = "--width 16 --depth 3 --inject 1 --steps 200 --save-every 100 --batch 16 --population 2 --samples 100 --nfe 1"


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_folder_streams_through_a_run_that_is_killed(tmp_path, digits):
    """600 files, none of them resident: SIGKILL after the first checkpoint, and --resume ends with the whole run's bytes.

    It says which way the batches go, and refuses to go on with other data than it began with. Mutations: the place of the
    stream is not set; the folder is read at once.
    """
    for i, x in enumerate(digits[0].x[:600, ..., 0]):
        (tmp_path / "set").mkdir(exist_ok=True)
        Image.fromarray(x).save(tmp_path / "set" / f"{i:03}.png")

    def start(out, *more):
        words = [*SMALLER.split(), "--no-baseline", *more, "--data", tmp_path / "set", "--out", tmp_path / out]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command("images", *words), cwd=ROOT, env=CACHED, text=True, **pipes)

    def ended(process):
        told, errors = process.communicate(timeout=300)
        return process.returncode, told, errors

    last = {name: tmp_path / name / "checkpoints" / "ddm-beta-0.1-seed0" for name in ("whole", "cut")}
    code, told, errors = ended(start("whole", "--resident", "0"))
    assert code == 0 and "0.0 MiB of training pixels are streamed through Grain (--resident 0)" in told, errors
    killed = start("cut", "--resident", "0")
    while not (last["cut"] / "100" / "manifest.json").is_file() and killed.poll() is None:
        time.sleep(0.005)
    killed.kill()
    killed.communicate()
    assert not (last["cut"] / "200").exists()
    code, _, errors = ended(start("cut", "--resume"))
    assert code == 2 and "resident (0 there, 1024 now)" in errors
    assert ended(start("cut", "--resident", "0", "--resume"))[0] == 0
    for name in ("default/float32/0", "default/int32/0", "stream.json"):
        whole, cut = ((folder / "200" / name).read_bytes() for folder in last.values())
        assert whole == cut, name


@pytest.mark.slow
def test_the_clock_of_streams_tells_all_three_ways(capsys):
    """Each way its row, and resident batches at ratio 1 to themselves. Fails for rounds divided by another's."""
    stream_timing.run(stream_timing.Config(width=16, steps=16, rounds=1))
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0].removeprefix("| ").strip() for row in rows] == [
        "resident",
        "resident, steps dispatched one by one",
        "streamed",
    ]
    assert rows[0][2].startswith("1.00 (1.00 to 1.00)") and all(float(row[1]) > 0 for row in rows)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--resident -1", "--resident must be at least 0, got -1"),
        ("--score-patch 9", "score_patch 9 is larger than the images, (8, 8, 1)"),
        ("--vary score_patch=9", "score_patch 9 is larger than the images, (8, 8, 1)"),
        ("--net dit --patch 3", "--patch 3 does not tile the images: images are 8 x 8, which patches of 1, 2, 4, 8 do"),
        ("--batch 30 --accumulate 4", "--accumulate 4 does not divide --batch 30"),
        ("--save-every 300 --log-every 200", "--log-every 200 does not divide --save-every 300"),
        ("--other-decays .9 .999", "--other-decays differ from each other and from --ema-decay 0.999"),
        ("--preset imagenet", "--preset"),
        ("--preset mnist", "ddjax fetch mnist"),
        ("--data /proc/nowhere", "/proc/nowhere is neither a file, a folder, nor one of digits"),
        ("--preset cifar10", "ddjax fetch cifar10"),
        ("--population 1", "--population must be at least 2 when lam > 0, got 1"),
        ("--dropout 2", "--dropout must lie in [0, 1], got 2.0"),
        ("--samples 3", "--samples must be at least 100, got 3"),
        ("--inject 9", "got inject=9"),
        ("--inception nowhere.safetensors", "--inception nowhere.safetensors is not a file"),
        ("--net dit --patch 2 --overlap 3", "--overlap 3 is larger than the tokens: --patch 2"),
        ("--preset glyphs --patch 5", "--patch 5 does not tile the images: images are 28 x 28"),
        ("--hold-out 5", "--hold-out 5 has no effect: digits has test images of its own"),
        ("--image-size 8", "--image-size 8 has no effect: digits is not a folder of image files"),
        ("--follow-links", "--follow-links has no effect: digits is not a folder of image files"),
        ("--skip-unreadable", "--skip-unreadable has no effect: digits is not a folder of image files"),
    ],
)
def test_mistakes_cost_one_line_and_nothing_is_left(words, message, tmp_path, tmp_path_factory, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DDJAX_CACHE", str(tmp_path_factory.getbasetemp() / "images"))
    monkeypatch.setattr(sys, "argv", ["images", *words.split()])
    with pytest.raises(SystemExit) as stop:
        cli.main(images.Config, images.run, presets=PRESETS)
    assert stop.value.code == 2 and message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def grey_files(folder, n, side=8, first=0):
    """n images, each of its own."""
    folder.mkdir(parents=True)
    for i in range(first, first + n):
        Image.fromarray(np.full((side, side), i, np.uint8)).save(folder / f"{i}.png")


def sets(home):
    """Sets of a user's own that no run can train on and judge, and the set of each message."""
    grey_files(home / "45", 45)
    grey_files(home / "6", 6)
    grey_files(home / "sizes", 40)
    Image.new("L", (9, 8)).save(home / "sizes" / "z.png")
    grey_files(home / "bad", 60)
    for name in ("a", "b"):
        (home / "bad" / f"{name}.png").write_text("text")
    for folder, n in (("train/ant", 9), ("train/bee", 9), ("test/ant", 9), ("test/cow", 9)):
        grey_files(home / "cow" / folder, n)
    x, y = np.zeros((60, 8, 8), np.uint8), np.arange(60) % 2
    np.savez(home / "odd.npz", x=x, labels=y / 2)
    np.savez(home / "one.npz", x=x, labels=y * 0)
    return home


MISTAKES = (
    ("--data {home}/45", "needs at least 6 held-out images, got 5", "--hold-out 8"),
    ("--data {home}/6 --hold-out 2", "needs at least 6 held-out images, got 3", "give more in --data"),
    ("--data {home}/45 --hold-out 1", "--hold-out must be at least 2, got 1",),
    ("--data {home}/sizes", "z.png is 9 x 8", "--image-size"),
    ("--data {home}/bad", "a.png", "b.png", "--skip-unreadable"),
    ("--data {home}/cow", "classes without a training image: 'cow'"),
    ("--data {home}/odd.npz", "odd.npz: labels must be whole numbers"),
    ("--data {home}/bad --skip-unreadable --resident 0 --batch 99", "--batch must be at most the 54 images"),
    ("--inception {home}/odd.npz", "it is no safetensors file"),
)  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*classes without a (training|test) image")
@pytest.mark.parametrize("mistake", MISTAKES, ids=[words for words, *_ in MISTAKES])
def test_what_no_run_can_be_judged_with_is_told_before_it_trains(mistake, tmp_path_factory, monkeypatch, capsys):
    """By the flag that helps, with nothing left behind. Mutations: any check after `open_run`; the library's word for a flag."""
    home = tmp_path_factory.getbasetemp() / "mistakes"
    home.exists() or (home.mkdir() or sets(home))
    words, *told = mistake
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    monkeypatch.setattr(sys, "argv", ["images", *words.format(home=home).split()])
    with pytest.raises(SystemExit) as stop:
        cli.main(images.Config, images.run, presets=PRESETS)
    errors = capsys.readouterr().err
    assert stop.value.code == 2 and all(part in errors for part in told) and errors.count("\n") == 1
    assert "size=" not in errors and "skip_unreadable" not in errors
    assert not os.listdir()


SIZES = {
    "8 x 8": ((8, 8), {"preset": "digits", "net": "mlp", "score_patch": 3}),
    "2 x 9": ((2, 9), {"preset": "digits", "net": "mlp", "score_patch": 2}),
    "28 x 28": ((28, 28), {"preset": "glyphs", "net": "dit", "patch": 7, "overlap": 3, "score_patch": 7}),
    "32 x 32": ((32, 32), {"preset": "photos", "net": "dit", "patch": 8, "overlap": 4, "score_scales": (2, 4, 8, 16)}),
    "48 x 48": ((48, 48), {"preset": "photos", "net": "dit", "patch": 8, "overlap": 4, "score_scales": (2, 4, 8, 16)}),
    "50 x 40": ((50, 40), {"preset": "photos", "net": "dit", "patch": 10, "overlap": 5, "score_scales": (2,)}),
    "31 x 37": ((31, 37), {"preset": "photos", "net": "dit", "patch": 1, "overlap": 0, "score_scales": ()}),
}


@pytest.mark.parametrize("name", SIZES)
def test_settings_of_own_images_follow_from_their_size(name, tmp_path, monkeypatch):
    """From arrays and from files, before any is decoded; flags, files of settings and a named preset win; recipes fit.

    Mutations: the settings of digits for all; tokens that do not tile; settings by size over a flag.
    """
    (height, width), wanted = SIZES[name]
    grey_files(tmp_path / "set", 12)
    for file in (tmp_path / "set").iterdir():
        Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(file)
    np.savez(tmp_path / "set.npz", x=np.zeros((12, height, width, 3), np.uint8))
    read = lambda *words: cli.parse(images.Config, words, presets=PRESETS, presumed=presumed)  # noqa: E731
    of_arrays = read("--data", str(tmp_path / "set.npz"))
    monkeypatch.setattr(data.folders.image_files, "decode", None)
    found = read("--data", str(tmp_path / "set"))
    assert dataclasses.replace(found, data=of_arrays.data) == of_arrays
    assert {key: getattr(found, key) for key in wanted} == wanted
    assert models.recipes_of(found, (height, width, 3), 0)
    assert f"images of {height} x {width}: --net {wanted['net']} " in checks.chosen(found, (height, width, 3))
    assert read("--data", str(tmp_path / "set"), "--net", "unet", "--batch", "3").net == "unet"
    assert read("--data", str(tmp_path / "set"), "--preset", "digits").net == "mlp"
    (tmp_path / "a.yaml").write_text("net: mlp")
    assert read("--data", str(tmp_path / "set"), "--config", str(tmp_path / "a.yaml")).net == "mlp"


@pytest.mark.parametrize("name", ["digits", "glyphs", "photos"])
def test_a_set_of_the_package_has_its_own_settings(name):
    """By its name alone, as with the preset; nothing is read. Mutation: those of digits for all."""
    read = lambda *words: cli.parse(images.Config, words, presets=PRESETS, presumed=presumed)  # noqa: E731
    assert read("--data", name) == read("--preset", name)


def test_advice_on_what_to_hold_out_is_followed(tmp_path):
    """With the share that the message names, as few as 12 images can be judged. Mutation: one in so many too many."""
    for n in (12, 13, 45, 50):
        grey_files(tmp_path / f"{n}", n)
        config = cli.parse(images.Config, ["--data", str(tmp_path / f"{n}")])
        loaded = checks.feeds.load(config)
        with pytest.raises(cli.UserError, match=f"hold out more of these with --hold-out {(n - 1) // 5}"):
            checks.require_judgeable(*loaded, config)
        config = dataclasses.replace(config, hold_out=(n - 1) // 5)
        checks.require_judgeable(*checks.feeds.load(config), config)


@pytest.mark.parametrize(
    ("capability", "bfloat16", "refused"), [("7.5", True, True), ("8.0", True, False), ("7.5", False, False)]
)
def test_a_gpu_without_bfloat16_is_told(capability, bfloat16, refused):
    """Before anything is loaded, with the flag that helps; a CPU has no such number. Mutations: the other way round; strings."""
    device = SimpleNamespace(compute_capability=capability, device_kind="Tesla T4")
    with pytest.raises(cli.UserError, match=r"T4 .*--no-bfloat16") if refused else contextlib.nullcontext():
        checks.require_bfloat16(images.Config(bfloat16=bfloat16), device)
    checks.require_bfloat16(images.Config(bfloat16=True), SimpleNamespace(device_kind="cpu"))


def test_held_out_copies_of_training_images_are_counted(tmp_path, digits):
    config = cli.parse(images.Config, [])
    assert checks.copies(*digits, config) == ""
    train, test = (part.x[:20] for part in digits)
    np.savez(tmp_path / "a.npz", x_train=train, x_test=np.concatenate([test, train[3:5]]))
    copied = tuple(data.load(tmp_path / "a.npz", split) for split in ("train", "test"))
    assert checks.copies(*copied, config).startswith("2 of 22 held-out images are copies")


def test_a_classifier_of_one_class_is_refused_in_a_line(tmp_path):
    np.savez(tmp_path / "one.npz", x=np.zeros((60, 8, 8), np.uint8), y=np.zeros(60, int))
    with pytest.raises(cli.UserError, match="has 1 classes, a classifier needs at least 2"):
        train_classifier.run(train_classifier.Config(data=str(tmp_path / "one.npz")))


def test_too_few_held_out_images_are_told_in_the_report():
    """Of pixels and features, and of samples where those are the fewer. Mutations: the training set's size; a space passed over."""
    sets = {n: np.zeros((n, 64)) for n in (18, 200)}
    few, enough = (
        judging.Judges([judging.Space("pixels", judging.pixels, sets[200], sets[n], np.zeros(n))]) for n in (18, 200)
    )
    assert "18 held-out images are too few for a Fréchet distance in 64 dimensions" in spaces.too_few(few, 500)[0]
    assert "50 samples are too few" in spaces.too_few(enough, 50)[0] and spaces.too_few(enough, 500) == []
