"""The cache: sets that are read whole or made again."""

import numpy as np
import pytest

from ddjax.data import glyphs


def test_the_cache_is_read_whole_or_made_again(kept):
    """Fails when a flipped pixel is believed, a cut file stops the run, or a draft is left behind."""
    made = glyphs.glyphs("train", n=20)
    (file,) = kept.iterdir()
    content = file.read_bytes()
    assert glyphs.glyphs("train", n=20).digest == made.digest
    (file).write_bytes(content[: len(content) // 2])
    with pytest.warns(UserWarning, match="is damaged"):
        assert glyphs.glyphs("train", n=20).digest == made.digest
    assert [entry.name for entry in kept.iterdir()] == [file.name]
    changed = dict(np.load(file))
    changed["x"][3, 14, 14] ^= 1
    np.savez(file, **changed)  # sound as a zip, and yet not what was kept
    with pytest.warns(UserWarning, match="not what was written"):
        assert glyphs.glyphs("train", n=20).digest == made.digest
    assert file.read_bytes() == content


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    monkeypatch.setenv("DDJAX_CACHE", str(tmp_path / "file" / "below"))
    (tmp_path / "file").write_text("not a folder")
    with pytest.warns(UserWarning, match="set DDJAX_CACHE"):
        assert len(glyphs.glyphs("test", n=10).x) == 10
