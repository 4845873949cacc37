"""Pictures of our own are edited from their own recipe and noise: what was drawn, and when that cannot be."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from studio.diffusion.attention import layers_of, projections, recorded, unet_of
from studio.diffusion.coarse_to_fine import Stage
from studio.diffusion.inversion import ddim_scheduler
from studio.diffusion.loop import Extension, Moment, denoise
from studio.diffusion.prompt import embed
from studio.editing.base import Job, KeepOutside
from studio.editing.origin import origin_of, replay, source_states, stages_of, under_negative
from studio.editing.photo import psnr, read_photo
from studio.editing.prompt_to_prompt import PromptToPrompt
from studio.editing.sources import Source
from studio.editing.words import align
from studio.engine import Engine
from studio.errors import InputError
from studio.library.png import save_png
from studio.recipe import Edit, Recipe
from studio.result import READING, Result, Step
from tests.models import fingerprint, noise, tone

STEPS = 4


@pytest.fixture(params=["tiny_folder", "staged_folder"])
def folder(request: pytest.FixtureRequest) -> Path:
    """A model that draws in one stage, and one that draws in three."""
    found: Path = request.getfixturevalue(request.param)
    return found


def _total(engine: Engine, folder: Path, ours: Path) -> int:
    """Steps of all stages."""
    plan = stages_of(engine.image_model(str(folder)), Recipe.from_json(read_photo(ours).recipe))
    return sum(stage.steps for stage in plan)


def _drawn(folder: Path, **fields: Any) -> Recipe:
    settings = {"model": str(folder), "adapter": "tiny-word", "seed": 3, "num_inference_steps": STEPS}
    return Recipe(**{**settings, **fields})


@pytest.fixture
def ours(engine: Engine, folder: Path, tmp_path: Path) -> Path:
    """A picture of a tone, as Hearsight saves it."""
    result = engine.run(_drawn(folder), tone())
    return save_png(result.images[0], result.recipes[0], tmp_path / "mine.png")


def _edit(folder: Path, path: Path, edit: dict[str, Any] | None = None, **fields: Any) -> Recipe:
    settings: dict[str, Any] = {"model": str(folder), "adapter": "tiny-word", "seed": 9} | fields
    return Recipe(edit=Edit.of(path, method="p2p", **(edit or {})), **settings)


def test_it_is_drawn_again_and_nothing_is_inverted(engine: Engine, folder: Path, ours: Path) -> None:
    unet = engine._models.backbone(str(folder)).modules()["unet"]
    before = fingerprint(unet)
    *steps, result = engine.stream(_edit(folder, ours), noise())
    total = _total(engine, folder, ours)
    assert isinstance(result, Result)
    assert result.read is not None
    assert [step.phase for step in steps if isinstance(step, Step)].count(READING) == total
    assert (result.read.evaluations, result.read.psnr, result.read.cached) == (2 * total, 99, False)
    recipe = result.recipe
    assert recipe.edit is not None
    assert (recipe.num_inference_steps, recipe.edit.source_prompt, recipe.edit.name) == (STEPS, "", "mine.png")
    assert any("own noise" in sentence for sentence in result.warnings)
    assert fingerprint(unet) == before
    again = engine.run(recipe.public().replace(model=str(folder)), photo=ours)
    assert (again.read.cached, again.read.evaluations) == (True, 0)  # type: ignore[union-attr]
    assert again.images[0].tobytes() == result.images[0].tobytes()


def test_with_nothing_held_it_is_the_other_sounds_picture(engine: Engine, folder: Path, ours: Path) -> None:
    free = engine.run(_edit(folder, ours, {"keep_layout": 0, "keep_detail": 0}), noise())
    plain = engine.run(_drawn(folder), noise())
    held = engine.run(_edit(folder, ours, {"keep_layout": 1, "keep_detail": 1}), noise())
    assert free.images[0].tobytes() == plain.images[0].tobytes()
    assert held.images[0].tobytes() != plain.images[0].tobytes()


def test_without_a_sound_it_stays(engine: Engine, folder: Path, ours: Path) -> None:
    still = engine.run(_edit(folder, ours, sound_strength=0), noise()).images[0]
    with Image.open(ours) as before:
        assert psnr(still, before.convert("RGB")) > 40  # three predictions in a batch and not two: rounding


def test_what_is_recorded_is_what_its_prompt_gave(engine: Engine, folder: Path, ours: Path) -> None:
    backbone = engine._models.backbone(str(folder))
    origin = Recipe.from_json(read_photo(ours).recipe)
    layers = projections(layers_of(backbone).cross_attention, "to_q", "to_k")
    *moments, source = replay(backbone, origin, layers)
    assert isinstance(source, Source)
    assert (len(moments), source.steps) == (_total(engine, folder, ours), STEPS)
    assert [len(trail) for trail in source.later] == [stage.steps for stage in stages_of(backbone, origin)[1:]]
    assert all(len(source.features[name]) == STEPS for name in layers)
    keys = source.at(1, layers)[layers[1]]
    assert torch.equal(keys, source.at(STEPS, layers)[layers[1]])  # the words do not change from step to step
    queries = [source.at(step, layers)[layers[0]] for step in (1, STEPS)]
    assert not torch.equal(*queries)


def test_features_are_held_in_the_rows_they_were_drawn_in(engine: Engine, folder: Path, ours: Path) -> None:
    """Under the prompt those of the prompt, under the negative prompt those of the negative prompt: with only one of
    them held, guidance goes on from their difference and tears the picture."""
    backbone = engine._models.backbone(str(folder))
    origin = Recipe.from_json(read_photo(ours).recipe)
    features, unet = layers_of(backbone).features, unet_of(backbone)
    *_, source = replay(backbone, origin, PromptToPrompt.layers(backbone))
    assert isinstance(source, Source)
    word = torch.ones(2, backbone.dims.text_width)
    job = Job(
        backbone, Edit(method="p2p", keep_layout=0.5), ddim_scheduler(backbone, STEPS), STEPS, origin.prompt, 2, 1.0,
        source.trajectory[-1:], None, source, origin.prompt, 2,
    )  # fmt: skip
    seen: dict[str, torch.Tensor] = {}

    class Witness(Extension):
        def patch(self, moment: Moment) -> Any:
            return recorded(unet, features, seen)

    negative, positive = (embed(backbone, [text], word[:rows]) for text, rows in (("red", 0), (origin.prompt, 2)))
    for strength in (1.0, 0.5):  # with two predictions, and with three
        extensions = [*PromptToPrompt().extensions(job), Witness()]
        for moment in denoise(
            backbone, source.trajectory[:1], negative, positive, silent=source_states(backbone, origin),
            num_inference_steps=STEPS, guidance_scale=3, sound_strength=strength, generator=torch.Generator(),
            extensions=extensions,
        ):  # fmt: skip
            for name in features:
                away, towards = (
                    source.at(moment.index, (one,))[one][0].to(seen[name]) for one in (under_negative(name), name)
                )
                assert not torch.equal(away, towards)
                held = [torch.equal(seen[name][0], away), *(torch.equal(row, towards) for row in seen[name][1:])]
                assert held == [moment.index <= STEPS // 2] * (2 if strength == 1 else 3), (moment.index, name)


@pytest.mark.parametrize("held", [0, 1])
def test_what_is_outside_a_mask_stays(engine: Engine, folder: Path, ours: Path, held: float) -> None:
    with Image.open(ours) as before:
        mask = Image.new("L", before.size)
        mask.paste(255, (0, 0, mask.width // 2, mask.height))
        held_to = {"keep_layout": held, "keep_detail": held}
        made = engine.run(_edit(folder, ours, held_to), noise(), mask=mask).images[0]
        was, now = np.asarray(before.convert("RGB"), int), np.asarray(made, int)
    assert np.array_equal(was[:, -16:], now[:, -16:])
    assert np.abs(was - now)[:, :16].mean() > 1


def test_only_the_changed_words_places_change(engine: Engine, staged_folder: Path, tmp_path: Path) -> None:
    """What the first stage says is outside is kept outside in the later ones."""
    result = engine.run(_drawn(staged_folder), tone())
    path = save_png(result.images[0], result.recipes[0], tmp_path / "mine.png")
    backbone = engine.image_model(str(staged_folder))
    trail = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    inside = torch.zeros(1, 1, 4, 4)
    inside[..., :2] = 1
    keep = KeepOutside(lambda _: trail[:1, :, :4, :4], lambda step: inside if step == STEPS else None, trail[:1])
    later = keep.finer(STEPS, Stage(64, 64, 4, first_step=2), trail)
    for step in (2, 3, 4):
        moment: Any = SimpleNamespace(index=step, latents=torch.zeros(1, 4, 8, 8), denoised=torch.zeros(1, 4, 8, 8))
        later.after_step(moment)
        assert torch.equal(moment.latents[..., 4:], trail[step - 2][None, ..., 4:])
        assert not moment.latents[..., :4].any()
    local = engine.run(_edit(staged_folder, path, {"local": True}), noise())
    assert local.images[0].size == (128, 128)
    assert backbone.defaults.side == 128


def test_one_sounds_word_for_anothers(engine: Engine, folder: Path) -> None:
    found = align(engine._models.backbone(str(folder)), "a photo of A*", "a photo of A*", 2, "auto", 2)
    assert found.changed_source == found.changed_target == found.word
    assert all(found.matrix[place, place] == 1 for place in found.word)


@pytest.mark.parametrize(
    ("fields", "edit"),
    [
        ({"num_inference_steps": 3}, {}),
        ({"width": 192}, {}),
        ({}, {"source_prompt": "a dog"}),
    ],
)
def test_what_it_cannot_start_from(fields: dict[str, Any], edit: dict[str, Any], folder: Path, ours: Path) -> None:
    photo, recipe = read_photo(ours), _edit(folder, ours, edit, **fields)
    assert origin_of(photo, _edit(folder, ours).edit or Edit(), _edit(folder, ours)) is not None
    assert origin_of(photo, recipe.edit or Edit(), recipe) is None


def test_a_changed_picture_is_noticed(engine: Engine, folder: Path, ours: Path, tmp_path: Path) -> None:
    with Image.open(ours) as before:
        recipe = Recipe.from_json(before.info["hearsight"])
        save_png(before.rotate(180), recipe, tmp_path / "turned.png")
        save_png(before.convert("RGB"), recipe.replace(model_sha256="0" * 16), tmp_path / "other.png")
        before.resize((48, 48)).save(tmp_path / "plain.png")
    for name, said in (("turned", "was changed since"), ("other", "give a source"), ("plain", "give a source")):
        with pytest.raises(InputError, match=said):
            engine.run(_edit(folder, tmp_path / f"{name}.png"), noise())
