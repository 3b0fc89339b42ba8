"""Sets that fit neither memory nor device: shuffled batches through Grain, from a memory map or a folder, with a state.

Row i of batch b is example perm(seed, p // n)[p mod n], p = b size + i     (1)   every example once an epoch

so that batches are functions of the seed and their number, and the state of a stream is the number of the next one, whatever
has been read ahead, by however many threads or processes.
"""

import functools
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from ddjax.data.folders import Folder
from ddjax.data.images import Images, to_float
from ddjax.inputs import checked_count
from ddjax.types import Batch

_floats = jax.jit(to_float)


class Stream:
    """An endless iterator over Batch of `size` examples, x_0 in [-1, 1], which can be stopped and resumed exactly.

    Args:
        source: images, whose x may be a memory map, or a folder, whose files are decoded as they are needed.
        size: examples in a batch. seed: of the order and of the mirror images.
        threads: that read ahead, two batches each; None for one on each core, up to 16.
        rows: of each batch that are read here, where other processes read the others; None for all.
        place: brings a Batch of bytes to the device or devices.
    Raises: ValueError for a batch larger than the set, or where Grain is not installed.
    """

    def __init__(
        self,
        source: Images | Folder,
        size: int,
        *,
        seed: int = 0,
        threads: int | None = None,
        rows: np.ndarray | None = None,
        place: Callable[[Batch], Batch] = jax.device_put,
    ):
        if not checked_count(size, "size") <= len(source):
            raise ValueError(f"a batch must have 1 to {len(source)} images, got {size=}")
        self.size = size
        self._given, self._place = (source, size, seed, threads), place
        self._identity = {"set": source.digest[:16], "size": size, "seed": seed}
        self._iterator = _read_ahead(_Batches(source, size, seed, rows), threads or min(os.cpu_count() or 1, 16))

    def laid(self, rows: np.ndarray, place: Callable[[Batch], Batch]) -> "Stream":
        """The same stream from its beginning, read and placed as its `rows` and `place` say."""
        source, size, seed, threads = self._given
        return Stream(source, size, seed=seed, threads=threads, rows=rows, place=place)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        batch = self._place(next(self._iterator))
        return batch._replace(x_0=_floats(batch.x_0))

    def get_state(self) -> str:
        """The place of the next batch, as JSON for a checkpoint."""
        return json.dumps({**self._identity, "grain": self._iterator.get_state()})

    def set_state(self, state: str) -> None:
        """Go on from a place.

        Raises: ValueError for a state of another stream.
        """
        try:
            found = json.loads(state)
            place = found.pop("grain")
            differing = [f"{name} {found[name]} there, {own} here" for name, own in self._identity.items()
                         if found[name] != own]  # fmt: skip
        except (json.JSONDecodeError, AttributeError, TypeError, KeyError):
            raise ValueError(f"not the state of a stream: {state!r}") from None
        if differing:
            raise ValueError(f"the state is that of another stream: {', '.join(differing)}")
        self._iterator.set_state(place)


class _Batches:
    """Batches of bytes by number, as Grain asks for them."""

    def __init__(self, source: Images | Folder, size: int, seed: int, rows: np.ndarray | None):
        self._source, self._size, self._seed = source, size, seed
        self._rows = np.arange(size) if rows is None else rows
        self._order = functools.lru_cache(maxsize=2)(functools.partial(_permutation, len(source), seed))

    def __len__(self) -> int:
        return sys.maxsize // self._size

    def __getitem__(self, b: int) -> Batch:
        epoch, place = np.divmod(b * self._size + self._rows, len(self._source))
        here, after = self._order(int(epoch[0])), self._order(int(epoch[-1]))  # a batch may straddle two epochs
        x, labels = self._source.take(np.where(epoch == epoch[0], here[place], after[place]))
        if self._source.flip:
            mirrored = np.random.default_rng([self._seed, b, 1]).random(self._size)[self._rows] < 0.5
            x[mirrored] = x[mirrored, :, ::-1]
        return Batch(x, labels)


def _permutation(n: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(np.arange(n, dtype=np.int32))


def _read_ahead(batches: _Batches, threads: int) -> Any:
    ahead = _grain().ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
    return iter(_grain().MapDataset.source(batches).to_iter_dataset(ahead))


def _grain() -> Any:
    try:
        import grain
    except ImportError:
        raise ValueError("a set that is streamed needs Grain: pip install grain, or ddjax[data]") from None
    return grain
