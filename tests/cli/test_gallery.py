"""gallery: what is listed, shown and copied, and the sentences for what is not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from studio.library.gallery import Gallery
from studio.library.png import read_recipe, save_png
from studio.paths import pictures_folder
from studio.recipe import Recipe, Track
from tests.cli.conftest import Done

IMAGE = Image.new("RGB", (64, 64), "purple")
RAIN, DOG = "20260801-120000-000000-7.png", "20260831-120000-000000-8.png"
KEYS = ["name", "path", "made", "prompt", "sounds", "heard", "seed", "model", "width", "height", "favourite"]


@pytest.fixture
def gallery() -> Gallery:
    """Two pictures where the app keeps them: rain, heard as such and a favourite, and a newer dog."""
    gallery = Gallery(pictures_folder())
    rain = Recipe(tracks=(Track(name="Regen.wav"),), prompt="a photo of A*", seed=7, num_inference_steps=4)
    save_png(IMAGE, rain, gallery.folder / RAIN, [("rain", 0.9)])
    save_png(IMAGE, Recipe(tracks=(Track(name="\x1b[31mdög.wav"),), prompt="A* at\nnight"), gallery.folder / DOG)
    gallery.refresh()
    gallery.set_favourite(RAIN, True)
    return gallery


def test_list(gallery: Gallery, hearsight: Callable[..., Done]) -> None:
    done = hearsight("gallery", "list")
    assert (done.code, done.error) == (0, "")
    assert done.output.splitlines() == [
        f"{DOG}  2026-08-31 12:00    A* at night  ( [31mdög.wav)",
        f"{RAIN}  2026-08-01 12:00  * a photo of A*  (Regen.wav)",
    ]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--search", "PHOTO regen"), [RAIN]),
        (("--search", "rain"), [RAIN]),
        (("--sound", "dög"), [DOG]),
        (("--sound", "rain"), []),
        (("--since", "2026-08-02"), [DOG]),
        (("--until", "2026-08-01"), [RAIN]),
        (("--since", "2026-08-01", "--until", "2026-08-31"), [DOG, RAIN]),
        (("--favourites",), [RAIN]),
    ],
)
def test_search(gallery: Gallery, hearsight: Callable[..., Done], options: tuple[str, ...], names: list[str]) -> None:
    done = hearsight("gallery", "list", *options, "--json")
    assert (done.code, done.error) == (0, "")
    assert [entry["name"] for entry in json.loads(done.output)] == names
    done = hearsight("gallery", "list", *options)
    assert [line.split()[0] for line in done.output.splitlines()] == names
    assert ("No picture fits" in done.error) is (not names)


def test_json_is_exactly_the_documented_form(gallery: Gallery, hearsight: Callable[..., Done]) -> None:
    dog, rain = json.loads(hearsight("gallery", "list", "--json").output)
    assert list(dog) == list(rain) == KEYS
    assert rain["path"] == str(gallery.folder / RAIN)
    assert (rain["made"], rain["sounds"], rain["favourite"]) == ("2026-08-01T12:00:00", ["Regen.wav"], True)
    assert rain["heard"] == [{"label": "rain", "probability": 0.9}]
    assert (dog["seed"], dog["heard"], dog["width"]) == (None, [], 64)
    shown = json.loads(hearsight("gallery", "show", RAIN, "--json").output)
    assert list(shown) == [*KEYS, "recipe"]
    assert Recipe(**shown["recipe"]) == read_recipe(gallery.folder / RAIN)


def test_show(gallery: Gallery, hearsight: Callable[..., Done]) -> None:
    done = hearsight("gallery", "show", RAIN)
    assert (done.code, done.error) == (0, "")
    lines = {line[:10].strip(): line[11:] for line in done.output.splitlines()}
    assert lines["picture"] == str(gallery.folder / RAIN)
    assert (lines["sound"], lines["heard"], lines["seed"], lines["steps"]) == ("Regen.wav", "rain 90%", "7", "4")
    assert lines["favourite"] == "yes"
    assert "\x1b" not in hearsight("gallery", "show", DOG).output


def test_export(gallery: Gallery, hearsight: Callable[..., Done]) -> None:
    for _ in range(2):  # what is there already is as good as copied
        done = hearsight("gallery", "export", RAIN, DOG, RAIN, "-o", "neu/Bilder")
        assert (done.code, done.error) == (0, "")
        assert done.output.splitlines() == [str(Path("neu/Bilder") / name) for name in (RAIN, DOG)]
    assert (Path("neu/Bilder") / DOG).read_bytes() == (gallery.folder / DOG).read_bytes()
    assert len(list(Path("neu/Bilder").iterdir())) == 2


def test_any_folder_is_a_gallery(hearsight: Callable[..., Done]) -> None:
    assert hearsight("gallery", "list").error == f"There are no pictures in {pictures_folder()}."
    assert hearsight("gallery", "list", "--json").output == "[]\n"
    assert not pictures_folder().exists()
    save_png(IMAGE, Recipe(), "meine Bilder/Bild ♪.png")
    assert hearsight("gallery", "list", "--folder", "meine Bilder").output.startswith("Bild ♪.png  20")
    assert hearsight("gallery", "show", "Bild ♪.png", "--folder", "meine Bilder").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "ACTION"),
        (("paint",), "invalid choice: 'paint'"),
        (("list", "--since", "yesterday"), "--since must be a day such as 2026-08-31, but 'yesterday' was given"),
        (("list", "--until", "2026-02-30"), "--until must be a day"),
        (("list", "--since", "2026-02-01", "--until", "2026-01-01"), "swap them"),
        (("list", "--folder", "nowhere"), "does not exist"),
        (("list", "--folder", "file"), "is a file"),
        (("list", "--sea", "x"), "--sea"),
        (("show",), "NAME"),
        (("show", "nothing.png"), "no picture 'nothing.png'"),
        (("show", "../secret.png"), "no picture '../secret.png'"),
        (("export", RAIN), "-o/--output"),
        (("export", RAIN, "nothing.png", "-o", "new"), "no picture 'nothing.png'"),
        (("export", RAIN, "-o", "file"), "is a file"),
        (("export", DOG, RAIN, "-o", "taken"), "is there already and differs"),
    ],
)
def test_bad_input(gallery: Gallery, hearsight: Callable[..., Done], arguments: tuple[str, ...], words: str) -> None:
    Path("file").touch()
    Path("taken").mkdir()
    (Path("taken") / RAIN).write_bytes(b"mine")
    save_png(IMAGE, Recipe(), gallery.folder.parent / "secret.png")
    before = sorted(Path().rglob("*"))
    done = hearsight("gallery", *arguments)
    assert (done.code, done.output) == (2, ""), done.error
    assert words in done.error
    assert "\n" not in done.error
    assert sorted(Path().rglob("*")) == before
