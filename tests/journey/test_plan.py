"""The settings and the way of a journey: which recipe stands where, and what is refused. Nothing is heard or drawn."""

from __future__ import annotations

from typing import Any

import pytest

from studio.errors import InputError
from studio.journey.plan import plan
from studio.journey.settings import Journey
from studio.recipe import Recipe, Track


def of(*names: str, **fields: Any) -> Recipe:
    return Recipe(tracks=tuple(Track(name=name) for name in names), seed=7, **fields)


def test_a_morph_goes_through_all_sounds() -> None:
    points = plan(of("a", "b", "c"), Journey(kind="morph", frames=5))
    assert [point.weights for point in points] == [(1, 0, 0), (0.5, 0.5, 0), (0, 1, 0), (0, 0.5, 0.5), (0, 0, 1)]
    assert [point.caption for point in points] == ["A 100", "A 50 B 50", "B 100", "B 50 C 50", "C 100"]
    assert {(point.recipe.seed, point.recipe.count, point.recipe.join) for point in points} == {(7, 1, "morph")}
    assert all(point.recipe.weights == point.weights for point in points)


@pytest.mark.parametrize("frames", [2, 3, 7, 12, 240])
def test_the_ends_of_a_morph_are_the_sounds_alone(frames: int) -> None:
    points = plan(of("a", "b", "c"), Journey(kind="morph", frames=frames))
    assert len(points) == frames
    assert (points[0].weights, points[-1].weights) == ((1, 0, 0), (0, 0, 1))
    assert all(sum(point.weights) == pytest.approx(1) for point in points)


def test_muted_sounds_are_passed_by() -> None:
    recipe = Recipe(tracks=(Track(name="a"), Track(name="b", mute=True), Track(name="c")))
    points = plan(recipe, Journey(kind="morph", frames=3))
    assert [point.weights for point in points] == [(1, 0, 0), (0.5, 0, 0.5), (0, 0, 1)]


def test_a_volume_sweep_adds_to_each_gain_and_only_rises() -> None:
    recipe = Recipe(tracks=(Track(gain=-6), Track(gain=3)))
    points = plan(recipe, Journey(kind="volume", frames=9, from_db=-60, to_db=4))
    gains = [[track.gain for track in point.recipe.tracks] for point in points]
    assert (gains[0], gains[-1]) == ([-60, -57], [-2, 7])  # -66 is beyond a track's bounds
    assert [point.db for point in points] == sorted({point.db for point in points})
    for track in zip(*gains, strict=True):
        assert list(track) == sorted(track)


def test_a_window_ends_where_the_recording_does() -> None:
    points = plan(of("long"), Journey(kind="window", frames=4, duration=3), 12.0)
    assert [point.recipe.tracks[0].start for point in points] == [0, 3, 6, 9]
    assert {point.recipe.tracks[0].duration for point in points} == {3}
    assert points[1].caption == "0:03.0-0:06.0"


def test_a_window_keeps_to_the_chosen_part_and_to_its_hop() -> None:
    recipe = Recipe(tracks=(Track(name="other"), Track(start=10, duration=5, solo=True, gain=2)))
    points = plan(recipe, Journey(kind="window", frames=3, duration=2, hop=0.5), 60.0)
    assert [track.start for point in points for track in point.recipe.tracks] == [10, 10.5, 11]
    assert points[0].recipe.tracks[0].gain == 2


def test_a_carried_word_is_not_used() -> None:
    word = "1x2:AACAPwAAAEA="
    points = plan(of("a", word=word, loudness=0.5), Journey(kind="volume", frames=2))
    assert {(point.recipe.word, point.recipe.loudness) for point in points} == {(None, None)}


@pytest.mark.parametrize(
    ("recipe", "settings", "seconds", "said"),
    [
        (of(), {"kind": "volume"}, None, "none sounds"),
        (of("a"), {"kind": "morph"}, None, "add a second one"),
        (of("a"), {"kind": "volume", "from_db": 3, "to_db": 3}, None, "does not change"),
        (of("a", "b"), {"kind": "window"}, 9.0, "but 2 sound"),
        (of("a"), {"kind": "window", "duration": 4}, 4.0, "no way to go in 4.0 s"),
        (of("a"), {"kind": "window", "duration": 4}, 1.0, "make the window shorter"),
        (of("a"), {"kind": "window", "duration": 2, "hop": 1, "frames": 10}, 5.0, "at most 4 pictures"),
        (of("a"), {"kind": "window", "duration": 2, "hop": 9, "frames": 2}, 5.0, "use a smaller hop"),
        (Recipe(tracks=(Track(start=8),)), {"kind": "window"}, 9.0, "no way to go in 1.0 s"),
    ],
)
def test_ways_that_cannot_be_gone(recipe: Recipe, settings: dict[str, Any], seconds: float | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        plan(recipe, Journey(**settings), seconds)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"frames": 1}, "'frames' cannot be 1"),
        ({"frames": 241}, "Use 2 to 240"),
        ({"fps": 0}, "'fps' cannot be 0"),
        ({"fps": float("nan")}, "fps"),
        ({"kind": "walk"}, "kind"),
        ({"playback": "backwards"}, "playback"),
        ({"from_db": -61}, "Use -60 to 40 dB"),
        ({"hop": 0}, "hop"),
        ({"duration": 0.1}, "Use 0.5 to 60 s"),
        ({"smoothing": 11}, "smoothing"),
        ({"colour": "red"}, "no field 'colour'"),
    ],
)
def test_settings_out_of_bounds(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Journey(**settings)


def test_forth_and_back_shows_the_ends_once() -> None:
    journey = Journey(playback="ping-pong")
    assert journey.order(4) == [0, 1, 2, 3, 2, 1]
    assert (journey.order(1), journey.order(2)) == ([0], [0, 1])
    assert Journey().order(3) == [0, 1, 2]


def test_settings_survive_their_text() -> None:
    journey, recipe = Journey(kind="window", hop=0.5), Recipe(tracks=(Track(path="/secret/a.wav", name="a.wav"),))
    text = journey.to_json(recipe, frame=3)
    assert "secret" not in text
    assert Journey.from_json(text) == (journey, recipe.public())
    for bad in ("", "[]", "{}", '{"journey": {"frames": 0}, "recipe": {}}'):
        with pytest.raises(InputError):
            Journey.from_json(bad)
