"""The image work that both sides do: a regression step, forward and backward, of UNet and DiT."""

from pathlib import Path
from typing import Any

import numpy as np

SIZES = {  # image shape and nets
    "28 x 28": {
        "shape": (28, 28, 1),
        "unet": {"width": (32, 64, 64), "depth": 2, "attention": (7,), "heads": 4},
        "dit": {"patch": 4, "width": 128, "depth": 6, "heads": 4},
    },
    "cifar10": {
        "shape": (32, 32, 3),
        "unet": {"width": (128, 256, 256), "depth": 2, "attention": (16,), "heads": 4},
        "dit": {"patch": 2, "width": 384, "depth": 12, "heads": 4},
    },
    "tiny": {
        "shape": (8, 8, 3),
        "unet": {"width": (8, 16), "depth": 1, "attention": (4,), "heads": 2},
        "dit": {"patch": 4, "width": 16, "depth": 2, "heads": 2},
    },
}
BATCH, POPULATION = 32, 4


def fixed_inputs(size: str, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Images and times of the step, on which both losses must agree."""
    random, shape = np.random.default_rng(0), SIZES[size]["shape"]
    return random.normal(size=(batch, *shape)).astype(np.float32), np.linspace(0, 1, batch, dtype=np.float32)


def save_weights(path: Path, params: dict[str, Any]) -> None:
    """Nested arrays as one file of named arrays."""
    flat = {}

    def walk(tree: dict[str, Any], name: str) -> None:
        for key, leaf in tree.items():
            if isinstance(leaf, dict):
                walk(leaf, f"{name}{key}/")
            else:
                flat[name + key] = np.asarray(leaf)

    walk(params, "")
    np.savez(path, **flat)


def load_weights(path: str) -> dict[str, Any]:
    """The nested arrays of such a file."""
    params: dict[str, Any] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for name in arrays.files:
            *parents, leaf = name.split("/")
            node = params
            for parent in parents:
                node = node.setdefault(parent, {})
            node[leaf] = arrays[name]
    return params
