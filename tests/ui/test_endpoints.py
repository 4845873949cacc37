"""The endpoints for programs: several sounds, what is heard, edits, journeys; and many at once, none mixed up."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import pytest
from gradio_client import Client, handle_file  # type: ignore[import-untyped]
from gradio_client.exceptions import AppError  # type: ignore[import-untyped]
from PIL import Image

from studio.errors import InputError
from studio.library.png import read_recipe
from studio.sound.write import write_wav
from studio.ui.album import Album
from studio.ui.api import tracks_of
from studio.ui.service import Service
from tests.models import noise, tone
from tests.ui.running import running

SMALL: dict[str, Any] = {"steps": 2, "width": 64, "height": 64}


@pytest.fixture(scope="module")
def client(url: str, home: Path) -> Client:
    return Client(url, verbose=False, download_files=str(home / "downloads"), httpx_kwargs={"timeout": 300})


@pytest.fixture(scope="module")
def sounds(home: Path) -> list[Path]:
    found = []
    for number, clip in enumerate((tone(1.0), noise(1.2), tone(0.8, hertz=990.0))):
        found.append(home / f"sound {number}.wav")
        write_wav(clip, found[-1])
    return found


@pytest.fixture(scope="module")
def photo(home: Path) -> Path:
    Image.effect_noise((96, 64), 60).convert("RGB").save(home / "photo.png")
    return home / "photo.png"


def files(paths: list[Path]) -> list[Any]:
    return [handle_file(str(path)) for path in paths]


def size(picture: str) -> tuple[int, int]:
    with Image.open(picture) as opened:
        return opened.size


def test_several_sounds_with_all_their_settings(client: Client, sounds: list[Path], service: Service) -> None:
    picture, recipe = client.predict(
        files(sounds[:2]),
        join="morph",
        weights=[1, 3],
        gains=[0, -6],
        rooms=["dry", "church"],
        prompt="a painting of A*",
        negative_prompt="people",
        seed=9,
        sound_strength=1.5,
        durations=[0.5, 0.6],
        guidance=4,
        **SMALL,
        api_name="/sounds_to_image",
    )
    made = read_recipe(picture)
    assert [track.name for track in made.tracks] == ["sound 0.wav", "sound 1.wav"]
    assert ([track.gain for track in made.tracks], made.weights) == ([0, -6], (1, 3))
    assert ([track.room for track in made.tracks], made.join) == (["dry", "church"], "morph")
    assert [track.duration for track in made.tracks] == [0.5, 0.6]
    assert (made.prompt, made.negative_prompt, made.seed) == ("a painting of A*", "people", 9)
    assert (made.sound_strength, made.num_inference_steps, made.guidance_scale) == (1.5, 2, 4)
    assert size(picture) == (64, 64)
    assert recipe["adapter"] == "word"  # what auto means for pocket
    assert str(sounds[0].parent) not in json.dumps(recipe)


def test_sounds_in_their_places_and_equally_loud(client: Client, sounds: list[Path]) -> None:
    _, recipe = client.predict(
        files(sounds[:2]), pans=[-0.8, 0.8], match_loudness=True, seed=1, **SMALL, api_name="/sounds_to_image"
    )
    assert [track["pan"] for track in recipe["tracks"]] == [-0.8, 0.8]
    assert len(recipe["shares"]) == 2
    assert recipe["tracks"][0]["gain"] != recipe["tracks"][1]["gain"]


def test_what_is_heard(client: Client, sounds: list[Path]) -> None:
    heard = client.predict(files(sounds[:2]), gains=[0, -3], api_name="/hear")
    assert len(heard["sounds"]) == 2
    for one in (heard["scene"], *heard["sounds"]):
        chances = [said["probability"] for said in one["words"]]
        assert chances == sorted(chances, reverse=True) and sum(chances) == pytest.approx(1, abs=0.02)
        assert {"word", "probability"} == set(one["words"][0])
    assert heard["sounds"][0]["seconds"] == 1.0
    assert heard["scene"]["lufs"] < 0


def test_a_photo_is_changed(client: Client, sounds: list[Path], photo: Path) -> None:
    picture, recipe = client.predict(
        handle_file(str(photo)), handle_file(str(sounds[0])), method="sdedit", noise=0.5, seed=3, steps=2,
        api_name="/edit_photo",
    )  # fmt: skip
    assert (recipe["edit"]["method"], recipe["edit"]["noise"], recipe["edit"]["name"]) == ("sdedit", 0.5, "photo.png")
    wide, high = size(picture)
    assert wide > high


def test_a_journey_is_a_film(client: Client, sounds: list[Path], service: Service) -> None:
    film, recipe = client.predict(files(sounds[:2]), frames=2, fps=2, seed=4, **SMALL, api_name="/journey")
    with av.open(film) as opened:
        assert (opened.streams.video[0].width, len(opened.streams.audio)) == (64, 1)
    assert recipe["seed"] == 4 and len(recipe["tracks"]) == 2


@pytest.mark.parametrize(
    ("endpoint", "inputs", "says"),
    [
        ("/sounds_to_image", {"gains": [1, 2, 3]}, "`gains` holds 3 values for 2 sounds: give one for each"),
        ("/sounds_to_image", {"gains": [1, 99]}, "'gain' cannot be 99"),
        ("/sounds_to_image", {"join": "stir"}, "mix"),
        ("/sounds_to_image", {"rooms": ["dry", "cellar"]}, "cellar"),
        ("/sounds_to_image", {"adapter": "/etc"}, "There is no adapter '/etc'"),
        ("/sounds_to_image", {"width": 2048}, "64 to 1024"),
        ("/hear", {"weights": [0, 0], "join": "morph"}, "above 0"),
        ("/journey", {"frames": 1}, "2 to 240"),
        ("/journey", {"kind": "window"}, "one"),
    ],
)
def test_bad_values_are_sentences(
    client: Client, sounds: list[Path], endpoint: str, inputs: dict[str, Any], says: str
) -> None:
    with pytest.raises(AppError, match=re.escape(says)) as caught:
        client.predict(files(sounds[:2]), **inputs, api_name=endpoint)
    assert "Traceback" not in str(caught.value)


def test_a_file_of_the_machine_is_not_read(client: Client) -> None:
    with pytest.raises(AppError):
        client.predict([{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}], api_name="/hear")
    with pytest.raises(AppError):
        client.predict(["/etc/passwd"], api_name="/hear")


@pytest.mark.parametrize(
    ("variable", "value", "endpoint", "inputs", "says"),
    [
        ("SIZE", "128", "/sounds_to_image", {"width": 256}, "at most 128 px, but a side of 256 px was asked for"),
        ("STEPS", "5", "/sounds_to_image", {"steps": 6}, "at most 5 steps, but 6"),
        ("SOUNDS", "1", "/hear", {}, "at most 1 sounds at once, but 2"),
        ("FRAMES", "4", "/journey", {"frames": 5}, "journeys of at most 4 pictures, but 5"),
        ("SECONDS", "1", "/hear", {}, '"sound 1.wav" is 1.2 s long, but a sound may be at most 1 s'),
    ],
)
def test_limits_hold_for_programs(
    client: Client,
    sounds: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    endpoint: str,
    inputs: dict[str, Any],
    says: str,
) -> None:
    monkeypatch.setenv(f"HEARSIGHT_MAX_{variable}", value)
    with pytest.raises(AppError, match=re.escape(says)):
        client.predict(files(sounds[:2]), **inputs, api_name=endpoint)


def test_on_a_shared_app_nothing_of_a_program_stays(
    service: Service, sounds: list[Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = (service.model, service.adapter, service.encoder)
    shared = Service(*names, home=home / "shared", hosted=True, make_engine=lambda: service.engine(60))  # type: ignore[arg-type, return-value]
    monkeypatch.setenv("HEARSIGHT_MAX_SIZE", "64")
    with running(shared) as address:
        program = Client(address, verbose=False, download_files=str(home / "downloads"))
        picture, _ = program.predict(files(sounds[:1]), seed=2, steps=2, api_name="/sounds_to_image")
    assert size(picture) == (64, 64)  # the model's own size is above the limit
    assert [path for path in shared.pictures.rglob("*") if path.is_file()] == []


def test_many_at_once_are_not_mixed_up(url: str, sounds: list[Path], home: Path) -> None:
    clients = [Client(url, verbose=False, download_files=str(home / f"client {number}")) for number in range(3)]

    def ask(number: int) -> str:
        return str(
            clients[number % 3].predict(
                handle_file(str(sounds[number % 3])), seed=50 + number, **SMALL, api_name="/sound_to_image"
            )[0]
        )

    with ThreadPoolExecutor(6) as pool:
        pictures = list(pool.map(ask, range(6)))
    for number, picture in enumerate(pictures):
        recipe = read_recipe(Path(picture))
        assert (recipe.seed, recipe.tracks[0].name) == (50 + number, f"sound {number % 3}.wav")
    assert Path(ask(4)).read_bytes() == Path(pictures[4]).read_bytes()
    assert len({Path(picture).read_bytes() for picture in pictures}) == 6


def test_lists_are_told_apart_by_their_sounds() -> None:
    first, second = tracks_of(["a.wav", "b.wav"], gains=[1, 2], pans=None)
    assert (first.name, first.gain, second.gain, second.pan) == ("a.wav", 1, 2, 0)
    assert tracks_of(["a.wav"], gains=-3)[0].gain == -3
    with pytest.raises(InputError, match="No sound was given"):
        tracks_of(None)


def test_pictures_of_programs_are_in_the_owners_gallery(client: Client, sounds: list[Path], service: Service) -> None:
    client.predict(handle_file(str(sounds[0])), seed=777, **SMALL, api_name="/sound_to_image")
    assert any("777" in path.name for path in Album.of(service.pictures, None).newest(20))
