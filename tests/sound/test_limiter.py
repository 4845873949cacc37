"""The limiter: nothing below full scale is touched, nothing above -1 dBFS true peak is left."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from studio.sound.clip import Clip
from studio.sound.limiter import limit, true_peak_dbfs
from tests.sound.helpers import clip_of

RATE = 16_000
TIME = np.arange(RATE) / RATE
RANDOM = np.random.default_rng(0)
LOUD = {
    "a tone": 2 * np.sin(2 * np.pi * 440 * TIME),
    "bass": 3 * np.sin(2 * np.pi * 50 * TIME),
    "noise": RANDOM.standard_normal(RATE),
    "clicks": np.where(np.arange(RATE) % 1000 == 500, 8.0, 0.01),
    "one click at the start": np.eye(1, RATE)[0] * 4,
    "one click at the end": np.eye(1, RATE, RATE - 1)[0] * -4,
    "a square": 1.5 * np.sign(np.sin(2 * np.pi * 441 * TIME)),
    "far beyond": 1000 * RANDOM.standard_normal(RATE),
    "between the samples": 1.2 * np.sin(2 * np.pi * RATE / 4 * TIME + np.pi / 4),  # samples at 0.85 only
}


@pytest.mark.parametrize("amplitude", [0, 0.01, 0.5, 0.99])
def test_below_full_scale_it_is_the_same_object(amplitude: float, tone: Callable[..., Clip]) -> None:
    clip = tone(hertz=1000.0, amplitude=amplitude)
    assert limit(clip) is clip


@pytest.mark.parametrize("case", LOUD)
def test_the_true_peak_is_at_most_minus_one(case: str) -> None:
    clip = clip_of(LOUD[case][None], RATE)
    limited = limit(clip)
    assert true_peak_dbfs(clip) > 0
    assert -2.5 < true_peak_dbfs(limited) <= -1
    assert np.all(np.abs(limited.samples) <= np.abs(clip.samples))
    assert limited.samples.shape == clip.samples.shape


def test_only_the_surroundings_of_a_peak_give_way() -> None:
    samples = 0.2 * np.sin(2 * np.pi * 440 * TIME)
    samples[8000:8010] = 2
    clip = clip_of(np.stack([samples, 0.1 * samples]), RATE)
    limited = limit(clip).samples
    away = np.abs(np.arange(RATE) - 8005) > 0.03 * RATE
    assert np.array_equal(limited[:, away], clip.samples[:, away])
    gain = limited[0, 8005] / clip.samples[0, 8005]
    assert limited[1, 8005] / clip.samples[1, 8005] == pytest.approx(gain), "one gain for both sides"
    assert gain < 0.5


def test_a_steady_tone_is_turned_down_and_not_bent() -> None:
    tone = np.sin(2 * np.pi * 100 * TIME)
    limited = limit(clip_of(2 * tone[None], RATE)).samples[0, 1600:-1600]
    spectrum = np.abs(np.fft.rfft(limited * np.hanning(len(limited))))
    loudest = int(spectrum.argmax())
    spectrum[max(loudest - 4, 0) : loudest + 5] = 0
    assert 20 * np.log10(spectrum.max() / np.abs(np.fft.rfft(limited * np.hanning(len(limited)))).max()) < -60


def test_true_peak_sees_between_the_samples() -> None:
    assert true_peak_dbfs(clip_of(LOUD["between the samples"][None], RATE)) == pytest.approx(1.58, abs=0.2)
    assert true_peak_dbfs(clip_of(np.zeros((1, 1000)), RATE)) == -np.inf


def test_long_sounds_have_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = clip_of(LOUD["noise"][None], RATE)
    whole = limit(clip).samples
    monkeypatch.setattr("studio.sound.limiter._BLOCK", 1000)
    np.testing.assert_allclose(limit(clip).samples, whole, atol=1e-6)
