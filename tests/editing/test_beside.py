"""Edits with adapters that take part in the denoising: a sound beside the text, one in its place, a LoRA along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from studio.diffusion.beside import Beside
from studio.diffusion.inversion import ddim_scheduler
from studio.diffusion.loop import denoise
from studio.diffusion.prompt import embed
from studio.editing.photo import psnr
from studio.engine import Engine
from studio.errors import InputError
from studio.library.png import read_recipe, save_png
from studio.recipe import Edit, Recipe, Track
from studio.result import PAINTING, Result, Step
from studio.word import unpack_word
from tests.adapter_forms import tiny_audiotoken
from tests.ears import write_checkpoint
from tests.models import fingerprint, noise, tone

STEPS = 4
SAYS = "a photo of a dog"


@pytest.fixture
def recipe(tiny_folder: Path) -> Recipe:
    return Recipe(
        model=str(tiny_folder), adapter="tiny-gated", seed=3, num_inference_steps=STEPS, guidance_scale=2.0,
        preview_every=0, edit=Edit(source_prompt=SAYS),
    )  # fmt: skip


def _edit(recipe: Recipe, **fields: Any) -> Recipe:
    return recipe.replace(edit=(recipe.edit or Edit()).replace(**fields))


def _pixels(result: Result) -> np.ndarray[Any, Any]:
    return np.asarray(result.images[0], float)


def _distance(one: Result, other: Result) -> float:
    return float(np.abs(_pixels(one) - _pixels(other)).mean())


@pytest.mark.parametrize("method", ["pnp", "p2p", "sdedit"])
def test_volume_is_the_degree_of_change(method: str, engine: Engine, recipe: Recipe, photo: Image.Image) -> None:
    """As with a word; and without a sound nothing is left to change, whichever adapter."""
    recipe = _edit(recipe.replace(num_inference_steps=8), method=method, check=False)
    made = [engine.run(recipe.replace(sound_strength=one), tone(), photo=photo) for one in (0.0, 0.25, 0.5, 1.0)]
    moved = [_distance(one, made[0]) for one in made]
    assert moved == sorted(moved) and moved[-1] > 1
    assert _distance(engine.run(recipe, noise(), photo=photo), made[-1]) > 0, "each sound has a picture of its own"
    word = engine.run(recipe.replace(sound_strength=0.0, adapter="tiny-word"), tone(), photo=photo)
    assert _distance(word, made[0]) < 0.1
    softer = engine.run(recipe.replace(tracks=(Track(gain=-10),)), tone(), photo=photo)
    assert softer.recipe.loudness == 0.5
    assert 0 < _distance(softer, made[0]) < moved[-1]


def test_the_sound_itself_moves_the_picture_and_the_words_may_stay(
    engine: Engine, recipe: Recipe, photo: Image.Image
) -> None:
    """Under the words that the photo was read with, all that changes is the sound's doing; it needs no A*."""
    recipe = _edit(recipe.replace(prompt=SAYS), keep_layout=0.0, keep_detail=0.0)
    still, full = (engine.run(recipe.replace(sound_strength=one), tone(), photo=photo) for one in (0.0, 1.0))
    assert full.read is not None and full.read.reconstruction is not None
    assert psnr(still.images[0], full.read.reconstruction) > 40, "without it the photo comes back"
    assert _distance(full, still) > 1


def test_the_photo_is_read_without_the_sound(engine: Engine, recipe: Recipe, photo: Image.Image) -> None:
    """What was read with one adapter serves the other, and comes back beside every sound as it does beside a word."""
    word = engine.run(recipe.replace(adapter="tiny-word"), tone(), photo=photo)
    made = engine.run(recipe, tone(), photo=photo)
    assert word.read is not None and made.read is not None
    assert (word.read.cached, made.read.cached, made.read.evaluations) == (False, True, STEPS)
    assert word.read.reconstruction is not None and made.read.reconstruction is not None
    assert psnr(word.read.reconstruction, made.read.reconstruction) > 50
    (source,) = engine._sources._held.values()
    fresh = Engine("cpu")
    fresh._sources._folder = None  # it reads the photo itself, with the sound at hand
    again = fresh.run(recipe, tone(), photo=photo)
    assert again.read is not None and not again.read.cached
    (own,) = fresh._sources._held.values()
    assert torch.equal(own.trajectory, source.trajectory)
    assert all(torch.equal(own.features[name], source.features[name]) for name in source.features)
    assert again.images[0].tobytes() == made.images[0].tobytes()
    unchecked = engine.run(_edit(recipe, check=False), tone(), photo=photo)
    assert psnr(unchecked.images[0], made.images[0]) > 40  # a row more in the batch rounds differently


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_with_nothing_held_it_is_a_drawing_from_the_photos_noise(
    strength: float, engine: Engine, recipe: Recipe, photo: Image.Image
) -> None:
    """The row of the sound reads its tokens, those of the negative prompt and of the photo's words read none."""
    recipe = _edit(recipe, keep_layout=0.0, keep_detail=0.0, check=False).replace(
        negative_prompt="red", sound_strength=strength
    )
    made = engine.run(recipe, tone(), photo=photo)
    backbone = engine._models.backbone(recipe.model)
    adapter = engine._models.adapter(recipe.model, "tiny-gated")
    tokens = torch.from_numpy(unpack_word(str(made.recipe.sound_tokens)))[None]
    (source,) = engine._sources._held.values()
    states = embed(backbone, ["red", SAYS, "a photo of"], torch.zeros(0, backbone.dims.text_width))
    *_, last = denoise(
        backbone, source.trajectory[:1], states[:1], states[2:], silent=states[1:2], num_inference_steps=STEPS,
        guidance_scale=2.0, sound_strength=strength, generator=torch.Generator(),
        extensions=[Beside(adapter, tokens, alone=True)], scheduler=ddim_scheduler(backbone, STEPS),
    )  # fmt: skip
    assert backbone.decode(last.latents)[0].tobytes() == made.images[0].tobytes()


