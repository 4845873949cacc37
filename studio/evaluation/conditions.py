"""Disturbances: what rooms, telephones, distance and impatience do to a recording. Pure functions Clip -> Clip.

What is random is drawn from a given generator, so that the same seed disturbs in the same way. N samples.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from studio.sound.clip import Clip
from studio.sound.window import cut, loudest_window


def low_pass(clip: Clip, cut_off: float, order: int = 8) -> Clip:
    """The sound with what is above `cut_off` Hz taken away; same length, no delay.

    Magnitude of a Butterworth filter, 1 / sqrt(1 + (f / cut_off)^(2 order)): -3 dB at the cut, -48 dB an octave above
    it for order 8. Applied to the spectrum, so that a cut at half the rate is possible too; it then only bites into
    the last few hundred Hz below.
    """
    count = clip.samples.shape[1]
    # Twice the length: what the filter spreads beyond the end must not come back at the beginning.
    spectrum = np.fft.rfft(clip.samples, 2 * count)
    frequency = np.fft.rfftfreq(2 * count, 1 / clip.rate)
    spectrum /= np.sqrt(1 + (frequency / cut_off) ** (2 * order))
    return replace(clip, samples=np.fft.irfft(spectrum, 2 * count)[:, :count].astype(np.float32))


def pink_noise(count: int, rate: int, generator: np.random.Generator) -> np.ndarray:
    """`count` samples of noise whose power falls by 3 dB an octave from 20 Hz on, float64 [count], mean square 1."""
    frequency = np.fft.rfftfreq(count, 1 / rate)
    spectrum = generator.normal(size=(2, len(frequency)))
    shaped = (spectrum[0] + 1j * spectrum[1]) / np.sqrt(np.maximum(frequency, 20.0))
    shaped[frequency < 20.0] = 0  # rumble that nobody hears would use up the power
    noise = np.fft.irfft(shaped, count)
    return noise / np.sqrt(np.mean(noise**2))


def add_noise(clip: Clip, ratio: float, generator: np.random.Generator) -> Clip:
    """The sound in pink background noise, `ratio` dB below the sound's own mean power; the same noise in all channels.

    The mean is over the whole clip, silence included, as signal-to-noise ratios usually are.
    """
    noise = pink_noise(clip.samples.shape[1], clip.rate, generator)
    power = float(np.mean(np.square(clip.samples, dtype=np.float64)))
    level = np.sqrt(power / 10 ** (ratio / 10))
    return replace(clip, samples=(clip.samples + level * noise).astype(np.float32))


def impulse_response(seconds: float, rate: int, generator: np.random.Generator) -> np.ndarray:
    """A room that does not exist: the direct sound, then noise that decays by 60 dB in `seconds` (RT60).

    float64 [1.2 * seconds * rate]. Exponentially decaying noise is the classic model of late reverberation (Moorer
    1979, "About this reverberation business"). Direct sound and reverberation carry the same energy, as some metres
    from the source in a hall.
    """
    time = np.arange(int(1.2 * seconds * rate)) / rate
    tail = generator.normal(size=len(time)) * 10 ** (-3 * time / seconds)  # -60 dB is a factor of 10^-3
    tail[0] = 0
    tail /= np.sqrt(np.sum(tail**2))
    tail[0] = 1
    return tail


def reverberate(clip: Clip, seconds: float, generator: np.random.Generator) -> Clip:
    """The sound in a room with an RT60 of `seconds`, as loud (mean square) as before; its ringing is kept at the end.

    [C, N] -> [C, N + 1.2 * seconds * rate - 1].
    """
    from scipy.signal import fftconvolve

    response = impulse_response(seconds, clip.rate, generator)
    wet = fftconvolve(clip.samples, response[None], axes=1)
    before = np.mean(np.square(clip.samples, dtype=np.float64))
    # Power within the length that the sound had: the ringing behind it is quieter and would lower the mean.
    power = np.mean(wet[:, : clip.samples.shape[1]] ** 2)
    return replace(clip, samples=(wet * np.sqrt(before / max(power, 1e-20))).astype(np.float32))


def with_length(clip: Clip, seconds: float) -> Clip:
    """The sound `seconds` (at least 0.05) long: its most energetic part, or itself again and again."""
    if seconds < clip.seconds:
        start, end = loudest_window(clip, seconds)
        return cut(clip, start, end - start)
    count = round(seconds * clip.rate)
    times = -(-count // clip.samples.shape[1])
    return replace(clip, samples=np.tile(clip.samples, times)[:, :count])
