"""Disturbances do what their names say, by measurement."""

from __future__ import annotations

import numpy as np
import pytest

from studio.evaluation.conditions import add_noise, impulse_response, low_pass, pink_noise, reverberate, with_length
from studio.sound.clip import Clip

RATE = 16_000


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def white(seconds: float = 2.0) -> Clip:
    return Clip(draw(5).normal(0, 0.1, (1, round(seconds * RATE))).astype(np.float32), RATE)


def band_power(clip: Clip, low: float, high: float) -> float:
    power = np.abs(np.fft.rfft(clip.samples[0].astype(np.float64))) ** 2
    frequency = np.fft.rfftfreq(clip.samples.shape[1], 1 / clip.rate)
    return float(power[(frequency >= low) & (frequency < high)].sum())


def mean_square(samples: np.ndarray) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64)))


def decay_seconds(response: np.ndarray, rate: int) -> float:
    """RT60 by Schroeder's backward integration (ISO 3382): the slope between -5 and -35 dB, extended to -60."""
    energy = np.cumsum(response[::-1] ** 2)[::-1]
    level = 10 * np.log10(energy / energy[0])
    inside = np.flatnonzero((level < -5) & (level > -35))
    slope = np.polyfit(inside / rate, level[inside], 1)[0]
    return float(-60 / slope)


def test_low_pass_takes_what_is_above_and_leaves_what_is_below() -> None:
    before = white()
    after = low_pass(before, 4000.0)
    assert after.samples.shape == before.samples.shape
    assert band_power(after, 6000, 8000) < 1e-2 * band_power(before, 6000, 8000)
    assert band_power(after, 100, 3000) == pytest.approx(band_power(before, 100, 3000), rel=0.02)


def test_low_pass_at_half_the_rate_only_bites_into_the_top() -> None:
    before = white()
    after = low_pass(before, 8000.0)
    assert band_power(after, 7900, 8000) == pytest.approx(0.5 * band_power(before, 7900, 8000), rel=0.1)
    assert band_power(after, 0, 6000) == pytest.approx(band_power(before, 0, 6000), rel=0.01)


def test_low_pass_does_not_wrap_around() -> None:
    click = np.zeros((1, 4000), np.float32)
    click[0, -1] = 1
    assert np.abs(low_pass(Clip(click, RATE), 1000.0).samples[0, :1000]).max() < 1e-3


@pytest.mark.parametrize("ratio", [10.0, 0.0])
def test_noise_is_as_loud_as_said(ratio: float) -> None:
    before = white()
    noise = add_noise(before, ratio, draw()).samples.astype(np.float64) - before.samples
    assert 10 * np.log10(mean_square(before.samples) / mean_square(noise)) == pytest.approx(ratio, abs=0.01)


def test_noise_is_pink() -> None:
    noise = Clip(pink_noise(10 * RATE, RATE, draw())[None].astype(np.float32), RATE)
    octaves = [band_power(noise, low, 2 * low) for low in (125, 500, 2000)]
    assert octaves == pytest.approx([np.mean(octaves)] * 3, rel=0.15)  # equal power in every octave


@pytest.mark.parametrize("seconds", [0.5, 1.0])
def test_rooms_ring_as_long_as_said(seconds: float) -> None:
    response = impulse_response(seconds, RATE, draw())
    assert decay_seconds(response[1:], RATE) == pytest.approx(seconds, rel=0.2)
    assert np.sum(response[1:] ** 2) == pytest.approx(response[0] ** 2)


def test_a_room_keeps_loudness_and_adds_ringing() -> None:
    before = white(1.0)
    after = reverberate(before, 1.0, draw())
    assert after.seconds == pytest.approx(2.2, abs=0.01)
    assert mean_square(after.samples[:, :RATE]) == pytest.approx(mean_square(before.samples), rel=1e-3)
    assert 0 < mean_square(after.samples[:, -1000:]) < 1e-4 * mean_square(before.samples)


def test_the_same_seed_disturbs_in_the_same_way() -> None:
    one, again, other = (add_noise(white(), 10, draw(seed)).samples for seed in (1, 1, 2))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    one, again, other = (reverberate(white(), 1, draw(seed)).samples for seed in (1, 1, 2))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


@pytest.mark.parametrize("seconds", [0.5, 2.0, 5.0, 30.0])
def test_lengths(seconds: float) -> None:
    assert with_length(white(), seconds).seconds == pytest.approx(seconds, abs=1e-3)


def test_short_lengths_take_the_loudest_part_and_long_ones_repeat() -> None:
    samples = np.full((1, 2 * RATE), 0.01, np.float32)
    samples[0, RATE : RATE + 4000] = 0.5
    clip = Clip(samples, RATE)
    assert with_length(clip, 0.25).samples.min() == 0.5
    assert np.array_equal(with_length(clip, 6.0).samples, np.tile(samples, 3))
