"""Pictures that carry their recipe: written whole or not at all, read back exactly, nothing local inside."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from studio.errors import InputError
from studio.library.png import parameters_line, read_recipe, save_png
from studio.recipe import Recipe, Track
from studio.word import pack_word

IMAGE = Image.fromarray(np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3))
RECIPE = Recipe(
    tracks=(Track(path="/home/me/private/rain.ogg", name="rain.ogg", gain=3),),
    prompt='a (street:1.2) in the style of A*, "naïve" 🐕',
    negative_prompt="blurry",
    seed=7,
    num_inference_steps=20,
    guidance_scale=4.5,
    width=256,
    height=128,
    model="/home/me/private/pocket-2",
    word=pack_word(np.linspace(-1, 1, 512, dtype=np.float32).reshape(2, 256)),
    versions={"hearsight": "0.1.0"},
    model_sha256="0123456789abcdef",
)


@pytest.mark.parametrize("name", ["a.png", "with space/ä ö/日本.PNG", "x" * 240 + ".png"])
def test_the_recipe_comes_back(name: str, tmp_path: Path) -> None:
    path = save_png(IMAGE, RECIPE, tmp_path / name)
    assert read_recipe(path) == RECIPE.public()
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), np.asarray(IMAGE))
    assert [item for item in path.parent.iterdir() if item != path] == []


def test_nothing_local_is_inside(tmp_path: Path) -> None:
    content = save_png(IMAGE, RECIPE, tmp_path / "a.png").read_bytes()
    assert b"private" not in content
    assert b"rain.ogg" in content


def test_the_same_picture_is_the_same_file(tmp_path: Path) -> None:
    first, second = (save_png(IMAGE, RECIPE, tmp_path / name).read_bytes() for name in ("a.png", "b.png"))
    assert first == second


def test_other_programs_can_read_the_settings() -> None:
    assert parameters_line(RECIPE.public()).splitlines() == [
        'a (street:1.2) in the style of A*, "naïve" 🐕',
        "Negative prompt: blurry",
        "Steps: 20, CFG scale: 4.5, Seed: 7, Size: 256x128, Model hash: 0123456789abcdef, Model: pocket-2, "
        "Version: Hearsight 0.1.0",
    ]


def test_an_old_picture_survives_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_png(IMAGE, RECIPE, tmp_path / "a.png")
    before = path.read_bytes()

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="No space left on device"):
        save_png(IMAGE, RECIPE.replace(seed=8), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_bad_targets(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in \.png"):
        save_png(IMAGE, RECIPE, tmp_path / "a.jpg")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save_png(IMAGE, RECIPE, tmp_path / "file" / "a.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        save_png(IMAGE, RECIPE, tmp_path / "folder.png")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["file", "folder.png"]


def _png_with(path: Path, text: str | None) -> None:
    chunks = PngImagePlugin.PngInfo()
    if text is not None:
        chunks.add_text("hearsight", text)
    IMAGE.save(path, pnginfo=chunks)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "There is no picture"),
        (lambda path: path.write_bytes(b""), "is not a picture"),
        (lambda path: path.write_text("hello"), "is not a picture"),
        (lambda path: IMAGE.save(path, format="JPEG"), "carries no recipe"),
        (lambda path: _png_with(path, None), "carries no recipe"),
        (lambda path: _png_with(path, "{"), "cannot be used. This is not a recipe"),
        (lambda path: _png_with(path, '{"version": 99}'), "'version' cannot be 99"),
        (lambda path: _png_with(path, '{"new_thing": 1}'), "no field 'new_thing'"),
        (lambda path: path.mkdir(), "cannot be read"),
    ],
)
def test_bad_pictures(make: object, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    make(path)  # type: ignore[operator]
    with pytest.raises(InputError) as caught:
        read_recipe(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cut_off_picture(tmp_path: Path) -> None:
    path = save_png(IMAGE, RECIPE, tmp_path / "a.png")
    whole = path.read_bytes()
    for length in range(0, len(whole) - 12, 97):  # the last 12 bytes are an end mark without content
        path.write_bytes(whole[:length])
        try:
            recipe = read_recipe(path)
        except InputError:
            continue
        assert recipe == RECIPE.public()
