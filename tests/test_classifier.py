"""The classifier on real digits, its files, and the shifts that it trains with."""

import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close

from ddjax import data
from ddjax.networks import classifier
from ddjax.runs import classifiers


def test_a_short_training_reads_digits_and_its_files_bring_it_back(tmp_path):
    """300 steps: at least 95 % of the held-out digits; the second call reads what the first one wrote.

    Fails for labels that do not follow their images, pixels that are not scaled, weights restored in another order, or
    weights of other settings taken for these.
    """
    train, test = (data.load("digits", split) for split in ("train", "test"))
    found = classifiers.trained(train, test, tmp_path, steps=300)
    assert found.accuracy >= 0.95
    written = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert set(written) == {"classifier.json", "classifier.safetensors"}
    again = classifiers.trained(train, test, tmp_path, steps=300)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written
    x = data.to_float(jnp.asarray(test.x))
    close(again.features(x), found.features(x), atol=1e-5)
    net, params, settings = classifier.load(tmp_path)
    head = params["params"]["logits"]
    close(found.features(x) @ head["kernel"] + head["bias"][None], net.logits(params, x), atol=1e-3)
    assert found.features(x).shape == (360, classifier.FEATURES)
    assert not classifiers._holds(tmp_path, {"digest": test.digest})
    at, along = x[:1], jnp.zeros((1, 8, 8, 1)).at[0, 3, 4, 0].set(1.0)
    slope = jax.jvp(found.features, (at,), (along,))[1]
    close(slope, (found.features(at + 1e-2 * along) - found.features(at - 1e-2 * along)) / 2e-2, atol=2e-2)
    (tmp_path / "classifier.json").write_text(json.dumps(settings | {"classes": 7}))
    with pytest.raises(ValueError, match=r"'params\.logits\.bias' is \(10,\), wanted \(7,\)"):
        classifier.load(tmp_path)
    (tmp_path / "classifier.json").write_text("[]")
    with pytest.raises(ValueError, match="no settings of a classifier"):
        classifier.load(tmp_path)


@pytest.mark.parametrize(("side", "reach"), [(3, 1), (28, 2)])
def test_shifts_move_by_whole_pixels_repeat_the_edge_and_keep_the_label(side, reach):
    """Each moved image is one of the (2 reach + 1)^2 shifts of the image with its label, and all occur.

    Fails for labels of other rows, wrapping around, or a reach that does not grow with the image.
    """
    x = np.random.default_rng(0).integers(0, 256, (2, side, side, 1), dtype=np.uint8)
    moved = classifiers._shifted(jnp.asarray(x), jnp.arange(2), jax.random.key(0), 400)
    padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    seen, places = set(), range(2 * reach + 1)
    for image, label in zip(np.asarray(data.to_uint8(moved.x_0)), np.asarray(moved.cond), strict=True):
        cut = {(i, j): padded[label, i : i + side, j : j + side] for i in places for j in places}
        shifts = [place for place, piece in cut.items() if (piece == image).all()]
        assert len(shifts) == 1
        seen |= set(shifts)
    assert len(seen) == (2 * reach + 1) ** 2


def test_one_class_is_none():
    with pytest.raises(ValueError, match="at least 2, got classes="):
        classifier.classifier((8, 8, 1), 1)


def test_features_depend_on_the_image_alone():
    """Batches may be cut anywhere. Fails for a normalisation over the batch."""
    net = classifier.classifier((8, 8, 1), 3)
    params, x = net.init(jax.random.key(0)), jax.random.normal(jax.random.key(1), (4, 8, 8, 1))
    np.testing.assert_allclose(net.features(params, x)[2:3], net.features(params, x[2:3]), atol=1e-5)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", "[" * 100_000, '{"event_shape": 3, "classes": 2}', '{"event_shape": [8, 8, 1], "classes": "x"}',
     '{"event_shape": [8, 8], "classes": 2}', '{"event_shape": [8, 8, -1], "classes": 2}',
     '{"event_shape": [8, 8, true], "classes": 2}',
     '{"event_shape": [1e9, 8, 1], "classes": 2}', '{"event_shape": [8, 8, 1], "classes": 99999999999}', b"\xff"],
    ids=lambda content: str(content)[:60],
)  # fmt: skip
def test_settings_that_are_none_are_refused_by_name(tmp_path, content):
    """Fails for a TypeError from a shape, a RecursionError, or a message without the file."""
    file = tmp_path / "classifier.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=r"classifier\.json holds no settings"):
        classifier.load(tmp_path)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ValueError, match=r"classifier\.json is a pipe"):
        classifier.load(tmp_path)
