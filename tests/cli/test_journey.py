"""hearsight journey: what is written, what Ctrl+C leaves, what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from studio.journey.film import read_settings
from studio.journey.settings import Journey
from studio.journey.takings import Takings
from studio.journey.trip import Painting
from studio.library.png import read_recipe
from studio.sound.write import write_wav
from tests.cli.conftest import Done
from tests.models import noise, tone


@pytest.fixture(autouse=True)
def sounds() -> None:
    write_wav(tone(2.0), "a.wav")
    write_wav(noise(), "b.wav")


def film(path: str) -> tuple[int, float, float]:
    """How many pictures it has, how many a second, and the seconds of its sound."""
    with av.open(path) as opened:
        count, rate = sum(1 for _ in opened.decode(video=0)), opened.streams.video[0].average_rate
    with av.open(path) as opened:
        heard = sum(frame.samples for frame in opened.decode(audio=0)) / 48_000
    return count, float(rate or 0), heard


def test_a_morph_in_all_forms(hearsight: Callable[..., Done]) -> None:
    outputs = ("-o", "new/out.mp4", "-o", "out.gif", "-o", "out.PNG", "--save-frames", "frames")
    done = hearsight("journey", "a.wav", "b.wav", *outputs, "--frames", 4, "--fps", 2, "--steps", 2, "--seed", 5)
    assert (done.code, done.output) == (0, "new/out.mp4\nout.gif\nout.PNG\n")
    assert done.error == "4 pictures, seed 5."
    count, rate, heard = film("new/out.mp4")
    assert (count, rate) == (4, 2)
    assert heard == pytest.approx(2, abs=0.05)
    with Image.open("out.gif") as gif:
        assert gif.n_frames == 4  # type: ignore[attr-defined]  # animated formats have it
    frames = sorted(Path("frames").iterdir())
    assert [path.name for path in frames] == ["001.png", "002.png", "003.png", "004.png"]
    assert [read_recipe(path).weights for path in frames][::3] == [(1, 0), (0, 1)]
    journey, recipe = Journey.from_json(read_settings("out.PNG"))
    assert (journey.kind, journey.frames, recipe.seed) == ("morph", 4, 5)
    for end, sound in ((frames[0], "a.wav"), (frames[-1], "b.wav")):
        hearsight("generate", sound, "-o", "single.png", "--seed", 5, "--steps", 2)
        assert Image.open(end).tobytes() == Image.open("single.png").tobytes()


def test_one_sound_is_swept_and_windows_have_their_options(hearsight: Callable[..., Done]) -> None:
    options = ("--frames", 2, "--steps", 1)
    assert hearsight("journey", "a.wav", "-o", "v.png", "--from", -20, "--to", 3, *options).code == 0
    journey, _ = Journey.from_json(read_settings("v.png"))
    assert (journey.kind, journey.from_db, journey.to_db) == ("volume", -20, 3)
    window = ("--kind", "window", "--window", 0.5, "--hop", 0.25, "--start", 0.5, "--duration", 1, "--smoothing", 0)
    assert hearsight("journey", "a.wav", "-o", "w.png", *window, *options).code == 0
    journey, recipe = Journey.from_json(read_settings("w.png"))
    assert (journey.duration, journey.hop, journey.smoothing) == (0.5, 0.25, 0)
    assert (recipe.tracks[0].start, recipe.tracks[0].duration) == (0.5, 1)


def test_stopped_in_the_middle(hearsight: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Takings.stream

    def interrupted(self: Takings, engine: Any) -> Iterator[Any]:
        for item in whole(self, engine):
            if isinstance(item, Painting) and item.number == stop_at:
                raise KeyboardInterrupt
            yield item

    monkeypatch.setattr(Takings, "stream", interrupted)
    command = ("journey", "a.wav", "b.wav", "-o", "out.mp4", "--frames", 6, "--fps", 4, "--steps", 1)
    stop_at = 1
    assert hearsight(*command).code == 130
    assert not Path("out.mp4").exists()
    stop_at = 3
    done = hearsight(*command)
    assert (done.code, done.output) == (130, "")
    assert "ends after 3 of 6 pictures" in done.error
    assert film("out.mp4")[0] == 3
    assert film("out.mp4")[2] == pytest.approx(0.75, abs=0.05)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("a.wav -o out.avi", "written as .mp4, .gif, .png, but 'out.avi'"),
        ("a.wav -o folder.mp4", "is a folder"),
        ("a.wav -o b.wav/out.mp4", "is a file"),
        ("a.wav -o out.gif -o out.gif", "same name"),
        ("a.wav -o out.gif --frames 1", "--frames must be a whole number from 2 to 240, but '1' was given"),
        ("a.wav -o out.gif --frames 2.5", "--frames must be a whole number"),
        ("a.wav -o out.gif --fps 0", "--fps must be a number from 0.5 to 30"),
        ("a.wav -o out.gif --fps nan", "--fps must be a number"),
        ("a.wav -o out.gif --from -61", "--from must be a number from -60 to 40 dB"),
        ("a.wav -o out.gif --to loud", "--to must be a number"),
        ("a.wav -o out.gif --window 0", "--window must be a number from 0.5 to 60 s"),
        ("a.wav -o out.gif --hop 0", "--hop must be a number"),
        ("a.wav -o out.gif --playback backwards", "--playback must be one of once, loop, ping-pong"),
        ("a.wav -o out.gif --kind walk", "walk"),
        ("a.wav -o out.gif --kind morph", "add a second one"),
        ("a.wav b.wav -o out.gif --kind window", "but 2 sound"),
        ("a.wav -o out.gif --kind window --window 2", "no way to go"),
        ("a.wav -o out.gif --prompt rain", "has no A*"),
        ("nothing.wav -o out.gif", "does not exist"),
        ("a.wav -o out.gif --save-frames full", "holds pictures already"),
        ("a.wav -o out.gif --save-frames b.wav", "is a file"),
        ("a.wav " * 9 + "-o out.gif", "At most 8 sounds"),
        ("a.wav", "-o/--output"),
    ],
)
def test_bad_journey(options: str, said: str, hearsight: Callable[..., Done]) -> None:
    Path("folder.mp4").mkdir()
    Path("full").mkdir()
    Image.new("RGB", (8, 8)).save("full/001.png")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    done = hearsight("journey", *options.split())
    assert (done.code, done.output) == (2, "")
    assert said in done.error
    assert "\n" not in done.error
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
