"""How loud a sound is: LUFS, peak, gain, and the refusal of silence.

Loudness follows Recommendation ITU-R BS.1770-4: K-weighting, mean square per 400 ms block, two gates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from studio.errors import InputError
from studio.sound.clip import Clip, spoken

SILENCE_DBFS = -50.0
MATCHED_LUFS = -20.0  # the level of the starter sounds, which leaves room for peaks

# BS.1770-4, tables 1 and 2: the two filters of the K-weighting at 48 kHz, as (b0, b1, b2), (1, a1, a2).
_TABLE_RATE = 48_000
_SHELF = ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585))
_HIGH_PASS = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))
_MIN_FILTER_RATE = 16_000  # below it the bilinear transform bends the shelf at 1.7 kHz by more than 0.1 dB

# BS.1770-4, annex 1 and table 4 of annex 3: 1.41 for channels at 60 to 120 degrees, 0 for the low-frequency channel.
# Rows: 1 to 8 channels in the order of WAV files (L R C LFE ...; 7: ... back, sides; 8: ... backs, sides).
_WEIGHTS = (
    (1.0,),
    (1.0, 1.0),
    (1.0, 1.0, 1.0),
    (1.0, 1.0, 1.41, 1.41),
    (1.0, 1.0, 1.0, 1.41, 1.41),
    (1.0, 1.0, 1.0, 0.0, 1.41, 1.41),
    (1.0, 1.0, 1.0, 0.0, 1.0, 1.41, 1.41),
    (1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.41, 1.41),
)
_ABSOLUTE_GATE = -70.0  # LUFS
_RELATIVE_GATE = -10.0  # LU below the mean of what passes the absolute gate
_CHUNK_STEPS = 300  # 30 s
_MAX_GAIN = 200.0  # dB; float32 holds 770 dB above full scale


class SilenceError(InputError):
    """There is a sound, but nothing to hear in it."""


def lufs(clip: Clip) -> float:
    """Integrated loudness in LUFS (BS.1770-4); -inf when no block is louder than -70 LUFS.

    A sound shorter than one block of 0.4 s is one block of its own length, so a short beep is as loud as a long one.
    """
    step = round(0.1 * _filter_rate(clip.rate))  # blocks of 400 ms overlap by 75 %: sums over steps of 100 ms
    sums, tail, length = _step_energies(clip, step)
    if sums.shape[1] < 4:
        power = ((sums.sum(axis=1) + tail) / length)[:, None]
    else:
        power = np.lib.stride_tricks.sliding_window_view(sums, 4, axis=1).sum(axis=-1) / (4 * step)
    blocks = np.array(_WEIGHTS[clip.channels - 1]) @ power  # equation 4, one value per block j
    heard = blocks[_loudness(blocks) > _ABSOLUTE_GATE]
    if not len(heard):
        return -math.inf
    gate = float(_loudness(heard.mean())) + _RELATIVE_GATE  # equation 6
    return float(_loudness(heard[_loudness(heard) > gate].mean()))  # equation 7


def peak_dbfs(clip: Clip) -> float:
    """The largest absolute sample in dB relative to full scale; above 0 when it exceeds it, -inf for pure zeros."""
    return _decibel(max(float(clip.samples.max()), -float(clip.samples.min())))


def apply_gain(clip: Clip, db: float) -> Clip:
    """A new Clip, louder by `db` decibels. Nothing is limited: values may leave -1..1 and come back with a lower gain.

    db: -200..200. Raises InputError when it is not, or when the samples leave the range of float32.
    """
    if not -_MAX_GAIN <= db <= _MAX_GAIN:
        raise InputError(f"A gain must be from {-_MAX_GAIN:g} to {_MAX_GAIN:g} dB, not {db:g} dB: use -60 to 40.")
    factor = np.float32(10 ** (db / 20))
    with np.errstate(over="ignore"):  # what overflows is infinite, and Clip refuses it
        return replace(clip, samples=clip.samples * factor)


def matched_gains(clips: Sequence[Clip], target_lufs: float = MATCHED_LUFS) -> list[float]:
    """The gain in dB, one for each clip, that brings it to `target_lufs`. Too soft to be measured: 0, it stays."""
    measured = [lufs(clip) for clip in clips]
    return [target_lufs - loudness if math.isfinite(loudness) else 0.0 for loudness in measured]


def is_silent(clip: Clip) -> bool:
    """Whether nothing is louder than -50 dBFS (peak). A constant offset, which many microphones add, is no sound."""
    return _peak_without_offset(clip) < SILENCE_DBFS


def refuse_silence(clip: Clip) -> None:
    """Raise SilenceError, with advice, when the clip is silent: a picture of nothing would be a picture of chance."""
    peak = _peak_without_offset(clip)
    if peak >= SILENCE_DBFS:
        return
    measured = f"peak {math.floor(peak)} dB" if math.isfinite(peak) else "all samples are equal"
    advice = "raise the volume with --gain" if math.isfinite(peak) else "choose another sound"
    raise SilenceError(
        f"We heard almost nothing ({measured}) in {spoken(clip.name)}, and at least {SILENCE_DBFS:.0f} dB is needed. "
        f"Check the microphone or {advice}."
    )


def _peak_without_offset(clip: Clip) -> float:
    peaks = []
    for channel in clip.samples:
        offset = float(channel.mean(dtype=np.float64))
        peaks.append(max(float(channel.max()) - offset, offset - float(channel.min())))
    # Rounding of the mean leaves a little of a constant; 1e-6 is -120 dBFS, below any 16-bit sound.
    return _decibel(max(peaks)) if max(peaks) > 1e-6 else -math.inf


def _decibel(amplitude: float) -> float:
    return 20 * math.log10(amplitude) if amplitude > 0 else -math.inf


def _loudness(power: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    """LUFS of a weighted mean square: equation 2. -0.691 dB undoes the gain of the K-weighting at 1 kHz."""
    with np.errstate(divide="ignore"):
        return np.asarray(-0.691 + 10 * np.log10(power))


def _step_energies(clip: Clip, step: int) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """K-weighted energy: per channel and whole step [C, S], of the samples after the last step [C], and N."""
    from scipy import signal  # a third of a second to import, and only needed here

    samples: NDArray[np.floating] = clip.samples
    rate = _filter_rate(clip.rate)
    if rate != clip.rate:
        samples = signal.resample_poly(samples, rate // clip.rate, 1, axis=1)
    filters = _k_weighting(rate)
    state = np.zeros((len(filters), clip.channels, 2))
    sums, tail = [], np.zeros(clip.channels)
    chunk = step * _CHUNK_STEPS  # the filters work in float64: a long sound goes through them piece by piece
    for first in range(0, samples.shape[1], chunk):
        part, state = signal.sosfilt(filters, samples[:, first : first + chunk], axis=1, zi=state)
        whole = part.shape[1] // step * step
        sums.append(np.square(part[:, :whole]).reshape(clip.channels, -1, step).sum(axis=-1))
        tail = np.square(part[:, whole:]).sum(axis=1)
    return np.concatenate(sums, axis=1), tail, samples.shape[1]


def _filter_rate(rate: int) -> int:
    """The rate at which the K-weighting is applied: the clip's own, or a multiple when that is too low for it."""
    return rate * math.ceil(_MIN_FILTER_RATE / rate) if rate < _MIN_FILTER_RATE else rate


