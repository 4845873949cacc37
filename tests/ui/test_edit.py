"""The Edit tab without a browser: what its controls stand for, and the moments of an edit on the model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from studio.errors import HearsightError
from studio.library.png import read_recipe
from studio.recipe import Edit
from studio.result import PAINTING, READING, PhotoRead
from studio.sound.write import write_wav
from studio.ui import jobs
from studio.ui.album import Album
from studio.ui.create import build_create_tab
from studio.ui.create import read as create_read
from studio.ui.edit_controls import mask_of, opened_photo
from studio.ui.edit_tab import EditTab, build_edit_tab, known_line, read
from studio.ui.service import Service
from tests.models import noise, tiny_plugins, tone
from tests.ui.test_parts import MISSING, VALUES, WORD

OWN: dict[str, Any] = {
    "edit_photo": "/x/my street.jpg",
    "edit_mask": None,
    "edit_sound": None,
    "edit_sound_strength": 1.5,
    "edit_method": "pnp",
    "edit_prompt": "a painting of A*",
    "edit_source_prompt": "a photo of a street",
    "edit_keep_layout": 0.7,
    "edit_keep_detail": 0.4,
    "edit_noise": 0.6,
    "edit_emphasis": 1,
    "edit_local": False,
    "edit_variation": 0,
    "edit_seed": " 12 ",
    "edit_num_inference_steps": 4,
    "edit_guidance_scale": 3,
}


def values(**changes: Any) -> dict[str, Any]:
    return VALUES | OWN | changes


def layer(size: tuple[int, int], alpha: int = 0, box: tuple[int, int, int, int] = (0, 0, 0, 0)) -> Image.Image:
    """A layer of the canvas: clear, and painted inside the box."""
    made = Image.new("RGBA", size, (0, 0, 0, 0))
    made.paste((255, 255, 255, alpha), box)
    return made


def test_controls_are_a_recipe() -> None:
    recipe, mask = read(values(), "pocket", "word")
    assert mask is None
    assert recipe.edit is not None
    assert (recipe.edit.name, recipe.edit.method, recipe.edit.source_prompt) == (
        "my street.jpg",
        "pnp",
        "a photo of a street",
    )
    assert (recipe.edit.keep_layout, recipe.edit.keep_detail, recipe.edit.mask) == (0.7, 0.4, None)
    assert (recipe.prompt, recipe.seed, recipe.sound_strength) == ("a painting of A*", 12, 1.5)
    # The photo's form sets the size, and what the photo shows is what guidance leads away from.
    assert (recipe.width, recipe.height, recipe.negative_prompt) == (None, None, None)
    assert [track.name for track in recipe.tracks] == ["rain.ogg"]
    other, _ = read(values(edit_sound="/x/b.wav"), "pocket", "word")
    assert [track.name for track in other.tracks] == ["b.wav"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"edit_photo": None}, "Add a photo first"),
        ({"sound": None, "facts": None}, "Add a sound first"),
        ({"edit_seed": "seven"}, "seed must be a whole number"),
        ({"edit_prompt": " "}, "prompt"),
        ({"edit_keep_layout": 2}, "keep_layout"),
    ],
)
def test_bad_values(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(HearsightError, match=said):
        read(values(**changes), "pocket", "word")


def test_paint_of_any_colour_is_the_mask() -> None:
    assert mask_of(None) is None
    assert mask_of({"background": None, "layers": [], "composite": None}) is None
    assert mask_of({"layers": [layer((30, 20))]}) is None
    painted = layer((30, 20), 190, (0, 0, 10, 20))
    mask = mask_of({"layers": [painted, layer((30, 20), 255, (20, 0, 30, 5))]})
    assert mask is not None
    levels = np.asarray(mask)
    assert set(np.unique(levels)) == {0, 255}
    assert (levels[:, :10] == 255).all()
    assert (levels[:5, 20:] == 255).all()
    assert not levels[:, 10:20].any()


@pytest.fixture(scope="module")
def tiny_service(home: Path, tiny_folder: Path) -> Iterator[Service]:
    with tiny_plugins():
        yield Service(str(tiny_folder), "tiny-word", "tiny-ear", home=home, hosted=False)


@pytest.fixture(scope="module")
def tab(tiny_service: Service) -> EditTab:
    with gr.Blocks() as demo, gr.Tab("Edit") as own:
        return build_edit_tab(build_create_tab(tiny_service, demo), own)


@pytest.fixture(scope="module")
def photo(home: Path) -> Path:
    """96 x 64 px, a slope of colours."""
    high, wide = np.mgrid[0:64, 0:96]
    path = home / "my street.png"
    Image.fromarray(np.stack([wide * 2, high * 3, 200 - wide], axis=-1).astype(np.uint8)).save(path)
    return path


def request() -> Any:
    return SimpleNamespace(session_hash="page")


@pytest.fixture
def ready(home: Path, photo: Path, tiny_service: Service) -> dict[str, Any]:
    for name, clip in (("tone.wav", tone()), ("noise.wav", noise())):
        write_wav(clip, home / name)
    chosen = {"image_model": tiny_service.model, "adapter": tiny_service.adapter}
    return values(edit_photo=str(photo), edit_sound=str(home / "tone.wav"), visitor=None, **chosen)


def test_an_edit_is_made_and_kept(tab: EditTab, ready: dict[str, Any], home: Path) -> None:
    painted = {"layers": [layer((96, 64), 190, (0, 0, 48, 64))]}
    updates = list(tab.made(request(), **{**ready, "edit_mask": painted}))
    lines = [one[tab.line] for one in updates if tab.line in one]
    assert any("Reading the photo, step" in line for line in lines)
    assert any("Painting, step 4 of 4" in line for line in lines)
    last = next(one for one in reversed(updates) if tab.download in one)
    (path,) = tab.create.service.pictures.glob("*.png")
    before, after = last[tab.slider].constructor_args["value"]
    assert before.size == (96, 64)
    assert Path(after).read_bytes() == path.read_bytes()  # the file itself, so that a download keeps its recipe
    recipe = read_recipe(path)
    assert recipe.edit is not None
    assert (recipe.edit.name, recipe.edit.photo) == ("my street.png", None)
    assert recipe.edit.mask_sha256 is not None
    with Image.open(path) as image, Image.open(ready["edit_photo"]) as original:
        assert image.size == (96, 64)
        difference = np.abs(np.asarray(image, float) - np.asarray(original, float))
    assert difference[:, 56:].max() <= 1  # unpainted, so it is the photo itself
    assert difference[:, :40].max() > 1
    assert "comes back with" in last[tab.facts]
    assert "read now in" in last[tab.facts]
    assert "step" not in lines[-1]
    # A further sound: the photo is known.
    again = list(tab.made(request(), **{**ready, "edit_sound": str(home / "noise.wav")}))
    lines = [one[tab.line] for one in again if tab.line in one]
    assert not any("Reading the photo" in line for line in lines)
    assert any("it was known from before" in one.get(tab.facts, "") for one in again)


def test_stop_while_it_reads(tab: EditTab, ready: dict[str, Any], tmp_path: Path) -> None:
    made = len(list(tab.create.service.pictures.glob("*.png")))
    fresh = {**ready, "edit_source_prompt": "something else"}  # not read before
    lines = []
    for one in tab.made(request(), **fresh):
        lines.append(one.get(tab.line, ""))
        if "Reading the photo" in lines[-1]:
            assert "Stopping" in tab.stopped(request())
    assert any("Stopped" in line for line in lines)
    assert not any("Painting" in line for line in lines)
    assert len(list(tab.create.service.pictures.glob("*.png"))) == made
    assert len(tab.create.service.line) == 0


def test_the_phase_of_a_stop(tiny_service: Service, ready: dict[str, Any], tmp_path: Path) -> None:
    recipe, _ = read({**ready, "edit_source_prompt": "a"}, tiny_service.model, tiny_service.adapter)
    last: Any = None
    for last in jobs.make(tiny_service, "page", Album(tmp_path), recipe):
        if isinstance(last, jobs.Drawing) and last.step.phase == PAINTING:
            tiny_service.stop("page")
    assert isinstance(last, jobs.Stopped)
    assert last.phase == PAINTING != READING


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"edit_method": "p2p", "edit_source_prompt": ""}, "give a source prompt"),
        ({"edit_source_prompt": "a photo of A*"}, "has no A*"),
        ({"edit_prompt": "a street"}, "has no A*"),
        ({"edit_photo": "/nowhere/else.png"}, "There is no photo 'else.png'"),
    ],
)
def test_mistakes_stand_in_the_line(tab: EditTab, ready: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    updates: list[Any] = []
    with pytest.raises(gr.Error):
        updates.extend(tab.made(request(), **{**ready, **changes}))
    assert 'role="alert"' in updates[-1][tab.line]
    assert said in updates[-1][tab.line].replace("&#x27;", "'")
    assert tab.make in updates[-1]
    assert len(tab.create.service.line) == 0


def test_a_photo_is_opened_upright_or_refused(tab: EditTab, tmp_path: Path) -> None:
    turned, path = Image.new("RGB", (2000, 1000), "red"), tmp_path / "turned.jpg"
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(path, exif=exif)
    shown, text = opened_photo(str(path))
    assert shown.size == (256, 512)
    assert text == "turned.jpg, 1000 x 2000 px."
    Image.new("RGB", (64, 48), "red").save(tmp_path / "small.png")
    small, text = opened_photo(str(tmp_path / "small.png"))
    assert small.size == (512, 384)  # the brush is as wide on it as on a large one
    assert text == "small.png, 64 x 48 px."
    assert "turned.jpg" in tab.photographed(str(path))[tab.photo_line]
    bad = tmp_path / "no.png"
    bad.write_text("not a picture")
    refused = tab.photographed(str(bad))
    assert 'role="alert"' in refused[tab.photo_line]
    assert str(tmp_path) not in refused[tab.photo_line]
    assert tab.slider not in refused
    assert tab.photographed(None)[tab.photo_line] == ""


def test_create_makes_no_edit_again(tab: EditTab) -> None:
    edited = WORD.replace(edit=Edit(name="street.jpg"))
    assert create_read(VALUES | {"sound": None, "facts": MISSING, "carried": edited}, "pocket", "word").edit is None
    updates: list[Any] = []
    with pytest.raises(gr.Error, match="made from a photo"):
        updates.extend(tab.create.varied(request(), edited, None))
    assert "made from a photo" in updates[-1][tab.create.picture.line]


def test_what_is_said_of_the_photo() -> None:
    blank = Image.new("RGB", (8, 8))
    assert known_line(PhotoRead(blank, blank, 24.84, 26.6, True, 0)) == (
        "The photo comes back with 24.8 dB PSNR from what was read of it (at best 26.6); it was known from before."
    )
    assert known_line(PhotoRead(blank, None, None, 26.6, False, 0)) == (
        "With this image model a photo keeps 26.6 dB PSNR at best."
    )


def test_a_method_shows_its_own_controls(tab: EditTab) -> None:
    def seen(method: str) -> set[str]:
        updates = tab.chosen(method)
        names = ("keep_layout", "keep_detail", "noise", "emphasis", "local")
        return {name for name in names if updates[tab.controls[f"edit_{name}"]].visible}

    assert seen("pnp") == {"keep_layout", "keep_detail"}
    assert seen("p2p") == {"keep_layout", "keep_detail", "emphasis", "local"}
    assert seen("sdedit") == {"noise"}
