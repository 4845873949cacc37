"""Photos as people have them, good and bad, in one table; and the size they are worked on in."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from studio.editing.photo import (
    MAX_PIXELS,
    Photo,
    affordable_pixels,
    paste,
    psnr,
    read_mask,
    read_photo,
    to_pixels,
    working_size,
)
from studio.errors import InputError

RED = (200, 30, 30)


def _plain(size: tuple[int, int] = (60, 40), mode: str = "RGB") -> Image.Image:
    picture = Image.new("RGB", size, RED)
    picture.paste((30, 30, 200), (size[0] // 2, 0, size[0], size[1]))  # the right half is blue
    return picture.convert(mode)


def _header_of(wide: int, high: int) -> bytes:
    """A PNG that says it is so large and holds nothing: decoding it would fail, or fill the memory."""
    body = struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(body)) + b"IHDR" + body + struct.pack(">I", zlib.crc32(b"IHDR" + body))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


def _turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise when shown
    _plain().save(path, "JPEG", quality=95, exif=exif)


def _stereo(path: Path) -> None:
    """What phones write: a JPEG with a second picture behind it, for depth or the other eye."""
    _plain().save(path, "MPO", save_all=True, append_images=[Image.new("RGB", (60, 40), "green")])


def _animated(path: Path) -> None:
    _plain().save(path, "GIF", save_all=True, append_images=[Image.new("RGB", (60, 40), "green")])


def _sixteen(path: Path) -> None:
    Image.fromarray(np.full((40, 60), 200 * 257, np.uint16)).save(path, "PNG")


def _sixteen_of_colour(path: Path) -> None:
    """An RGB PNG with 16 bits a channel, which Pillow reads but does not write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    row = b"\0" + b"".join(struct.pack(">H", level * 257) for level in RED) * 60
    header = struct.pack(">IIBBBBB", 60, 40, 16, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(row * 40)), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def _animated_png(path: Path) -> None:
    _plain().save(path, "PNG", save_all=True, append_images=[Image.new("RGB", (60, 40), "green")])


def _half_clear(path: Path) -> None:
    picture = _plain().convert("RGBA")
    picture.putalpha(Image.new("L", (60, 40), 0))
    picture.save(path, "PNG")


GOOD: dict[str, tuple[Callable[[Path], object], tuple[int, int], tuple[int, int, int] | None]] = {
    "RGB": (lambda path: _plain().save(path, "PNG"), (60, 40), RED),
    "turned by EXIF": (_turned, (40, 60), RED),  # the left half comes to the top
    "two pictures of a phone": (_stereo, (60, 40), RED),
    "CMYK": (lambda path: _plain(mode="CMYK").save(path, "JPEG", quality=95), (60, 40), RED),
    "palette": (lambda path: _plain(mode="P").save(path, "PNG"), (60, 40), RED),
    "palette with a clear colour": (lambda path: _plain(mode="P").save(path, "PNG", transparency=255), (60, 40), None),
    "16 bits of grey": (_sixteen, (60, 40), (200, 200, 200)),
    "16 bits of colour": (_sixteen_of_colour, (60, 40), RED),
    "animated PNG": (_animated_png, (60, 40), RED),
    "black and white": (lambda path: _plain(mode="1").save(path, "PNG"), (60, 40), None),
    "transparent": (_half_clear, (60, 40), (255, 255, 255)),
    "grey with alpha": (lambda path: _plain(mode="LA").save(path, "PNG"), (60, 40), None),
    "animated": (_animated, (60, 40), RED),
    "a bad colour profile": (lambda path: _plain().save(path, "PNG", icc_profile=b"nonsense"), (60, 40), RED),
}


@pytest.mark.parametrize("case", GOOD)
def test_good_photo(case: str, tmp_path: Path) -> None:
    make, size, corner = GOOD[case]
    make(tmp_path / "photo")
    photo = read_photo(tmp_path / "photo")
    assert (photo.image.mode, photo.image.size, photo.name) == ("RGB", size, "photo")
    assert bool(photo.notes) == case.startswith("animated")
    if corner is not None:
        assert np.abs(np.array(photo.image.getpixel((3, 3))) - corner).max() <= 25


