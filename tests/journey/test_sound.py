"""The sound under a journey: its length, and that it is what the pictures show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from studio.journey.plan import plan
from studio.journey.settings import Journey
from studio.journey.sound import soundtrack
from studio.recipe import Recipe, Track
from studio.sound.clip import Clip, Samples
from studio.sound.limiter import true_peak_dbfs
from tests.models import noise, tone

RATE = 16_000


def under(recipe: Recipe, journey: Journey, *clips: Clip, finished: int | None = None) -> Clip:
    points = plan(recipe, journey, clips[0].seconds)[:finished]
    return soundtrack(recipe, journey, points, list(clips))


def tracks(count: int, **fields: Any) -> Recipe:
    return Recipe(tracks=tuple(Track(**fields) for _ in range(count)))


def level(samples: Samples) -> float:
    return float(np.sqrt(np.square(samples, dtype=np.float64).mean()))


def part(samples: Samples, hertz: float) -> float:
    """How strong one pitch is."""
    wave = np.exp(-2j * np.pi * hertz * np.arange(samples.shape[1]) / RATE)
    return float(abs((samples[0] * wave).mean()))


@pytest.mark.parametrize("kind", ["morph", "volume", "window"])
@pytest.mark.parametrize(
    ("playback", "finished", "shown"), [("loop", None, 9), ("ping-pong", None, 16), ("once", 4, 4)]
)
def test_it_is_as_long_as_the_film(kind: Any, playback: Any, finished: int | None, shown: int) -> None:
    journey = Journey(kind=kind, frames=9, fps=7, duration=0.5, playback=playback)
    clips = (tone(2.0), noise(0.4)) if kind == "morph" else (tone(2.0),)
    sound = under(tracks(len(clips)), journey, *clips, finished=finished)
    assert sound.samples.shape[1] == round(shown / 7 * RATE)


def test_a_morph_fades_from_one_sound_to_the_other() -> None:
    first, second = tone(4.0, hertz=440), tone(4.0, hertz=1000)
    sound = under(tracks(2), Journey(kind="morph", frames=8, fps=4), first, second)
    share = [
        part(piece, 1000) / (part(piece, 440) + part(piece, 1000)) for piece in np.split(sound.samples, 8, axis=1)
    ]
    assert share == sorted(share)
    assert share[0] < 0.2
    assert share[-1] > 0.8
    begin = slice(0, RATE // 8)  # up to the middle of the first picture's time the first sound is alone
    assert np.array_equal(sound.samples[:, begin], first.samples[:, begin])


def test_a_volume_sweep_is_the_sound_with_that_gain() -> None:
    sound = under(tracks(1), Journey(kind="volume", frames=10, fps=5, from_db=-30, to_db=0), noise(2.0))
    levels = 20 * np.log10([level(piece) for piece in np.split(sound.samples, 10, axis=1)])
    assert list(levels) == sorted(levels)
    assert levels[-1] - levels[0] == pytest.approx(30, abs=2)
    last = slice(-RATE // 10, None)
    assert np.allclose(sound.samples[:, last], noise(2.0).samples[:, last], atol=1e-6)


def test_what_gets_too_loud_is_limited() -> None:
    sound = under(tracks(1), Journey(kind="volume", frames=4, fps=4, from_db=0, to_db=30), tone())
    assert true_peak_dbfs(sound) < 0


def test_a_window_in_its_own_time_is_the_recording_itself() -> None:
    # Windows half a second apart, two pictures a second.
    journey = Journey(kind="window", frames=9, fps=2, duration=0.5, hop=0.5)
    sound = under(tracks(1), journey, noise(4.5))
    assert np.allclose(sound.samples, noise(4.5).samples, atol=1e-5)


def test_a_window_faster_than_time_keeps_its_pitch_and_its_order() -> None:
    low, high = tone(5.0, hertz=440).samples, tone(5.0, hertz=1000).samples
    recording = Clip(np.concatenate([low, high], axis=1), RATE, "long.wav")
    sound = under(tracks(1), Journey(kind="window", frames=8, fps=4, duration=2), recording)
    first, last = np.split(sound.samples, 2, axis=1)
    assert part(first, 440) > 5 * part(first, 1000)
    assert part(last, 1000) > 5 * part(last, 440)


def test_short_sounds_are_repeated() -> None:
    sound = under(tracks(1), Journey(kind="volume", frames=20, fps=2, from_db=-1), noise(0.7))
    assert min(level(piece) for piece in np.split(sound.samples, 20, axis=1)) > 0.05
