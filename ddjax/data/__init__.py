"""Data: samplers of toy laws, and sets of images from this package, from disk or in a stream.

Libraries that read or draw images are imported by the functions that need them.
"""

from ddjax.data import images, subsets, toys
from ddjax.data.folders import Folder
from ddjax.data.images import Images, batches, to_float, to_uint8
from ddjax.data.sources import load
from ddjax.data.streams import Stream
from ddjax.data.subsets import part

__all__ = ["Folder", "Images", "Stream", "batches", "images", "load", "part", "subsets", "to_float", "to_uint8", "toys"]
