"""One image file: every mode and orientation as it is seen, and a line about what is not."""

import threading

import numpy as np
import pytest
from PIL import Image, ImageFile

from ddjax.data import image_files

GREY = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
RED = np.zeros((4, 6, 3), np.uint8)
RED[:, 3:, 0] = 250
ALPHA = np.dstack([RED, np.where(RED[..., :1] > 0, 255, 0).astype(np.uint8)])
ON_WHITE = np.where(RED[..., :1] > 0, RED, 255)
HALF = np.dstack([np.zeros_like(GREY), np.full_like(GREY, 51)])  # black of which a fifth covers
LINE_ART = GREY > 99


def palette(transparent=None):
    image = Image.fromarray(GREY // 10)
    image.putpalette([value for k in range(24) for value in (k, 2 * k, 3 * k)])
    return image, {} if transparent is None else {"transparency": transparent}


PALETTE = np.stack([GREY // 10 * np.uint8(k) for k in (1, 2, 3)], -1)


def white_at(index):
    return np.where((index == GREY // 10)[..., None], 255, PALETTE)


def of(array, **options):
    return Image.fromarray(array), options


SEEN = {
    "grey.png": (of(GREY), GREY),
    "grey.pgm": (of(GREY), GREY),
    "line art.png": (of(LINE_ART), LINE_ART * 255),
    "line art.pbm": (of(LINE_ART), LINE_ART * 255),
    "line art.tif": (of(LINE_ART), LINE_ART * 255),
    "16 bits.png": (of(GREY.astype(np.uint16) * 257), GREY),
    "16 bits.pgm": (of(GREY.astype(np.uint16) * 257), GREY),
    "16 bits.tif": (of(GREY.astype(np.uint16) * 257 + 100), GREY),
    "floats.tif": (of(GREY.astype(np.float32) / 255), GREY),
    "grey and alpha.png": (of(HALF), np.full_like(GREY, 204)),
    "colour.png": (of(RED), RED),
    "colour.bmp": (of(RED), RED),
    "colour.ppm": (of(RED), RED),
    "colour.tiff": (of(RED, compression="tiff_lzw"), RED),
    "colour.WEBP": (of(RED, lossless=True), RED),
    "alpha.png": (of(ALPHA), ON_WHITE),
    "alpha.webp": (of(ALPHA, lossless=True), ON_WHITE),
    "alpha.tif": (of(ALPHA), ON_WHITE),
    "palette.png": (palette(), PALETTE),
    "palette.gif": (palette(), PALETTE),
    "palette, clear.png": (palette(5), white_at(5)),
    "palette, clear.gif": (palette(5), white_at(5)),
    "colour, clear.png": (of(RED, transparency=(0, 0, 0)), ON_WHITE),
    "grey, clear.png": (of(GREY, transparency=30), np.where(GREY == 30, 255, GREY)),
}


@pytest.mark.parametrize("name", SEEN)
def test_pixels_are_those_that_are_seen(tmp_path, name):
    """Mutations: alpha dropped; black behind it; 16 bits cut to their low ones; a palette's numbers for its colours."""
    (image, options), wanted = SEEN[name]
    image.save(tmp_path / name, **options)
    header = image_files.header(tmp_path / name)
    assert (header.width, header.height, header.several) == (6, 4, False)
    assert header.grey or wanted.ndim == 3
    if header.grey:
        np.testing.assert_array_equal(image_files.decode(tmp_path / name, (4, 6, 1), fit=False)[..., 0], wanted)
    coloured = image_files.decode(tmp_path / name, (4, 6, 3), fit=False)
    np.testing.assert_array_equal(coloured, wanted if wanted.ndim == 3 else np.stack([wanted] * 3, -1))


def test_ink_is_taken_for_ink(tmp_path):
    """CMYK, whose JPEG is stored inverted as Adobe does. Mutation: 255 - ink is not taken."""
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[..., 1:3] = 255  # magenta and yellow are red
    for name in ("a.jpg", "a.tif"):
        Image.fromarray(ink, "CMYK").save(tmp_path / name)
        close = image_files.decode(tmp_path / name, (16, 16, 3), fit=False).astype(int) - (255, 0, 0)
        assert abs(close).max() <= 8


TURNED = {  # what a viewer shows of stored rows, by EXIF 2.32, table of tag 0x0112
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_photographs_stand_upright(tmp_path, orientation, name):
    """Height and width too, before a pixel is decoded. Mutations: 6 for 8; the header's size not turned."""
    stored = np.kron(np.array([[0, 80, 160], [40, 120, 240]], np.uint8), np.ones((8, 8), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"a.jpg": {"quality": 100}, "a.webp": {"lossless": True}}.get(name, {})
    Image.fromarray(stored).save(tmp_path / name, exif=exif, **options)
    wanted = TURNED[orientation](stored)
    header = image_files.header(tmp_path / name)
    assert (header.height, header.width) == wanted.shape
    found = image_files.decode(tmp_path / name, (*wanted.shape, 1), fit=False)[..., 0]
    assert abs(found.astype(int) - wanted).max() <= 3


@pytest.mark.parametrize("name", ["a.gif", "a.tif", "a.webp", "a.png"])
def test_of_several_pictures_the_first_is_read(tmp_path, name):
    """Mutation: the last one is."""
    frames = [Image.fromarray(np.full((4, 6, 3), k, np.uint8)) for k in (200, 100, 0)]
    options = {"lossless": True} if name == "a.webp" else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
    assert image_files.header(tmp_path / name).several
    assert (image_files.decode(tmp_path / name, (4, 6, 3), fit=False) == 200).all()


BAD = {
    "bright.tif": (of(np.full((4, 6), 200.0, np.float32)), r"pixels must lie in 0\.\.1, got 200\.\.200"),
    "nan.tif": (of(np.full((4, 6), np.nan, np.float32)), r"pixels must lie in 0\.\.1"),
    "wide.tif": (of(np.zeros((4, 6), np.int32)), "whole numbers of 32 bits"),
    "lab.tif": ((Image.new("LAB", (6, 4)), {}), "mode LAB are not read"),
}


@pytest.mark.parametrize("name", BAD)
def test_pixels_without_black_and_white_are_refused(tmp_path, name):
    (image, options), message = BAD[name]
    image.save(tmp_path / name, **options)
    with pytest.raises(ValueError, match=f"{name}: .*{message}"):
        image_files.decode(tmp_path / name, (4, 6, 1), fit=False)


def test_flat_drawings_of_any_size_are_honest(tmp_path):
    """3,000 x 3,000 in 33 kB and less, of one bit, a palette and grey. Mutation: the ratio of sizes is bounded."""
    y, x = np.mgrid[:3000, :3000] - 1500
    disc = Image.fromarray(y**2 + x**2 < 1e6)
    for name, mode in (("a.png", "1"), ("b.png", "P"), ("c.png", "L")):
        disc.convert(mode).save(tmp_path / name)
        assert image_files.header(tmp_path / name).width == 3000
        small = image_files.decode(tmp_path / name, (8, 8, 1), fit=True)
        assert abs(small.mean() / 255 - np.pi / 9) < 0.01


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "bmp", "gif", "tif"])
def test_a_truncated_image_is_an_error_whatever_other_libraries_allow(ending, tmp_path, monkeypatch):
    """Several set Pillow's global switch when they are imported; it is as it was after reading. Mutation: `_STRICT` left out."""
    path = tmp_path / f"a.{ending}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(ValueError, match=f"cannot read the image .*a.{ending}"):
        image_files.decode(path, (64, 64, 3), fit=False)
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_readers_at_once_are_strict_until_the_last_has_ended(monkeypatch):
    """As the threads of a stream are. Mutation: the first to end gives the switch back."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    inside, leave = threading.Event(), threading.Event()

    def slow():
        with image_files._STRICT:
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=slow)
    thread.start()
    inside.wait(10)
    with image_files._STRICT:
        pass
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    leave.set()
    thread.join()
    assert ImageFile.LOAD_TRUNCATED_IMAGES
