"""The door to all sets: what is nothing is told."""

import pytest

from ddjax import data
from ddjax.data import cache


def test_what_is_nothing_is_told(tmp_path, kept):
    with pytest.raises(FileNotFoundError, match=r"neither a file, a folder, nor one of digits"):
        data.load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"ddjax fetch cifar10"):
        data.load("cifar10")
    (tmp_path / "text.bin").write_text("text")
    with pytest.raises(ValueError, match=r"is not a .npz"):
        data.load(tmp_path / "text.bin")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="has no images"):
        data.load(tmp_path / "empty")
    assert not kept.exists() and cache.folder() == kept
