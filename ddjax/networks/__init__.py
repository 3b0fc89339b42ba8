"""Networks as pairs of pure functions, `Network(init, apply)`; the only room that imports flax.

`save(path, params)` writes their parameters, `load(path, like)` reads them.
"""

from ddjax.networks.adapters import flattened, from_nnx, labelled
from ddjax.networks.dit import dit
from ddjax.networks.embeddings import raw_time, time_features
from ddjax.networks.injection import from_mean
from ddjax.networks.mlp import mlp
from ddjax.networks.populations import folding, repeating
from ddjax.networks.unet import unet
from ddjax.networks.weights import load, save
from ddjax.types import Network

__all__ = [
    "Network", "dit", "flattened", "folding", "from_mean", "from_nnx", "labelled", "load", "mlp", "raw_time", "repeating", "save",
    "time_features", "unet",
]  # fmt: skip