@lru_cache(maxsize=16)
def _k_weighting(rate: int) -> NDArray[np.float64]:
    """Second-order sections [2, 6] of the K-weighting at any rate: the tables' own analogue filters, sampled anew.

    The bilinear transform s = (1 - 1/z) / (1 + 1/z) is undone at 48 kHz, which gives the analogue filter
    (B2 s^2 + B1 s + B0) / (A2 s^2 + A1 s + A0). Its corner sqrt(A0 / A2) = tan(pi f0 / 48000) is moved to
    tan(pi f0 / rate), the same frequency f0 in Hz at the new rate, and the transform is done again.
    (Bilinear transform with prewarping: Oppenheim and Schafer, Discrete-Time Signal Processing, chapter 7.)
    """
    sections = []
    for numerator, denominator in (_SHELF, _HIGH_PASS):
        top, bottom = _to_analogue(numerator), _to_analogue(denominator)
        corner = math.sqrt(bottom[2] / bottom[0])
        ratio = math.tan(math.atan(corner) * _TABLE_RATE / rate) / corner
        moved = np.array([1.0, ratio, ratio * ratio])
        section = np.concatenate([_to_digital(top * moved), _to_digital(bottom * moved)])
        sections.append(section / section[3])
    return np.array(sections)


def _to_analogue(z: tuple[float, float, float]) -> NDArray[np.float64]:
    """z0 + z1/z + z2/z^2 with 1/z = (1 - s) / (1 + s), times (1 + s)^2, as coefficients of s^2, s, 1."""
    return np.array([z[0] - z[1] + z[2], 2 * (z[0] - z[2]), z[0] + z[1] + z[2]])


def _to_digital(s: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `_to_analogue`, up to a factor that a filter's numerator and denominator share."""
    return np.array([s[0] + s[1] + s[2], 2 * (s[2] - s[0]), s[0] - s[1] + s[2]])
