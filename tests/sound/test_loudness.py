"""Loudness against the standard's anchor and against pyloudnorm; gain; silence."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from studio.errors import InputError
from studio.sound.clip import Clip
from studio.sound.loudness import _k_weighting, apply_gain, is_silent, lufs, peak_dbfs, refuse_silence
from tests.sound.helpers import clip_of

Tone = Callable[..., Clip]


def _sounds(rate: int, channels: int = 2, seconds: float = 6.0) -> dict[str, Clip]:
    generator = np.random.default_rng(7)
    count = int(rate * seconds)
    time = np.arange(count) / rate
    white = 0.1 * generator.normal(size=(channels, count))
    brown = np.cumsum(white, axis=1)
    brown -= brown.mean(axis=1, keepdims=True)
    return {
        "white": clip_of(white, rate),
        "brown": clip_of(brown / np.abs(brown).max(), rate),
        "swelling": clip_of(white * np.linspace(0, 1, count) ** 4, rate),  # the relative gate decides
        "mostly silent": clip_of(white * (time > 5), rate),  # the absolute gate decides
        "sweep": clip_of(0.3 * np.sin(2 * np.pi * (50 + 300 * time) * time)[None].repeat(channels, 0), rate),
    }


def test_filters_are_the_tables_at_48_khz() -> None:
    tables = [
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585],
        [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621],
    ]
    np.testing.assert_allclose(_k_weighting(48_000), tables, atol=1e-12)


@pytest.mark.parametrize("rate", [16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000])
def test_filters_have_the_same_response_at_every_rate(rate: int) -> None:
    """Up to 3 kHz, where the bilinear transform's squeezing of the highest frequencies is not felt yet."""
    from scipy import signal

    hertz = np.geomspace(20, 3000, 50)
    wanted = signal.sosfreqz(_k_weighting(48_000), hertz, fs=48_000)[1]
    found = signal.sosfreqz(_k_weighting(rate), hertz, fs=rate)[1]
    np.testing.assert_allclose(20 * np.log10(np.abs(found)), 20 * np.log10(np.abs(wanted)), atol=0.4)
    low = hertz < 1000
    np.testing.assert_allclose(np.abs(found)[low], np.abs(wanted)[low], rtol=0.01)


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
def test_anchor_of_the_standard(tone: Tone, rate: int) -> None:
    """BS.1770-4, annex 1: 997 Hz at 0 dBFS in the left, centre or right channel reads -3.01 LKFS."""
    assert lufs(tone(5.0, rate, 1, 997.0, 1.0)) == pytest.approx(-3.01, abs=0.01)
    left = np.zeros((5, 5 * rate))
    left[0] = tone(5.0, rate, 1, 997.0, 1.0).samples[0]
    assert lufs(clip_of(left, rate)) == pytest.approx(-3.01, abs=0.01)


def test_channels_add_and_surround_weighs_more(tone: Tone) -> None:
    one = lufs(tone(2.0, 48_000, 1, 997.0))
    assert lufs(tone(2.0, 48_000, 2, 997.0)) - one == pytest.approx(3.01, abs=0.01)
    wave = tone(2.0, 48_000, 1, 997.0).samples[0]
    for channels, place, weight in ((4, 3, 1.41), (5, 4, 1.41), (6, 4, 1.41), (7, 4, 1.0), (8, 5, 1.0), (8, 7, 1.41)):
        samples = np.zeros((channels, len(wave)), np.float32)
        samples[place] = wave
        assert lufs(clip_of(samples, 48_000)) - one == pytest.approx(10 * math.log10(weight), abs=0.001)
    low_frequency = np.zeros((6, len(wave)), np.float32)
    low_frequency[3] = wave
    assert lufs(clip_of(low_frequency, 48_000)) == -math.inf


@pytest.mark.parametrize("name", ["white", "brown", "swelling", "mostly silent", "sweep"])
@pytest.mark.parametrize(
    ("rate", "channels", "tolerance"),
    [(48_000, 1, 0.1), (48_000, 2, 0.1), (48_000, 5, 0.1), (16_000, 2, 0.2), (22_050, 2, 0.2), (32_000, 2, 0.2),
     (44_100, 2, 0.2), (96_000, 2, 0.2)],
)  # fmt: skip
def test_agrees_with_pyloudnorm(name: str, rate: int, channels: int, tolerance: float) -> None:
    import pyloudnorm

    clip = _sounds(rate, channels)[name]
    wanted = pyloudnorm.Meter(rate).integrated_loudness(clip.samples.T.astype(np.float64))
    assert lufs(clip) == pytest.approx(wanted, abs=tolerance)


