"""Pictures in a row as a file: MP4 with sound, animated GIF, contact sheet. Each appears whole or not at all.

Pictures are given as files and opened one by one, so that a journey of 240 large ones needs no more memory than one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from studio.errors import HearsightError, InputError
from studio.journey.sheet import Sheet
from studio.sound.clip import Clip
from studio.sound.resample import resample
from studio.sound.write import atomic, soft_limit

SETTINGS_CHUNK = "hearsight-journey"
SOUND_RATE = 48_000  # Hz, which every player takes
GIF_SIDE = 512  # px: larger ones take tens of megabytes
_AAC_FRAME = 1024  # samples

Pictures = Sequence[str | os.PathLike[str]]


def write_mp4(path: Path, pictures: Pictures, fps: float, sound: Clip | None, about: str = "") -> None:
    """Write a film: H.264 where this build of FFmpeg has it, else MPEG-4; AAC sound of one or two channels.

    pictures: files of one size, even in both directions.  fps: pictures a second.  about: kept as its comment.
    Raises InputError when the place cannot be used, HearsightError when the film cannot be written.
    """
    try:
        import av
    except ImportError:
        raise HearsightError("Films need PyAV, which is missing: pip install av, or choose a GIF.") from None
    with atomic(path) as part:
        try:
            with av.open(os.fspath(part), "w", format="mp4", options={"movflags": "+faststart"}) as film:
                film.metadata["comment"] = about
                _write_streams(film, pictures, Fraction(fps).limit_denominator(1000), sound)
        except av.FFmpegError as error:
            raise HearsightError(f"The film {path.name!r} could not be written ({error}): free some space.") from None


def _write_streams(film: Any, pictures: Pictures, rate: Fraction, sound: Clip | None) -> None:
    import av

    with Image.open(pictures[0]) as first:
        width, height = first.size
    coding = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    video: Any = film.add_stream(coding, rate=rate)
    video.width, video.height, video.pix_fmt = width, height, "yuv420p"
    if coding == "libx264":
        video.options = {"crf": "16", "preset": "medium"}
    else:
        video.bit_rate = max(round(width * height * rate * 0.5), 2_000_000)
    blocks = None if sound is None else _Blocks(film, sound)
    for number, picture in enumerate(pictures, start=1):
        with Image.open(picture) as image:
            frame = av.VideoFrame.from_ndarray(np.asarray(image.convert("RGB")), format="rgb24")
        film.mux(video.encode(frame))
        if blocks is not None:  # side by side in the file, so that players need not jump
            blocks.write_until(float(number / rate))
    film.mux(video.encode(None))
    if blocks is not None:
        blocks.finish()


class _Blocks:
    """A sound on its way into a film, block by block."""

    def __init__(self, film: Any, sound: Clip) -> None:
        clip = resample(sound if sound.channels <= 2 else sound.mono(), SOUND_RATE)
        self._samples = soft_limit(clip.samples)
        self._layout = "stereo" if clip.channels == 2 else "mono"
        self._film, self._place = film, 0
        self._stream = film.add_stream("aac", rate=SOUND_RATE, layout=self._layout)
        self._stream.bit_rate = 192_000

    def write_until(self, seconds: float) -> None:
        while self._place < min(seconds * SOUND_RATE, self._samples.shape[1]):
            self._write()

    def finish(self) -> None:
        self.write_until(float("inf"))
        self._film.mux(self._stream.encode(None))

    def _write(self) -> None:
        import av

        block = np.ascontiguousarray(self._samples[:, self._place : self._place + _AAC_FRAME])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=self._layout)
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, self._place, Fraction(1, SOUND_RATE)
        self._film.mux(self._stream.encode(frame))
        self._place += block.shape[1]


def write_gif(path: Path, pictures: Pictures, fps: float, repeat: bool = True, about: str = "") -> None:
    """Write an animated GIF, at most 512 px on its longer side; each picture has 256 colours of its own, dithered.

    repeat: over and over, else once.  about: kept as its comment. Raises InputError when the place cannot be used.
    """
    ends = [round(100 * number / fps) for number in range(len(pictures) + 1)]  # a GIF counts hundredths of a second
    durations = [10 * (end - begin) for begin, end in pairwise(ends)]
    frames = (_reduced(picture) for picture in pictures)
    options: dict[str, Any] = {"comment": about.encode("ascii", "replace")} if about else {}
    if repeat:
        options["loop"] = 0
    with atomic(path) as part, part.open("wb") as file:
        next(frames).save(
            file, format="GIF", save_all=True, append_images=frames, duration=durations, optimize=False, **options
        )


def _reduced(picture: str | os.PathLike[str]) -> Image.Image:
    with Image.open(picture) as opened:
        image = opened.convert("RGB")
    image.thumbnail((GIF_SIDE, GIF_SIDE), Image.Resampling.LANCZOS)
    palette = image.quantize(256, method=Image.Quantize.MEDIANCUT)
    return image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)


def write_sheet(path: Path, pictures: Pictures, captions: Sequence[str], about: str = "") -> None:
    """Write a contact sheet as PNG: every picture with its number and caption. about: kept as a text chunk.

    Raises InputError when the place cannot be used.
    """
    with Image.open(pictures[0]) as first:
        sheet = Sheet(len(pictures), first.size)
    for picture, caption in zip(pictures, captions, strict=True):
        with Image.open(picture) as image:
            sheet.add(image, caption)
    chunks = PngImagePlugin.PngInfo()
    if about:
        chunks.add_text(SETTINGS_CHUNK, about)
    with atomic(path) as part, part.open("wb") as file:
        sheet.page.save(file, format="PNG", pnginfo=chunks)


def read_settings(path: str | os.PathLike[str]) -> str:
    """What the settings of a journey are in one of its frames or sheets, as JSON; `Journey.from_json` reads it.

    Raises InputError when there are none.
    """
    try:
        with Image.open(path) as image:
            image.load()
            text = image.info.get(SETTINGS_CHUNK)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        text = None
    if not isinstance(text, str):
        raise InputError(f"The picture {Path(path).name!r} carries no journey: give a frame or sheet of one.")
    return text
