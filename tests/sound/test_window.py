"""The loudest part is found where it is, and cuts are exact."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import pytest

from studio.errors import InputError
from studio.sound.clip import Clip
from studio.sound.window import choose_window, cut, loudest_window
from tests.sound.helpers import clip_of

Tone = Callable[..., Clip]


def _burst(rate: int, seconds: float, start: float, end: float, channels: int = 1) -> Clip:
    samples = 0.001 * np.random.default_rng(0).normal(size=(channels, int(rate * seconds)))
    samples[-1, int(start * rate) : int(end * rate)] += 0.5
    return clip_of(samples, rate)


@pytest.mark.parametrize("rate", [1000, 8000, 11_025, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("start", [0.0, 3.21, 20.0])
def test_finds_the_burst(rate: int, start: float) -> None:
    clip = _burst(rate, 30, start, start + 10)
    found, end = loudest_window(clip)
    assert found == pytest.approx(start, abs=0.02)
    assert end - found == pytest.approx(10)


@pytest.mark.parametrize("seconds", [0.05, 0.1, 1.0, 2.999])
def test_other_lengths(seconds: float) -> None:
    start, end = loudest_window(_burst(16_000, 3, 1.5, 1.6, channels=2), seconds)
    assert end - start == pytest.approx(seconds)
    assert start <= max(1.5, 1.61 - seconds)
    assert end >= 1.59 - max(0, 0.1 - seconds)
    assert 0 <= start < end <= 3


def test_sound_that_is_not_longer_is_its_own_window(tone: Tone) -> None:
    assert loudest_window(tone(4.2)) == (0.0, 4.2)
    assert loudest_window(tone(10.0)) == (0.0, 10.0)


def test_of_equal_parts_the_first() -> None:
    assert loudest_window(clip_of(np.zeros((1, 200_000)), 10_000)) == (0.0, 10.0)
    assert loudest_window(clip_of(np.full((2, 200_001), 0.1), 10_000)) == (0.0, 10.0)


def test_huge_values_do_not_overflow() -> None:
    samples = np.full((1, 20_000), 1e30)
    samples[0, 10_000:] = 1e31
    assert loudest_window(clip_of(samples, 1000)) == (10.0, 20.0)


@pytest.mark.parametrize("seconds", [0, -1, 0.01, math.nan])
def test_window_too_short(tone: Tone, seconds: float) -> None:
    with pytest.raises(InputError, match=r"at least 0.05 s is needed"):
        loudest_window(tone(), seconds)


@pytest.mark.parametrize(
    ("start", "duration", "expected"),
    [
        (None, None, (15.0, 25.0)),
        (None, 10.0, (15.0, 25.0)),
        (None, 100.0, (0.0, 30.0)),
        (3.0, None, (3.0, 13.0)),
        (28.0, None, (28.0, 30.0)),
        (3.0, 20.0, (3.0, 23.0)),
        (0.0, 30.0005, (0.0, 30.0)),
    ],
)
def test_choose_window(start: float | None, duration: float | None, expected: tuple[float, float]) -> None:
    assert choose_window(_burst(16_000, 30, 15, 25), start, duration) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("start", "duration"), [(30.0, None), (31.0, None), (-1.0, None), (25.0, 6.0), (0.0, 30.1), (math.nan, 1.0)]
)
def test_choose_window_outside(start: float, duration: float | None) -> None:
    with pytest.raises(InputError, match=r"is 30.00 s long and has no part from"):
        choose_window(_burst(16_000, 30, 15, 25), start, duration)


def test_cut_is_exact_and_a_copy() -> None:
    clip = clip_of(np.arange(4000, dtype=np.float32).reshape(2, 2000), 1000, "a.wav")
    part = cut(clip, 0.5, 0.25)
    np.testing.assert_array_equal(part.samples, clip.samples[:, 500:750])
    assert (part.rate, part.name) == (1000, "a.wav")
    assert not np.shares_memory(part.samples, clip.samples)
    np.testing.assert_array_equal(cut(clip, 0, clip.seconds).samples, clip.samples)
    assert cut(clip, 1.0, 1.0009).seconds == 1.0


@pytest.mark.parametrize("rate", [1000, 11_025, 44_100, 48_000])
def test_every_window_can_be_cut(rate: int) -> None:
    """Rounding at either end never leaves the sound nor falls below the shortest one."""
    generator = np.random.default_rng(0)
    clip = clip_of(generator.normal(size=(1, int(1.37 * rate) + 1)), rate)
    for seconds in [0.05, 1.37, *generator.uniform(0.05, 1.37, 50)]:
        start, end = loudest_window(clip, seconds)
        assert cut(clip, start, end - start).seconds == pytest.approx(min(seconds, clip.seconds), abs=1.01 / rate)


@pytest.mark.parametrize(
    ("start", "duration", "sentence"),
    [
        (-0.1, 1.0, '"a.wav" is 2.00 s long and has no part from -0.10 s to 0.90 s: choose a start and a duration'),
        (1.5, 0.6, "has no part from 1.50 s to 2.10 s"),
        (0.0, 0.01, '"a.wav" cannot be cut to 0.01 s, because at least 0.05 s is needed: choose a longer part.'),
        (0.0, math.nan, "cannot be cut to nan s"),
        (0.0, math.inf, "has no part"),
    ],
)
def test_cut_refuses(start: float, duration: float, sentence: str) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)):
        cut(clip_of(np.zeros((1, 2000)), 1000, "a.wav"), start, duration)
