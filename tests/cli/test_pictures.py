"""generate and remake: what is written, under which names, and that it can be made again."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from studio.library.png import read_recipe
from studio.presets import own_folder, own_template, save_template
from tests.cli.conftest import Done


def test_a_picture_with_its_recipe(sound: Path, hearsight: Callable[..., Done]) -> None:
    done = hearsight("generate", sound, "-o", "neue Bilder/Bild ♪.png", "--seed", 7, "--gain", -3)
    assert (done.code, done.output) == (0, f"{Path('neue Bilder/Bild ♪.png')}\n")
    assert "Seed 7" in done.error
    recipe = read_recipe("neue Bilder/Bild ♪.png")
    assert (recipe.seed, recipe.num_inference_steps, recipe.model) == (7, 4, "pocket")
    assert (recipe.tracks[0].name, recipe.tracks[0].gain, recipe.tracks[0].path) == (sound.name, -3, None)
    assert [path.name for path in Path("neue Bilder").iterdir()] == ["Bild ♪.png"]
    assert str(Path.cwd()).encode() not in Path("neue Bilder/Bild ♪.png").read_bytes()


def test_every_option_reaches_the_recipe(sound: Path, hearsight: Callable[..., Done]) -> None:
    options = (
        "--prompt 'a dog in the (rain:1.2) with A*' --negative-prompt red --seed 1 --steps 3 --guidance 2.5 "
        "--size 128x64 --start 0.25 --duration 0.5 --device cpu"
    )
    assert hearsight("generate", sound.absolute(), "-o", "out.png", *shlex.split(options)).code == 0
    recipe = read_recipe("out.png")
    assert recipe.prompt == "a dog in the (rain:1.2) with A*"
    assert (recipe.negative_prompt, recipe.seed, recipe.num_inference_steps) == ("red", 1, 3)
    assert (recipe.guidance_scale, recipe.width, recipe.height) == (2.5, 128, 64)
    assert (recipe.tracks[0].start, recipe.tracks[0].duration) == (0.25, 0.5)
    with Image.open("out.png") as picture:
        assert picture.size == (128, 64)


def test_several_pictures(sound: Path, hearsight: Callable[..., Done]) -> None:
    done = hearsight("generate", sound, "-o", "out.png", "--count", 3, "--seed", 5)
    assert done.output.split() == ["out.png", "out-2.png", "out-3.png"]
    assert [read_recipe(name).seed for name in done.output.split()] == [5, 6, 7]
    hearsight("generate", sound, "-o", "alone.png", "--seed", 6)
    assert Path("alone.png").read_bytes() == Path("out-2.png").read_bytes()


def test_template(sound: Path, hearsight: Callable[..., Done]) -> None:
    assert hearsight("generate", sound, "-o", "out.png", "--template", "painting").code == 0
    assert "painting" in read_recipe("out.png").prompt


def test_an_own_template_sets_what_it_keeps_and_options_overrule_it(
    sound: Path, hearsight: Callable[..., Done]
) -> None:
    fine = {"num_inference_steps": 3, "guidance_scale": 2.0, "width": 64, "height": 72}
    save_template(own_template("Quick sea", "a sea of A*", "people", fine=fine), own_folder())
    assert hearsight("generate", sound, "-o", "out.png", "--template", "quick-sea", "--guidance", 5).code == 0
    made = read_recipe("out.png")
    assert (made.prompt, made.negative_prompt, made.num_inference_steps) == ("a sea of A*", "people", 3)
    assert (made.guidance_scale, made.width, made.height) == (5, 64, 72)
    assert hearsight("generate", sound, "-o", "out.png", "--template", "quick-sea", "--size", 64).code == 0
    assert (read_recipe("out.png").width, read_recipe("out.png").height) == (64, 64)


def test_an_existing_picture_is_replaced(sound: Path, hearsight: Callable[..., Done]) -> None:
    Path("out.png").write_bytes(b"old")
    assert hearsight("generate", sound, "-o", "out.png").code == 0
    read_recipe("out.png")


def test_remake_gives_the_same_file(sound: Path, hearsight: Callable[..., Done]) -> None:
    hearsight("generate", sound, "-o", "out.png")
    sound.unlink()
    done = hearsight("remake", "out.png", "-o", "again.png")
    assert (done.code, done.output, done.error) == (0, "again.png\n", "")
    assert Path("again.png").read_bytes() == Path("out.png").read_bytes()


def test_remake_does_not_replace_its_picture(sound: Path, hearsight: Callable[..., Done]) -> None:
    hearsight("generate", sound, "-o", "out.png")
    done = hearsight("remake", "out.png", "-o", Path("out.png").absolute())
    assert done.code == 2
    assert "the picture itself" in done.error


def test_remake_with_the_model_of_a_folder(sound: Path, tiny_assets: Path, hearsight: Callable[..., Done]) -> None:
    (Path("my models")).mkdir()
    Path("my models/mine").symlink_to(tiny_assets / "pocket")
    assert hearsight("generate", sound, "-o", "out.png", "--model", "my models/mine").code == 0
    assert read_recipe("out.png").model == "mine"
    assert "no model called 'mine'" in hearsight("remake", "out.png", "-o", "again.png").error
    done = hearsight("remake", "out.png", "-o", "again.png", "--model", "my models/mine")
    assert (done.code, done.error) == (0, "")
    assert Path("again.png").read_bytes() == Path("out.png").read_bytes()


def test_remake_says_what_may_differ(sound: Path, hearsight: Callable[..., Done]) -> None:
    from studio.library.png import save_png

    hearsight("generate", sound, "-o", "out.png")
    recipe = read_recipe("out.png")
    with Image.open("out.png") as picture:
        save_png(picture, recipe.replace(versions=recipe.versions | {"torch": "1.0"}), "old.png")
    done = hearsight("remake", "old.png", "-o", "again.png")
    assert done.code == 0
    assert done.error.startswith("Note: ")
    assert "torch 1.0" in done.error


@pytest.mark.parametrize("name", ["-dash.wav", 'a\'quote "and" $more.wav', "new\nline.wav"])
def test_odd_names(name: str, sound: Path, hearsight: Callable[..., Done]) -> None:
    sound.rename(name)
    assert hearsight("generate", "-o", "out.png", "--", name).code == 0
    assert read_recipe("out.png").tracks[0].name == name
