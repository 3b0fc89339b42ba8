"""Sets that fit neither memory nor device: shuffled batches through Grain, from a memory map or a folder, with a state.

The order is that of Grain's shuffled index, drawn anew each epoch from the seed; the state is a place in it.
"""

import json
from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from ddjax.data.folders import Folder
from ddjax.data.images import Images, to_float
from ddjax.types import Batch


class Stream:
    """An endless iterator over Batch of `size` examples, x_0 in [-1, 1], which can be stopped and resumed exactly.

    Args:
        source: images, whose x may be a memory map, or a folder, whose files are decoded as they are needed.
        size: examples in a batch. seed: of the order and of the mirror images.
        threads: that read ahead.
    Raises: ValueError for a batch larger than the set.
    """

    def __init__(self, source: Images | Folder, size: int, *, seed: int = 0, threads: int = 2):
        import grain

        n = len(source.x) if isinstance(source, Images) else len(source)
        if not 1 <= size <= n:
            raise ValueError(f"a batch must have 1 to {n} images, got {size=}")
        self._identity = {"n": n, "size": size, "seed": seed}
        self._labelled = source.labels is not None
        rows = grain.MapDataset.source(_Rows(source)).seed(seed).shuffle().repeat()
        if isinstance(source, Images) and source.flip:
            rows = rows.random_map(_mirror)
        ahead = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * size)
        self._iterator = iter(rows.to_iter_dataset(ahead).batch(size))

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        x, labels = next(self._iterator)
        return Batch(to_float(jnp.asarray(x)), jnp.asarray(labels, jnp.int32) if self._labelled else None)

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
        except (json.JSONDecodeError, AttributeError, TypeError, KeyError):
            raise ValueError(f"not the state of a stream: {state!r}") from None
        if found != self._identity:
            raise ValueError(f"the state is that of another stream: {found}, this one is {self._identity}")
        self._iterator.set_state(place)


class _Rows:
    """Pairs (pixels, label) by number, as Grain asks for them."""

    def __init__(self, source: Images | Folder):
        self._source = source

    def __len__(self) -> int:
        return len(self._source.x) if isinstance(self._source, Images) else len(self._source)

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        if isinstance(self._source, Folder):
            return self._source[i]
        labels = self._source.labels
        return np.asarray(self._source.x[i]), 0 if labels is None else int(labels[i])


def _mirror(row: tuple[np.ndarray, int], rng: np.random.Generator) -> tuple[np.ndarray, int]:
    x, label = row
    return (x[:, ::-1] if rng.random() < 0.5 else x), label
