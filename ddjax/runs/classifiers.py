"""The classifier in whose features images are measured and transported: trained once for each training set, then read back."""

import json
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial
from jaxtyping import Array

from ddjax import training
from ddjax.cli import documents
from ddjax.data import Images, to_float
from ddjax.files import require_plain, write_atomically
from ddjax.networks import classifier as networks
from ddjax.networks import weights
from ddjax.runs.provenance import provenance
from ddjax.types import Batch, Key, Params

FOLDER = Path("runs/classifier")
CHUNK = 500  # images looked at together


class Trained(NamedTuple):
    """Frozen functions of images [n, h, w, c] in [-1, 1]: features [n, 128], which can be differentiated, and classes [n].

    Both are compiled, and stay on the device. accuracy: on the held-out split.
    """

    features: Callable[[Array], Array]
    classes: Callable[[Array], Array]
    accuracy: float
    folder: Path


def folder_of(train: Images) -> Path:
    """Where the classifier of these images lies, unless told otherwise."""
    return FOLDER / f"{Path(train.name).name}-{train.digest[:16]}"


def trained(train: Images, test: Images, folder: Path | None = None, **budget: int) -> Trained:
    """The classifier of `train`, from its folder where it is already there, else trained and saved.

    One whose files are damaged is trained again, with a warning.
    """
    folder = (folder or folder_of(train)).expanduser()
    wanted = {"data": train.name, "digest": train.digest, "event_shape": list(train.x.shape[1:])}
    wanted |= {"classes": len(train.classes), "steps": 2000, "batch": 128, "seed": 0} | budget

    def made() -> tuple[networks.Classifier, Params, dict]:
        for name in ("classifier.safetensors", "classifier.json"):
            require_plain(folder / name)
        save(folder, fit(train, **{name: wanted[name] for name in ("steps", "batch", "seed")}), wanted)
        return networks.load(folder)

    try:
        net, params, _ = networks.load(folder) if _holds(folder, wanted) else made()
    except (ValueError, FileNotFoundError) as error:
        warnings.warn(f"{folder} is damaged ({error}) and is made again", stacklevel=2)
        net, params, _ = made()
    features = partial(net.features, params)
    classes = lambda x: jnp.argmax(net.logits(params, x), -1)  # noqa: E731
    guesses = [classes(to_float(jnp.asarray(test.x[i : i + CHUNK]))) for i in range(0, len(test.x), CHUNK)]
    return Trained(features, classes, float(np.mean(np.concatenate(guesses) == test.labels)), folder)


def fit(train: Images, *, steps: int, batch: int, seed: int) -> Params:
    """Averaged parameters after training on images that are shifted by up to a pixel or two."""
    net = networks.classifier(train.x.shape[1:], len(train.classes))
    optimizer = optax.adamw(optax.cosine_decay_schedule(2e-3, steps), weight_decay=1e-2)

    def loss_fn(params: Params, key: Key, batch: Batch) -> tuple[Array, dict[str, Array]]:
        loss = optax.softmax_cross_entropy_with_integer_labels(net.logits(params, batch.x_0), batch.cond).mean()
        return loss, {"loss": loss}

    train_step = training.make_train_step(loss_fn, optimizer)
    key_init, key_train = jax.random.split(jax.random.key(seed))
    state = training.TrainState.create(net.init(key_init), optimizer, key_train)
    draw = Partial(partial(_shifted, n=batch), jnp.asarray(train.x), jnp.asarray(train.labels))
    scanned = training.may_scan(net)
    return training.fit(state, train_step, draw, steps=steps, label="classifier", scanned=scanned).ema


def _shifted(x: Array, labels: Array, key: Key, n: int) -> Batch:
    """n images, each moved by up to a pixel for every 14 of its height, its edge repeated."""
    reach = max(x.shape[1] // 14, 1)
    key_rows, key_shift = jax.random.split(key)
    rows = jax.random.randint(key_rows, (n,), 0, len(x))

    def move(image: Array, shift: Array) -> Array:
        padded = jnp.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
        return jax.lax.dynamic_slice(padded, (shift[0], shift[1], 0), image.shape)

    moved = jax.vmap(move)(x[rows], jax.random.randint(key_shift, (n, 2), 0, 2 * reach + 1))
    return Batch(to_float(moved), labels[rows])


def save(folder: Path, params: Params, settings: dict[str, Any]) -> None:
    """Weights, then settings with their checksum, each all or nothing."""
    folder = folder.expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "classifier.safetensors"
    weights.save(path, params)
    settings = settings | {"sha256": networks.checksum(path), "provenance": provenance()}
    write_atomically(folder / "classifier.json", json.dumps(settings, indent=2) + "\n")


def _holds(folder: Path, wanted: dict[str, Any]) -> bool:
    try:
        stored = documents.json_settings(folder / "classifier.json")
    except ValueError:
        return False
    return all(stored.get(name) == value for name, value in wanted.items())
