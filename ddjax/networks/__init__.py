"""Networks as pairs of pure functions, `Network(init, apply)`; the only room that imports flax."""

from ddjax.networks.adapters import from_nnx, labelled
from ddjax.networks.embeddings import raw_time, time_features
from ddjax.networks.mlp import mlp
from ddjax.types import Network

__all__ = ["Network", "from_nnx", "labelled", "mlp", "raw_time", "time_features"]
