"""The limiter at the end of the desk: several sounds together may exceed full scale, and then only the peaks give way.

True peak is what a converter would make of the samples, estimated by oversampling four times (BS.1770-4, annex 2).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.sound.clip import Clip

CEILING_DBFS = -1.0
LOOK_AHEAD = 0.01  # s before and after a peak over which the gain goes down and comes back
_MARGIN_DB = 0.1  # the moving gain, and what four times oversampling does not see, stay within it
_TIMES = 4
_REACH = 16  # samples on either side that the oversampling filter looks at, rounded up
_BLOCK = 1 << 18  # samples oversampled at a time


def limit(clip: Clip) -> Clip:
    """The clip itself, the same object, when its true peak stays within full scale; else one of at most -1 dBFS.

    One gain for all channels, so that nothing moves to the side. It is down before a peak arrives (10 ms look-ahead)
    and comes back as smoothly; peaks that follow within 20 ms hold it, so that a bass note is not bent.
    """
    peaks = _true_peaks(clip)
    if peaks.max() <= 1:
        return clip
    from scipy import ndimage  # heavy, and only for what is too loud

    ceiling = 10 ** ((CEILING_DBFS - _MARGIN_DB) / 20)
    wanted = np.minimum(1, ceiling / np.maximum(peaks, ceiling))
    half = max(round(LOOK_AHEAD * clip.rate / 2), 1)
    # The lowest gain around each moment, then two running means (a triangle) of no more than that width: every value
    # that enters a mean is at most the gain wanted in its middle, so the mean is too.
    held = ndimage.minimum_filter1d(wanted, 4 * half + 1 + 2 * _REACH, mode="nearest")
    for _ in range(2):
        held = ndimage.uniform_filter1d(held, 2 * half + 1, mode="nearest")
    return replace(clip, samples=(clip.samples * np.minimum(held, 1)).astype(np.float32))


def true_peak_dbfs(clip: Clip) -> float:
    """The true peak in dB relative to full scale; -inf for pure zeros."""
    peak = float(_true_peaks(clip).max())
    return 20 * math.log10(peak) if peak > 0 else -math.inf


def _true_peaks(clip: Clip) -> NDArray[np.floating[Any]]:
    """[N]: the largest size, over channels, of each sample and of the three moments between it and the next."""
    from scipy import signal

    count = clip.samples.shape[1]
    found = np.empty(count, np.float32)
    for first in range(0, count, _BLOCK):
        start, end = max(first - 2 * _REACH, 0), min(first + _BLOCK + 2 * _REACH, count)
        part = clip.samples[:, start:end].astype(np.float64)
        finer = np.abs(signal.resample_poly(part, _TIMES, 1, axis=1)).max(axis=0)
        peaks = np.maximum(finer.reshape(-1, _TIMES).max(axis=1), np.abs(part).max(axis=0))
        last = min(first + _BLOCK, count)
        found[first:last] = peaks[first - start : last - start]
    return found