def test_a_png_replays_without_the_sound(engine: Engine, recipe: Recipe, photo: Image.Image, tmp_path: Path) -> None:
    made = engine.run(recipe, tone(), photo=photo)
    carried = read_recipe(save_png(made.images[0], made.recipes[0], tmp_path / "out.png"))
    again = engine.run(carried.replace(model=recipe.model), photo=photo)
    assert again.images[0].tobytes() == made.images[0].tobytes() and again.warnings == []


def test_a_mask_keeps_the_photo_outside(engine: Engine, recipe: Recipe, photo: Image.Image) -> None:
    mask = Image.new("L", photo.size, 0)
    mask.paste(255, (48, 0, *photo.size))
    made = engine.run(recipe, tone(), photo=photo, mask=mask)
    assert made.read is not None
    moved = np.abs(_pixels(made) - np.asarray(made.read.photo, float))
    assert moved[:, :46].max() == 0 and moved[:, 50:].mean() > 1


def test_no_word_is_exchanged_that_could_say_where(engine: Engine, recipe: Recipe, photo: Image.Image) -> None:
    with pytest.raises(InputError, match=r"no word of its own that could say where to change.*or give a mask"):
        engine.run(_edit(recipe, method="p2p", local=True), tone(), photo=photo)


@pytest.mark.parametrize("method", ["pnp", "p2p", "sdedit"])
def test_a_stopped_or_failed_edit_leaves_no_hook(
    method: str, engine: Engine, recipe: Recipe, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = _edit(recipe, method=method)
    unet = engine._models.backbone(recipe.model).modules()["unet"]
    before = fingerprint(unet)
    stream = engine.stream(recipe, tone(), photo=photo)
    while not (isinstance(item := next(stream), Step) and item.phase == PAINTING):
        assert fingerprint(unet) == before
    assert fingerprint(unet) == before, "nothing is held between two steps"
    stream.close()  # type: ignore[attr-defined]
    assert fingerprint(unet) == before
    expected = engine.run(recipe, tone(), photo=photo).images[0].tobytes()
    with monkeypatch.context() as patch:
        broken = lambda *_: (_ for _ in ()).throw(MemoryError("no room"))  # noqa: E731
        patch.setattr(type(engine._models.backbone(recipe.model)), "predict", broken)
        with pytest.raises(MemoryError):
            engine.run(recipe, tone(), photo=photo)
    assert fingerprint(unet) == before
    assert engine.run(recipe, tone(), photo=photo).images[0].tobytes() == expected


@pytest.mark.parametrize("method", ["pnp", "p2p"])
def test_a_lora_draws_along_from_reading_on(
    method: str, recipe: Recipe, photo: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The changed model reads the photo, so without a sound it gives the photo back; it shares nothing it has read."""
    write_checkpoint("beats", tmp_path / "encoders" / "beats")
    tiny_audiotoken(tmp_path / "adapters" / "mine")
    monkeypatch.setenv("HEARSIGHT_MODELS", str(tmp_path))
    engine = Engine("cpu")
    unet = engine._models.backbone(recipe.model).modules()["unet"]
    before = fingerprint(unet)
    recipe = _edit(recipe.replace(adapter="mine"), method=method, keep_layout=0.0, keep_detail=0.0)
    made = engine.run(recipe, tone(), photo=photo)
    assert made.read is not None and made.read.reconstruction is not None
    still = engine.run(recipe.replace(sound_strength=0.0), tone(), photo=photo)
    assert psnr(still.images[0], made.read.reconstruction) > 40
    assert _distance(made, still) > 1
    without = engine.run(made.recipe.replace(model=recipe.model, adapter_sha256=None), photo=photo)
    assert without.read is not None and not without.read.cached
    assert _distance(without, made) > 0.1
    assert fingerprint(unet) == before
