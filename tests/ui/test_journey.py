"""The Journey tab without a browser: what its controls stand for, and the moments of a journey on the model."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import av
import pytest

from studio.errors import HearsightError
from studio.journey.settings import Journey
from studio.library.png import read_recipe
from studio.recipe import Recipe, Track
from studio.sound.write import write_wav
from studio.ui.journey_controls import length_line
from studio.ui.journey_tab import read, sound_names, sounds_line
from studio.ui.service import Service
from studio.ui.travels import Arrived, Ended, Files, Filming, Growing, Grown, Reading, latest, travel
from tests.models import noise, tone
from tests.ui.test_desk import BELLS, placed
from tests.ui.test_parts import VALUES

OWN: dict[str, Any] = {
    "journey_kind": "volume",
    "journey_from_db": -20,
    "journey_to_db": 0,
    "journey_duration": 4,
    "journey_hop": "",
    "journey_files": None,
    "journey_prompt": "a painting of A*",
    "journey_frames": 6,
    "journey_fps": 3,
    "journey_playback": "loop",
    "journey_seed": " 12 ",
    "journey_width": 128,
    "journey_height": 64,
    "journey_steps": 5,
    "journey_smoothing": 2,
}


def values(**changes: Any) -> dict[str, Any]:
    return VALUES | OWN | changes


def test_controls_are_a_recipe_and_a_way() -> None:
    recipe, journey = read(values(sound_strength=1.5), "pocket", "word")
    assert [track.name for track in recipe.tracks] == ["rain.ogg"]
    assert (recipe.prompt, recipe.seed, recipe.width, recipe.height) == ("a painting of A*", 12, 128, 64)
    assert (recipe.num_inference_steps, recipe.sound_strength) == (5, 1.5)
    assert journey == Journey(kind="volume", from_db=-20, frames=6, fps=3, smoothing=2)
    assert read(values(journey_seed="", journey_hop="0,5"), "pocket", "word")[1].hop == 0.5


def test_dropped_files_take_the_place_of_the_desk() -> None:
    recipe, _ = read(values(journey_files=["/x/b.wav", "/x/a.wav"], journey_kind="morph"), "pocket", "word")
    assert [track.name for track in recipe.tracks] == ["b.wav", "a.wav"]
    assert sound_names(values(journey_files=["/x/b.wav"])) == ["b.wav"]


def test_the_desk_is_said() -> None:
    assert sound_names(values(**placed("B", BELLS))) == ["rain.ogg", "bells.ogg"]
    assert sound_names(values(**placed("B", BELLS, mute=True))) == ["rain.ogg"]
    assert "add a second sound" in sounds_line(["a.ogg"], False, "morph")
    assert "<script>" not in sounds_line(["<script>.ogg", "b"], True, "morph")
    assert "no sound" in sounds_line([], False, "volume")
    assert "2.0 s" in length_line(6, 3, "loop")
    assert "3.3 s" in length_line(6, 3, "ping-pong")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sound": None, "facts": None}, "Add a sound first"),
        ({"journey_seed": "seven"}, "seed must be a whole number"),
        ({"journey_hop": "far"}, "must be a number of seconds"),
        ({"journey_hop": "nan"}, "hop"),
        ({"journey_hop": "0"}, "hop"),
        ({"journey_prompt": " "}, "prompt"),
        ({"journey_frames": 1}, "frames"),
        ({"journey_fps": 99}, "fps"),
        ({"journey_files": ["/x/a.wav"] * 9}, "at most 8 sounds, but 9"),
    ],
)
def test_bad_values(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(HearsightError, match=said):
        read(values(**changes), "pocket", "word")


@pytest.fixture(scope="module")
def recipe(service: Service, home: Path) -> Recipe:
    for name, clip in (("tone.wav", tone()), ("noise.wav", noise())):
        write_wav(clip, home / name)
    tracks = (Track.of(home / "tone.wav"), Track.of(home / "noise.wav"))
    return Recipe(
        tracks=tracks, seed=4, num_inference_steps=2, width=64, height=64, model=service.model, adapter=service.adapter
    )


def test_the_moments_of_a_journey(service: Service, recipe: Recipe, tmp_path: Path) -> None:
    assert latest(tmp_path) is None
    moments = list(travel(service, "page", tmp_path, recipe, Journey(frames=3, fps=3, playback="ping-pong")))
    kinds = [type(moment) for moment in moments]
    assert (kinds[0], kinds[-2:]) == (Reading, [Filming, Arrived])
    assert (kinds.count(Growing), kinds.count(Grown)) == (6, 3)
    arrived = moments[-1]
    assert isinstance(arrived, Arrived)
    assert (arrived.count, arrived.total) == (3, 3)
    assert arrived.film_seconds == pytest.approx(4 / 3)
    assert latest(tmp_path) == arrived.folder
    files = Files.of(arrived.folder)
    with av.open(str(files.film)) as film:
        assert sum(1 for _ in film.decode(video=0)) == 4
    with zipfile.ZipFile(files.pictures) as pack:
        assert pack.namelist() == ["001.png", "002.png", "003.png"]
    assert read_recipe(arrived.folder / "pictures" / "001.png").weights == (1, 0)
    assert files.gif.is_file()
    assert files.sheet.is_file()
    assert not list(service.pictures.glob("*.png"))  # the gallery stays as it is
    assert len(service.line) == 0


@pytest.mark.parametrize("picture", [0, 2])
def test_stop_keeps_what_makes_a_film(picture: int, service: Service, recipe: Recipe, tmp_path: Path) -> None:
    moments = travel(service, "page", tmp_path, recipe, Journey(frames=5))
    last = None
    for last in moments:
        if isinstance(last, Growing) and last.painting.number == picture:
            service.stop("page")
    if picture:
        assert isinstance(last, Arrived)
        assert (last.count, last.total) == (2, 5)
    else:
        assert isinstance(last, Ended)
        assert not list(tmp_path.iterdir())
    assert len(service.line) == 0


def test_others_may_come_between_two_pictures(service: Service, recipe: Recipe, tmp_path: Path) -> None:
    moments = travel(service, "page", tmp_path, recipe, Journey(frames=2))
    next(moment for moment in moments if isinstance(moment, Growing))
    with service.line.join() as other:
        assert not other.wait(0)
        next(moment for moment in moments if isinstance(moment, Grown))
        next(moments)  # it stands behind the other now
        assert other.wait(0)
    assert isinstance(list(moments)[-1], Arrived)
