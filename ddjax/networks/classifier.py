"""A small image classifier, whose 128 penultimate features measure distances between sets of images."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.data import bounds
from ddjax.inputs import checked_count
from ddjax.networks import weights
from ddjax.networks.initial import lecun_normal
from ddjax.types import Key, Params

FEATURES = 128
_LARGEST = 2**20  # bytes of settings, pixels of a side, classes


class Classifier(NamedTuple):
    """Pure functions of images [batch, h, w, c] in [-1, 1]: `features(params, x)` [batch, 128], `logits(params, x)`."""

    init: Callable[[Key], Params]
    features: Callable[[Params, Array], Float[Array, "batch 128"]]
    logits: Callable[[Params, Array], Float[Array, "batch classes"]]
    convolutional: bool = True


class Module(nn.Module):
    """Three convolutions down to some 4 x 4 positions, a layer of 128 features, a linear layer of logits."""

    classes: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch h w c"]) -> tuple[Float[Array, "batch 128"], Float[Array, "batch k"]]:
        """Features and logits."""
        outer = 1 if min(x.shape[1:3]) < 16 else 2
        for i, (width, stride) in enumerate(((32, outer), (64, 2), (64, outer))):
            x = nn.relu(nn.Conv(width, (3, 3), (stride, stride), kernel_init=lecun_normal, name=f"conv_{i}")(x))
        features = nn.relu(nn.Dense(FEATURES, name="features")(x.reshape(x.shape[0], -1)))
        return features, nn.Dense(self.classes, name="logits")(features)


def classifier(event_shape: tuple[int, int, int], classes: int) -> Classifier:
    """A classifier of images of `event_shape` (height, width, channels). Raises: ValueError for fewer than 2 classes."""
    module = Module(checked_count(classes, "classes", least=2))
    return Classifier(
        jax.jit(lambda key: module.init(key, jnp.zeros((1, *event_shape)))),
        jax.jit(lambda params, x: module.apply(params, x)[0]),
        jax.jit(lambda params, x: module.apply(params, x)[1]),
    )


def load(folder: str | Path) -> tuple[Classifier, Params, dict]:
    """A trained classifier, its parameters and its settings, from the folder that `runs.classifiers` wrote.

    Raises: FileNotFoundError; ValueError for settings or weights that do not fit, or are not those that were written.
    """
    folder = Path(folder).expanduser()
    settings, path = _settings(folder / "classifier.json"), folder / "classifier.safetensors"
    bounds.require_file(path)
    if settings.get("sha256") != checksum(path):
        raise ValueError(f"{path} holds other weights than classifier.json says, or older ones, of no checksum")
    net = classifier(tuple(settings["event_shape"]), settings["classes"])
    like = jax.eval_shape(net.init, jax.random.key(0))
    return net, weights.restored(weights.read(path), like), settings


def checksum(path: Path) -> str:
    """The sha256 of a file, which stands beside it in the settings."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _settings(path: Path) -> dict:
    bounds.require_file(path)
    try:
        with path.open("rb") as file:
            settings = json.loads(file.read(_LARGEST))
        counts = [*settings["event_shape"], settings["classes"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{path} holds no settings of a classifier: {error}") from None
    if len(counts) != 4 or not all(type(count) is int and 0 < count < _LARGEST for count in counts):
        raise ValueError(f"{path} holds no settings of a classifier: {counts}"[:300])
    return settings
