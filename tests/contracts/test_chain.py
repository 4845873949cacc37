"""The whole way, ear to picture, on every form of image model: what holds for one holds for all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from studio.engine import Engine
from studio.recipe import Recipe
from studio.word import pack_word
from tests.models import fingerprint, tone
from tests.real_forms import FORMS


@pytest.mark.parametrize("form", FORMS)
def test_from_sound_to_picture(form: str, engine: Engine, tmp_path: Path) -> None:
    """Declared size, the same again, two at once = two singles, replayed from its JSON, and nothing left behind."""
    folder = FORMS[form](tmp_path / form)
    recipe = Recipe(
        model=str(folder), adapter="tiny-word", prompt="a photo of (A*:1.2) at night", negative_prompt="", seed=3,
        num_inference_steps=2, width=80, height=64, preview_every=0,
    )  # fmt: skip
    backbone = engine._models.backbone(recipe.model)
    before = {name: fingerprint(part) for name, part in backbone.modules().items()}
    both = engine.run(recipe.replace(count=2), tone())
    assert {image.size for image in both.images} == {(80, 64)}
    for index in range(2):
        alone = engine.run(recipe.replace(seed=3 + index), tone())
        assert alone.images[0].tobytes() == both.images[index].tobytes()
    replay = engine.run(Recipe.from_json(both.recipes[1].to_json()))
    assert replay.images[0].tobytes() == both.images[1].tobytes()
    # Random networks hardly react to a word of ordinary length; a long one shows that it gets there.
    long_word = 20 * np.random.default_rng(0).standard_normal((2, backbone.dims.text_width), dtype=np.float32)
    other = engine.run(both.recipes[0].replace(word=pack_word(long_word)))
    assert other.images[0].tobytes() != both.images[0].tobytes()
    assert {name: fingerprint(part) for name, part in backbone.modules().items()} == before
