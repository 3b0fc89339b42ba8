"""Every reader of files from outside, and a valid sample of each of its formats; run as a program, it hands them to `fuzzed`.

The programs of an export are not here: XLA's own reader of them corrupts memory on some damages. They lie under the checksums of
the export, which are compared before it sees a byte.
"""

import gzip
import io
import json
import struct
import sys
import tarfile
from pathlib import Path

import fuzzed
import numpy as np
import safetensors.numpy
import yaml
from PIL import Image

import ddjax.networks.classifier
from ddjax import metrics
from ddjax.cli import documents
from ddjax.data import cifar, folders, idx, npz, sources
from ddjax.networks import weights
from ddjax.runs import exported


def saved(write, *arguments, **options):
    file = io.BytesIO()
    write(file, *arguments, **options)
    return file.getvalue()


def cifar_archive(content):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for names in cifar.FILES.values():
            for name in names:
                member = tarfile.TarInfo(f"{cifar.FOLDER}/{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 6, 5, 3), dtype=np.uint8)
NUMBERS = RNG.normal(size=6).astype(np.float32)
SETTINGS = {"steps": 7, "beta": [0.5, 1.0], "resume": "auto", "out": None, "full": True, "nested": {"a": [1, "x"]}}
CIFAR = np.c_[np.arange(2, dtype=np.uint8), RNG.integers(0, 256, (2, 3072), dtype=np.uint8)].tobytes()
IDX = struct.pack(">4I", 0x803, 12, 6, 5) + PIXELS[..., 0].tobytes()
TREE = {"x": PIXELS, "labels": np.arange(12) % 3}
FLOATS = {"w": NUMBERS, "b": np.arange(3)}
STATISTICS = {"mean": np.zeros(2), "cov": np.eye(2)}
ABOUT = {"steps": [1, 4], "shape": [2], "churn": 0.5, "calling_convention": 10, "jax": "0.10.2", "classes": ["a"]}
CLASSIFIER = {"event_shape": [8, 8, 1], "classes": 3, "data": "digits"}


def statistics(path):
    """Never refused: they are computed anew."""
    metrics.cached_statistics(path.parent, path.stem, lambda: np.arange(6.0).reshape(3, 2) ** 2)


def images(path):
    return folders.read(folders.scan(path.parent, every=0))


def classifier_of(path):
    return ddjax.networks.classifier._settings(path)


FORMATS = {
    "safetensors": ("a.safetensors", safetensors.numpy.save(FLOATS), weights.read),
    "npz": ("b.npz", saved(np.savez, **TREE), npz.read),
    "npz packed": ("c.npz", saved(np.savez_compressed, **TREE), sources.load),
    "npy": ("a.npy", saved(np.save, PIXELS), npz.mapped),
    "idx": ("a", IDX, lambda path: idx.read_idx(path, 3)),
    "idx.gz": ("a.gz", gzip.compress(IDX), lambda path: idx.read_idx(path, 3)),
    "cifar.tar": ("a.tar.gz", cifar_archive(CIFAR), cifar.cifar10),
    "cifar.bin": ("a.bin", CIFAR * 5, cifar.records),
    "yaml": ("a.yaml", yaml.safe_dump(SETTINGS).encode(), documents.yaml_settings),
    "yaml words": ("b.yaml", yaml.safe_dump(SETTINGS).encode(), lambda path: documents.yaml_settings(path, as_written=True)),
    "json": ("a.json", json.dumps(SETTINGS).encode(), documents.json_settings),
    "classifier": ("classifier.json", json.dumps(CLASSIFIER).encode(), classifier_of),
    "statistics": ("s.npz", saved(np.savez, **STATISTICS), statistics),
    "export": ("export.json", json.dumps(ABOUT).encode(), lambda path: exported.about(path.parent)),
    **{
        kind: (f"a.{kind}", saved(Image.fromarray(PIXELS[0]).save, format=kind), images)
        for kind in ("png", "jpeg", "gif", "bmp", "webp", "ppm")
    },
}  # fmt: skip


if __name__ == "__main__":
    cifar.RECORDS = 2
    fuzzed.main(FORMATS, Path(sys.argv[1]), *map(int, sys.argv[2:]))
