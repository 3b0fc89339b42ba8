"""Data: samplers of toy laws."""

from ddjax.data import toys

__all__ = ["toys"]
