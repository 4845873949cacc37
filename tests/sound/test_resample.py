"""The same sound at another rate: length, pitch, level, and nothing folded back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from studio.errors import InputError
from studio.sound.clip import Clip
from studio.sound.resample import _ratio, resample

Tone = Callable[..., Clip]


@pytest.mark.parametrize(
    ("old", "new"),
    [(44_100, 16_000), (48_000, 16_000), (8000, 16_000), (22_050, 48_000), (44_101, 16_000), (16_000, 44_101),
     (1000, 16_000), (192_000, 16_000), (16_000, 1000)],
)  # fmt: skip
def test_tone_stays_the_same(tone: Tone, old: int, new: int) -> None:
    clip = tone(1.0, old, 2, hertz=200.0)
    moved = resample(clip, new)
    assert (moved.rate, moved.channels) == (new, 2)
    assert moved.seconds == pytest.approx(clip.seconds, abs=2e-3)
    wanted = tone(1.0, new, 2, hertz=200.0).samples
    middle = slice(new // 5, -new // 5)
    np.testing.assert_allclose(moved.samples[:, : wanted.shape[1]][:, middle], wanted[:, middle], atol=0.02)


def test_what_the_new_rate_cannot_hold_is_gone(tone: Tone) -> None:
    for hertz in (8200.0, 9000.0, 12_000.0, 20_000.0):
        moved = resample(tone(1.0, 48_000, hertz=hertz), 16_000)
        assert np.abs(moved.samples[:, 2000:-2000]).max() < 0.5 * 10 ** (-60 / 20)


def test_what_it_can_hold_stays(tone: Tone) -> None:
    for hertz in (50.0, 3000.0, 7000.0):
        moved = resample(tone(1.0, 44_100, hertz=hertz), 16_000)
        assert np.abs(moved.samples[:, 2000:-2000]).max() == pytest.approx(0.5, abs=0.01)


def test_same_rate_is_the_same_clip(tone: Tone) -> None:
    clip = tone()
    assert resample(clip, clip.rate) is clip
    near = resample(clip, clip.rate + 1)
    assert near.rate == clip.rate + 1
    np.testing.assert_array_equal(near.samples, clip.samples)


def test_twice_is_the_same(tone: Tone) -> None:
    clip = tone(0.3, 44_100)
    np.testing.assert_array_equal(resample(clip, 16_000).samples, resample(clip, 16_000).samples)


def test_shortest_clip(tone: Tone) -> None:
    assert resample(tone(0.05, 48_000), 1000).seconds >= 0.05


@pytest.mark.parametrize("rate", [0, 999, 400_000])
def test_bad_rate(tone: Tone, rate: int) -> None:
    with pytest.raises(InputError, match=f"sample rate of {rate} Hz"):
        resample(tone(), rate)


@pytest.mark.parametrize(("rate", "old"), [(383_999, 1001), (1001, 383_999), (47_999, 44_101), (16_000, 44_100)])
def test_ratio_is_small_and_close(rate: int, old: int) -> None:
    up, down = _ratio(rate, old)
    assert max(up, down) <= 2000
    assert up / down == pytest.approx(rate / old, rel=1e-3)
