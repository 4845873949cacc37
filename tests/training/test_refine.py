"""Refining a word: it comes nearer to the pictures, it alone changes, and it stops at any moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from studio.backbones.base import Backbone
from studio.engine import Engine
from studio.errors import InputError
from studio.recipe import Recipe
from studio.training.refine import Refining, measured, refine
from studio.word import unpack_word
from tests.models import fingerprint, tone


@pytest.fixture
def recipe(engine: Engine, tiny_folder: Path) -> Recipe:
    """A resolved recipe of the tiny model; its word has two vectors."""
    resolved, _ = engine.resolve(Recipe(model=str(tiny_folder), adapter="tiny-word"), tone())
    return resolved


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    return [Image.new("RGB", (90, 70), colour) for colour in ((230, 40, 30), (200, 60, 40))]


def test_it_alone_comes_nearer_to_the_pictures(engine: Engine, recipe: Recipe, pictures: list[Image.Image]) -> None:
    backbone = engine.image_model(recipe.model)
    before = {name: fingerprint(module) for name, module in backbone.modules().items()}
    done = list(refine(backbone, recipe, pictures, steps=25, rate=0.3))
    assert [(one.index, one.total) for one in done] == [(index, 25) for index in range(1, 26)]
    assert done[-1].eta == 0 and recipe.word is not None
    assert measured(backbone, done[-1].word, pictures) < measured(backbone, recipe.word, pictures)
    old, new = unpack_word(recipe.word), unpack_word(done[-1].word)
    assert not np.allclose(old, new, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(new, axis=1), np.linalg.norm(old, axis=1), rtol=1e-5)
    assert {name: fingerprint(module) for name, module in backbone.modules().items()} == before
    assert all(p.grad is None for module in backbone.modules().values() for p in module.parameters())


def test_it_stops_at_any_moment_and_what_is_reached_draws(
    engine: Engine, recipe: Recipe, pictures: list[Image.Image]
) -> None:
    backbone = engine.image_model(recipe.model)
    work = refine(backbone, recipe, pictures, steps=50)
    reached: Refining = next(work)
    work.close()  # type: ignore[attr-defined]  # a generator
    again = next(refine(backbone, recipe, pictures, steps=50))
    assert (reached.word, reached.loss) == (again.word, again.loss)
    assert all(not module._forward_hooks for part in backbone.modules().values() for module in part.modules())
    result = engine.run(recipe.replace(word=reached.word, num_inference_steps=2, seed=1))
    assert result.recipe.word == reached.word


@pytest.mark.parametrize(
    ("changes", "count", "options", "message"),
    [
        ({"word": None}, 1, {}, "needs one sound whose adapter makes a word alone"),
        ({"adapter_sha256": "0"}, 1, {}, "needs one sound whose adapter makes a word alone"),
        ({}, 0, {}, "takes 1 to 64 pictures, but 0 were given"),
        ({}, 65, {}, "takes 1 to 64 pictures, but 65 were given"),
        ({}, 1, {"steps": 0}, "takes 1 to 2000 steps, but 0 were asked for"),
        ({"word": "1x4:AAAAAAAAAAAAAAAAAAAAAA=="}, 1, {}, "made for another image model"),
    ],
)
def test_what_cannot_be_refined_is_refused(
    changes: dict[str, Any],
    count: int,
    options: dict[str, Any],
    message: str,
    engine: Engine,
    recipe: Recipe,
    pictures: list[Image.Image],
) -> None:
    backbone: Backbone = engine.image_model(recipe.model)
    with pytest.raises(InputError, match=message):
        refine(backbone, recipe.replace(**changes), pictures[:1] * count, **options)
