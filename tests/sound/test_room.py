"""Rooms: they die away as they say, keep noise as loud as it was, and are the same every time."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from studio.errors import InputError
from studio.recipe import Room
from studio.sound.clip import Clip
from studio.sound.room import ROOMS, convolve, impulse_response, put_into
from tests.sound.helpers import clip_of

RATE = 32_000


def _reverberation(response: NDArray[np.float32], hertz: float) -> float:
    """T in s of the octave around `hertz`: Schroeder's backward integration, fitted from -5 to -25 dB, times 3."""
    edges = [hertz / 2**0.5, min(hertz * 2**0.5, 0.45 * RATE)]
    band = signal.sosfilt(signal.butter(3, edges, "band", fs=RATE, output="sos"), response.astype(np.float64))
    left = np.cumsum(np.square(band)[::-1])[::-1]
    level = 10 * np.log10(left / left[0] + 1e-12)
    first, last = int(np.argmax(level < -5)), int(np.argmax(level < -25))
    slope = np.polyfit(np.arange(first, last) / RATE, level[first:last], 1)[0]
    return float(-60 / slope)


def test_every_room_of_a_recipe_is_there() -> None:
    assert ("dry", *ROOMS) == get_args(Room)


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("hertz", [250, 1000, 4000])
def test_reverberation_time(room: str, hertz: float) -> None:
    wanted = ROOMS[room].reverberation(hertz)
    assert _reverberation(impulse_response(room, RATE), hertz) == pytest.approx(wanted, rel=0.2)


@pytest.mark.parametrize("room", ROOMS)
def test_high_notes_die_first_and_the_direct_sound_comes_first(room: str) -> None:
    response = impulse_response(room, RATE)
    assert _reverberation(response, 250) > _reverberation(response, 4000)
    assert np.abs(response).argmax() == 0
    assert response[0] > 0
    early = np.flatnonzero(np.abs(response[: round(0.15 * RATE)]) > 0.1 * response[0])
    assert len(early) > 3, "walls send the sound back within 150 ms"
    assert float(np.square(response.astype(np.float64)).sum()) == pytest.approx(1, abs=1e-5)


def test_larger_rooms_ring_longer() -> None:
    times = [space.reverberation(1000) for space in ROOMS.values()]
    assert times == sorted(times)
    assert [len(impulse_response(room, 8000)) for room in ROOMS] == sorted(
        len(impulse_response(room, 8000)) for room in ROOMS
    )


@pytest.mark.parametrize("room", ROOMS)
def test_noise_stays_as_loud(room: str) -> None:
    noise = clip_of(0.1 * np.random.default_rng(0).standard_normal((1, 14 * 8000)), 8000)
    settled = put_into(noise, room).samples[:, 8 * 8000 : -200]  # when the room is full
    assert 20 * np.log10(settled.std() / 0.1) == pytest.approx(0, abs=1)


def test_the_same_every_time_and_different_for_each_channel() -> None:
    impulse_response.cache_clear()
    first = impulse_response("church", 8000).copy()
    impulse_response.cache_clear()
    assert np.array_equal(impulse_response("church", 8000), first)
    other = impulse_response("church", 8000, channel=1)
    late = slice(4000, None)
    assert abs(np.corrcoef(first[late], other[late])[0, 1]) < 0.1
    assert not other.flags.writeable, "it is shared"


def test_length() -> None:
    bark = clip_of(0.5 * np.random.default_rng(0).standard_normal((2, 1600)), 8000, "bark.wav")
    long = clip_of(np.tile(bark.samples, (1, 40)), 8000)
    assert put_into(bark, "cathedral").samples.shape == (2, 26_000), "half of 6.5 s"
    assert put_into(long, "cathedral").samples.shape == long.samples.shape
    assert put_into(bark, "cathedral").name == "bark.wav"
    assert put_into(bark, "living-room").samples.shape[1] == 2000
    tail = put_into(bark, "cathedral").samples
    assert np.abs(tail[:, 8000:16_000]).max() > 0.01
    assert np.abs(tail[:, -1]).max() < 1e-6


def test_dry_does_nothing() -> None:
    clip = clip_of(np.ones((1, 800)), 8000)
    assert put_into(clip, "dry") is clip


@pytest.mark.parametrize("rate", [1000, 8000, 96_000])
def test_any_rate(rate: int) -> None:
    heard = put_into(Clip(np.eye(1, rate, dtype=np.float32), rate), "stairwell")
    assert np.isfinite(heard.samples).all()
    assert heard.samples[0, 0] > 0


def test_an_unknown_room() -> None:
    with pytest.raises(InputError, match=r"There is no room 'bath'\. Use one of: dry, living-room"):
        put_into(clip_of(np.ones((1, 800)), 8000), "bath")


@pytest.mark.parametrize(("count", "length"), [(1, 1), (5, 300), (300, 5), (5000, 64), (1024, 1024)])
def test_convolution_in_blocks(count: int, length: int) -> None:
    random = np.random.default_rng(0)
    samples, response = random.standard_normal(count), random.standard_normal(length)
    np.testing.assert_allclose(convolve(samples, response), np.convolve(samples, response), atol=2e-5)
