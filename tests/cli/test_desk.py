"""generate and hear with several sounds: which value belongs to which, what is refused, what is said and written."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from studio.library.png import read_recipe
from studio.recipe import Track
from studio.sound.decode import read_clip
from studio.sound.loudness import SILENCE_DBFS, apply_gain, lufs
from studio.sound.write import write_wav
from tests.cli.conftest import Done
from tests.models import noise, tone


@pytest.fixture(autouse=True)
def sounds() -> None:
    write_wav(tone(2.0), "a.wav")
    write_wav(noise(), "b.wav")
    write_wav(apply_gain(noise(seed=1), -12), "c.wav")


def test_one_value_for_all_or_one_for_each(hearsight: Callable[..., Done]) -> None:
    options = "--gain -3 --pan -0.5 0.5 --room dry church --duration 0.5 --seed 1"
    done = hearsight("generate", "a.wav", "b.wav", "-o", "out.png", *shlex.split(options))
    assert (done.code, done.output) == (0, "out.png\n")
    assert [line.partition(":")[0].strip() for line in done.error.splitlines()] == ["Heard", "a.wav", "b.wav"]
    first, second = read_recipe("out.png").tracks
    assert (first.gain, first.pan, first.room, first.duration) == (-3, -0.5, "dry", 0.5)
    assert (second.gain, second.pan, second.room, second.duration) == (-3, 0.5, "church", 0.5)


@pytest.mark.parametrize(
    ("options", "weights"),
    [("a.wav b.wav --weights 0.25", (0.75, 0.25)), ("a.wav b.wav --weights 1 3", (1, 3)), ("a.wav b.wav", None),
     ("a.wav b.wav c.wav --weights 1 2 0", (1, 2, 0)), ("a.wav b.wav --weights 1", (0, 1))],
)  # fmt: skip
def test_morph(options: str, weights: tuple[float, ...] | None, hearsight: Callable[..., Done]) -> None:
    assert hearsight("generate", *options.split(), "-o", "out.png", "--join", "morph").code == 0
    recipe = read_recipe("out.png")
    assert (recipe.join, recipe.weights) == ("morph", weights)
    again = hearsight("remake", "out.png", "-o", "again.png")
    assert (again.code, again.error) == (0, "")
    assert Path("again.png").read_bytes() == Path("out.png").read_bytes()


def test_match(hearsight: Callable[..., Done]) -> None:
    assert hearsight("generate", "b.wav", "c.wav", "-o", "out.png", "--match", "--gain", 0, -2).code == 0
    first, second = read_recipe("out.png").tracks
    loudness = [lufs(apply_gain(read_clip(track.name), track.gain)) for track in (first, second)]
    assert loudness == pytest.approx([-20, -22], abs=0.1)


def test_the_joined_sound_is_saved(hearsight: Callable[..., Done]) -> None:
    desk = ("a.wav", "b.wav", "--room", "living-room", "--pan", 0, 1)
    done = hearsight("hear", *desk, "--json", "--save-sound", "new folder/scene.wav")
    assert (done.code, done.error) == (0, "")
    saved = json.loads(hearsight("hear", "new folder/scene.wav", "--json").output)
    heard = json.loads(done.output)
    assert saved["lufs"] == heard["lufs"]
    one = json.loads(hearsight("hear", "a.wav", *desk[2:4], "--save-sound", "one.wav", "--json").output)
    assert json.loads(hearsight("hear", "one.wav", "--json").output)["labels"] == one["labels"]
    hearsight("generate", *desk, "-o", "out.png", "--save-sound", "other.wav")
    # Not the bytes of the files: WAVs of floats carry the time at which they were written.
    assert read_clip("other.wav").samples.tobytes() == read_clip("new folder/scene.wav").samples.tobytes()
    assert read_clip("other.wav").channels == 2
    assert lufs(read_clip("other.wav")) > SILENCE_DBFS


def test_what_the_ear_gets_is_saved(hearsight: Callable[..., Done]) -> None:
    desk = ("a.wav", "b.wav", "--pan", -0.5, 0.8, "--room", "church", "dry", "--gain", 0, 6)
    done = hearsight("hear", *desk, "--json", "--save-heard", "heard.wav", "--save-sound", "scene.wav")
    assert (done.code, done.error) == (0, "")
    tracks = json.loads(done.output)["tracks"]
    for number, track in enumerate(tracks, start=1):
        clip = read_clip(f"heard-{number}.wav")
        assert (clip.channels, clip.rate) == (1, 16_000)
        assert json.loads(hearsight("hear", f"heard-{number}.wav", "--json").output)["labels"] == track["labels"]
    assert read_clip("scene.wav").channels == 2
    assert hearsight("hear", "a.wav", "--save-heard", "alone.wav").code == 0
    assert read_clip("alone.wav").rate == 16_000


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--save-heard out.mp3", "does not end in .wav"),
        ("--save-heard a.wav --save-sound a-1.wav", "both write 'a-1.wav'"),
        ("--save-heard b.wav/out.wav", "is a file"),
    ],
)
def test_bad_places_for_what_the_ear_gets(options: str, said: str, hearsight: Callable[..., Done]) -> None:
    done = hearsight("hear", "a.wav", "b.wav", *options.split())
    assert done.code == 2 and said in done.error
    assert not list(Path().glob("*-1.*"))


def test_json_of_several(hearsight: Callable[..., Done]) -> None:
    write_wav(apply_gain(noise(), -60), "silent.wav")
    answer = json.loads(hearsight("hear", "a.wav", "b.wav", "silent.wav", "--json").output)
    assert list(answer) == ["labels", "seconds", "lufs", "window", "tracks"]
    assert [track["name"] for track in answer["tracks"]] == ["a.wav", "b.wav", "silent.wav"]
    assert list(answer["tracks"][0]) == ["name", "labels", "seconds", "lufs", "window"]
    alone = json.loads(hearsight("hear", "b.wav", "--json").output)
    assert answer["tracks"][1].items() <= ({"name": "b.wav"} | alone).items()
    assert answer["tracks"][2] == {"name": "silent.wav", "labels": None, "seconds": None, "lufs": None, "window": None}
    assert (answer["seconds"], answer["window"]) == (2, [0, 2])


def test_text_of_several(hearsight: Callable[..., Done]) -> None:
    done = hearsight("hear", "a.wav", "b.wav", "--join", "sequence")
    assert "2.90 s long" in done.output
    assert [line.partition(":")[0] for line in done.output.splitlines()[-2:]] == ["a.wav", "b.wav"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("a.wav b.wav --gain 1 2 3", "--gain takes 1 value for all or 2 for the 2 sounds, but 3 were given."),
        ("a.wav --pan 0 1", "--pan takes 1 value, but 2 were given."),
        ("a.wav b.wav --pan 1.5", "--pan must be a number from -1 to 1, but '1.5' was given"),
        ("a.wav --room bath", "--room must be one of dry, living-room, "),
        ("--room church a.wav", "'a.wav' was given: name the sounds before the options"),
        ("--gain 6 a.wav", "'a.wav' was given: name the sounds before the options"),
        ("a.wav b.wav --join add", "--join must be one of mix, sequence, morph, side-by-side, but 'add' was given"),
        ("a.wav b.wav --weights 0.5", "--weights belong to --join morph"),
        ("a.wav b.wav --join morph --weights 1.5", "(or one from 0 to 1), but 1 were given"),
        ("a.wav b.wav c.wav --join morph --weights 0.5", "one number for each of the 3 sounds, but 1 were given"),
        ("a.wav b.wav --join morph --weights 0 0", "at least one sound must count"),
        ("a.wav b.wav --join morph --weights -1 1", "--weights must be a number from 0 to 100"),
        ("a.wav b.wav --join morph --weights nan 1", "--weights must be a number from 0 to 100"),
        ("a.wav " * 9, "At most 8 sounds can be joined, but 9 were given"),
        ("a.wav nothing.wav", "nothing.wav"),
        ("a.wav b.wav --match --start 1.5", "b.wav"),
        ("a.wav b.wav --gain -60", "We heard almost nothing"),
        ("a.wav --save-sound out.mp3", "does not end in .wav"),
        ("a.wav --save-sound folder.wav", "is a folder"),
        ("a.wav --save-sound a.wav", "is one of the sounds itself"),
        ("a.wav --save-sound b.wav/out.wav", "is a file"),
    ],
)
@pytest.mark.parametrize("command", ["hear", "generate"])
def test_bad_desk(command: str, options: str, said: str, hearsight: Callable[..., Done]) -> None:
    Path("folder.wav").mkdir()
    output = ("-o", "out.png") if command == "generate" else ()
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    done = hearsight(command, *output, *options.split())
    assert (done.code, done.output) == (2, "")
    assert said in done.error
    assert "\n" not in done.error
    assert {path: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before


def test_batch_has_rooms(hearsight: Callable[..., Done]) -> None:
    options = ("batch", ".", "-o", "out", "--room", "church", "--seed", 1)
    assert hearsight(*options).output.startswith("3 made")
    assert hearsight(*options).output.startswith("0 made, 3 already there")
    assert hearsight("batch", ".", "-o", "out", "--seed", 1).output.startswith("3 made")
    assert read_recipe("out/a.png").tracks[0].room == Track().room