@pytest.mark.parametrize("rate", [1000, 4000, 8000, 11_025])
def test_low_rates(tone: Tone, rate: int) -> None:
    """The same tone means the same loudness, at whatever rate it was recorded."""
    assert lufs(tone(3.0, rate, hertz=200.0)) == pytest.approx(lufs(tone(3.0, 48_000, hertz=200.0)), abs=0.05)


def test_gain_moves_loudness_by_as_much(tone: Tone) -> None:
    clip = tone(3.0, 44_100)
    assert lufs(apply_gain(clip, -12)) == pytest.approx(lufs(clip) - 12, abs=0.01)


def test_short_sound_is_one_block(tone: Tone) -> None:
    long = lufs(tone(3.0, 48_000, hertz=1000.0))
    for seconds in (0.05, 0.1, 0.39, 0.4, 0.41):
        assert lufs(tone(seconds, 48_000, hertz=1000.0)) == pytest.approx(long, abs=0.3)


def test_silence_is_minus_infinity(tone: Tone) -> None:
    assert lufs(clip_of(np.zeros((2, 48_000)), 48_000)) == -math.inf
    assert lufs(clip_of(np.zeros((1, 4800)), 48_000)) == -math.inf
    assert lufs(tone(1.0, amplitude=1e-4)) == -math.inf, "below the absolute gate of -70 LUFS"


def test_long_sound_is_measured_in_pieces_without_seams() -> None:
    short = _sounds(8000, 1, 6.0)["white"]
    long = clip_of(np.tile(short.samples, (1, 20)), 8000)
    assert lufs(long) == pytest.approx(lufs(short), abs=0.01)


def test_peak(tone: Tone) -> None:
    assert peak_dbfs(tone(amplitude=0.5, hertz=1000.0)) == pytest.approx(-6.02, abs=0.01)
    assert peak_dbfs(clip_of(np.stack([np.zeros(100), np.full(100, -2.0)]), 1000)) == pytest.approx(6.02, abs=0.01)
    assert peak_dbfs(clip_of(np.zeros((1, 100)), 1000)) == -math.inf


def test_gain_makes_a_new_clip_and_limits_nothing(tone: Tone) -> None:
    clip = tone()
    before = clip.samples.copy()
    louder = apply_gain(clip, 40)
    assert np.abs(louder.samples).max() == pytest.approx(50, rel=0.01)
    np.testing.assert_array_equal(clip.samples, before)
    np.testing.assert_allclose(apply_gain(louder, -40).samples, before, rtol=1e-6)
    np.testing.assert_array_equal(apply_gain(clip, 0).samples, before)
    assert louder.samples.dtype == np.float32


@pytest.mark.parametrize("db", [math.nan, math.inf, -math.inf, 201, -201])
def test_gain_refuses(tone: Tone, db: float) -> None:
    with pytest.raises(InputError, match=r"A gain must be from -200 to 200 dB, not .* dB: use -60 to 40"):
        apply_gain(tone(), db)


@pytest.mark.parametrize(
    ("amplitude", "offset", "silent"),
    [
        (10 ** (-50.5 / 20), 0, True),
        (10 ** (-49 / 20), 0, False),
        (10 ** (-50.5 / 20), 0.3, True),
        (0, 0.5, True),
        (0, 0, True),
    ],
)
def test_silence(tone: Tone, amplitude: float, offset: float, silent: bool) -> None:
    clip = clip_of(tone(amplitude=amplitude, hertz=1000.0).samples + offset, 16_000, "take 1.wav")
    assert is_silent(clip) is silent
    if not silent:
        refuse_silence(clip)
        return
    with pytest.raises(InputError) as refused:
        refuse_silence(clip)
    text = str(refused.value)
    assert text.startswith("We heard almost nothing (")
    assert '"take 1.wav", and at least -50 dB is needed. Check the microphone or ' in text
    if amplitude:
        assert "(peak -51 dB)" in text
        assert text.endswith("raise the volume with --gain.")
    else:
        assert text.endswith("choose another sound.")


def test_one_loud_channel_is_enough(tone: Tone) -> None:
    assert not is_silent(clip_of(np.stack([np.zeros(16_000), tone().samples[0]]), 16_000))
