"""A small picture of a sound for the app: its mel spectrogram."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from studio.sound.clip import Clip

if TYPE_CHECKING:
    from PIL.Image import Image

_RANGE_DB = 70.0  # what the spectrogram shows below its loudest point
_FLOOR_DB = -120.0  # of a sound as quiet as this, nothing is shown
# Dark to bright: perceived lightness rises steadily, so that it reads without colour vision too.
_RAMP = np.array([(10, 8, 32), (66, 20, 98), (150, 38, 92), (221, 81, 58), (249, 152, 39), (252, 243, 164)], float)


def spectrogram(clip: Clip, width: int = 640, height: int = 96, top_hz: float = 16_000.0) -> Image:
    """An RGB picture [height, width]: mel bands from 20 Hz (bottom) to top_hz or half the rate (top) over time.

    Colour is level, from 70 dB below the loudest point (dark) up to it (bright); silence is all dark.
    """
    mono = clip.mono().samples[0]
    size = 1 << int(np.ceil(np.log2(0.046 * clip.rate)))  # a window of 46 to 92 ms tells low bands apart
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(mono, size // 2), size)
    columns = np.linspace(0, len(mono) - 1, width).astype(int)  # one spectrum a column, however long the sound is
    spectra = np.abs(np.fft.rfft(frames[columns] * np.hanning(size), axis=1)) ** 2
    power = spectra @ _mel_bands(clip.rate, size, height, min(top_hz, clip.rate / 2)).T
    level = 10 * np.log10(power + 10 ** (_FLOOR_DB / 10))
    shade = np.clip((level - max(level.max(), _FLOOR_DB + _RANGE_DB)) / _RANGE_DB + 1, 0, 1).T[::-1]
    stops = np.linspace(0, 1, len(_RAMP))
    pixels = np.stack([np.interp(shade, stops, _RAMP[:, part]) for part in range(3)], axis=-1)
    return _picture(pixels.round().astype(np.uint8))


def _picture(pixels: NDArray[np.uint8]) -> Image:
    import PIL.Image

    return PIL.Image.fromarray(np.ascontiguousarray(pixels))


@lru_cache(maxsize=8)
def _mel_bands(rate: int, size: int, count: int, top_hz: float) -> NDArray[np.float64]:
    """Triangles [count, size // 2 + 1] on the mel scale, mel = 2595 log10(1 + f / 700) (O'Shaughnessy, 1987).

    Each triangle's values sum to 1; a band narrower than the spectrum's lines takes from the nearest two.
    """
    lowest, highest = 2595 * np.log10(1 + np.array([20.0, top_hz]) / 700)
    edges = 700 * (10 ** (np.linspace(lowest, highest, count + 2) / 2595) - 1)
    lines = np.arange(size // 2 + 1) * rate / size
    centre = edges[1:-1, None]
    half = np.maximum(np.stack([edges[1:-1] - edges[:-2], edges[2:] - edges[1:-1]]), rate / size)[..., None]
    weight = np.clip(1 - np.where(lines < centre, (centre - lines) / half[0], (lines - centre) / half[1]), 0, None)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))
