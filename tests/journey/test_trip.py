"""Journeys on a tiny model: their pictures against single ones, smoothing, silence, stopping."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest

from studio.engine import Engine
from studio.errors import HearsightError, InputError
from studio.journey.film import read_settings
from studio.journey.settings import Journey
from studio.journey.takings import Takings
from studio.journey.trip import Frame, Painting, Trip
from studio.library.png import read_picture
from studio.recipe import Recipe, Track
from studio.sound.clip import Clip
from studio.sound.write import write_wav
from tests.models import noise, tone

SILENCE = Clip(np.zeros((1, 16_000), np.float32), 16_000)


@pytest.fixture
def recipe(tiny_folder: Path) -> Recipe:
    return Recipe(model=str(tiny_folder), adapter="tiny-word", seed=3, num_inference_steps=2, preview_every=0)


def frames(engine: Engine, trip: Trip) -> list[Frame]:
    return [item for item in trip.stream(engine) if isinstance(item, Frame)]


def pixels(frame: Frame) -> bytes:
    return frame.image.tobytes()


def alone(engine: Engine, recipe: Recipe, clip: Clip) -> bytes:
    return engine.run(recipe, clip).images[0].tobytes()


def test_the_ends_of_a_morph_are_the_single_sounds(engine: Engine, recipe: Recipe) -> None:
    two = recipe.replace(tracks=(Track(), Track(gain=-6)))
    made = frames(engine, Trip(two, Journey(kind="morph", frames=3), [tone(), noise()]))
    assert pixels(made[0]) == alone(engine, recipe.replace(tracks=(Track(),)), tone())
    assert pixels(made[-1]) == alone(engine, recipe.replace(tracks=(Track(gain=-6),)), noise())
    middle = two.replace(join="morph", weights=(0.5, 0.5))
    assert pixels(made[1]) == engine.run(middle, [tone(), noise()]).images[0].tobytes()
    assert len({pixels(frame) for frame in made}) == 3


def test_without_smoothing_each_picture_is_that_of_its_sound(engine: Engine, recipe: Recipe) -> None:
    one = recipe.replace(tracks=(Track(),))
    sweep = frames(engine, Trip(one, Journey(kind="volume", frames=3, from_db=-20, smoothing=0), tone()))
    for frame, gain in zip(sweep, (-20, -10, 0), strict=True):
        assert pixels(frame) == alone(engine, recipe.replace(tracks=(Track(gain=gain),)), tone())
    assert [frame.recipe.loudness for frame in sweep] == [0.25, 0.5, None]
    window = frames(engine, Trip(one, Journey(kind="window", frames=3, duration=0.5, smoothing=0), tone(1.5)))
    for frame, start in zip(window, (0, 0.5, 1), strict=True):
        part = recipe.replace(tracks=(Track(start=start, duration=0.5),))
        assert pixels(frame) == alone(engine, part, tone(1.5))


def test_every_recipe_makes_its_picture_again(engine: Engine, recipe: Recipe) -> None:
    one = recipe.replace(tracks=(Track(),))
    for frame in frames(engine, Trip(one, Journey(kind="window", frames=4, duration=0.5), tone(1.5))):
        assert engine.run(frame.recipe).images[0].tobytes() == pixels(frame)
        assert frame.recipe.seed == 3


def test_smoothing_shares_meanings_but_not_at_the_ends(engine: Engine, recipe: Recipe) -> None:
    recording = Clip(np.concatenate([noise().samples, tone().samples], axis=1), 16_000)
    one = recipe.replace(tracks=(Track(),))
    plain, smooth = (
        frames(engine, Trip(one, Journey(kind="window", frames=4, duration=0.5, smoothing=smoothing), recording))
        for smoothing in (0, 1)
    )
    same = [first.recipe.word == second.recipe.word for first, second in zip(plain, smooth, strict=True)]
    assert same == [True, False, False, True]


def test_silence_in_a_recording_leaves_the_words_alone(engine: Engine, recipe: Recipe) -> None:
    pause = np.zeros((1, 16_000), np.float32)
    recording = Clip(np.concatenate([tone().samples, pause, noise().samples], axis=1), 16_000)
    journey = Journey(kind="window", frames=5, duration=0.5, hop=0.6, smoothing=0)
    made = frames(engine, Trip(recipe.replace(tracks=(Track(),)), journey, recording))
    silent = made[2]
    assert [bool(frame.heard) for frame in made] == [True, True, False, True, True]
    assert silent.recipe.loudness == 0
    assert pixels(silent) == alone(engine, recipe.replace(tracks=(Track(),), sound_strength=0), tone())


def test_a_sweep_from_silence_works(engine: Engine, recipe: Recipe) -> None:
    one = recipe.replace(tracks=(Track(),))
    made = frames(engine, Trip(one, Journey(kind="volume", frames=3, from_db=-60, smoothing=0), noise()))
    assert [frame.recipe.loudness for frame in made] == [0, 0.125, None]


def test_files_keep_their_digests_and_one_seed_is_drawn(engine: Engine, recipe: Recipe, tmp_path: Path) -> None:
    write_wav(tone(), tmp_path / "a.wav")
    track = Track.of(tmp_path / "a.wav")
    whole = engine.run(recipe.replace(tracks=(track,))).recipe
    trip = Trip(recipe.replace(tracks=(track,), seed=None), Journey(kind="volume", frames=2))
    made = frames(engine, trip)
    assert {frame.recipe.tracks[0].sha256 for frame in made} == {whole.tracks[0].sha256}
    assert {frame.recipe.seed for frame in made} == {trip.recipe.seed}


def test_progress_counts_down(engine: Engine, recipe: Recipe) -> None:
    one = recipe.replace(tracks=(Track(),))
    items = list(Trip(one, Journey(kind="volume", frames=3), tone()).stream(engine))
    assert [type(item) for item in items] == [Painting, Painting, Frame] * 3
    assert items[-1].eta == 0
    assert all(item.eta > 0 for item in items[:-1])
    assert [item.number for item in items] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("stop_after", [2, 3])
def test_a_stopped_journey_is_a_shorter_one(stop_after: int, engine: Engine, recipe: Recipe, tmp_path: Path) -> None:
    two = recipe.replace(tracks=(Track(), Track()))
    journey = Journey(kind="morph", frames=6, fps=4)
    takings = Takings(Trip(two, journey, [tone(2), noise(2)]), tmp_path / "pictures")
    stream = cast("Generator[Any]", takings.stream(engine))
    for item in stream:
        if isinstance(item, Painting) and item.number == stop_after:
            break
    stream.close()
    assert [path.name for path in takings.pictures] == [f"{number + 1:03d}.png" for number in range(stop_after)]
    takings.write(tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == stop_after
    with av.open(str(tmp_path / "out.mp4")) as film:
        heard = sum(frame.samples for frame in film.decode(audio=0)) / 48_000
    assert heard == pytest.approx(stop_after / 4, abs=0.05)
    frame, heard_there = read_picture(takings.pictures[1])
    assert frame.weights == (0.8, 0.2)
    assert heard_there
    assert Journey.from_json(read_settings(takings.pictures[1]))[0] == journey


@pytest.mark.parametrize(
    ("fields", "journey", "clips", "said"),
    [
        ({"tracks": (Track(),)}, {"kind": "morph"}, [tone()], "add a second one"),
        (
            {"tracks": (Track(), Track())},
            {"kind": "morph"},
            [tone(), SILENCE],
            "almost nothing",
        ),
        ({"tracks": (Track(path="/nowhere.wav"),)}, {"kind": "window"}, None, "nowhere.wav"),
        ({"tracks": (Track(name="gone.wav"),)}, {"kind": "window"}, None, "'gone.wav' is not on this machine"),
        ({"tracks": (Track(name="gone.wav"),)}, {"kind": "volume"}, None, "'gone.wav' is not on this machine"),
        ({"tracks": (Track(),)}, {"kind": "window"}, [tone(1)], "no way to go"),
        ({}, {"kind": "volume"}, None, "none sounds"),
    ],
)
def test_what_is_wrong_is_known_before_a_picture_is_made(
    fields: dict[str, Any], journey: dict[str, Any], clips: Any, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        Trip(Recipe(**fields), Journey(**journey), clips)


def test_a_prompt_without_the_word_is_refused(engine: Engine, recipe: Recipe) -> None:
    trip = Trip(recipe.replace(prompt="rain", tracks=(Track(),)), Journey(kind="volume"), tone())
    with pytest.raises(HearsightError, match=r"no A\*"):
        next(iter(trip.stream(engine)))
