"""The classifier on real digits, its files, and the shifts that it trains with."""

import json
import sys
from types import ModuleType, SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_array_equal as equal

from ddjax.networks import classifier
from experiments import train_classifier


def digits(name, *, split):
    """The real digits, as the room of data hands them out."""
    found = pytest.importorskip("sklearn.datasets").load_digits()
    rows = slice(0, 1400) if split == "train" else slice(1400, None)
    x = np.round(found.images[rows, ..., None] * 255 / 16).astype(np.uint8)
    return SimpleNamespace(x=x, labels=found.target[rows].astype(np.int32), classes=10, name=name, digest="0" * 8)


def test_a_short_training_reads_digits_and_its_files_bring_it_back(tmp_path, monkeypatch, capsys):
    """300 steps: at least 95 % of the last 397 digits, which other hands wrote.

    Fails for labels that do not follow their images, bytes that are not scaled, weights restored in another order.
    """
    room = ModuleType("ddjax.data.images")
    room.load = digits
    monkeypatch.setitem(sys.modules, "ddjax.data.images", room)
    monkeypatch.setattr("ddjax.data.images", room, raising=False)
    train_classifier.run(train_classifier.Config(out=tmp_path, steps=300))
    assert "test accuracy" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"classifier.json", "classifier.safetensors"}
    net, params, settings = classifier.load(tmp_path)
    test = digits("digits", split="test")
    accuracy, _ = train_classifier.judge(net, params, test.x, test.labels)
    assert accuracy == settings["test_accuracy"] >= 0.95
    features = np.asarray(net.features(params, train_classifier.scaled(test.x)))
    head = params["params"]["logits"]
    np.testing.assert_allclose(
        features @ head["kernel"] + head["bias"][None], net.logits(params, train_classifier.scaled(test.x)), atol=1e-3
    )
    assert features.shape == (397, classifier.FEATURES)
    (tmp_path / "classifier.json").write_text(json.dumps(settings | {"classes": 7}))
    with pytest.raises(ValueError, match=r"'params\.logits\.bias' is \(10,\), wanted \(7,\)"):
        classifier.load(tmp_path)
    (tmp_path / "classifier.json").write_text("[]")
    with pytest.raises(ValueError, match="no settings of a classifier"):
        classifier.load(tmp_path)


def test_shifts_move_by_whole_pixels_and_repeat_the_edge():
    """Fails for a shift of the wrong sign or axis, or wrapping around."""
    image = jnp.arange(12.0).reshape(3, 4, 1)
    moved = train_classifier._shifted(image, jnp.array([1, -1]), 1)
    equal(moved[:-1, 1:], image[1:, :-1])
    equal(moved[-1, 1:], image[-1, :-1])
    equal(moved[:-1, 0], image[1:, 0])


def test_one_class_is_none():
    with pytest.raises(ValueError, match="at least 2 classes"):
        classifier.classifier((8, 8, 1), 1)


def test_features_depend_on_the_image_alone():
    """Batches may be cut anywhere. Fails for a normalisation over the batch."""
    net = classifier.classifier((8, 8, 1), 3)
    params, x = net.init(jax.random.key(0)), jax.random.normal(jax.random.key(1), (4, 8, 8, 1))
    np.testing.assert_allclose(net.features(params, x)[2:3], net.features(params, x[2:3]), atol=1e-5)
