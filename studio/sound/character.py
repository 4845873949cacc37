"""What can be said of a sound beside its name: its pitch and its tempo, where it has them.

By librosa, whose import takes a quarter of a second and is done when somebody asks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from studio.sound.clip import Clip
from studio.sound.resample import resample
from studio.sound.window import WINDOW_SECONDS, cut, loudest_window

_RATE = 22_050  # Hz
_HOP = 512
_LOWEST, _HIGHEST = 60.0, 2000.0  # Hz
_STEADY = 0.6  # semitones by which half of a sound's frames may stray from its pitch
_PULSE = 0.5  # correlation of the onsets with themselves one beat later, from which on there is a beat


@dataclass(frozen=True)
class Character:
    """pitch: Hz, 60..2000.  note: its nearest name, A4 = 440 Hz.  tempo: beats a minute. None where there is none."""

    pitch: float | None = None
    note: str | None = None
    tempo: float | None = None

    def __str__(self) -> str:
        """For people: "A4 (440 Hz), 120 BPM"; empty when there is neither."""
        pitch = [] if self.pitch is None else [f"{self.note} ({self.pitch:.0f} Hz)"]
        return ", ".join(pitch + ([] if self.tempo is None else [f"{self.tempo:.0f} BPM"]))


def character(clip: Clip) -> Character:
    """Pitch and tempo of the most energetic 10 s, where half of the sound agrees on one.

    Most sounds of the world have neither, and a number for rain would be chance. Pitch: the median of YIN (de
    Cheveigne and Kawahara, 2002), if half of the frames are within 0.6 semitones of it. Tempo: that of the onsets'
    autocorrelation (Ellis, 2007), if the onsets repeat after one beat with a correlation of 0.5 or more.
    """
    start, end = loudest_window(clip, min(WINDOW_SECONDS, clip.seconds))
    samples = resample(cut(clip, start, end - start).mono(), _RATE).samples[0]
    if not samples.any() or len(samples) < _RATE // 4:
        return Character()
    import librosa

    pitches = librosa.yin(samples, fmin=_LOWEST, fmax=_HIGHEST, sr=_RATE)
    pitch = float(np.median(pitches))
    stray = float(np.median(np.abs(12 * np.log2(pitches / pitch))))
    inside = 1.03 * _LOWEST < pitch < 0.97 * _HIGHEST  # at the bounds it found nothing
    note = str(librosa.hz_to_note(pitch, unicode=False)) if stray <= _STEADY and inside else None
    return Character(pitch if note else None, note, _tempo(samples))


def _tempo(samples: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float | None:
    import librosa

    onsets = librosa.onset.onset_strength(y=samples, sr=_RATE, hop_length=_HOP)
    if not np.ptp(onsets):
        return None
    tempo = float(librosa.feature.tempo(onset_envelope=onsets, sr=_RATE, hop_length=_HOP)[0])
    again = librosa.autocorrelate(onsets - onsets.mean())
    beat = round(60 * _RATE / _HOP / tempo)
    near = again[max(beat - 1, 1) : beat + 2]
    if not len(near) or near.max() < _PULSE * again[0]:
        return None
    return tempo
