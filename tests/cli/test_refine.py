"""`hearsight refine`, and the word that it writes in `hearsight generate --word`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from studio.library.png import read_recipe
from studio.recipe import Recipe
from tests.cli.conftest import Done

QUICK = ("--steps", 2, "--size", 64, "--seed", 3)


@pytest.fixture
def photos() -> Path:
    folder = Path("Fotos")
    folder.mkdir()
    for number in range(2):
        Image.new("RGB", (80, 64), (220, 40 * number, 30)).save(folder / f"{number}.jpg")
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_a_refined_word_draws_any_prompt(hearsight: Callable[..., Done], sound: Path, photos: Path) -> None:
    done = hearsight("refine", sound, "--pictures", photos, "-o", "words/bell.json", "--refine-steps", 3)
    assert (done.code, done.output.strip()) == (0, "words/bell.json")
    assert "3 steps of 3; the denoising error of the pictures was" in done.error
    saved = Recipe.from_json(Path("words/bell.json").read_bytes())
    assert saved.word is not None and saved.tracks[0].path is None and saved.tracks[0].name == sound.name
    words = ("--word", "words/bell.json", "-o", "new.png", "--prompt", "a street in the style of A*")
    done = hearsight("generate", *words, *QUICK)
    assert done.code == 0, done.error
    assert "Heard: nothing, the word was carried" in done.error
    drawn = read_recipe("new.png")
    assert (drawn.word, drawn.prompt, drawn.seed) == (saved.word, "a street in the style of A*", 3)
    hearsight("generate", sound, "-o", "old.png", "--prompt", "a street in the style of A*", *QUICK)
    assert Path("old.png").read_bytes() != Path("new.png").read_bytes()
    assert hearsight("remake", "new.png", "-o", "again.png").code == 0
    assert Path("again.png").read_bytes() == Path("new.png").read_bytes()


def test_stopping_keeps_what_is_reached(
    hearsight: Callable[..., Done], sound: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from studio.cli import _progress

    def show(_bar: Any, title: str, done: int, total: int, note: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(_progress.Bar, "show", show)
    done = hearsight("refine", sound, "--pictures", photos / "0.jpg", "-o", "bell.json", "--refine-steps", 9)
    assert done.code == 0 and "2 steps of 9" in done.error
    assert Recipe.from_json(Path("bell.json").read_bytes()).word is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "bell.png", "--pictures", "Fotos"), "does not end in .json"),
        (("-o", "bell.json", "--pictures", "nowhere.jpg"), "There is no picture 'nowhere.jpg'"),
        (("-o", "bell.json", "--pictures", "leer"), "The folder 'leer' holds no pictures"),
        (("-o", "bell.json", "--pictures", "Fotos/notes.txt"), "notes.txt"),
        (("-o", "bell.json", "--pictures", "Fotos", "--refine-steps", 0), "1 to 2000 steps, but 0 were asked for"),
        (("-o", "bell.json", "--pictures", "Fotos", "--rate", 0), "--rate must be above 0"),
        (("-o", "bell.json", "--pictures", "Fotos", "--size", "64x128"), "give --size one number"),
    ],
)
def test_bad_input_writes_nothing(
    arguments: tuple[Any, ...], message: str, hearsight: Callable[..., Done], sound: Path, photos: Path
) -> None:
    Path("leer").mkdir()
    done = hearsight("refine", sound, *arguments)
    assert (done.code, len(done.error.splitlines())) == (2, 1)
    assert message in done.error
    assert not Path("bell.json").exists()


def test_a_word_stands_in_place_of_sounds(hearsight: Callable[..., Done], sound: Path) -> None:
    Path("bell.json").write_text(Recipe().to_json())
    for arguments, message in (
        ((), "No sound is named"),
        (("--word", "nowhere.json"), "cannot be read"),
        (("--word", "bell.json"), "carries no word"),
        ((sound, "--word", "bell.json"), "stands in place of the sounds"),
        (("--word", "bell.json", "--gain", -6), "stands in place of the sounds"),
    ):
        done = hearsight("generate", *arguments, "-o", "new.png")
        assert done.code == 2 and message in done.error
