"""Switching image models: the old one's memory is free, what is being drawn with it is not disturbed."""

from __future__ import annotations

import gc
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from studio.backbones.base import Backbone
from studio.device import pick_device
from studio.engine import Engine
from studio.models import Models
from studio.recipe import Recipe
from studio.result import Result
from tests.models import build_tiny_stable_diffusion, tone


def _weights(backbone: Backbone) -> Iterator[Tensor]:
    return (value for part in backbone.modules().values() for value in part.parameters())


def test_another_model_takes_the_place_of_the_old_one(tiny_folder: Path, tmp_path: Path) -> None:
    other = build_tiny_stable_diffusion(tmp_path / "other", seed=1)
    models = Models(pick_device("cpu"), False)
    embedded = models.backbone("pocket")
    assert models.held == 0
    old: weakref.ref[Backbone] = weakref.ref(models.backbone(str(tiny_folder)))
    held = sum(value.numel() * value.element_size() for value in _weights(models.backbone(str(tiny_folder))))
    weights = [weakref.ref(value) for value in _weights(models.backbone(str(tiny_folder)))]
    models.adapter(str(tiny_folder), "concepts")
    assert models.held == held > 0
    models.backbone(str(other))
    gc.collect()
    assert old() is None and not any(value() is not None for value in weights)
    assert models.backbone("pocket") is embedded
    models.let_go(str(other))
    assert models.holds(str(other))
    models.let_go("pocket")
    assert not models.holds(str(other)) and models.held == 0
    assert models.backbone("pocket") is embedded


def test_a_picture_in_progress_is_finished_with_its_model(engine: Engine, tiny_folder: Path, tmp_path: Path) -> None:
    other = build_tiny_stable_diffusion(tmp_path / "other", seed=1)
    recipe = Recipe(model=str(tiny_folder), adapter="tiny-word", seed=3, width=64, height=64)
    alone = engine.run(recipe, tone())
    stream = engine.stream(recipe, tone())
    next(stream)
    assert engine.holds(recipe)
    old = weakref.ref(engine._models.backbone(str(tiny_folder)))
    engine.let_go(str(other))
    assert not engine.holds(recipe) and old() is not None
    elsewhere = engine.run(recipe.replace(model=str(other)), tone())
    result = list(stream)[-1]
    assert isinstance(result, Result)
    assert (np.asarray(result.images[0]) == np.asarray(alone.images[0])).all()
    assert (np.asarray(elsewhere.images[0]) != np.asarray(alone.images[0])).any()
    del stream, result
    gc.collect()
    assert old() is None


def test_one_model_under_two_names_is_loaded_once(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARSIGHT_MODELS", str(tmp_path))
    shutil.copytree(tiny_folder, tmp_path / "models" / "mine")
    models = Models(pick_device("cpu"), False)
    assert models.backbone("mine") is models.backbone(str(tmp_path / "models" / "mine"))
    assert models.holds("mine")
