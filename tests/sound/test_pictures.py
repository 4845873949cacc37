"""Pictures of sound have the size that was asked for and show what they should."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from studio.sound.clip import Clip
from studio.sound.pictures import spectrogram
from tests.sound.helpers import clip_of

Tone = Callable[..., Clip]


@pytest.mark.parametrize("width", [1, 40, 640])
@pytest.mark.parametrize("seconds", [0.05, 3.0])
@pytest.mark.parametrize("rate", [1000, 16_000, 96_000])
def test_sizes_and_modes(tone: Tone, width: int, seconds: float, rate: int) -> None:
    clip = tone(seconds, rate, 2, hertz=100.0)
    mel = spectrogram(clip, width, 33)
    assert (mel.mode, mel.size) == ("RGB", (width, 33))


def test_spectrogram_shows_pitch_and_time(tone: Tone) -> None:
    low, high = (np.asarray(spectrogram(tone(1.0, hertz=hertz), 60, 60)).sum(axis=2) for hertz in (200.0, 5000.0))
    assert low.mean(axis=1).argmax() > 40
    assert high.mean(axis=1).argmax() < 15
    half = clip_of(np.concatenate([np.zeros((1, 16_000), np.float32), tone().samples], axis=1), 16_000)
    light = np.asarray(spectrogram(half, 60, 60)).sum(axis=(0, 2))
    assert light[:25].max() < light[35:].min()


def test_spectrogram_of_silence_is_dark() -> None:
    assert np.asarray(spectrogram(clip_of(np.zeros((1, 16_000)), 16_000), 60, 60)).max() < 70
