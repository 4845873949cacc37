"""Placing and joining: powers, lengths, rates, and that what is alone stays what it is."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest

from studio.errors import InputError
from studio.sound.clip import Clip
from studio.sound.limiter import true_peak_dbfs
from studio.sound.loudness import apply_gain, lufs, matched_gains
from studio.sound.mix import CROSSFADE, mix, pan, sequence
from tests.models import noise
from tests.sound.helpers import clip_of

Tone = Callable[..., Clip]


def _silence(seconds: float, rate: int = 16_000) -> Clip:
    return clip_of(np.zeros((1, round(seconds * rate))), rate)


@pytest.mark.parametrize("position", np.linspace(-1, 1, 9))
def test_pan_keeps_the_power(position: float) -> None:
    clip = noise()
    heard = pan(clip, position)
    power = np.square(heard.samples.astype(np.float64)).sum() / np.square(clip.samples.astype(np.float64)).sum()
    assert power == pytest.approx(1 if position == 0 else 2, rel=1e-5), "mono counts on two loudspeakers"
    left, right = np.abs(heard.samples).max(axis=1) if position else (1, 1)
    assert (left > right) == (position < 0)


def test_pan_begins_without_a_jump_and_ends_on_one_side() -> None:
    clip = noise()
    assert pan(clip, 0) is clip
    np.testing.assert_allclose(pan(clip, 1e-6).samples, np.repeat(clip.samples, 2, axis=0), rtol=1e-5)
    assert np.abs(pan(clip, -1).samples[1]).max() < 1e-6
    assert np.abs(pan(clip, 1).samples[0]).max() < 1e-6
    mirrored = pan(clip, 0.3).samples[::-1]
    np.testing.assert_allclose(pan(clip, -0.3).samples, mirrored, rtol=1e-5)


def test_pan_balances_stereo_and_places_the_mean_of_more() -> None:
    stereo = clip_of(np.stack([np.full(1000, 0.5), np.full(1000, 0.25)]), 8000)
    right = pan(stereo, 1).samples
    assert right[0] == pytest.approx(0, abs=1e-6)
    assert right[1] == pytest.approx(0.25 * 2**0.5)
    surround = clip_of(np.full((6, 1000), 0.2), 8000)
    assert pan(surround, -0.5).samples.shape == (2, 1000)


@pytest.mark.parametrize("position", [-1.01, 2, np.nan])
def test_pan_refuses(position: float) -> None:
    with pytest.raises(InputError, match="A pan must be from -1"):
        pan(noise(), position)


def test_one_alone_is_itself() -> None:
    clip = apply_gain(noise(), 40)
    assert mix([clip]) is clip
    assert sequence([clip]) is clip


@pytest.mark.parametrize("seconds", [0.3, 1.0, 1.7])
def test_with_silence_it_is_itself(seconds: float) -> None:
    clip = noise()
    heard = mix([clip, _silence(seconds)]).samples
    assert np.array_equal(heard[:, :16_000], clip.samples)
    assert heard.shape[1] == max(16_000, round(16_000 * seconds))
    assert not heard[:, 16_000:].any()


@pytest.mark.parametrize("gain", [0, 30])
def test_no_order_is_special(gain: float, tone: Tone) -> None:
    clips = [
        apply_gain(one, gain) for one in (noise(), noise(0.5, seed=1), tone(0.7, amplitude=0.1), tone(amplitude=1e-3))
    ]
    first = mix(clips).samples.tobytes()
    assert all(mix(order).samples.tobytes() == first for order in permutations(clips))


def test_sums_are_sums_and_peaks_are_limited(tone: Tone) -> None:
    quiet = mix([tone(amplitude=0.2), tone(amplitude=0.3)])
    np.testing.assert_allclose(quiet.samples, tone(amplitude=0.5).samples, atol=1e-6)
    loud = mix([tone(amplitude=0.8), tone(amplitude=0.9)])
    assert true_peak_dbfs(loud) <= -1


def test_rates_and_channels_are_made_alike(tone: Tone) -> None:
    joined = mix([tone(rate=16_000, amplitude=0.2), tone(rate=44_100, amplitude=0.2)])
    assert (joined.rate, joined.channels) == (44_100, 1)
    assert joined.seconds == pytest.approx(1.0)
    np.testing.assert_allclose(
        joined.samples[0, 4000:-4000], tone(rate=44_100, amplitude=0.4).samples[0, 4000:-4000], atol=1e-3
    )
    assert mix([tone(rate=96_000), tone(rate=8000)]).rate == 48_000
    assert mix([tone(channels=2, amplitude=0.1), tone(amplitude=0.1)]).channels == 2
    assert mix([tone(channels=6, amplitude=0.1), tone(amplitude=0.1)]).channels == 1


def test_what_the_middle_hears_does_not_depend_on_the_others_place(tone: Tone) -> None:
    """The ear listens to the mean of both sides: panning one track leaves the others as loud as they were."""
    here, there = noise(), tone(amplitude=0.1)
    plain, placed = mix([here, there]), mix([here, pan(there, 0.5)])
    assert (plain.channels, placed.channels) == (1, 2)
    rest = placed.mono().samples - pan(there, 0.5).mono().samples
    np.testing.assert_allclose(rest, here.samples, atol=1e-6)


def test_sequence(tone: Tone) -> None:
    first, second = noise(1.0), noise(0.8, seed=1)
    joined = sequence([first, second])
    fade = round(CROSSFADE * 16_000)
    assert joined.samples.shape[1] == 16_000 + 12_800 - fade
    assert np.array_equal(joined.samples[:, : 16_000 - fade], first.samples[:, : 16_000 - fade])
    assert np.array_equal(joined.samples[:, 16_000:], second.samples[:, fade:])
    crossing = joined.samples[0, 16_000 - fade : 16_000]
    assert 20 * np.log10(crossing.std() / 0.1) == pytest.approx(0, abs=1), "equal power"
    assert sequence([second, first]).samples.tobytes() != joined.samples.tobytes()


def test_short_sounds_keep_half_of_themselves() -> None:
    shortest = noise(0.05)
    joined = sequence([shortest, noise(1.0, seed=1), shortest])
    assert joined.seconds == pytest.approx(1.1 - 2 * 0.025)
    assert sequence([shortest] * 8).seconds == pytest.approx(0.4 - 7 * 0.025)


def test_a_sequence_beyond_half_an_hour() -> None:
    long = clip_of(np.full((1, 1_000_000), 0.1), 1000)
    with pytest.raises(InputError, match="The sequence is 33 min 20 s long, but may be at most 30 min"):
        sequence([long, long])


def test_matched_gains_make_sounds_equally_loud(tone: Tone) -> None:
    clips = [noise(), apply_gain(noise(seed=1), -17), tone(hertz=100.0), _silence(1)]
    gains = matched_gains(clips, -23)
    for clip, gain in zip(clips[:3], gains[:3], strict=True):
        assert lufs(apply_gain(clip, gain)) == pytest.approx(-23, abs=0.1)
    assert gains[3] == 0
