"""`hearsight edit`: what is written and said, that it can be made again, and what is refused before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from studio.library.png import read_recipe
from tests.cli.conftest import Done
from tests.editing.test_photo import BAD, GOOD


@pytest.fixture
def photo() -> Path:
    path = Path("Straße ♪.jpg")
    picture = Image.linear_gradient("L").resize((96, 64)).convert("RGB")
    picture.paste((240, 40, 40), (50, 20, 70, 40))
    picture.save(path)
    return path


def test_an_edited_photo(photo: Path, sound: Path, hearsight: Callable[..., Done]) -> None:
    options = ("--keep-layout", 0.25, "--keep-detail", 1, "--gain", -3, "--steps", 3, "--reconstruction", "again.png")
    done = hearsight("edit", photo, sound, "-o", "new/out.png", *options, "--save-sound", "heard.wav")
    assert (done.code, done.output) == (0, f"{Path('new/out.png')}\n"), done.error
    assert "Photo: 96 x 64 px, comes back with" in done.error
    assert Path("heard.wav").stat().st_size > 1000
    recipe = read_recipe("new/out.png")
    assert recipe.edit is not None
    assert (recipe.edit.method, recipe.edit.keep_layout, recipe.edit.keep_detail) == ("pnp", 0.25, 1)
    assert (recipe.edit.name, recipe.num_inference_steps) == (photo.name, 3)
    with Image.open("new/out.png") as picture, Image.open("again.png") as again:
        assert picture.size == again.size == (96, 64)
    assert "--photo" in hearsight("remake", "new/out.png", "-o", "twice.png").error
    assert hearsight("remake", "new/out.png", "-o", "twice.png", "--photo", photo).code == 0
    assert Path("twice.png").read_bytes() == Path("new/out.png").read_bytes()


def test_words_are_exchanged_under_a_mask(photo: Path, sound: Path, hearsight: Callable[..., Done]) -> None:
    Image.new("L", (48, 32), 255).save("mask.png")
    done = hearsight(
        "edit", photo, sound, "-o", "out.png", "--method", "p2p", "--source-prompt", "a photo of a dog", "--prompt",
        "a photo of a A*", "--words", "replace", "--emphasis", 2, "--local", "--mask", "mask.png", "--no-check",
    )  # fmt: skip
    assert done.code == 0, done.error
    edit = read_recipe("out.png").edit
    assert edit is not None
    assert (edit.words, edit.emphasis, edit.local, edit.check) == ("replace", 2, True, False)
    assert edit.mask_sha256 is not None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--method", "magic"), "no editing method called 'magic'. Known editing methods: p2p, pnp, sdedit"),
        (("--method", "p2p"), "give a source prompt"),
        (("--keep-layout", "1.5"), "--keep-layout must be a number from 0 to 1"),
        (("--words", "some"), "auto, replace, refine"),
        (("--mask", "square.png"), "same form"),
        (("--mask", "nowhere.png"), "There is no mask"),
        (("--count", "2"), "all be the same"),
        (("--reconstruction", "out.png"), "the same file"),
        (("--reconstruction", "r.png", "--no-check"), "--no-check"),
        (("--prompt", "a photo of rain"), "no A*"),
    ],
)
def test_what_is_refused(
    options: tuple[str, ...], words: str, photo: Path, sound: Path, hearsight: Callable[..., Done]
) -> None:
    Image.new("L", (32, 32), 255).save("square.png")
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    done = hearsight("edit", photo, sound, "-o", "out.png", *options)
    assert (done.code, done.output) == (2, "")
    assert words in done.error
    assert "\n" not in done.error
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


@pytest.mark.parametrize("case", BAD)
def test_a_photo_that_cannot_be_used(case: str, sound: Path, hearsight: Callable[..., Done]) -> None:
    make, words = BAD[case]
    make(Path("photo"))
    done = hearsight("edit", "photo", sound, "-o", "out.png")
    assert (done.code, done.output, words in done.error) == (2, "", True), done.error
    assert "\n" not in done.error
    assert not Path("out.png").exists()


@pytest.mark.parametrize("case", GOOD)
def test_a_photo_of_another_kind(case: str, sound: Path, hearsight: Callable[..., Done]) -> None:
    make, (wide, high), _ = GOOD[case]
    make(Path("photo"))
    done = hearsight("edit", "photo", sound, "-o", "out.png", "--steps", 1, "--method", "sdedit")
    assert done.code == 0, done.error
    assert ("Note: " in done.error) == case.startswith("animated")
    with Image.open("out.png") as picture:
        assert (picture.width > picture.height) == (wide > high)


@pytest.mark.parametrize("case", ["text", "1 x 1", "30,000 x 30,000", "cut off", "not there"])
def test_a_mask_that_cannot_be_used(case: str, photo: Path, sound: Path, hearsight: Callable[..., Done]) -> None:
    make, words = BAD[case]
    make(Path("mask"))
    done = hearsight("edit", photo, sound, "-o", "out.png", "--mask", "mask")
    assert (done.code, words.replace("photo", "mask") in done.error) == (2, True), done.error
    assert "mask" in done.error
    assert not Path("out.png").exists()


def test_the_photo_is_not_overwritten(photo: Path, sound: Path, hearsight: Callable[..., Done]) -> None:
    with Image.open(photo) as picture:
        picture.save("photo.png")
    content = Path("photo.png").read_bytes()
    done = hearsight("edit", "photo.png", sound, "-o", Path("photo.png").absolute())
    assert (done.code, "the photo or the mask itself" in done.error) == (2, True)
    assert Path("photo.png").read_bytes() == content
