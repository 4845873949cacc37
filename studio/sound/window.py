"""Which part of a sound is heard, and cutting it out. Times are in seconds from the beginning of the sound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from studio.errors import InputError
from studio.sound.clip import MIN_SECONDS, Clip, spoken

WINDOW_SECONDS = 10.0
_HOP_SECONDS = 0.01
_TOLERANCE = 0.001  # s by which a cut may overshoot: times get rounded when they are shown, typed and stored


def loudest_window(clip: Clip, seconds: float = WINDOW_SECONDS) -> tuple[float, float]:
    """(start, end) of the most energetic stretch of the given length, on a grid of about 10 ms.

    seconds: at least 0.05. A sound that is not longer than that is its own window, (0, clip.seconds).
    Energy is the sum of squares over all channels; of equal stretches the first is taken.
    """
    _check_duration(clip, seconds)
    if clip.seconds <= seconds:
        return 0.0, clip.seconds
    hop = max(1, round(_HOP_SECONDS * clip.rate))
    hops = clip.samples.shape[1] // hop
    energy = np.zeros(hops)
    for channel in clip.samples:  # rows are contiguous and einsum works in blocks, so the sound is never copied whole
        frames = channel[: hops * hop].reshape(hops, hop)
        energy += np.einsum("hn,hn->h", frames, frames, dtype=np.float64)
    length = min(int(seconds * clip.rate / hop + 1e-6), hops)  # hops inside the window
    total = np.concatenate([[0.0], np.cumsum(energy)])
    window = total[length:] - total[: len(total) - length]
    # Prefix sums round: without a margin a steady sound would start at an arbitrary place.
    first = int(np.flatnonzero(window >= window.max() - 1e-9 * total[-1])[0])
    start = min(first * hop / clip.rate, clip.seconds - seconds)
    return start, start + seconds


def choose_window(clip: Clip, start: float | None = None, duration: float | None = None) -> tuple[float, float]:
    """(start, end) of the part that is heard, with what the user left open filled in.

    start: None = the most energetic part.  duration: None = 10 s, or less when the sound ends before.
    Raises InputError when what was asked for is not inside the sound; a sound shorter than `duration` alone is not
    an error, it is heard whole.
    """
    if start is None:
        return loudest_window(clip, WINDOW_SECONDS if duration is None else duration)
    if duration is None:
        duration = max(min(WINDOW_SECONDS, clip.seconds - start), MIN_SECONDS)
    _check_inside(clip, start, duration)
    return start, min(start + duration, clip.seconds)


def cut(clip: Clip, start: float, duration: float) -> Clip:
    """The part of `duration` s from `start` on, as a copy: the long sound need not be kept for it.

    Raises InputError when the part is not inside the sound (1 ms of overshoot is forgiven) or below 0.05 s.
    """
    _check_inside(clip, start, duration)
    count = clip.samples.shape[1]
    shortest = min(int(np.ceil(MIN_SECONDS * clip.rate)), count)
    first = min(round(start * clip.rate), count - shortest)
    last = max(min(round((start + duration) * clip.rate), count), first + shortest)
    return replace(clip, samples=clip.samples[:, first:last].copy())


def _check_duration(clip: Clip, duration: float) -> None:
    if not duration >= MIN_SECONDS:
        raise InputError(
            f"{spoken(clip.name)} cannot be cut to {duration:.3g} s, because at least {MIN_SECONDS} s is needed: "
            "choose a longer part."
        )


def _check_inside(clip: Clip, start: float, duration: float) -> None:
    _check_duration(clip, duration)
    if not (start >= 0 and start + duration <= clip.seconds + _TOLERANCE):
        raise InputError(
            f"{spoken(clip.name)} is {clip.seconds:.2f} s long and has no part from {start:.2f} s to "
            f"{start + duration:.2f} s: choose a start and a duration inside the sound."
        )
