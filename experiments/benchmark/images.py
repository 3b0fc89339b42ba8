"""The image work that both sides do: a regression step, forward and backward, of UNet and DiT on 28 x 28 images."""

from pathlib import Path
from typing import Any

import numpy as np

SHAPE = (28, 28, 1)
UNET = {"widths": (32, 64, 64), "blocks": 2, "attention": (7,), "heads": 4}
DIT = {"patch": 4, "width": 128, "depth": 6, "heads": 4}
BATCH, POPULATION = 32, 4


def fixed_inputs(batch: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Images and times on which both losses must agree."""
    random = np.random.default_rng(0)
    return random.normal(size=(batch, *SHAPE)).astype(np.float32), np.linspace(0, 1, batch, dtype=np.float32)


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
