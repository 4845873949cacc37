"""Rooms: a sound as it would be heard in a living room, a concert hall, a cathedral. All are computed, none recorded.

A room is a box with a source and a listener in it. Its impulse response has three parts: the direct sound, the early
reflections of the six walls (image sources), and a diffuse tail of noise whose octave bands die away at their own
pace, because air and curtains swallow high notes first. How strong the reflections are follows from the box.

Letters: L samples of a response, V volume in m^3, d metres from source to listener, T reverberation time in s: how
long a band takes to fall by 60 dB.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.errors import InputError
from studio.sound.clip import Clip, Samples

Values = NDArray[np.floating[Any]]

SPEED = 343.0  # m/s
_DECAY = 3 * math.log(10)  # exp(-_DECAY t / T) is -60 dB at t = T
_FADE = 0.02  # s
_LOWEST = 20.0  # Hz; below it a room carries nothing, and an offset of the recording would ring on


@dataclass(frozen=True)
class Space:
    """A box of `size` m (length, width, height) with the listener `distance` m before the source.

    seconds: T at 125 Hz, 1 kHz and 8 kHz; between them T goes on the scale of octaves, beyond them it stays.
    """

    size: tuple[float, float, float]
    distance: float
    seconds: tuple[float, float, float]

    @property
    def volume(self) -> float:
        """V in m^3."""
        return math.prod(self.size)

    def reverberation(self, hertz: float) -> float:
        """T in s at a frequency."""
        return float(np.interp(math.log2(hertz / 1000), [-3, 0, 3], self.seconds))


# By the names of a track's `room`; "dry" is no room and does nothing. The listener stands rather near: twice as far
# away, the ear names the starter sounds in the cathedral half as surely.
ROOMS: dict[str, Space] = {
    "living-room": Space((5.2, 4.1, 2.5), 0.8, (0.6, 0.5, 0.4)),
    "stairwell": Space((4.3, 3.1, 13.0), 1.5, (2.0, 1.7, 1.1)),
    "concert-hall": Space((42.0, 23.0, 16.0), 5.0, (2.5, 2.2, 1.3)),
    "church": Space((34.0, 15.0, 13.0), 4.5, (3.9, 3.4, 1.7)),
    "cathedral": Space((82.0, 29.0, 27.0), 7.0, (8.0, 6.5, 2.4)),
}


def put_into(clip: Clip, room: str) -> Clip:
    """The clip as it sounds in a room, at its own rate; "dry" gives the clip itself.

    It stays as long as it is, unless it is shorter than half the room's T at 1 kHz: then it rings on that long (a bark
    in the cathedral: 3.25 s). The rest of the tail is cut off with a fade of 20 ms, because the ear was trained on
    sounds that go on to their end: the living room's whole tail takes rain from 0.85 to 0.00. Noise keeps its power in
    every room. Channels have tails of their own, so stereo stays wide. Raises InputError for an unknown room.
    """
    if room == "dry":
        return clip
    if room not in ROOMS:
        raise InputError(f"There is no room {room!r}. Use one of: dry, {', '.join(ROOMS)}.")
    length = max(clip.samples.shape[1], round(ROOMS[room].reverberation(1000) / 2 * clip.rate))
    heard = np.stack(
        [
            convolve(channel, impulse_response(room, clip.rate, number))[:length]
            for number, channel in enumerate(clip.samples)
        ]
    )
    fade = min(round(_FADE * clip.rate), heard.shape[1])
    heard[:, heard.shape[1] - fade :] *= np.cos(np.linspace(0, np.pi / 2, fade)).astype(np.float32)
    return replace(clip, samples=heard)


@lru_cache(maxsize=16)  # of 1.5 MB at 48 kHz
def impulse_response(room: str, rate: int, channel: int = 0) -> Samples:
    """Float32 [L], beginning with the direct sound, of unit energy: noise is as loud behind it as before.

    room: a key of ROOMS.  rate: Hz.  channel: each has its own tail, the early reflections are the same.
    The same arguments give the same samples, on any machine up to the last bits.
    """
    space = ROOMS[room]
    response = _tail(space, rate, seed=1000 * list(ROOMS).index(room) + channel)
    for seconds, gain in _early(space):
        if (place := round(seconds * rate)) < len(response):
            response[place] += gain
    response = (response / math.sqrt(float(np.square(response).sum()))).astype(np.float32)
    response.flags.writeable = False  # it is shared by everybody who asks
    return response


def convolve(samples: Values, response: Values) -> Samples:
    """Linear convolution [N], [L] -> float32 [N + L - 1], block by block (overlap-add), so that half an hour needs no
    more memory than its samples.
    """
    size = 1 << (2 * len(response) - 1).bit_length()
    block = size - len(response) + 1
    spectrum = np.fft.rfft(response.astype(np.float64), size)
    whole = np.zeros(len(samples) + len(response) - 1, np.float32)
    for first in range(0, len(samples), block):
        part = samples[first : first + block].astype(np.float64)
        end = len(part) + len(response) - 1
        whole[first : first + end] += np.fft.irfft(np.fft.rfft(part, size) * spectrum, size)[:end].astype(np.float32)
    return whole


def _early(space: Space) -> list[tuple[float, float]]:
    """(s after the direct sound, amplitude relative to it) of the direct sound and its images of up to two walls.

    Image sources of a box (Allen and Berkley, 1979): the amplitude is that of the longer way, 1 / distance, times
    sqrt(1 - absorption) for each wall, where Sabine's 0.161 V / (S T) gives the walls' mean absorption.
    """
    length, width, height = space.size
    surface = 2 * (length * width + length * height + width * height)
    absorption = min(0.161 * space.volume / (surface * space.reverberation(1000)), 0.99)
    wall = math.sqrt(1 - absorption)
    # Off the middle, where reflections of opposite walls would fall together and colour the sound.
    listener = np.array([0.47 * length - space.distance / 2, 0.44 * width, min(1.7, 0.4 * height)])
    source = listener + np.array([space.distance, 0.0, 0.0])
    if source[0] >= length or listener[0] <= 0:  # in a tall narrow space the source is above
        listener = np.array([0.47 * length, 0.44 * width, 1.7])
        source = listener + np.array([0.0, 0.0, space.distance])
    found = []
    for steps in itertools.product(range(-2, 3), repeat=3):
        walls = sum(abs(step) for step in steps)
        if walls <= 2:
            axes = zip(steps, source, space.size, strict=True)
            image = [step * size + (place if step % 2 == 0 else size - place) for step, place, size in axes]
            way = float(np.linalg.norm(np.array(image) - listener))
            found.append(((way - space.distance) / SPEED, space.distance / way * wall**walls))
    return found


def _tail(space: Space, rate: int, seed: int) -> Values:
    """Float64 [L]: the diffuse reflections, relative to a direct sound of amplitude 1.

    In a diffuse field, reflections arrive with 4 pi c d^2 / V times the energy of the direct sound a second (Cremer
    and Müller, 1978), and the energy of each band falls by exp(-2 * 6.9 t / T). The noise of the bands is independent,
    and the bands' filters are power complementary, so at the start it is white.
    """
    length = math.ceil(max(space.seconds) * rate)
    time = np.arange(length) / rate
    late = space.distance / SPEED  # s that the sound has been on its way when its direct part arrives
    # RandomState and not default_rng: numpy has frozen its stream for good, and a room must stay the room it is.
    random = np.random.RandomState(seed)
    hertz = np.fft.rfftfreq(length, 1 / rate)
    octave = np.log2(np.maximum(hertz, 1e-3) / 1000)
    centres = range(-3, max(math.floor(math.log2(rate / 2000)), -3) + 1)
    tail = np.zeros(length)
    for centre in centres:
        # The outer bands reach to the ends of the spectrum.
        low = np.where((centre == centres[0]) & (octave < centre), centre, octave)
        inside = np.where((centre == centres[-1]) & (low > centre), centre, low)
        band = np.cos(np.pi / 2 * np.clip(np.abs(inside - centre), 0, 1)) * (hertz >= _LOWEST)
        noise = np.fft.irfft(np.fft.rfft(random.standard_normal(length)) * band, length)
        seconds = space.reverberation(1000 * 2.0**centre)
        tail += noise * np.exp(-_DECAY * (time + late) / seconds)
    density = 4 * math.pi * SPEED * space.distance**2 / space.volume
    mixed = 0.001 * math.sqrt(space.volume)  # s until reflections are too many to be told apart (Polack, 1988)
    fade = np.sin(np.pi / 2 * np.clip(time / mixed, 0, 1))
    return np.asarray(tail * fade * math.sqrt(density / rate))
