"""The gate: what is let through is as declared, what is not gets one sentence."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from studio.errors import InputError
from studio.sound.clip import Clip, spoken, spoken_time


@pytest.mark.parametrize(
    ("channels", "count", "rate"),
    [(1, 50, 1000), (1, 800, 16_000), (8, 2400, 48_000), (2, 19_200, 384_000), (1, 1_800_000, 1000)],
)
def test_gate_lets_through(channels: int, count: int, rate: int) -> None:
    clip = Clip(np.zeros((channels, count), np.float32), rate)
    assert (clip.channels, clip.seconds, clip.rate) == (channels, count / rate, rate)
    assert clip.samples.dtype == np.float32
    assert clip.samples.shape == (channels, count)


def _with(value: float) -> np.ndarray:
    samples = np.zeros((2, 1000), np.float32)
    samples[1, 250] = value
    return samples


@pytest.mark.parametrize(
    ("samples", "rate", "sentence"),
    [
        (np.zeros((0, 100), np.float32), 1000, "has 0 channels, but a sound must have 1 to 8"),
        (np.zeros((9, 100), np.float32), 1000, "has 9 channels"),
        (np.zeros((1, 1), np.float32), 16_000, "holds 1 sample (0.0001 s), but a sound must be at least 0.05 s"),
        (np.zeros((1, 0), np.float32), 16_000, "holds 0 samples"),
        (np.zeros((1, 49), np.float32), 1000, "holds 49 samples (0.0490 s)"),
        (np.zeros((1, 1_800_001), np.float32), 1000, "long, but a sound may be at most 30 min"),
        (np.zeros((1, 3_601_000), np.float32), 1000, "is 60 min 1 s long"),
        (np.zeros((1, 1000), np.float32), 999, "sample rate of 999 Hz"),
        (np.zeros((1, 1000), np.float32), 384_001, "sample rate of 384001 Hz"),
        (np.zeros((1, 1000), np.float32), 8000.5, "sample rate of 8000.5 Hz"),
        (np.zeros((1, 1000), np.float32), float("nan"), "sample rate of nan Hz"),
        (_with(np.nan), 1000, "not a finite number (NaN or infinity, first at 0.250 s)"),
        (_with(-np.inf), 1000, "not a finite number"),
        (_with(1.0).astype(np.float64) * 1e300, 1000, "not a finite number"),
        (np.zeros(1000, np.float32), 1000, "is an array float32 [1000], but must be floats [channels, samples]"),
        (np.zeros((1, 1000), np.int16), 1000, "is an array int16 [1, 1000], but must be floats"),
    ],
)
def test_gate_refuses(samples: np.ndarray, rate: int, sentence: str) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)) as refused:
        Clip(samples, rate, "bell.wav")
    assert str(refused.value).startswith('"bell.wav" ')
    assert str(refused.value).endswith(".")


def test_samples_are_a_read_only_view_and_the_given_array_stays_writable() -> None:
    given = np.zeros((1, 1000), np.float32)
    clip = Clip(given, 1000)
    assert np.shares_memory(clip.samples, given)
    with pytest.raises(ValueError, match="read-only"):
        clip.samples[0, 0] = 1
    given[0, 0] = 1


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_other_floats_become_float32(kind: Any) -> None:
    assert Clip(np.full((1, 100), 0.25, kind), 1000).samples.dtype == np.float32


def test_mono_is_the_mean_and_keeps_the_name() -> None:
    clip = Clip(np.stack([np.full(100, 0.2), np.full(100, 0.6)]), 1000, "a.wav")
    mono = clip.mono()
    assert (mono.channels, mono.rate, mono.name) == (1, 1000, "a.wav")
    np.testing.assert_allclose(mono.samples, 0.4, atol=1e-7)
    assert mono.mono() is mono


def test_names_stay_on_one_line() -> None:
    assert spoken("a\nb\x1b.wav") == '"a?b?.wav"'
    assert spoken("Öl & café ☂.wav") == '"Öl & café ☂.wav"'
    assert spoken("") == "This sound"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.05, "0.05 s"), (4.2, "4.2 s"), (1800, "30 min"), (3601, "60 min 1 s"), (119.7, "2 min")]
)
def test_spoken_time(seconds: float, text: str) -> None:
    assert spoken_time(seconds) == text


def test_repr_is_short() -> None:
    assert repr(Clip(np.zeros((2, 500), np.float32), 1000, "a.wav")) == "Clip('a.wav', 2 x 0.500 s at 1000 Hz)"
