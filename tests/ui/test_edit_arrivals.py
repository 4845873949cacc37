"""What comes to the Edit tab: settings of an edit, and pictures that were made elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from studio.editing.photo import read_photo
from studio.library.png import read_recipe, save_png
from studio.recipe import Edit
from studio.ui.create import build_create_tab
from studio.ui.edit_arrivals import Arrivals, wire_arrivals
from studio.ui.edit_tab import OF_EDIT, build_edit_tab, read
from studio.ui.gallery_tab import build_gallery_tab
from studio.ui.service import Service
from studio.word import pack_word
from tests.models import tiny_plugins
from tests.ui.test_edit import OWN
from tests.ui.test_parts import MISSING, VALUES, WORD


@pytest.fixture(scope="module")
def arrivals(home: Path, tiny_folder: Path) -> Iterator[Arrivals]:
    with tiny_plugins():
        service = Service(str(tiny_folder), "tiny-word", "tiny-ear", home=home, hosted=False)
        with gr.Blocks() as demo:
            with gr.Tabs() as tabs:
                with gr.Tab("Create"):
                    create = build_create_tab(service, demo)
                with gr.Tab("Edit") as own:
                    tab = build_edit_tab(create, own)
                with gr.Tab("Gallery") as other:
                    gallery = build_gallery_tab(create, tabs, other)
            made = wire_arrivals(tab, gallery, tabs)
        yield made


@pytest.fixture
def street(tmp_path: Path) -> Path:
    path = tmp_path / "street.png"
    Image.new("RGB", (64, 48), "teal").save(path)
    return path


def _word() -> str:
    import numpy as np

    return pack_word(np.ones((2, 8), np.float32))


@pytest.fixture
def edited(tmp_path: Path, street: Path) -> Path:
    """A PNG of an edit of that street."""
    edit = Edit(
        method="p2p", name="street.png", sha256=read_photo(street).sha256, source_prompt="a dog", keep_layout=0.3,
        keep_detail=0.9, emphasis=2, local=True, variation=0.2, noise=0.4, words="refine",
    )  # fmt: skip
    recipe = WORD.replace(edit=edit, word=_word(), sound_strength=1.5, num_inference_steps=6, guidance_scale=4.5)
    return save_png(Image.new("RGB", (64, 48), "navy"), recipe.replace(negative_prompt="a dog"), tmp_path / "wet.png")


def _values(arrivals: Arrivals, updates: dict[Any, Any]) -> dict[str, Any]:
    """The values that the updates give the tab's controls, by name."""
    found = {}
    for name, control in arrivals.tab.controls.items():
        if control in updates:
            update = updates[control]
            found[name] = update.constructor_args["value"] if isinstance(update, gr.blocks.Block) else update
    return found


def test_every_control_of_an_edit_comes_back(arrivals: Arrivals, edited: Path, street: Path) -> None:
    updates = arrivals.dropped(str(edited), None)
    values = _values(arrivals, updates)
    recipe = read_recipe(edited)
    assert recipe.edit is not None
    assert {name: values[f"edit_{name}"] for name in OF_EDIT} == {name: getattr(recipe.edit, name) for name in OF_EDIT}
    assert (values["edit_prompt"], values["edit_seed"], values["edit_sound_strength"]) == (
        "a painting of A*",
        "9",
        1.5,
    )
    assert (values["edit_num_inference_steps"], values["edit_guidance_scale"]) == (6, 4.5)
    assert updates[arrivals.tab.controls["edit_local"]].visible
    assert not updates[arrivals.tab.controls["edit_noise"]].visible
    assert "Drop the photo street.png" in updates[arrivals.tab.line]
    assert updates[arrivals.tab.create.sound.carried] == recipe
    # With the photo dropped again the controls stand for the same edit, its own word included.
    page = VALUES | OWN | values | {"edit_photo": str(street), "sound": None, "facts": MISSING, "carried": recipe}
    again, mask = read(page, "pocket", "word")
    assert mask is None
    assert again.edit == recipe.edit.replace(photo=str(street.absolute()))
    for name in ("word", "prompt", "seed", "num_inference_steps", "guidance_scale", "sound_strength"):
        assert getattr(again, name) == getattr(recipe, name)
    assert again.negative_prompt == "a dog"


def test_a_photo_that_is_there_stays(arrivals: Arrivals, edited: Path, street: Path) -> None:
    updates = arrivals.dropped(str(edited), str(street))
    assert "Drop the photo" not in updates[arrivals.tab.line]
    other = arrivals.dropped(str(edited), str(edited))
    assert "Drop the photo street.png" in other[arrivals.tab.line]
    assert arrivals.tab.controls["edit_photo"] not in other  # these settings, on another photo


def test_what_is_no_edit_is_said(arrivals: Arrivals, street: Path, tmp_path: Path) -> None:
    plain = save_png(Image.new("RGB", (64, 64), "red"), WORD, tmp_path / "plain.png")
    for path, said in ((street, "holds no Hearsight settings"), (plain, "was not made from a photo")):
        updates = arrivals.dropped(str(path), None)
        assert 'role="alert"' in updates[arrivals.tab.line]
        assert said in updates[arrivals.tab.line]
        assert arrivals.tab.controls["edit_prompt"] not in updates


def test_settings_brought_back_elsewhere_open_this_tab(arrivals: Arrivals, edited: Path, tmp_path: Path) -> None:
    updates = arrivals.dropped_elsewhere(str(edited), None)
    assert updates[arrivals.tabs].selected == "edit"
    assert _values(arrivals, updates)["edit_method"] == "p2p"
    plain = save_png(Image.new("RGB", (64, 64), "red"), WORD, tmp_path / "plain.png")
    assert arrivals.tabs not in arrivals.dropped_elsewhere(str(plain), None)
    assert arrivals.tabs not in arrivals.reused(WORD, None)


def test_a_picture_is_sent_to_be_edited(arrivals: Arrivals, tmp_path: Path) -> None:
    plain = save_png(
        Image.new("RGB", (64, 64), "red"), WORD.replace(num_inference_steps=7, word=_word()), tmp_path / "plain.png"
    )
    updates = arrivals.sent(str(plain))
    controls = arrivals.tab.controls
    assert Path(updates[controls["edit_photo"]]).read_bytes() == plain.read_bytes()  # with the recipe in it
    assert (updates[controls["edit_num_inference_steps"]], updates[controls["edit_source_prompt"]]) == (7, "")
    assert updates[arrivals.tabs].selected == "edit"
    assert "no description" in arrivals.tab.photographed(str(plain))[arrivals.tab.photo_line]
    assert 'role="alert"' in arrivals.sent(None)[arrivals.tab.line]
    assert 'role="alert"' in arrivals.sent_from_gallery("gone.png", None)[arrivals.tab.line]