def _truncated(path: Path) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8))
    picture.save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:2000])


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda path: path.write_text("I am a poem.\n" * 50), "not a picture"),
    "empty": (lambda path: path.touch(), "not a picture"),
    "a folder": (lambda path: path.mkdir(), "is a folder"),
    "not there": (lambda path: None, "There is no photo"),
    "1 x 1": (lambda path: _plain((1, 1)).save(path, "PNG"), "only 1 x 1 px"),
    "a line": (lambda path: _plain((400, 20)).save(path, "PNG"), "too narrow"),
    "30,000 x 30,000": (lambda path: path.write_bytes(_header_of(30_000, 30_000)), "40 megapixels"),
    "7,000 x 7,000": (lambda path: path.write_bytes(_header_of(7_000, 7_000)), "7000 x 7000"),
    "cut off": (_truncated, "damaged or cut off"),
    "only a header": (lambda path: path.write_bytes(_header_of(64, 64)), "damaged or cut off"),
    "floating point": (lambda path: _plain(mode="F").save(path, "TIFF"), "floating-point"),
    "PostScript": (lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 60 40\n"), "not a pic"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_photo(case: str, tmp_path: Path) -> None:
    make, words = BAD[case]
    make(tmp_path / "photo")
    with pytest.raises(InputError, match=words) as refused:
        read_photo(tmp_path / "photo")
    assert "\n" not in str(refused.value)
    assert str(tmp_path) not in str(refused.value)


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_turn_that_exif_knows(turn: int, tmp_path: Path) -> None:
    """Of a picture whose upper left corner is white, the corner that comes to the upper left."""
    picture, exif = Image.new("L", (48, 32)), Image.Exif()
    picture.paste(255, (0, 0, 16, 16))
    exif[0x0112] = turn
    picture.save(tmp_path / "photo.jpg", quality=95, exif=exif)
    seen = read_photo(tmp_path / "photo.jpg").image
    assert seen.size == ((48, 32) if turn <= 4 else (32, 48))
    corners = [(3, 3), (seen.width - 4, 3), (seen.width - 4, seen.height - 4), (3, seen.height - 4)]
    bright = [seen.getpixel(corner)[0] > 128 for corner in corners]  # type: ignore[index]
    # EXIF 2.32, orientation: where row 0 and column 0 are. Clockwise from the upper left corner.
    assert bright.index(True) == [0, 1, 2, 3, 0, 1, 2, 3][turn - 1]
    assert bright.count(True) == 1


def test_forty_megapixels_and_not_one_row_more(tmp_path: Path) -> None:
    Image.new("L", (8000, 5000), 90).save(tmp_path / "large.png")
    assert read_photo(tmp_path / "large.png").image.size == (8000, 5000)
    (tmp_path / "larger.png").write_bytes(_header_of(8000, 5001))
    with pytest.raises(InputError, match="8000 x 5001 pixels; at most 40 megapixels"):
        read_photo(tmp_path / "larger.png")


def test_the_digest_is_the_files(tmp_path: Path) -> None:
    for name in ("one.png", "other.png"):
        _plain().save(tmp_path / name)
    one, other = (read_photo(tmp_path / name) for name in ("one.png", "other.png"))
    assert one.sha256 == other.sha256
    assert read_photo(_plain((64, 40))).sha256 != read_photo(_plain()).sha256


def test_masks() -> None:
    photo = Photo(_plain((120, 80)), "0" * 64)
    small = Image.new("L", (60, 40), 0)
    small.paste(255, (30, 0, 60, 40))
    mask = read_mask(small, photo)
    assert (mask.image.mode, mask.image.size) == ("L", (120, 80))
    assert (mask.image.getpixel((10, 40)), mask.image.getpixel((110, 40))) == (0, 255)
    with pytest.raises(InputError, match="same form"):
        read_mask(Image.new("L", (60, 60), 255), photo)
    with pytest.raises(InputError, match="black"):
        read_mask(Image.new("L", (60, 40), 0), photo)


def test_outside_the_mask_is_the_photo_itself() -> None:
    photo, painted = _plain((64, 64)), Image.new("RGB", (64, 64), "green")
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (0, 32, 64, 64))
    whole = np.asarray(paste(painted, photo, mask))
    assert (whole[:30] == np.asarray(photo)[:30]).all()
    assert (whole[34:] == np.asarray(painted)[34:]).all()


@pytest.mark.parametrize(
    ("photo", "size"),
    [
        ((4000, 3000), (168, 128)),
        ((3000, 4000), (128, 168)),
        ((100, 100), (128, 128)),
        ((8000, 1000), (1024, 128)),
        ((16, 128), (128, 1024)),
    ],
)
def test_working_size(photo: tuple[int, int], size: tuple[int, int]) -> None:
    assert working_size(photo, 128, 8, MAX_PIXELS) == size


def test_working_size_with_little_memory() -> None:
    wide, high = working_size((4000, 3000), 512, 8, 100_000)
    assert wide * high <= 1.05 * 100_000
    assert abs(wide / high - 4 / 3) < 0.05


def test_the_size_follows_the_memory_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stable Diffusion's autoencoder begins with 128 channels."""
    sizes = []
    for gib in ("1", "3", "1000"):
        monkeypatch.setenv("HEARSIGHT_MEMORY_GIB", gib)
        most = affordable_pixels(128, torch.device("cpu"))
        assert most * 128 * 4 * 8 <= float(gib) * 2**30 / 4
        sizes.append(working_size((4000, 3000), 512, 64, min(most, 683 * 512)))
    assert sizes[0] == (320, 192)
    assert sizes == sorted(sizes)


def test_pixels_and_their_distance() -> None:
    pixels = to_pixels(_plain((60, 40)), (128, 64))
    assert (pixels.shape, float(pixels.min()) >= -1, float(pixels.max()) <= 1) == ((1, 3, 64, 128), True, True)
    assert psnr(_plain(), _plain()) == 99
    assert psnr(Image.new("RGB", (8, 8), (0, 0, 0)), Image.new("RGB", (8, 8), (255, 255, 255))) == 0
