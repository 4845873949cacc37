"""Sounds beside the text, through the engine: guidance, strength, replay, morphs, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from studio.engine import Engine
from studio.errors import InputError
from studio.library.png import read_recipe, save_png
from studio.recipe import Recipe, Track
from studio.result import Result
from studio.word import blend_tokens, unpack_word
from tests.models import fingerprint, noise, tone


@pytest.fixture
def recipe(tiny_folder: Path) -> Recipe:
    return Recipe(model=str(tiny_folder), adapter="tiny-gated", seed=3, num_inference_steps=2, preview_every=0)


def _pixels(result: Result) -> bytes:
    return result.images[0].tobytes()


def test_the_sound_makes_the_picture_and_a_png_replays_without_it(
    engine: Engine, recipe: Recipe, tmp_path: Path
) -> None:
    made = engine.run(recipe, tone())
    assert _pixels(engine.run(recipe, noise())) != _pixels(made)
    assert made.recipe.word is None and made.recipe.resolved
    assert unpack_word(str(made.recipe.sound_tokens)).shape == (3, 32)
    carried = read_recipe(save_png(made.images[0], made.recipes[0], tmp_path / "picture.png"))
    again = Engine("cpu").run(carried.replace(model=recipe.model))
    assert _pixels(again) == _pixels(made)
    assert again.warnings == []


def test_a_star_is_left_out_and_not_needed(engine: Engine, recipe: Recipe) -> None:
    with_word = engine.run(recipe.replace(prompt="a photo of A*"), tone())
    without = engine.run(recipe.replace(prompt="a photo of"), tone())
    assert _pixels(with_word) == _pixels(without)
    with pytest.raises(InputError, match="has no A"):
        engine.run(recipe.replace(prompt="a photo of", adapter="tiny-word"), tone())


def test_strength_goes_from_the_words_alone_to_beyond(engine: Engine, recipe: Recipe) -> None:
    alone = [engine.run(recipe.replace(sound_strength=0.0), sound) for sound in (tone(), noise())]
    assert _pixels(alone[0]) == _pixels(alone[1])
    no_sound = engine.run(recipe.replace(sound_strength=0.0, adapter="tiny-word"), tone())
    near = np.abs(np.asarray(alone[0].images[0], int) - np.asarray(no_sound.images[0], int)).mean()
    assert near < 1, "the words alone are the words alone, whichever adapter"
    strengths = [engine.run(recipe.replace(sound_strength=strength), tone()) for strength in (0.5, 1.0, 1.05, 2.0)]
    pictures = [np.asarray(result.images[0], int) for result in (alone[0], *strengths)]
    moved = [float(np.abs(picture - pictures[0]).mean()) for picture in pictures]
    assert moved[0] < moved[1] and moved[0] < moved[2]
    assert len({_pixels(result) for result in strengths}) == 4
    assert np.abs(pictures[3] - pictures[2]).mean() < np.abs(pictures[4] - pictures[2]).mean(), "no jump at 1"


def test_a_softer_sound_acts_less(engine: Engine, recipe: Recipe) -> None:
    soft = engine.run(recipe.replace(tracks=(Track(gain=-10),)), tone())
    assert soft.recipe.loudness == 0.5
    assert _pixels(engine.run(soft.recipe)) == _pixels(soft)


@pytest.mark.parametrize("guidance", [0.0, 1.0, 5.0])
def test_every_guidance_works(guidance: float, engine: Engine, recipe: Recipe) -> None:
    assert engine.run(recipe.replace(guidance_scale=guidance, sound_strength=1.5), tone()).images[0].size == (64, 64)


def test_a_morph_ends_at_its_sounds_and_is_linear_between(engine: Engine, recipe: Recipe) -> None:
    morph = recipe.replace(tracks=(Track(), Track()), join="morph")
    tokens = []
    for weights, sound in (((1.0, 0.0), tone()), ((0.0, 1.0), noise())):
        end, alone = engine.run(morph.replace(weights=weights), [tone(), noise()]), engine.run(recipe, sound)
        assert end.recipe.sound_tokens == alone.recipe.sound_tokens
        assert _pixels(end) == _pixels(alone)
        tokens.append(unpack_word(str(alone.recipe.sound_tokens)))
    between = engine.run(morph.replace(weights=(0.75, 0.25)), [tone(), noise()])
    expected = 0.75 * tokens[0] + 0.25 * tokens[1]
    np.testing.assert_allclose(unpack_word(str(between.recipe.sound_tokens)), expected, atol=1e-6)
    np.testing.assert_allclose(blend_tokens(tokens, (3, 1)), expected, atol=1e-6)


def test_another_adapter_is_refused_or_said(engine: Engine, recipe: Recipe) -> None:
    made = engine.run(recipe, tone()).recipe
    with pytest.raises(InputError, match="which the adapter 'tiny-word' does not do"):
        engine.run(made.replace(adapter="tiny-word"))
    with pytest.raises(InputError, match=r"the adapter 'tiny-gated' reads \[3, 32\]"):
        engine.run(made.replace(sound_tokens="1x1:AAAAAA=="))
    with pytest.raises(InputError, match="is damaged"):
        made.replace(sound_tokens="1x1:AA")
    warnings = engine.run(made.replace(adapter_sha256="0" * 16)).warnings
    assert len(warnings) == 1 and "The adapter 'tiny-gated' has changed since this recipe was made" in warnings[0]


def test_a_stopped_or_failed_request_leaves_no_hook(
    engine: Engine, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _pixels(engine.run(recipe, tone()))
    unet = engine._models.backbone(recipe.model).modules()["unet"]
    before = fingerprint(unet)
    stream = engine.stream(recipe, tone())
    next(stream)
    assert fingerprint(unet) == before, "nothing is held between two steps"
    stream.close()  # type: ignore[attr-defined]
    kind = type(engine._models.backbone(recipe.model))
    with monkeypatch.context() as patch:
        patch.setattr(kind, "predict", lambda *_: (_ for _ in ()).throw(MemoryError("no room")))
        with pytest.raises(MemoryError):
            engine.run(recipe, tone())
    assert fingerprint(unet) == before
    assert _pixels(engine.run(recipe, tone())) == expected


def test_recipes_without_it_are_written_as_before(recipe: Recipe) -> None:
    assert not {"sound_tokens", "adapter_sha256"} & json.loads(recipe.to_json()).keys()
