"""batch: names, going on after a stop, and failures that cost only themselves."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from studio.cli.batch import picture_names
from studio.library.png import read_recipe
from studio.sound.write import write_wav
from tests.cli.conftest import Done
from tests.models import noise, tone


@pytest.fixture
def sounds() -> Path:
    folder = Path("meine Töne")
    folder.mkdir()
    write_wav(tone(), folder / "tone.wav")
    write_wav(noise(), folder / "noise.wav")
    (folder / "notes.txt").write_text("not a sound")
    return folder


@pytest.mark.parametrize(
    ("names", "pictures"),
    [
        (["dog.ogg", "rain.wav"], ["dog.png", "rain.png"]),
        (["rain.ogg", "rain.wav"], ["rain.ogg.png", "rain.wav.png"]),
        (["Rain.ogg", "rain.wav"], ["Rain.ogg.png", "rain.wav.png"]),
        (["rain.ogg", "rain.ogg.flac"], ["rain.png", "rain.ogg.flac.png"]),
        (["a.b.ogg", "a.c.ogg"], ["a.b.png", "a.c.png"]),
    ],
)
def test_names(names: list[str], pictures: list[str]) -> None:
    assert picture_names(names) == pictures


def test_one_picture_a_sound(sounds: Path, hearsight: Callable[..., Done]) -> None:
    done = hearsight("batch", sounds, "-o", "neue Bilder", "--seed", 7)
    assert (done.code, done.error) == (0, "")
    assert done.output == "2 made, 0 already there, 0 failed, in neue Bilder\n"
    assert sorted(path.name for path in Path("neue Bilder").iterdir()) == ["noise.png", "tone.png"]
    hearsight("generate", sounds / "tone.wav", "-o", "alone.png", "--seed", 7)
    assert Path("alone.png").read_bytes() == Path("neue Bilder/tone.png").read_bytes()


def test_it_goes_on_where_it_was(sounds: Path, hearsight: Callable[..., Done]) -> None:
    hearsight("batch", sounds, "-o", "out")
    before = Path("out/tone.png").read_bytes()
    Path("out/noise.png").write_bytes(before[:500])  # a picture that is not whole
    assert hearsight("batch", sounds, "-o", "out").output.startswith("1 made, 1 already there")
    assert Path("out/tone.png").read_bytes() == before
    read_recipe("out/noise.png")
    assert hearsight("batch", sounds, "-o", "out").output.startswith("0 made, 2 already there")
    assert hearsight("batch", sounds, "-o", "out", "--again").output.startswith("2 made, 0 already there")


@pytest.mark.parametrize(
    "options",
    [
        ("--seed", "8"),
        ("--seed", "7", "--steps", "2"),
        ("--seed", "7", "--prompt", "a dog in A*"),
        ("--seed", "7", "--gain", "-6"),
        ("--seed", "7", "--size", "72"),
        ("--seed", "7", "--negative-prompt", ""),
    ],
)
def test_other_settings_are_another_picture(
    options: tuple[str, ...], sounds: Path, hearsight: Callable[..., Done]
) -> None:
    hearsight("batch", sounds, "-o", "out", "--seed", 7)
    assert hearsight("batch", sounds, "-o", "out", *options).output.startswith("2 made, 0 already there")
    assert hearsight("batch", sounds, "-o", "out", *options).output.startswith("0 made, 2 already there")
    assert hearsight("batch", sounds, "-o", "out", "--seed", 7).output.startswith("2 made, 0 already there")


def test_another_sound_under_the_same_name_is_another_picture(sounds: Path, hearsight: Callable[..., Done]) -> None:
    hearsight("batch", sounds, "-o", "out", "--seed", 7)
    shutil.copy(sounds / "noise.wav", sounds / "tone.wav")
    assert hearsight("batch", sounds, "-o", "out", "--seed", 7).output.startswith("1 made, 1 already there")


def test_one_failure_does_not_stop_the_rest(sounds: Path, hearsight: Callable[..., Done]) -> None:
    (sounds / "bad.mp3").write_bytes(b"")
    done = hearsight("batch", sounds, "-o", "out")
    assert (done.code, done.output) == (2, "2 made, 0 already there, 1 failed, in out\n")
    assert done.error.startswith("bad.mp3: ")
    assert "\n" not in done.error
    assert sorted(path.name for path in Path("out").iterdir()) == ["noise.png", "tone.png"]


def test_a_failure_of_ours_has_another_exit_code(
    sounds: Path, hearsight: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    import studio.library.png

    save = studio.library.png.save_png

    def save_some(image: object, recipe: object, path: Path) -> Path:
        if path.stem == "noise":
            raise RuntimeError("disk on fire")
        return save(image, recipe, path)  # type: ignore[arg-type]

    monkeypatch.setattr(studio.library.png, "save_png", save_some)
    done = hearsight("batch", sounds, "-o", "out")
    assert (done.code, done.error) == (1, "noise.wav: disk on fire")
    assert Path("out/tone.png").exists()


def test_stopped_and_run_again(sounds: Path, hearsight: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    import studio.library.png

    save = studio.library.png.save_png

    def save_one(image: object, recipe: object, path: Path) -> Path:
        if path.stem == "tone":
            raise KeyboardInterrupt
        return save(image, recipe, path)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(studio.library.png, "save_png", save_one)
        done = hearsight("batch", sounds, "-o", "out")
    assert done.code == 130
    assert "Stopped after 1 of 2: the same command goes on." in done.error
    assert hearsight("batch", sounds, "-o", "out").output.startswith("1 made, 1 already there")
