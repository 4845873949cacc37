"""Edits through the engine: phases, what is remembered, volume, masks, seeds, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from studio.diffusion.inversion import ddim_scheduler
from studio.diffusion.loop import denoise
from studio.diffusion.prompt import embed
from studio.editing.photo import psnr
from studio.engine import Engine
from studio.errors import InputError
from studio.library.png import read_recipe, save_png
from studio.recipe import Edit, Recipe, Track
from studio.result import PAINTING, READING, Result, Step
from studio.sound.write import write_wav
from tests.models import fingerprint, noise, tone

STEPS = 4


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """96 x 64 px, a bright square on a slope."""
    high, wide = np.mgrid[0:64, 0:96]
    picture = np.stack([wide * 2, high * 3, 200 - wide], axis=-1).astype(np.uint8)
    picture[20:40, 50:70] = 240
    path = tmp_path / "my photo.png"
    Image.fromarray(picture).save(path)
    return path


def _recipe(tiny_folder: Path, photo: Path, mask: Path | None = None, **fields: Any) -> Recipe:
    edit = Edit.of(photo, mask, **fields.pop("edit", {}))
    settings: dict[str, Any] = {"model": str(tiny_folder), "adapter": "tiny-word", "seed": 3}
    settings |= {"num_inference_steps": STEPS} | fields
    return Recipe(edit=edit, **settings)


def test_reading_then_painting_then_only_painting(engine: Engine, tiny_folder: Path, photo: Path) -> None:
    recipe = _recipe(tiny_folder, photo, preview_every=1)
    *steps, result = engine.stream(recipe, tone())
    assert isinstance(result, Result)
    assert result.read is not None
    phases = [(step.phase, step.index, step.total) for step in steps if isinstance(step, Step)]
    reading = STEPS + 2  # inverted, the first step guessed three times
    assert phases[:reading] == [(READING, index, reading) for index in range(1, reading + 1)]
    assert phases[reading:] == [(PAINTING, index, STEPS) for index in range(1, STEPS + 1)]
    assert all(isinstance(step, Step) and step.preview and step.eta >= 0 for step in steps)
    assert (result.read.cached, result.read.evaluations) == (False, reading + STEPS)
    assert result.images[0].size == result.read.photo.size == (96, 64)
    assert result.read.reconstruction is not None
    assert result.read.psnr is not None
    assert abs(result.read.psnr - psnr(result.read.reconstruction, result.read.photo)) < 1e-9
    # Another engine finds it on the disk, and another sound gives another picture of the same photo.
    fresh = Engine("cpu")
    *steps, again = fresh.stream(recipe, tone())
    assert isinstance(again, Result)
    assert len(steps) == STEPS
    assert (again.read.cached, again.read.evaluations, again.read.psnr) == (True, STEPS, result.read.psnr)  # type: ignore[union-attr]
    assert again.images[0].tobytes() == result.images[0].tobytes()
    assert fresh.run(recipe, noise()).images[0].tobytes() != result.images[0].tobytes()


@pytest.mark.parametrize("method", ["pnp", "p2p"])
def test_the_check_is_the_plain_reconstruction_and_leaves_the_picture_alone(
    method: str, engine: Engine, tiny_folder: Path, photo: Path
) -> None:
    unet = engine._models.backbone(str(tiny_folder)).modules()["unet"]
    before = fingerprint(unet)
    edit = {"method": method, "source_prompt": "a photo of a dog"}
    recipe = _recipe(tiny_folder, photo, edit=edit, guidance_scale=3.0)
    first, known = engine.run(recipe, tone()), engine.run(recipe, tone())
    assert first.read is not None
    assert known.read is not None
    assert known.images[0].tobytes() == first.images[0].tobytes()
    assert (known.read.cached, known.read.psnr) == (True, first.read.psnr)
    plain = engine.run(_recipe(tiny_folder, photo, edit=edit | {"check": False}, guidance_scale=3.0), tone())
    assert psnr(plain.images[0], first.images[0]) > 40  # a row more in the batch rounds differently
    # From the noise alone, in a loop of its own: what was reported is the plain reconstruction.
    backbone = engine._models.backbone(str(tiny_folder))
    (source,) = engine._sources._held.values()
    states = embed(backbone, ["a photo of a dog"], torch.zeros(0, backbone.dims.text_width))
    *_, last = denoise(
        backbone, source.trajectory[:1], states, states, num_inference_steps=STEPS, guidance_scale=1.0,
        generator=torch.Generator(), scheduler=ddim_scheduler(backbone, STEPS),
    )  # fmt: skip
    assert first.read.reconstruction is not None
    assert psnr(Image.fromarray(backbone.decode(last.latents)[0]), first.read.reconstruction) > 40
    assert fingerprint(unet) == before


def test_the_picture_carries_the_edit_and_nothing_local(
    engine: Engine, tiny_folder: Path, photo: Path, tmp_path: Path
) -> None:
    result = engine.run(_recipe(tiny_folder, photo, edit={"keep_layout": 0.25}), tone())
    save_png(result.images[0], result.recipes[0], tmp_path / "out.png")
    recipe = read_recipe(tmp_path / "out.png")
    assert recipe.edit is not None
    assert (recipe.edit.name, recipe.edit.photo, recipe.edit.keep_layout) == ("my photo.png", None, 0.25)
    assert recipe.edit.sha256 is not None
    assert str(tmp_path).encode() not in (tmp_path / "out.png").read_bytes()
    with pytest.raises(InputError, match=r"'my photo\.png' is not on this machine"):
        engine.run(recipe.replace(model=str(tiny_folder)))
    again = engine.run(recipe.replace(model=str(tiny_folder)), photo=photo)
    assert again.images[0].tobytes() == result.images[0].tobytes()
    assert again.warnings == []
    with Image.open(photo) as other:
        other.rotate(180).save(tmp_path / "other.png")
    assert (
        "not the photo" in engine.run(recipe.replace(model=str(tiny_folder)), photo=tmp_path / "other.png").warnings[0]
    )


def test_an_old_recipe_says_nothing_of_edits() -> None:
    assert "edit" not in Recipe().to_json()
    recipe = Recipe(edit=Edit(method="p2p", source_prompt="a dog", mask_sha256="0" * 64))
    assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize("method", ["pnp", "p2p", "sdedit"])
def test_volume_is_the_degree_of_change(method: str, engine: Engine, tiny_folder: Path, photo: Path) -> None:
    edit = {"method": method, "source_prompt": "a photo of a dog", "check": False}
    recipe = _recipe(tiny_folder, photo, edit=edit, num_inference_steps=8, guidance_scale=2.0)
    # An untrained autoencoder gives no photo back, so the unchanged photo is what comes out without a sound.
    pictures = [
        np.asarray(engine.run(recipe.replace(sound_strength=strength), tone()).images[0], float)
        for strength in (0.0, 0.25, 0.5, 1.0)
    ]
    distances = [float(np.abs(picture - pictures[0]).mean()) for picture in pictures]
    assert distances == sorted(distances)
    assert distances[-1] > 0


def test_a_softer_sound_changes_less(engine: Engine, tiny_folder: Path, photo: Path) -> None:
    """Volume is the strength times how loud the sound is against its own level."""
    recipe = _recipe(tiny_folder, photo, edit={"check": False}, guidance_scale=2.0)
    made = [
        engine.run(recipe.replace(tracks=(Track(gain=gain),), sound_strength=strength), tone())
        for gain, strength in ((0.0, 0.0), (-12.0, 1.0), (0.0, 1.0))
    ]
    still, softer, full = (np.asarray(one.images[0], float) for one in made)
    assert 0 < np.abs(softer - still).mean() < np.abs(full - still).mean()
    assert made[1].recipe.loudness is not None
    assert made[1].recipe.loudness < 1


def test_a_morph_goes_from_one_sounds_edit_to_the_others(engine: Engine, tiny_folder: Path, photo: Path) -> None:
    recipe = _recipe(tiny_folder, photo, edit={"check": False}, join="morph", tracks=(Track(), Track()))
    ends = [engine.run(recipe.replace(tracks=(Track(),)), clip).images[0] for clip in (tone(), noise())]
    between = [
        engine.run(recipe.replace(weights=weights), [tone(), noise()]).images[0]
        for weights in ((1.0, 0.0), (0.5, 0.5), (0.0, 1.0))
    ]
    assert between[0].tobytes() == ends[0].tobytes()
    assert between[2].tobytes() == ends[1].tobytes()
    assert between[1].tobytes() not in (ends[0].tobytes(), ends[1].tobytes())


def test_guidance_leads_away_from_what_the_photo_was_read_with(engine: Engine, tiny_folder: Path, photo: Path) -> None:
    """Negative-prompt inversion. What somebody writes there is kept, and costs a third prediction at other volumes."""
    described = _recipe(tiny_folder, photo, edit={"source_prompt": "a dog", "check": False})
    assert engine.run(described, tone()).recipe.negative_prompt == "a dog"
    assert engine.run(_recipe(tiny_folder, photo, edit={"check": False}), tone()).recipe.negative_prompt == ""
    own = engine.run(described.replace(negative_prompt="red"), tone())
    assert own.recipe.negative_prompt == "red"


@pytest.mark.parametrize("method", ["pnp", "p2p", "sdedit"])
def test_a_mask_keeps_the_photo_outside(
    method: str, engine: Engine, tiny_folder: Path, photo: Path, tmp_path: Path
) -> None:
    mask = Image.new("L", (96, 64), 0)
    mask.paste(255, (48, 0, 96, 64))
    mask.save(tmp_path / "mask.png")
    edit = {"method": method, "source_prompt": "a dog", "local": method == "p2p"}  # both masks together
    result = engine.run(_recipe(tiny_folder, photo, tmp_path / "mask.png", edit=edit), tone())
    painted, before = np.asarray(result.images[0], int), np.asarray(result.read.photo, int)  # type: ignore[union-attr]
    assert (painted[:, :46] == before[:, :46]).all()
    assert np.abs(painted[:, 50:] - before[:, 50:]).mean() > 1
    assert result.recipe.edit is not None
    assert result.recipe.edit.mask_sha256 is not None
    with pytest.raises(InputError, match="made with a mask"):
        engine.run(result.recipe.public().replace(model=str(tiny_folder)), photo=photo)


def test_seeds_need_variation(engine: Engine, tiny_folder: Path, photo: Path) -> None:
    with pytest.raises(InputError, match="all be the same"):
        engine.run(_recipe(tiny_folder, photo, count=2), tone())
    one, two = engine.run(_recipe(tiny_folder, photo, count=2, edit={"variation": 0.3}), tone()).images
    assert one.tobytes() != two.tobytes()


def test_stop_while_reading_leaves_the_model_and_no_half_read_photo(
    engine: Engine, tiny_folder: Path, photo: Path
) -> None:
    recipe = _recipe(tiny_folder, photo)
    backbone = engine._models.backbone(str(tiny_folder))
    before = fingerprint(backbone.modules()["unet"])
    stream = engine.stream(recipe, tone())
    next(stream)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert fingerprint(backbone.modules()["unet"]) == before
    assert engine.run(recipe, tone()).read.cached is False  # type: ignore[union-attr]


@pytest.mark.parametrize("check", [False, True])
def test_stop_while_painting_leaves_the_model(check: bool, engine: Engine, tiny_folder: Path, photo: Path) -> None:
    unet = engine._models.backbone(str(tiny_folder)).modules()["unet"]
    before = fingerprint(unet)
    recipe = _recipe(tiny_folder, photo, edit={"check": check})
    stream = engine.stream(recipe, tone())
    while True:
        item = next(stream)
        assert isinstance(item, Step)
        if item.phase == PAINTING:
            break
    assert fingerprint(unet) == before  # between two steps, too
    stream.close()  # type: ignore[attr-defined]
    assert fingerprint(unet) == before
    again = engine.run(recipe, tone()).read
    assert again is not None
    assert again.cached  # what was read before the Stop
    assert (again.psnr is not None) == check


def test_how_many_evaluations_an_edit_takes(
    engine: Engine, tiny_folder: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published algorithm takes 250 at 50 steps: a first edit at most half of them, a further sound 0.45."""
    backbone = engine._models.backbone(str(tiny_folder))
    rows: list[int] = []
    predict = backbone.predict

    def counted(latents: Any, timestep: Any, states: Any) -> Any:
        rows.append(len(states))
        return predict(latents, timestep, states)

    monkeypatch.setattr(backbone, "predict", counted)
    recipe = _recipe(tiny_folder, photo, edit={"check": False}, num_inference_steps=50, guidance_scale=3.0)
    engine.run(recipe, tone())
    first = sum(rows)
    rows.clear()
    engine.run(recipe, noise())
    assert (first, sum(rows)) == (17 + 2 + 100, 100)
    assert first <= 0.5 * 250
    assert sum(rows) <= 0.45 * 250


def test_what_is_refused(engine: Engine, tiny_folder: Path, photo: Path, tmp_path: Path) -> None:
    write_wav(tone(), tmp_path / "sound.wav")
    bad: list[tuple[dict[str, Any], str]] = [
        ({"method": "magic"}, "no editing method called 'magic'"),
        ({"method": "p2p"}, "what the photo shows"),
        ({"source_prompt": "a photo of A*"}, "no A\\*"),
    ]
    for fields, words in bad:
        with pytest.raises(InputError, match=words):
            engine.run(_recipe(tiny_folder, photo, edit=fields), tone())
    with pytest.raises(InputError, match="not a picture"):
        engine.run(_recipe(tiny_folder, tmp_path / "sound.wav"), tone())
    with pytest.raises(InputError, match="not one of an edit"):
        engine.run(Recipe(tracks=(Track(),)), tone(), photo=photo)
