"""Several sounds as one: together in the air, or one after the other; and where a sound stands between left and right.

Letters: C channels, N samples. Joined sounds share the highest rate among them, at most 48 kHz, and are mono when all
are mono, else stereo (of more than two channels the mean is taken). One clip alone stays exactly what it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from studio.errors import InputError
from studio.sound.clip import MAX_SECONDS, Clip, Samples, spoken_time
from studio.sound.limiter import limit
from studio.sound.resample import resample

CROSSFADE = 0.1  # s
_HIGHEST_RATE = 48_000  # nothing above 24 kHz is heard, and half an hour of eight such sounds still fits into memory
_BLOCK = 1 << 20


def pan(clip: Clip, position: float) -> Clip:
    """Place a sound between left (-1) and right (1): stereo [2, N]; 0 gives the clip itself.

    Constant power: left is sqrt(2) cos(a) and right sqrt(2) sin(a) with a = (position + 1) pi / 4, so left^2 + right^2
    is 2 everywhere. In the middle both are 1, which is what a mono sound on two loudspeakers already is: moving away
    from 0 makes no jump, and tracks that stay in the middle are not touched. At the ends one side is 3 dB louder.
    A stereo sound is balanced by the same two gains; of more channels the mean is placed.
    Raises InputError when position is outside -1..1.
    """
    if not -1 <= position <= 1:
        raise InputError(f"A pan must be from -1 (left) to 1 (right), not {position:g}: use 0 for the middle.")
    if position == 0:
        return clip
    angle = (position + 1) * math.pi / 4
    sides = math.sqrt(2) * np.array([[math.cos(angle)], [math.sin(angle)]])
    return replace(clip, samples=(_stereo(clip) * sides).astype(np.float32))


def mix(clips: Sequence[Clip]) -> Clip:
    """The clips added up, all standing at the start; shorter ones are followed by silence. One alone: itself.

    What would exceed full scale passes the limiter; else the sum is exact, and no order of the clips changes it.
    """
    if len(clips) == 1:
        return clips[0]
    parts, rate = _alike(clips)
    longest = max(part.shape[1] for part in parts)
    whole = np.empty((len(parts[0]), longest), np.float32)
    for first in range(0, longest, _BLOCK):
        # In double precision, where a handful of float32 values is added without rounding: no order is special.
        total = np.zeros((len(whole), min(_BLOCK, longest - first)))
        for part in parts:
            piece = part[:, first : first + _BLOCK]
            total[:, : piece.shape[1]] += piece
        whole[:, first : first + _BLOCK] = total
    return limit(Clip(whole, rate, _names(clips)))


def sequence(clips: Sequence[Clip]) -> Clip:
    """The clips one after the other, each crossfading into the next over 0.1 s. One alone: itself.

    The crossfade is of equal power (cosine and sine), and at most half of the shorter of its two clips, so that no
    two fades meet. What would exceed full scale passes the limiter. Raises InputError beyond 30 min.
    """
    if len(clips) == 1:
        return clips[0]
    seconds = sum(clip.seconds for clip in clips)
    if seconds > MAX_SECONDS:
        raise InputError(
            f"The sequence is {spoken_time(seconds)} long, but may be at most {spoken_time(MAX_SECONDS)}: "
            "use shorter parts (--duration) or fewer sounds."
        )
    parts, rate = _alike(clips)
    lengths = [part.shape[1] for part in parts]
    fades = [min(round(CROSSFADE * rate), min(pair) // 2) for pair in pairwise(lengths)]
    whole = np.zeros((len(parts[0]), sum(lengths) - sum(fades)), np.float32)
    place = 0
    for part, before, after in zip(parts, [0, *fades], [*fades, 0], strict=True):
        place -= before
        shape = np.ones(part.shape[1])
        shape[:before] = _rise(before)
        shape[len(shape) - after :] = _rise(after)[::-1]
        whole[:, place : place + part.shape[1]] += part * shape
        place += part.shape[1]
    return limit(Clip(whole, rate, _names(clips)))


def _rise(count: int) -> Samples:
    """Sine from 0 to 1; the cosine is the same backwards, and their squares add up to 1."""
    return np.sin(np.pi / 2 * (np.arange(count) + 0.5) / max(count, 1)).astype(np.float32)


def _alike(clips: Sequence[Clip]) -> tuple[list[Samples], int]:
    """The samples [C, N] at one rate and with one number of channels, and that rate."""
    if not clips:
        raise ValueError("there is nothing to join")
    rate = min(max(clip.rate for clip in clips), _HIGHEST_RATE)
    stereo = any(clip.channels == 2 for clip in clips)
    # Fewer channels first: what is not there need not be resampled.
    narrow = [clip if clip.channels <= 2 else clip.mono() for clip in clips]
    same = [resample(clip, rate) for clip in narrow]
    return [_stereo(clip) if stereo else clip.samples for clip in same], rate


def _stereo(clip: Clip) -> Samples:
    """[2, N]: both sides of a stereo sound; of any other the mean on both."""
    return clip.samples if clip.channels == 2 else np.repeat(clip.mono().samples, 2, axis=0)


def _names(clips: Sequence[Clip]) -> str:
    return " + ".join(clip.name for clip in clips if clip.name)
