"""Pictures of sound have the size that was asked for and show what they should."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from studio.sound.clip import Clip
from studio.sound.pictures import ACCENT, QUIET, spectrogram, waveform
from tests.sound.helpers import clip_of

Tone = Callable[..., Clip]


@pytest.mark.parametrize("width", [1, 40, 640])
@pytest.mark.parametrize("seconds", [0.05, 3.0])
@pytest.mark.parametrize("rate", [1000, 16_000, 96_000])
def test_sizes_and_modes(tone: Tone, width: int, seconds: float, rate: int) -> None:
    clip = tone(seconds, rate, 2, hertz=100.0)
    wave, mel = waveform(clip, width, 33), spectrogram(clip, width, 33)
    assert (wave.mode, wave.size) == ("RGBA", (width, 33))
    assert (mel.mode, mel.size) == ("RGB", (width, 33))


def test_waveform_marks_the_window(tone: Tone) -> None:
    pixels = np.asarray(waveform(tone(10.0, 1000, hertz=7.0), 100, 21, window=(2.0, 5.0)))
    middle = pixels[10]
    assert {tuple(pixel[:3]) for pixel in middle[20:50]} == {ACCENT}
    assert {tuple(pixel[:3]) for pixel in np.concatenate([middle[:20], middle[50:]])} == {QUIET}
    assert (pixels[0, 20:50, 3] > 0).all(), "the ground of the window is tinted"
    assert (np.asarray(waveform(tone(10.0, 1000), 100, 21))[..., :3] == ACCENT).all()


def test_waveform_follows_the_sound() -> None:
    samples = np.zeros((1, 1000), np.float32)
    samples[0, 500:] = 0.25
    drawn = np.asarray(waveform(clip_of(samples, 1000), 100, 41))[..., 3] > 0
    assert drawn[:, :50].sum() == 50, "silence is a line"
    assert drawn[0, 50:].all(), "the loudest sample reaches the edge"
    assert not drawn[21:, 50:].any()


def test_spectrogram_shows_pitch_and_time(tone: Tone) -> None:
    low, high = (np.asarray(spectrogram(tone(1.0, hertz=hertz), 60, 60)).sum(axis=2) for hertz in (200.0, 5000.0))
    assert low.mean(axis=1).argmax() > 40
    assert high.mean(axis=1).argmax() < 15
    half = clip_of(np.concatenate([np.zeros((1, 16_000), np.float32), tone().samples], axis=1), 16_000)
    light = np.asarray(spectrogram(half, 60, 60)).sum(axis=(0, 2))
    assert light[:25].max() < light[35:].min()


def test_spectrogram_of_silence_is_dark() -> None:
    assert np.asarray(spectrogram(clip_of(np.zeros((1, 16_000)), 16_000), 60, 60)).max() < 70
